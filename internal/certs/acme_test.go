package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// With an ACME server that is away everything starts, handshakes are refused and
// say why, and the failure is told.
func TestACMEServerIsAway(t *testing.T) {
	var log lines
	failed := make(chan error, 1)
	c := newCertificates(t, Config{Log: log.logger(), Issued: func(name string, err error) {
		if name == "a.test" {
			select {
			case failed <- err:
			default:
			}
		}
	}})
	address := serve(t, c, "l")
	apply(t, c, Settings{Storage: Storage{Folder: t.TempDir()}, Listeners: map[string]Listener{
		"l": {Address: address, ACME: &ACME{Names: []string{"a.test"}, Directory: "https://" + free(t) + "/dir"}},
	}})
	for _, name := range []string{"a.test", "a.test", ""} {
		if _, err := handshake(t.Context(), address, &tls.Config{InsecureSkipVerify: true, ServerName: name}); err == nil {
			t.Errorf("%q: there is a handshake without a certificate", name)
		}
	}
	if n := strings.Count(log.String(), "there is no certificate yet"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, &log)
	}
	if list := c.Status(); len(list) != 0 {
		t.Errorf("the status is %v", list)
	}
	if err := <-failed; err == nil {
		t.Error("a certificate came")
	}
}

// certmagic gives up for good on a storage that takes nothing, so that is an error
// at once; and to have asked leaves nothing behind.
func TestACMEStorageTakesNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	settings := Settings{Storage: Storage{Folder: folder}, Listeners: map[string]Listener{
		"l": {Address: free(t), ACME: &ACME{Names: []string{"a.test"}, Directory: "https://" + free(t) + "/dir"}},
	}}
	c := newCertificates(t, Config{Log: quiet()})
	change, err := c.Prepare(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	change.Discard()
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if change, err := c.Prepare(t.Context(), settings); err == nil {
		change.Discard()
		t.Error("a file is taken for a folder")
	} else if want := "certificate for a.test, kept in " + folder; !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %s", err, want)
	}
}

