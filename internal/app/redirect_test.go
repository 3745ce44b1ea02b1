package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestLoginRedirectsAreNotFollowed: a login carries the secrets themselves. A
// redirect of it is a failure, wherever it leads.
func TestLoginRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"other", "own"} {
			t.Run(fmt.Sprint(status, " to ", to), func(t *testing.T) {
				var logins, followed atomic.Int64
				issue := func(w http.ResponseWriter, _ *http.Request) {
					followed.Add(1)
					fmt.Fprint(w, `{"token":"from-elsewhere"}`)
				}
				other := httptest.NewServer(http.HandlerFunc(issue))
				defer other.Close()
				mux := http.NewServeMux()
				mux.HandleFunc("/login", func(w http.ResponseWriter, _ *http.Request) {
					logins.Add(1)
					w.Header().Set("Location", map[string]string{"other": other.URL + "/x", "own": "/elsewhere"}[to])
					w.WriteHeader(status)
					fmt.Fprint(w, `{"token":"from-the-redirect"}`)
				})
				mux.HandleFunc("/elsewhere", issue)
				vendor := httptest.NewServer(mux)
				defer vendor.Close()
				w := start(t, fmt.Sprintf(`
credentials:
  c: {recipe: %s, with: {endpoint: %[2]s}}
routes:
  - {path: /r/, upstream: "%[2]s/elsewhere", use: [c], wait: 300ms}
`, recipeFile(t, `
recipe: plain
params: {endpoint: {required: true, type: url}}
tokens:
  access:
    request: {url: "${endpoint}/login", json: {}}
    value: {json: token}
    lifetime: 1h
inject:
  - {header: Authorization, value: "Bearer ${access}"}
`), vendor.URL))
				a := w.do("GET", "/r/x", "")
				if a.status != http.StatusServiceUnavailable || logins.Load() == 0 || followed.Load() != 0 {
					t.Errorf("got %d after %d logins; %d redirects were followed", a.status, logins.Load(), followed.Load())
				}
				w.stop() // the line about a login may come after the answer
				if !strings.Contains(w.logs.String(), "a redirect, which no login follows") {
					t.Errorf("the log does not say why there is no token:\n%s", w.logs)
				}
			})
		}
	}
}

// recipeFile writes a recipe and returns its path.
func recipeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recipe.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
