package interop

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oauth2errors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
)

// kills is how often TestRotationSurvivesKills kills the process.
const kills = 12

// rotation is an authorization server of go-oauth2 whose refresh tokens are good
// for one use. Whoever uses one twice ends the session (RFC 9700, section
// 4.14.2), which the library does not do by itself.
type rotation struct {
	*oauth2Authority

	mu      sync.Mutex
	killed  bool            // what comes is from a dead process
	open    int             // connections
	spent   map[string]bool // refresh tokens that were used
	refresh string          // the last one
	reused  int
	window  string // the token that was issued and that the API has not seen yet; "": none
	seen    int    // tokens that the API saw
}

func newRotation(t testing.TB) *rotation {
	r := &rotation{oauth2Authority: newOAuth2Authority(t, nil), spent: map[string]bool{}}
	const life = 2 * time.Second
	r.manager.SetPasswordTokenCfg(&manage.Config{AccessTokenExp: life, RefreshTokenExp: time.Hour, IsGenerateRefresh: true})
	r.manager.SetRefreshTokenCfg(&manage.RefreshingConfig{
		AccessTokenExp: life, RefreshTokenExp: time.Hour, IsGenerateRefresh: true, IsResetRefreshTime: true, IsRemoveAccess: true, IsRemoveRefreshing: true,
	})
	first, err := r.manager.GenerateAccessToken(t.Context(), oauth2.PasswordCredentials, &oauth2.TokenGenerateRequest{
		ClientID: "urn:app 1", ClientSecret: "a+b/c=%&: é", UserID: "anna", Scope: "read",
	})
	if err != nil {
		t.Fatal(err)
	}
	r.refresh = first.GetRefresh()
	return r
}

func (r *rotation) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if strings.HasPrefix(q.URL.Path, "/token/") {
		r.token(w, q)
		return
	}
	r.oauth2Authority.ServeHTTP(w, q)
	r.mu.Lock()
	defer r.mu.Unlock()
	if used := r.used(); used == r.window {
		r.window = ""
		r.seen++
	}
}

// token answers a refresh, unless the process that asked is dead: nobody can
// kill it between here and its store.
func (r *rotation) token(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.killed {
		return
	}
	old := q.FormValue("refresh_token")
	if r.spent[old] {
		r.reused++
		_ = r.manager.RemoveRefreshToken(context.Background(), r.refresh) // the session ends
	}
	r.spent[old] = true
	recorded := httptest.NewRecorder()
	r.oauth2Authority.ServeHTTP(recorded, q)
	if info, err := r.manager.LoadAccessToken(context.Background(), memberOf(recorded.Body.String(), "access_token")); err == nil {
		r.window, r.refresh = info.GetAccess(), info.GetRefresh()
	}
	for name, values := range recorded.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorded.Code)
	_, _ = w.Write(recorded.Body.Bytes())
}

// count follows the connections.
func (r *rotation) count(_ net.Conn, state http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch state {
	case http.StateNew:
		r.open++
	case http.StateClosed, http.StateHijacked:
		r.open--
	}
}

// bury returns when the server has read all that the dead process sent, so that
// the next one may come.
func (r *rotation) bury(t *testing.T, url string) {
	t.Helper()
	// Connections are accepted in their order: this one comes after those of the dead.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		open := r.open
		r.killed = r.killed && open > 0
		r.mu.Unlock()
		switch {
		case open == 0:
			return
		case time.Now().After(deadline):
			t.Fatalf("%d connections of a dead process are still open", open)
		}
	}
}

// memberOf returns a member of a flat JSON object.
func memberOf(text, name string) string {
	_, rest, _ := strings.Cut(text, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// kill kills the process, unless the server has replaced a refresh token and the
// new one is not known to be saved: a token is used only once it is.
func (r *rotation) kill(a *attache) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window != "" {
		return false
	}
	r.killed = true
	_ = a.cmd.Process.Kill()
	return true
}

// TestRotationSurvivesKills kills attache again and again while it keeps a session
// by refresh tokens that are good for one use, with its store in a file. The
// session goes on, and no refresh token is used twice.
func TestRotationSurvivesKills(t *testing.T) {
	authority := newRotation(t)
	server := httptest.NewUnstartedServer(authority)
	server.Config.ConnState = authority.count
	server.Start()
	t.Cleanup(server.Close)
	initial := authority.refresh
	configuration := fmt.Sprintf(`listen: 127.0.0.1:0
store: {file: %q, key: the-key-of-a-store-in-a-test-0123456789}
credentials:
  session:
    recipe: oauth2/refresh-token
    with: {token_url: %q, client_id: "urn:app 1", client_secret: "a+b/c=%%&: é", refresh_token: %q, rotates: true}
routes: [{path: /, upstream: %q, use: [session]}]
`, filepath.Join(t.TempDir(), "tokens"), server.URL+"/token/basic", initial, server.URL+"/api")

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for n := range kills {
		a, logged := launch(t, configuration)
		until := time.Now().Add(time.Duration(random.Int64N(int64(1500 * time.Millisecond))))
		for killed := false; !killed; {
			answer, err := http.Get("http://" + a.address + "/whoami")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK || string(body) != "urn:app 1/anna/read" {
				t.Fatalf("process %d: %d %q\n%s", n, answer.StatusCode, body, &a.log)
			}
			killed = time.Now().After(until) && authority.kill(a)
		}
		<-logged
		_ = a.cmd.Wait()
		authority.bury(t, server.URL)
	}
	authority.mu.Lock()
	defer authority.mu.Unlock()
	if authority.reused != 0 || authority.seen < 3 || authority.refresh == initial {
		t.Errorf("%d refresh tokens were used twice, %d tokens seen", authority.reused, authority.seen)
	}
	record(t, suite{name: "OAuth 2.0 refresh tokens that rotate, attache killed in between", version: moduleVersion(t, "github.com/go-oauth2/oauth2/v4"), tests: kills, passed: kills})
}

// TestReuseEndsTheSession holds the server to what the test above relies on.
func TestReuseEndsTheSession(t *testing.T) {
	authority := newRotation(t)
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	ask := func(refresh string) int {
		q, err := http.NewRequest("POST", server.URL+"/token/basic", strings.NewReader("grant_type=refresh_token&refresh_token="+refresh))
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth("urn%3Aapp+1", "a%2Bb%2Fc%3D%25%26%3A+%C3%A9")
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	first := authority.refresh
	if got := ask(first); got != http.StatusOK {
		t.Fatalf("the first use: %d", got)
	}
	second := authority.refresh
	if got := ask(first); got == http.StatusOK || authority.reused != 1 {
		t.Errorf("the second use: %d, %d noted", got, authority.reused)
	}
	if got := ask(second); got == http.StatusOK {
		t.Errorf("the session goes on: %d, %v", got, oauth2errors.ErrInvalidGrant)
	}
}
