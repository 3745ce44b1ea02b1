package recipe

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/refresher"
)

const refreshRecipe = `
recipe: x
params:
  start: {secret: true}
  kind: {default: strict, enum: [strict, lax]}
tokens:
  always:
    value: {json: t}
    outputs: {refresh_token: {json: r}}
    lifetime: 1h
    renewal:
      refresh:
        needs: refresh_token
        initial: ${start}
        rotates: true
        request: {url: "https://h/", timeout: 30s, form: {r: "${always.refresh_token}"}}
  sometimes:
    request: {url: "https://h/", timeout: 20s}
    value: {json: t}
    outputs: {refresh_token: {json: r}}
    lifetime: 1h
    renewal:
      refresh:
        needs: refresh_token
        rotates: {kind: strict}
        request: {url: "https://h/", form: {r: "${sometimes.refresh_token}"}}
  in_place:
    request: {url: "https://h/"}
    value: {json: t}
    lifetime: 1h
    renewal: {refresh: {needs: value, request: {url: "https://h/", headers: {X-T: "${in_place}"}}}}
`

func TestRefreshPolicy(t *testing.T) {
	c := loadConfig(t, refreshRecipe, "credentials: {c: {with: {}}, d: {with: {kind: lax}, refresh: {timeout: 5s}}}")
	for _, tt := range []struct {
		cred, token string
		want        refresher.Policy
	}{
		{"c", "always", refresher.Policy{Timeout: 30 * time.Second, Rotates: true}},
		{"c", "sometimes", refresher.Policy{Timeout: 20 * time.Second, Rotates: true}},
		{"d", "sometimes", refresher.Policy{Timeout: 5 * time.Second}},
		{"c", "in_place", refresher.Policy{Timeout: 10 * time.Second, RenewsInPlace: true}},
	} {
		if got := c.creds[tt.cred].program(tt.token).Policy; got != tt.want {
			t.Errorf("%s.%s: %+v, want %+v", tt.cred, tt.token, got, tt.want)
		}
	}
}

// A token that has nothing to begin with says so.
func TestRefreshWithoutInitialValue(t *testing.T) {
	c := loadConfig(t, refreshRecipe, "credentials: {c: {with: {}}}")
	_, err := fixedSource(c.creds["c"].program("always"), &canned{}).Fetch(t.Context(), refresher.Input{})
	fe, ok := err.(*refresher.FetchError)
	if !ok || fe.Class != refresher.Permanent || err.Error() != "initial mentions a parameter that has no value" {
		t.Errorf("%v", err)
	}
}

// What a refresh sends is in no transcript, and neither is what comes back.
func TestRefreshTraceHoldsNoSecret(t *testing.T) {
	c := loadConfig(t, refreshRecipe, "credentials: {c: {with: {start: initial-secret}}}")
	src := fixedSource(c.creds["c"].program("always"), &canned{answer: []byte("HTTP/1.1 200 OK\n\n" + `{"t":"new-access","r":"new-refresh"}`)})
	tr, tok, err := src.trace(t.Context(), refresher.Input{})
	if err != nil || tok.Outputs["refresh_token"].Reveal() != "new-refresh" {
		t.Fatalf("%v, %v", tok, err)
	}
	var b bytes.Buffer
	if err := tr.Write(&b, nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"initial-secret", "new-access", "new-refresh"} {
		if strings.Contains(b.String(), s) {
			t.Errorf("%s is in\n%s", s, &b)
		}
	}
	if !strings.Contains(b.String(), "r=redacted") {
		t.Errorf("no request in\n%s", &b)
	}
}

// FuzzRefresh: whatever the recipe, what came before and what the vendor
// answers, a renewal gives a token that is legal, or an error that says what to
// do; and it tries no more than two requests.
func FuzzRefresh(f *testing.F) {
	files, _ := filepath.Glob("testdata/renewal/*.txtar")
	for _, name := range files {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ar.Files[0].Data, "old", "", 400, `{"error":"invalid_grant"}`)
		f.Add(ar.Files[0].Data, "", "refresh", 200, `{"access_token":"a","auth":{"client_token":"v","lease_duration":1}}`)
	}
	f.Add([]byte(refreshRecipe), "old", "r", 200, `{"t":"a"}`)
	f.Fuzz(func(t *testing.T, data []byte, value, refresh string, status int, body string) {
		r, ok := Parse(&yamldoc.Report{}, "f", data)
		if !ok {
			return
		}
		with := map[string]Origin{}
		for _, p := range r.Params {
			if p.Required {
				with[p.Name] = Origin{Ref: secret.Literal("https://h")}
			}
		}
		c, ok := Bind(&yamldoc.Report{}, r, BindConfig{Name: "c", With: with})
		if !ok {
			return
		}
		for _, p := range c.Tokens() {
			sent := 0
			src := fixedSource(p, roundTrip(func(*http.Request) (*http.Response, error) {
				sent++
				return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
			}))
			in := refresher.Input{Parents: make([]refresher.Token, len(p.Parents)), Params: make(refresher.Params, len(p.Params))}
			in.Previous = refresher.Token{Value: secret.New(value), ExpiresAt: fixedNow.Add(time.Minute), Outputs: map[string]secret.String{needsRefreshToken: secret.New(refresh)}}
			tok, err := src.Fetch(t.Context(), in)
			if _, ok := err.(*refresher.FetchError); err != nil && !ok {
				t.Errorf("%v is no FetchError", err)
			}
			if v := tok.Value.Reveal(); err == nil && (v == "" || badInHeader(v) != "") {
				t.Errorf("token %q", v)
			}
			if p.Revokes() {
				_ = src.Revoke(t.Context(), in)
				sent--
			}
			if sent > 2 {
				t.Errorf("%d requests", sent)
			}
		}
	})
}
