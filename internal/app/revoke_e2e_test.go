package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const sessionRecipe = `
recipe: sessions
params: {endpoint: {required: true, type: url}, user: {required: true}}
tokens:
  session:
    request: {url: "${endpoint}/login", json: {user: "${user}"}}
    value: {text: true}
    lifetime: 1h
    revoke: {request: {method: DELETE, url: "${endpoint}/sessions/${session}"}}
inject: [{header: X-Session, value: "${session}"}]
`

// A token is revoked when attache stops, after the last request; a reload
// revokes none, not even that of a credential that went: that comes at the end
// as well. What fails is logged.
func TestRevokeWhenItStops(t *testing.T) {
	var mu sync.Mutex
	var calls []string
	seen := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(calls)
	}
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		calls = append(calls, r.Method+" "+r.URL.Path)
		mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, "bad"):
			http.Error(w, `{"message":"not today"}`, http.StatusForbidden)
		case r.Method == http.MethodPost:
			user := strings.Split(string(body), `"`)[3]
			io.WriteString(w, "token-"+user)
		}
	}))
	defer vendor.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sessions.yaml"), []byte(sessionRecipe), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(users ...string) string {
		text := addresses + "probes: 127.0.0.1:0\ncredentials:\n"
		for _, user := range users {
			text += fmt.Sprintf("  %s: {recipe: sessions.yaml, with: {endpoint: %q, user: %s}}\n", user, vendor.URL, user)
		}
		return text + fmt.Sprintf("routes: [{path: /, upstream: %q, use: [%s]}]\n", vendor.URL, users[0])
	}
	l := runFile(t, dir, config("stays", "goes", "bad"))
	l.until("all have logged in", func() bool { return len(seen()) == 3 })
	l.reloaded(config("stays", "bad"))
	if a := l.do("GET", "/api", ""); a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
	l.cancel()
	if err := l.result(); err != nil {
		t.Error(err)
	}
	got := seen()
	if len(got) != 7 || got[3] != "GET /api" {
		t.Fatalf("calls %q", got)
	}
	slices.Sort(got[4:])
	if want := []string{"DELETE /sessions/token-bad", "DELETE /sessions/token-goes", "DELETE /sessions/token-stays"}; !slices.Equal(got[4:], want) {
		t.Errorf("revoked by %q, want %q", got[4:], want)
	}
	logs := l.logs.String()
	if !strings.Contains(logs, "could not be revoked") || !strings.Contains(logs, "answered 403: not today") {
		t.Errorf("no failure in the log:\n%s", logs)
	}
	if strings.Contains(logs, "token-bad") {
		t.Errorf("a token is in the log:\n%s", logs)
	}
}
