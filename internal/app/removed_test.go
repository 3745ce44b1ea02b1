//go:build linux

package app_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"attache/internal/app"
	"attache/internal/config"
	"attache/internal/watch"
)

// kept is a client that keeps one connection, and makes no other.
func kept(t *testing.T, conn net.Conn, secure bool) *http.Client {
	t.Helper()
	unused := true
	dial := func(context.Context, string, string) (net.Conn, error) {
		if !unused {
			return nil, errors.New("the connection was closed")
		}
		unused = false
		return conn, nil
	}
	tr := &http.Transport{DialContext: dial}
	if secure {
		tr.DialTLSContext = dial
	}
	t.Cleanup(func() { conn.Close() })
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// status of a GET with a caller's token.
func status(t *testing.T, c *http.Client, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Proxy-Authorization", "Bearer "+token)
	}
	ans, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Body.Close()
	io.Copy(io.Discard, ans.Body)
	return ans.StatusCode
}

// Who may no longer call is refused on the connection that they kept, whatever
// else changes with the listener.
func TestRemovedCallerIsRefusedOnKeptConnections(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	ca.write(dir)
	rest := fmt.Sprintf("admin: 127.0.0.1:0\nroutes: [{path: /, upstream: %q}]\n", hello(t))
	listen := func(settings, name, token string) string {
		return fmt.Sprintf("listen: {address: 127.0.0.1:0, %s callers: [{name: %s, bearer: {env: %s}}]}\n", settings, name, token)
	}
	t.Setenv("OLD", "old-token-of-a-caller-000000000000")
	t.Setenv("NEW", "new-token-of-a-caller-000000000000")
	for name, settings := range map[string]string{
		"nothing else changes": "",
		"limits change":        "limits: {connections: 77},",
		"TLS comes":            "tls: {cert: cert.pem, key: key.pem},",
	} {
		t.Run(name, func(t *testing.T) {
			l := runFile(t, dir, listen("", "old", "OLD")+rest)
			conn, err := net.Dial("tcp", l.app.Addr())
			if err != nil {
				t.Fatal(err)
			}
			client, url := kept(t, conn, false), "http://"+l.app.Addr()+"/"
			if code := status(t, client, url, os.Getenv("OLD")); code != 200 {
				t.Fatalf("before: %d", code)
			}
			l.reloaded(listen(settings, "new", "NEW") + rest)
			if code := status(t, client, url, os.Getenv("OLD")); code != http.StatusProxyAuthRequired {
				t.Errorf("a removed caller got %d", code)
			}
		})
	}
}

