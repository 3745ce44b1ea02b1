package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/emulator"
	"attache/internal/lanetest"
)

// These tests run the whole thing on loopback: emulated vendors, configuration,
// engine, proxy and admin API, over real sockets. What depends on time is
// tested in virtual time where it belongs; here only order and counts matter.

// world is a running attache in front of emulated vendors.
type world struct {
	t    *testing.T
	app  *app.App
	logs *lockedBuffer
	// stop ends the app and waits for everything that it does; it may be called
	// again.
	stop func()
	// cancel tells it to end, and does not wait.
	cancel context.CancelFunc
	done   chan error // what Run returned
}

// lockedBuffer collects logs from several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// vendor serves an emulator until the test ends.
func vendor(t *testing.T, name string, opt emulator.Options) (*emulator.Emulator, string) {
	t.Helper()
	emu, err := emulator.New(name, opt)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emu)
	t.Cleanup(server.Close)
	return emu, server.URL
}

// start runs attache with the given credentials and routes.
func start(t *testing.T, body string) *world {
	t.Helper()
	return startIn(t, t.TempDir(), "listen: 127.0.0.1:0\n"+body)
}

// startIn is start with listeners of its own; relative paths are in dir.
func startIn(t *testing.T, dir, body string) *world {
	t.Helper()
	text := "admin: 127.0.0.1:0\nprobes: 127.0.0.1:0\nlog: {level: debug, requests: all}\n" + body
	cfg, err := config.Parse("test.yaml", []byte(lanetest.Configuration(text)), dir)
	if err != nil {
		t.Fatalf("configuration:\n%v", err)
	}
	w := &world{t: t, logs: &lockedBuffer{}}
	w.app, err = app.New(app.Options{
		Config: cfg, Version: "test", Revision: "test",
		Log: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	return w
}

// run runs the app until the test ends.
func (w *world) run() {
	ctx, stop := context.WithCancel(context.Background())
	w.cancel = stop
	w.done = make(chan error, 1)
	go func() { w.done <- w.app.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		stop()
		if err := <-w.done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
}

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   string
	closed bool // the connection ends with the answer
}

// do sends a request through the proxy. Headers come as name, value, name, ….
func (w *world) do(method, path, body string, headers ...string) answer {
	w.t.Helper()
	a, err := w.try(method, path, body, headers...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) try(method, path, body string, headers ...string) (answer, error) {
	r, err := http.NewRequest(method, "http://"+w.app.Addr()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ans, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer ans.Body.Close()
	text, err := io.ReadAll(ans.Body)
	return answer{ans.StatusCode, ans.Header, string(text), ans.Close}, err
}

// good fails the test unless the answer has status 200 and contains text.
func (w *world) good(a answer, text string) {
	w.t.Helper()
	if a.status != http.StatusOK || !strings.Contains(a.body, text) {
		w.t.Fatalf("got %d %.300q, want 200 with %s\n%s", a.status, a.body, text, w.logs)
	}
}

// admin reads from the admin listener.
func (w *world) admin(path string) answer {
	w.t.Helper()
	ans, err := http.Get("http://" + w.app.AdminAddr() + path)
	if err != nil {
		w.t.Fatal(err)
	}
	return readAll(w.t, ans)
}

// readAll reads an answer to its end.
func readAll(t *testing.T, ans *http.Response) answer {
	t.Helper()
	defer ans.Body.Close()
	text, err := io.ReadAll(ans.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{ans.StatusCode, ans.Header, string(text), ans.Close}
}

// must performs an action on a vendor's tokens.
func must(t *testing.T, emu *emulator.Emulator, a emulator.Action, want int) {
	t.Helper()
	n, err := emu.Do(a)
	if err != nil || n != want {
		t.Fatalf("%s %s ended %d tokens, want %d: %v", a.Do, a.Kind, n, want, err)
	}
}

func change(t *testing.T, emu *emulator.Emulator, f func(*emulator.Settings)) {
	t.Helper()
	if err := emu.Change(f); err != nil {
		t.Fatal(err)
	}
}

// aicc runs attache in front of an AICC without renewal inside answers.
func aicc(t *testing.T) (*world, *emulator.Emulator) {
	t.Helper()
	emu, url := vendor(t, emulator.HuaweiAICC, emulator.Options{})
	change(t, emu, func(s *emulator.Settings) { s.AICC.Renew = emulator.RenewOff })
	return start(t, fmt.Sprintf(`
credentials:
  aicc:
    recipe: huawei-aicc
    refresh: {min_interval: 100ms}
    with:
      endpoint: %[1]s
      app_key: %[2]s
      app_secret: %[3]s
      channel_id: "%[4]s"
      user_id: {header: X-User-Id}
      user_name: {header: X-User-Name, decode: percent}
routes:
  - {name: aicc, path: /aicc/, upstream: "%[1]s/apiaccess/ccmessaging", use: [aicc]}
`, url, emulator.AICCAppKey, emulator.AICCAppSecret, emulator.AICCChannelID)), emu
}

// poll is a call of the user u1.
const poll = "/aicc/poll?channel=WEB&receiverId=u1"

func TestAICCRenewsOnlyWhatWentBad(t *testing.T) {
	w, emu := aicc(t)
	w.good(w.do("GET", poll, "", "X-User-Id", "u1"), `"resultCode":"0"`)
	logins := func(access, messaging uint64) {
		t.Helper()
		if got := emu.Stats().Logins; got["access"] != access || got["messaging"] != messaging {
			t.Fatalf("logins %v, want %d access and %d messaging", got, access, messaging)
		}
	}
	logins(1, 1)

	must(t, emu, emulator.Action{Do: emulator.Expire, Kind: "access"}, 1)
	w.good(w.do("GET", poll, "", "X-User-Id", "u1"), `"resultCode":"0"`)
	logins(2, 1)

	must(t, emu, emulator.Action{Do: emulator.Expire, Kind: "messaging"}, 1)
	w.good(w.do("GET", poll, "", "X-User-Id", "u1"), `"resultCode":"0"`)
	logins(2, 2)

	// Both at once: 403 for the access token first, then 401 for the other.
	must(t, emu, emulator.Action{Do: emulator.Expire}, 2)
	before := emu.Stats().Calls[emulator.HuaweiAICC]
	w.good(w.do("GET", poll, "", "X-User-Id", "u1"), `"resultCode":"0"`)
	logins(3, 3)
	if calls := emu.Stats().Calls[emulator.HuaweiAICC] - before; calls != 3 {
		t.Errorf("the upstream saw the request %d times, want 3: refused, refused, answered", calls)
	}

	// A bad access token that a login finds out: the login repeats by itself,
	// and the request takes the access token that came meanwhile.
	must(t, emu, emulator.Action{Do: emulator.Expire, Kind: "access"}, 1)
	before = emu.Stats().Calls[emulator.HuaweiAICC]
	w.good(w.do("GET", "/aicc/poll?channel=WEB&receiverId=u2", "", "X-User-Id", "u2"), `"resultCode":"0"`)
	logins(4, 4)
	if calls := emu.Stats().Calls[emulator.HuaweiAICC] - before; calls != 1 {
		t.Errorf("the upstream saw the request %d times, want once", calls)
	}
}

func TestAICCUsersShareOneAccessToken(t *testing.T) {
	w, emu := aicc(t)
	var all sync.WaitGroup
	for user := range 50 {
		for range 4 {
			all.Go(func() {
				a, err := w.try("GET", fmt.Sprint("/aicc/poll?channel=WEB&receiverId=u", user), "", "X-User-Id", fmt.Sprint("u", user), "X-User-Name", fmt.Sprint("name%20", user))
				if err != nil || a.status != http.StatusOK {
					t.Errorf("user %d: %d %s %v", user, a.status, a.body, err)
				}
			})
		}
	}
	all.Wait()
	if got := emu.Stats().Logins; got["access"] != 1 || got["messaging"] != 50 {
		t.Errorf("logins %v, want 1 access and 50 messaging", got)
	}
	if a := w.do("GET", poll, ""); a.status != http.StatusBadRequest || !strings.Contains(a.body, "X-User-Id") {
		t.Errorf("without a user: %d %s", a.status, a.body)
	}
	if a := w.do("GET", poll, "", "X-User-Id", strings.Repeat("x", 33)); a.status != http.StatusBadRequest || strings.Contains(a.body, "xxx") {
		t.Errorf("with a user id that is too long: %d %s", a.status, a.body)
	}
}

func TestAlwaysRefusingEndpointUsesUpTheBudget(t *testing.T) {
	w, emu := aicc(t)
	w.good(w.do("GET", poll, "", "X-User-Id", "u1"), `"resultCode":"0"`)
	change(t, emu, func(s *emulator.Settings) {
		s.API = emulator.Trouble{Fault: emulator.FaultDown, Status: 401, Path: "/apiaccess/ccmessaging/queryHistoryChatMessage"}
	})
	refused := func() {
		t.Helper()
		if a := w.do("POST", "/aicc/queryHistoryChatMessage", "{}", "X-User-Id", "u1"); a.status != http.StatusUnauthorized {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	for range 20 {
		refused()
		w.good(w.do("GET", poll, "", "X-User-Id", "u1"), `"resultCode":"0"`)
	}
	for _, why := range []string{"the renewed token was refused as well", "too many refusals of late"} {
		if !strings.Contains(w.logs.String(), why) {
			t.Errorf("the log does not say that a refusal was passed on because %s", why)
		}
	}
	// The first, five renewals by refusals, and one more for each half minute
	// that a slow machine may have needed.
	if got := emu.Stats().Logins["messaging"]; got < 6 || got > 8 {
		t.Errorf("%d messaging logins, want 6", got)
	}
	if got := emu.Stats().Logins["access"]; got != 1 {
		t.Errorf("%d access logins, want 1", got)
	}
}

func TestAICCRenewalInAnswers(t *testing.T) {
	w, emu := aicc(t)
	change(t, emu, func(s *emulator.Settings) {
		s.AICC.Renew = emulator.RenewAlways
		s.AICC.Grace = emulator.Duration(time.Hour)
	})
	for range 10 {
		a := w.do("GET", poll, "", "X-User-Id", "u1")
		w.good(a, `"resultCode":"0"`)
		if got := a.header.Get("ccmessaging-token"); got != "" {
			t.Fatalf("the renewed token reached the client")
		}
	}
	if s := emu.Stats(); s.Logins["messaging"] != 1 || s.Renewed != 10 {
		t.Errorf("%d logins and %d renewals, want 1 and 10", s.Logins["messaging"], s.Renewed)
	}
	if m := w.admin("/metrics").body; !strings.Contains(m, `attache_credential_renewals_in_traffic_total{credential="aicc",token="messaging"} 10`) {
		t.Errorf("metrics do not show ten renewals")
	}
}

func TestHealthAndStatus(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	change(t, emu, func(s *emulator.Settings) {
		s.Login = emulator.Trouble{Fault: emulator.FaultDown, Status: 503, Times: 1}
	})
	w := start(t, fmt.Sprintf(`
credentials:
  im: {recipe: openim, with: {endpoint: %[1]s, secret: openIM123, platform_id: 1, user_id: u1}}
routes:
  - {path: /im/, upstream: %[1]s, use: [im]}
`, url))
	if a := w.admin("/livez"); a.status != http.StatusOK {
		t.Errorf("/livez: %d", a.status)
	}
	w.good(w.do("POST", "/im/user/get_users_info", `{}`), `"errCode":0`) // waits for the second login
	for _, path := range []string{"/startupz", "/readyz", "/livez"} {
		if a := w.admin(path); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	status := w.admin("/api/status").body
	for _, want := range []string{`"phase": "fresh"`, `"generation": 1`, `"credential": "im"`, `"next_attempt"`} {
		if !strings.Contains(status, want) {
			t.Errorf("status lacks %s:\n%s", want, status)
		}
	}
}

func TestNoTokenIs503WithAReason(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	change(t, emu, func(s *emulator.Settings) { s.Login = emulator.Trouble{Fault: emulator.FaultDeny} })
	w := start(t, fmt.Sprintf(`
credentials:
  im: {recipe: openim, with: {endpoint: %[1]s, secret: wrong, platform_id: 1, user_id: u1}}
routes:
  - {path: /im/, upstream: %[1]s, use: [im]}
  - {path: /free/, upstream: %[1]s, use: [im], optional: true}
`, url))
	a := w.do("POST", "/im/user/get_users_info", `{}`)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" ||
		!strings.Contains(a.body, `"credential":"im"`) || !strings.Contains(a.body, `"class":"permanent"`) ||
		!strings.HasPrefix(a.header.Get("Proxy-Status"), "attache;") || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %v %s", a.status, a.header, a.body)
	}
	if a := w.admin("/readyz"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "im.user") {
		t.Errorf("/readyz: %d %s", a.status, a.body)
	}
	if a := w.do("POST", "/free/user/get_users_info", `{}`, "token", "mine"); a.status != http.StatusOK || !strings.Contains(a.body, "1001") {
		t.Errorf("optional route: %d %s", a.status, a.body)
	}
}

// TestForeignPagesAreKeptOut checks that every listener on loopback has its
// guard: against a foreign name that was bound to 127.0.0.1, and against a page
// of another site.
func TestForeignPagesAreKeptOut(t *testing.T) {
	_, url := vendor(t, emulator.OpenIM, emulator.Options{})
	w := start(t, fmt.Sprintf(`
credentials:
  im: {recipe: openim, with: {endpoint: %[1]s, secret: openIM123, platform_id: 1, user_id: u1}}
routes:
  - {path: /im/, upstream: %[1]s, use: [im]}
  - {name: named, host: im.example.com, upstream: %[1]s, use: [im]}
`, url))
	ask := func(address, path, host, origin string) int {
		t.Helper()
		r, err := http.NewRequest("GET", "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if origin != "" {
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		ans, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		ans.Body.Close()
		return ans.StatusCode
	}
	for _, l := range []struct{ address, path string }{{w.app.Addr(), "/im/x"}, {w.app.AdminAddr(), "/livez"}} {
		for _, test := range []struct {
			host, origin string
			want         int
		}{
			{"", "", 200}, {"localhost", "", 200}, {"x.localhost:99", "", 200},
			{"rebound.example.com", "", 421}, {"", "https://foreign.example.com", 403},
		} {
			if got := ask(l.address, l.path, test.host, test.origin); got != test.want {
				t.Errorf("%s, Host %q, Origin %q: %d, want %d", l.path, test.host, test.origin, got, test.want)
			}
		}
	}
	if got := ask(w.app.Addr(), "/x", "im.example.com", ""); got != 200 {
		t.Errorf("the host of a route: %d, want 200", got)
	}
}