// Challenges over HTTP of names that are not obtained here do not reach the
// storage.
func TestForeignHTTPChallenge(t *testing.T) {
	server, storage := inRedis(t)
	c := newCertificates(t, Config{})
	ch, err := c.Prepare(t.Context(), Settings{Storage: storage, Listeners: map[string]Listener{
		"l": {ACME: &ACME{Names: []string{"a.test"}, Directory: "https://" + free(t) + "/dir", HTTP: free(t)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Discard()
	c.current.Store(ch.new) // and nothing is begun that asks the storage as well
	defer c.current.Store(ch.old)
	for host, asked := range map[string]bool{"a.test": true, "b.test": false} {
		before := server.CommandCount()
		w := httptest.NewRecorder()
		c.answerChallenge(w, httptest.NewRequest("GET", "http://"+host+"/.well-known/acme-challenge/token", nil))
		if w.Code != 404 || (server.CommandCount() != before) != asked {
			t.Errorf("%s is answered %d after %d commands", host, w.Code, server.CommandCount()-before)
		}
	}
}

// Challenges of names that are not obtained here are refused before the storage
// is asked.
func TestForeignChallenge(t *testing.T) {
	c := newCertificates(t, Config{})
	address := serve(t, c, "l")
	apply(t, c, Settings{Storage: Storage{Folder: t.TempDir()}, Listeners: map[string]Listener{
		"l": {Address: address, ACME: &ACME{Names: []string{"a.test"}, Directory: "https://" + free(t) + "/dir"}},
	}})
	s := c.current.Load().listeners["l"].source
	for _, name := range []string{"b.test", "x.arpa", "1.0.0.127.in-addr.arpa", ""} {
		hello := &tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{challengeProtocol}}
		if _, err := s.certificate(hello); err != errUnknownName {
			t.Errorf("%q: got %v", name, err)
		}
	}
	if conf := c.current.Load().listeners["l"].config; conf.NextProtos[len(conf.NextProtos)-1] != challengeProtocol {
		t.Errorf("challenges are not spoken: %v", conf.NextProtos)
	}
}

func TestChallengeNames(t *testing.T) {
	s := &source{names: []string{"a.test", "192.0.2.7", "2001:db8::1"}}
	for name, want := range map[string]bool{
		"a.test": true, "7.2.0.192.in-addr.arpa": true,
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": true,
		"8.2.0.192.in-addr.arpa": false, "192.0.2.7": false, "arpa": false, ".ip6.arpa": false, "": false,
	} {
		if s.validates(name) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}

// The server for challenges answers nothing else. It stays open while the
// settings want it, and no longer.
func TestChallengeServer(t *testing.T) {
	c := newCertificates(t, Config{})
	challenges := free(t)
	settings := Settings{Storage: Storage{Folder: t.TempDir()}, Listeners: map[string]Listener{
		"l": {ACME: &ACME{Names: []string{"a.test"}, Directory: "https://" + free(t) + "/dir", HTTP: challenges}},
		"m": {ACME: &ACME{Names: []string{"b.test"}, Directory: "https://" + free(t) + "/dir", HTTP: challenges}},
	}}
	apply(t, c, settings)
	ask := func(host, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+challenges+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		ans, err := tr.RoundTrip(r)
		if err != nil {
			return 0, ""
		}
		defer ans.Body.Close()
		body, err := io.ReadAll(ans.Body)
		if err != nil {
			t.Error(err)
		}
		return ans.StatusCode, string(body)
	}
	for _, host := range []string{"a.test", "b.test", "a.test:80", "[::1]", ""} {
		for _, path := range []string{"/", "/.well-known/acme-challenge/token", "/.well-known/acme-challenge/../../x"} {
			if code, body := ask(host, path); code != 404 || !strings.HasPrefix(body, "only ACME") {
				t.Errorf("%s%s is answered %d %q", host, path, code, body)
			}
		}
	}
	delete(settings.Listeners, "m")
	before := c.current.Load()
	kept := settings
	kept.Listeners = map[string]Listener{"l": before.settings.Listeners["l"], "n": before.settings.Listeners["l"]}
	apply(t, c, kept)
	after := c.current.Load()
	if before.servers[challenges] != after.servers[challenges] || before.listeners["l"].source != after.listeners["l"].source {
		t.Error("what stayed the same was made anew")
	}
	if code, _ := ask("a.test", "/"); code != 404 {
		t.Errorf("after a change the answer is %d", code)
	}
	apply(t, c, Settings{})
	if code, _ := ask("a.test", "/"); code != 0 {
		t.Errorf("it still answers %d", code)
	}
}

// Nothing but plain values gets into the log, and no flood of lines.
func TestLog(t *testing.T) {
	var log lines
	z := newLogger(log.logger()).Named("x").With(zap.String("name", "a.test"))
	z.Debug("every handshake")
	z.Info("a step", zap.Strings("identifiers", []string{"a.test", "b.test"}), zap.Duration("remaining", time.Hour), zap.Int("attempt", 2),
		zap.Any("storage", Storage{Folder: "a-canary"}), zap.Any("headers", http.Header{"Authorization": {"a-canary"}}), zap.ByteString("body", []byte("a-canary")))
	z.Warn("odd")
	z.Error("bad", zap.Error(io.ErrUnexpectedEOF))
	z.Error("nobody needs it", zap.Error(fmt.Errorf("job: %w", context.Canceled)))
	z.Warn("slow", zap.Duration("elapsed", 1505706053))
	got := log.String()
	for _, want := range []string{
		`level=DEBUG msg="certificates: a step" name=a.test identifiers="[a.test b.test]" remaining=1h0m0s attempt=2`,
		`level=WARN msg="certificates: odd" name=a.test`, `level=ERROR msg="certificates: bad" name=a.test error="unexpected EOF"`,
		`msg="certificates: slow" name=a.test elapsed=1.506s`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the log lacks %s:\n%s", want, got)
		}
	}
	if strings.Contains(got, "canary") || strings.Contains(got, "every handshake") || strings.Contains(got, "nobody needs") {
		t.Errorf("the log has too much:\n%s", got)
	}
	for range 10 * repeatsMost {
		z.Error("again")
	}
	if n := strings.Count(log.String(), "again"); n != repeatsMost {
		t.Errorf("it is told %d times", n)
	}
}
