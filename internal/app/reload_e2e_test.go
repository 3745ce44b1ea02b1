package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/emulator"
	"attache/internal/lanetest"
	"attache/internal/watch"
)

// live is a running attache whose configuration is a file.
type live struct {
	*world
	file string
}

// runFile runs attache with text as its configuration file in dir.
func runFile(t *testing.T, dir, text string) *live {
	t.Helper()
	l := &live{file: filepath.Join(dir, "attache.yaml"), world: &world{t: t, logs: &lockedBuffer{}}}
	l.write(text)
	var files watch.Files
	cfg, err := config.LoadAnew(l.file, &files)
	if err != nil {
		t.Fatalf("configuration:\n%v", err)
	}
	l.app, err = app.New(app.Options{
		Config: cfg, Files: &files, Version: "test", Revision: "test",
		Load: func(files *watch.Files) (*config.Config, error) { return config.LoadAnew(l.file, files) },
		Log:  slog.New(slog.NewTextHandler(l.logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.run()
	return l
}

const addresses = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"

func (l *live) write(text string) {
	l.t.Helper()
	if err := os.WriteFile(l.file, []byte(lanetest.Configuration(text)), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// reload writes the file and has it loaded over the admin API.
func (l *live) reload(text string) (code int, body string) {
	l.t.Helper()
	l.write(text)
	ans, err := http.Post("http://"+l.app.AdminAddr()+"/-/reload", "", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	defer ans.Body.Close()
	data, err := io.ReadAll(ans.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return ans.StatusCode, string(data)
}

// reloaded is reload that has to go well.
func (l *live) reloaded(text string) {
	l.t.Helper()
	if code, body := l.reload(text); code != http.StatusOK {
		l.t.Fatalf("reload: %d %s", code, body)
	}
}

const openIM = `
  %s:
    recipe: openim
    with: {endpoint: %q, secret: %s, platform_id: 2, user_id: %s}
`

func openIMCredential(name, endpoint, secret, user string) string {
	return fmt.Sprintf(openIM, name, endpoint, secret, user)
}

// logins returns how many logins a vendor answered with a token.
func logins(emu *emulator.Emulator) (n uint64) {
	for _, of := range emu.Stats().Logins {
		n += of
	}
	return n
}

// A reload changes what it should and nothing else: routes, credentials and the
// tokens that go with them.
func TestReloadKeepsTokens(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	credentials := "credentials:" + openIMCredential("a", url, "openIM123", "u1")
	route := func(path, use string) string {
		return fmt.Sprintf("  - {path: %s, upstream: %q, use: [%s]}\n", path, url, use)
	}
	l := runFile(t, t.TempDir(), addresses+credentials+"routes:\n"+route("/a", "a"))
	echo := func(path string) answer {
		return l.do("POST", path+"/user/get_users_info", `{}`)
	}
	l.good(echo("/a"), `"errCode":0`)
	if n := logins(emu); n != 1 {
		t.Fatalf("%d logins, want 1", n)
	}

	// Another route and credential: nothing is logged in anew but the new one.
	both := credentials + openIMCredential("b", url, "openIM123", "u2")
	l.reloaded(addresses + both + "routes:\n" + route("/a", "a") + route("/b", "b"))
	l.good(echo("/a"), `"errCode":0`)
	l.good(echo("/b"), `"errCode":0`)
	if n := logins(emu); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	// A renamed route; a credential that goes.
	l.reloaded(addresses + credentials + "routes:\n" + route("/c", "a"))
	if a := echo("/a"); a.status != 404 {
		t.Errorf("a route that is gone answers %d", a.status)
	}
	l.good(echo("/c"), `"errCode":0`)
	if n := len(l.app.Tokens()); n != 1 || logins(emu) != 2 {
		t.Errorf("%d tokens and %d logins, want 1 and 2", n, logins(emu))
	}

	// What is wrong changes nothing and says why.
	code, body := l.reload(addresses + credentials + "routes:\n" + route("/c", "nobody"))
	if code != http.StatusUnprocessableEntity || !strings.Contains(body, "attache.yaml:") || !strings.Contains(body, "nobody") {
		t.Errorf("reload of a bad file: %d %s", code, body)
	}
	l.good(echo("/c"), `"errCode":0`)
	var status struct {
		Config struct {
			File       string
			LastReload struct {
				OK    bool
				Error string
			} `json:"last_reload"`
		}
	}
	if err := json.Unmarshal([]byte(l.admin("/api/status").body), &status); err != nil {
		t.Fatal(err)
	}
	if c := status.Config; c.File != l.file || c.LastReload.OK || !strings.Contains(c.LastReload.Error, "nobody") {
		t.Errorf("status of the configuration: %+v", c)
	}
	if m := l.admin("/metrics").body; !strings.Contains(m, "attache_config_last_reload_successful 0") {
		t.Error("the metric does not say that the reload failed")
	}
}

// A changed file is taken up by itself, whether the system gives news of it or
// not.
func TestReloadByItself(t *testing.T) {
	_, url := vendor(t, emulator.OpenIM, emulator.Options{})
	text := addresses + "credentials:" + openIMCredential("a", url, "openIM123", "u1")
	l := runFile(t, t.TempDir(), text)
	if a := l.do("GET", "/x", ""); a.status != 404 {
		t.Fatalf("status %d without a route", a.status)
	}
	l.write(text + fmt.Sprintf("routes: [{path: /, upstream: %q, use: [a]}]\n", url))
	l.until("the route is there", func() bool { return l.do("GET", "/x", "").header.Get("Proxy-Status") == "" })
}

// Listeners come, go and change how they are served, and no connection is lost
// by it.
func TestReloadListeners(t *testing.T) {
	upstream := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go upstream.Serve(socket)
	t.Cleanup(func() { upstream.Close() })
	dir := t.TempDir()
	path := filepath.Join(dir, "attache.sock")
	free := freeAddress(t)
	rest := fmt.Sprintf("admin: 127.0.0.1:0\nroutes: [{path: /, upstream: \"http://%s\"}]\n", socket.Addr())
	l := runFile(t, dir, "listen: 127.0.0.1:0\n"+rest)
	first := l.app.Addr()

	clients := newClients(t, first)
	for i, listen := range []string{
		"listen: [127.0.0.1:0, " + free + "]\n",
		"listen: [{address: 127.0.0.1:0, limits: {connections: 100}}, " + free + "]\n",
		"listen: [{address: 127.0.0.1:0, limits: {connections: 50}}, {unix: attache.sock}]\n",
		"listen: [127.0.0.1:0, {unix: attache.sock, mode: \"0666\"}]\n",
	} {
		before := clients.sent.Load()
		l.reloaded(listen + rest)
		l.until("requests go on", func() bool { return clients.sent.Load() > before+50 || clients.failed.Load() })
		if l.app.Addr() != first {
			t.Errorf("step %d: listens on %s, want %s", i, l.app.Addr(), first)
		}
		if listening := dials(free); listening != (i < 2) {
			t.Errorf("step %d: listens on the second address: %v", i, listening)
		}
		wantSocket(t, path, []fs.FileMode{0, 0, 0o600, 0o666}[i])
	}
	clients.end()

	// An address that is taken leaves everything as it is.
	other, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	code, body := l.reload("listen: [{unix: attache.sock, mode: \"0600\"}, 127.0.0.1:0, " + free + "]\n" + rest)
	if code != http.StatusUnprocessableEntity || !strings.Contains(body, "address already in use") {
		t.Errorf("reload onto a taken address: %d %s", code, body)
	}
	wantSocket(t, path, 0o666)
	l.good(l.do("GET", "/", ""), "hello")
	l.stop()
	wantSocket(t, path, 0)
}

// wantSocket wants a socket of this mode at path, which somebody listens on; 0:
// no file.
func wantSocket(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if mode == 0 {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket's file is there: %v, %v", info, err)
		}
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	if info.Mode().Perm() != mode {
		t.Errorf("the socket has mode %v, want %v", info.Mode().Perm(), mode)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Error(err)
		return
	}
	c.Close()
}

// clients send requests to one address, each on its own connection, until the
// first that fails.
type clients struct {
	sent   atomic.Int64
	failed atomic.Bool
	stop   chan struct{}
	load   sync.WaitGroup
}

func newClients(t *testing.T, address string) *clients {
	c := &clients{stop: make(chan struct{})}
	for range 4 {
		c.load.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-c.stop:
					return
				default:
				}
				ans, err := client.Get("http://" + address + "/")
				c.sent.Add(1)
				if err != nil || ans.StatusCode != 200 {
					c.failed.Store(true)
					t.Errorf("request %d: %v, %v", c.sent.Load(), ans, err)
					return
				}
				io.Copy(io.Discard, ans.Body)
				ans.Body.Close()
			}
		})
	}
	return c
}

// end ends all, and waits for it.
func (c *clients) end() {
	close(c.stop)
	c.load.Wait()
}

// freeAddress returns a loopback address that nobody listens on. On Linux it is
// one at which no client's port can be: those of other tests are at 127.0.0.1.
func freeAddress(t *testing.T) string {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = "127.0.0.2"
	}
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until waits for something that happens soon.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within 30 s: %s\n%s", what, w.logs)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// POST /-/quit ends Run as a signal does, where the configuration offers it.
func TestQuit(t *testing.T) {
	post := func(l *live) int {
		ans, err := http.Post("http://"+l.app.AdminAddr()+"/-/quit", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		ans.Body.Close()
		return ans.StatusCode
	}
	l := runFile(t, t.TempDir(), addresses+"routes: []\n")
	if code := post(l); code != 404 {
		t.Errorf("not configured: status %d", code)
	}
	l.reloaded("listen: 127.0.0.1:0\nadmin: {address: 127.0.0.1:0, quit: true}\nroutes: []\n")
	if code := post(l); code != http.StatusAccepted {
		t.Errorf("configured: status %d", code)
	}
	if err := l.result(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// An address does not go from one purpose to another in one reload, and the error
// says who has it. In two it does.
func TestReloadMovesAnAddress(t *testing.T) {
	free := freeAddress(t)
	rest := "admin: 127.0.0.1:0\nroutes: []\n"
	l := runFile(t, t.TempDir(), "listen: [127.0.0.1:0, "+free+"]\n"+rest)
	moved := "listen: 127.0.0.1:0\nprobes: " + free + "\n" + rest
	code, body := l.reload(moved)
	if code != http.StatusUnprocessableEntity || !strings.Contains(body, "attache itself has "+free) || !strings.Contains(body, "for requests") {
		t.Errorf("in one reload: %d %s", code, body)
	}
	l.reloaded("listen: 127.0.0.1:0\n" + rest)
	l.reloaded(moved)
	ans, err := http.Get("http://" + free + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	ans.Body.Close()
	if ans.StatusCode != http.StatusOK {
		t.Errorf("/livez at the address: %d", ans.StatusCode)
	}
}

// What only a restart changes is said once, and not when it is taken back.
func TestReloadLogFormat(t *testing.T) {
	l := runFile(t, t.TempDir(), addresses)
	for _, test := range []struct {
		format   string
		warnings int
	}{{"json", 1}, {"json", 1}, {"auto", 1}, {"text", 2}} {
		l.reloaded(addresses + "log: {format: " + test.format + "}\n")
		if n := strings.Count(l.logs.String(), "log.format changed"); n != test.warnings {
			t.Errorf("%s: %d warnings so far, want %d", test.format, n, test.warnings)
		}
	}
}