// A certificate of an authority that is trusted no more ends with that trust, also
// on connections that it opened before. One that still is goes on.
func TestRemovedClientCAOnKeptConnections(t *testing.T) {
	dir, old, other := t.TempDir(), newAuthority(t), newAuthority(t)
	other.write(dir)
	for _, name := range []string{"ca.pem"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "other.pem")); err != nil {
			t.Fatal(err)
		}
	}
	old.write(dir)
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	added, err := os.ReadFile(filepath.Join(dir, "other.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "both.pem"), append(ca, added...), 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(ca string) string {
		return fmt.Sprintf("listen: {address: 127.0.0.1:0, tls: {cert: cert.pem, key: key.pem, client_ca: %s}, callers: [{name: app, certificate: app.example}]}\nadmin: 127.0.0.1:0\nroutes: [{path: /, upstream: %q}]\n", ca, hello(t))
	}
	l := runFile(t, dir, text("ca.pem"))
	address, url := l.app.Addr(), "https://"+l.app.Addr()+"/"
	open := func(protocol string) (*http.Client, *tls.Conn) {
		conn, err := tls.Dial("tcp", address, &tls.Config{
			InsecureSkipVerify: true, NextProtos: []string{protocol}, Certificates: []tls.Certificate{old.client("app.example")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if protocol == "h2" {
			tr := &http.Transport{Protocols: new(http.Protocols)}
			tr.Protocols.SetHTTP2(true)
			used := false
			tr.DialTLSContext = func(context.Context, string, string) (net.Conn, error) {
				if used {
					return nil, errors.New("the connection was closed")
				}
				used = true
				return conn, nil
			}
			t.Cleanup(func() { conn.Close() })
			return &http.Client{Transport: tr, Timeout: 20 * time.Second}, conn
		}
		return kept(t, conn, true), conn
	}
	one, _ := open("http/1.1")
	two, _ := open("h2")
	third, _ := open("http/1.1")
	for _, c := range []*http.Client{one, two, third} {
		if code := status(t, c, url, ""); code != 200 {
			t.Fatalf("before: %d", code)
		}
	}
	l.reloaded(text("both.pem"))
	if code := status(t, third, url, ""); code != 200 {
		t.Errorf("an authority was added: %d", code)
	}
	l.reloaded(text("other.pem"))
	for name, c := range map[string]*http.Client{"HTTP/1.1": one, "HTTP/2": two} {
		if code := status(t, c, url, ""); code != http.StatusProxyAuthRequired {
			t.Errorf("over %s a certificate of an authority that went got %d", name, code)
		}
	}
}

// A socket that is opened to more users asks its new callers before it is.
func TestWidenedSocketAsksItsCallers(t *testing.T) {
	dir := t.TempDir()
	rest := fmt.Sprintf("admin: 127.0.0.1:0\nroutes: [{path: /, upstream: %q}]\n", hello(t))
	l := runFile(t, dir, "listen: {unix: a.sock, mode: \"0600\"}\n"+rest)
	path := filepath.Join(dir, "a.sock")
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	client := kept(t, conn, false)
	if code := status(t, client, "http://localhost/", ""); code != 200 {
		t.Fatalf("before: %d", code)
	}
	// It fails at the taken address, after the socket was looked at.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	wide := "{unix: a.sock, mode: \"0666\", callers: [{name: nobody, uid: 4242}]}"
	if code, body := l.reload(fmt.Sprintf("listen: [%s, %q]\n", wide, taken.Addr()) + rest); code != 422 {
		t.Fatalf("reload onto a taken address: %d %s", code, body)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("after a reload that failed: %v, %v", info.Mode(), err)
	}
	l.reloaded("listen: " + wide + "\n" + rest)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("after the reload: %v, %v", info.Mode(), err)
	}
	if code := status(t, client, "http://localhost/", ""); code != http.StatusProxyAuthRequired {
		t.Errorf("a connection from before, of nobody's: %d", code)
	}
}

// A file or storage that hangs holds a reload up, and nothing else.
func TestHangingReloadDoesNotHoldTheDrainUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "attache.yaml")
	text := addresses + "routes: []\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	begun, release, loaded := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w := &world{t: t, logs: &lockedBuffer{}}
	w.app, err = app.New(app.Options{
		Config: cfg, Log: slog.New(slog.NewTextHandler(w.logs, nil)),
		Load: func(*watch.Files) (*config.Config, error) {
			close(begun)
			<-release
			defer close(loaded)
			return config.Load(file)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	outcome := make(chan error, 1)
	go func() { outcome <- w.app.Reload(t.Context(), "me") }()
	<-begun
	w.stop()
	if dials(w.app.Addr()) {
		t.Error("it still listens")
	}
	close(release)
	<-loaded
	if err := <-outcome; err == nil {
		t.Error("a configuration came into service after the end")
	}
}

// What is in flight on a listener that went has no longer than the drain, whatever
// limit the configuration had when it went.
func TestDrainCutsListenersThatWent(t *testing.T) {
	s := newSlow(t)
	free := freeAddress(t)
	rest := fmt.Sprintf("admin: 127.0.0.1:0\nroutes: [{path: /, upstream: %q}]\n", s.url)
	l := runFile(t, t.TempDir(), "drain: {timeout: 1h}\nlisten: [127.0.0.1:0, "+free+"]\n"+rest)
	go http.Get("http://" + free + "/slow")
	<-s.arrived
	l.reloaded("drain: {timeout: 1h}\nlisten: 127.0.0.1:0\n" + rest)
	l.reloaded("drain: {timeout: 100ms}\nlisten: 127.0.0.1:0\n" + rest)
	l.cancel()
	if err := l.result(); !errors.Is(err, app.ErrDrainCut) {
		t.Errorf("run: %v, want %v", err, app.ErrDrainCut)
	}
}

// A listener cannot be narrowed while attache runs, because both addresses overlap.
// That is said, and leaves everything as it was.
func TestNarrowedAddressNeedsARestart(t *testing.T) {
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	rest := fmt.Sprintf("admin: 127.0.0.1:0\nroutes: [{path: /, upstream: %q}]\n", hello(t))
	l := runFile(t, t.TempDir(), "listen: {address: \"0.0.0.0:"+port+"\", unsafe: true}\n"+rest)
	code, body := l.reload("listen: \"127.0.0.1:" + port + "\"\n" + rest)
	if code != 422 || !strings.Contains(body, "attache itself has ") {
		t.Errorf("got %d %s", code, body)
	}
	l.good(l.do("GET", "/", ""), "hello")
}
