package recipe

import (
	"net/http"
	"strings"
	"testing"

	"attache/internal/exchange"
)

// TestTokenReadsItsOwnParams: a token that is asked for on its own takes the
// values that its login mentions, checked as for a route.
func TestTokenReadsItsOwnParams(t *testing.T) {
	c := loadConfig(t, portalRecipe, `
credentials:
  p:
    with: {user: {header: X-User}, shown: {query: shown}, tenant: {header: X-Tenant}}
route:
  use: [p]
`)
	derived := loadConfig(t, portalRecipe, portalConfig)
	for _, tt := range []struct {
		c           *config
		token       string
		user, query string
		want        string
	}{
		{c, "app", "", "", "acme"},
		{c, "app", "Not-A-User", "", "acme"}, // is nothing to it
		{c, "session", "anna", "shown=me", "anna me acme"},
		{c, "session", "anna", "", "anna anna! acme"},
		{c, "session", "", "", "header X-User is missing"},
		{derived, "app", "", "", ""},
		{derived, "session", "anna", "", "anna"},
		{derived, "session", "annaanna", "", "header X-User gives the parameter shown a value that does not match ^.{1,5}$"},
	} {
		h := http.Header{"X-Tenant": {"acme"}}
		if tt.user != "" {
			h.Set("X-User", tt.user)
		}
		program := tt.c.creds["p"].program(tt.token)
		params, err := program.RequestParams(exchange.Head{RawQuery: tt.query, Header: h})
		got := strings.Join(params, " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s of %q ?%s: %q, want %q", tt.token, tt.user, tt.query, got, tt.want)
		}
		if err == nil && len(params) != len(program.Params) {
			t.Errorf("%d values for %d parameters", len(params), len(program.Params))
		}
	}
}
