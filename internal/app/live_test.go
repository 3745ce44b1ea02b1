package app_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
)

const liveRecipe = `
recipe: live
params:
  endpoint: {required: true, type: url}
  secret:   {required: true, secret: true}
  app:      {}
  user:     {}
tokens:
  first:
    request: {url: "${endpoint}/first", form: {secret: "${secret}", app: "${app}"}}
    value: {json: token}
    lifetime: [{json: ttl, as: seconds}]
  second:
    request: {method: POST, url: "${endpoint}/second", headers: {X-First: "${first}"}}
    value: {json: token}
    lifetime: until_refused
  personal:
    request: {method: POST, url: "${endpoint}/personal", headers: {X-First: "${first}"}, form: {user: "${user}"}}
    value: {json: token}
    lifetime: 1h
inject:
  - {header: X-Token, value: "${personal}"}
`

// liveVendor logs in whoever does not come with the secret "wrong-secret", which
// its answer repeats.
func liveVendor(t *testing.T, logins *atomic.Int64) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("secret") {
		case "wrong-secret":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"message":"not the secret: wrong-secret"}`)
		case "hanging":
			<-r.Context().Done()
		default:
			fmt.Fprintf(w, `{"token":"token-canary-%d"}`, logins.Add(1))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func checkLive(t *testing.T, timeout time.Duration, credentials string) (string, error) {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte("credentials:\n"+credentials+"routes: [{upstream: 'http://127.0.0.1:1'}]\n"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = app.CheckLive(t.Context(), &out, app.LiveConfig{Config: cfg, Timeout: timeout})
	return out.String(), err
}

func TestCheckLive(t *testing.T) {
	var logins atomic.Int64
	url := liveVendor(t, &logins)
	file := recipeFile(t, liveRecipe)
	got, err := checkLive(t, time.Minute, fmt.Sprintf(`
  good:  {recipe: %[1]s, with: {endpoint: %[2]s, secret: right, user: {header: X-User}}}
  bad:   {recipe: %[1]s, with: {endpoint: %[2]s, secret: wrong-secret, user: {query: user}}}
  child: {recipe: %[1]s, with: {endpoint: %[2]s, secret: right, app: {credential: good.first}, user: u1}}
  late:  {recipe: %[1]s, with: {endpoint: %[2]s, secret: right, app: {credential: bad.second}, user: u1}}
`, file, url))
	host := strings.TrimPrefix(url, "http://")
	want := strings.ReplaceAll(`CREDENTIAL   TOKEN      RESULT            LIFETIME
good         first      ok                1m0s            no usable lifetime (json ttl as seconds is missing); assuming 1m0s
good         second     ok                until refused
good         personal   needs a request                   attache token good -H 'X-User: …'
bad          first      permanent                         HOST answered 401: not the secret: [redacted]
bad          second     not tried                         it needs bad.first
bad          personal   needs a request                   attache token bad --query user=…
child        first      ok                1m0s            no usable lifetime (json ttl as seconds is missing); assuming 1m0s
child        second     ok                until refused
child        personal   ok                1h0m0s
late         first      not tried                         it needs bad.second
late         second     not tried                         it needs late.first
late         personal   not tried                         it needs late.first
`, "HOST", host)
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if err == nil || err.Error() != "5 of 10 logins failed" {
		t.Errorf("error: %v", err)
	}
	// good.first once, whoever needs it.
	if n := logins.Load(); n != 5 {
		t.Errorf("%d logins, want 5", n)
	}
}

// TestCheckLiveIsBounded: a vendor that does not answer ends with the time for
// all logins, whatever a credential says.
func TestCheckLiveIsBounded(t *testing.T) {
	var logins atomic.Int64
	url := liveVendor(t, &logins)
	file := recipeFile(t, liveRecipe)
	var credentials strings.Builder
	for i := range 12 { // more than log in at a time
		fmt.Fprintf(&credentials, "  c%d: {recipe: %s, with: {endpoint: %s, secret: hanging}, refresh: {timeout: 10m}}\n", i, file, url)
	}
	got, err := checkLive(t, 50*time.Millisecond, credentials.String())
	if n := strings.Count(got, "not done within the 50ms for all logins"); n != 12 || err == nil {
		t.Errorf("%d were cut: %v\n%s", n, err, got)
	}
}
