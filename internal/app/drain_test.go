package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"attache/internal/app"
)

// slow is an upstream whose answers end when the test says so.
type slow struct {
	url     string
	arrived chan string   // the path of each request
	release chan struct{} // closed: answers end
}

func newSlow(t *testing.T) *slow {
	s := &slow{arrived: make(chan string, 10), release: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		s.arrived <- r.URL.Path
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: first\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		select {
		case <-s.release:
			io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	}))
	s.url = server.URL
	t.Cleanup(server.Close)
	return s
}

// draining starts attache with these settings of drain in front of s.
func (s *slow) draining(t *testing.T, settings string) *live {
	t.Helper()
	return runFile(t, t.TempDir(), fmt.Sprintf("%sprobes: 127.0.0.1:0\ndrain: %s\nroutes: [{path: /, upstream: %q}]\n", addresses, settings, s.url))
}

// result is what Run returned; the cleanup of the test gets nil.
func (l *live) result() error {
	l.t.Helper()
	select {
	case err := <-l.done:
		l.done <- nil
		return err
	case <-time.After(30 * time.Second):
		l.t.Fatalf("it still runs after 30 s\n%s", l.logs)
		return nil
	}
}

// While the delay lasts, requests are taken, though nobody is to send any more;
// then what is in flight finishes.
func TestDrain(t *testing.T) {
	s := newSlow(t)
	const delay = 2 * time.Second
	l := s.draining(t, "{delay: 2s, timeout: 20s}")
	inFlight := make(chan answer, 1)
	go func() {
		a, err := l.try("GET", "/slow", "")
		if err != nil {
			t.Error(err)
		}
		inFlight <- a
	}()
	<-s.arrived
	if a := l.admin("/readyz"); a.status != http.StatusOK {
		t.Fatalf("/readyz: %d %s", a.status, a.body)
	}
	told := time.Now()
	l.cancel()
	l.until("/readyz fails", func() bool { return l.admin("/readyz").status == http.StatusServiceUnavailable })
	if a := l.admin("/livez"); a.status != http.StatusOK {
		t.Errorf("/livez: %d %s", a.status, a.body)
	}
	// Whoever keeps a connection is asked to leave. On a slow machine the delay
	// may be over by now; that it was too short is told below all the same.
	if a, err := l.try("GET", "/quick", ""); err == nil && (a.status != http.StatusOK || !a.closed) {
		t.Errorf("during the delay: status %d, the connection closes: %v", a.status, a.closed)
	}
	l.until("the listener closes", func() bool {
		_, err := l.try("GET", "/quick", "")
		return err != nil
	})
	if took := time.Since(told); took < delay {
		t.Errorf("the listener closed %v after the signal, want %v at least", took, delay)
	}
	select {
	case a := <-inFlight:
		t.Fatalf("the request in flight ended early: %+v", a)
	default:
	}
	close(s.release)
	if a := <-inFlight; a.status != http.StatusOK || a.body != "done" || !a.closed {
		t.Errorf("the request in flight: %+v", a)
	}
	if err := l.result(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// A stream never ends by itself. It is ended after its own time, and that is no
// failure.
func TestDrainEndsStreams(t *testing.T) {
	s := newSlow(t)
	l := s.draining(t, "{timeout: 1h, streams: 100ms}")
	ans, err := http.Get("http://" + l.app.Addr() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Body.Close()
	events := bufio.NewReader(ans.Body)
	if line, err := events.ReadString('\n'); line != "data: first\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	l.cancel()
	if rest, err := io.ReadAll(events); err == nil {
		t.Errorf("the stream seems to be whole: %q", rest)
	}
	if err := l.result(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// Streams that have as much time as requests do not count as cut: ending them
// takes a moment.
func TestDrainEndsStreamsAtItsEnd(t *testing.T) {
	s := newSlow(t)
	l := s.draining(t, "{timeout: 100ms, streams: 100ms}")
	ans, err := http.Get("http://" + l.app.Addr() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Body.Close()
	l.cancel()
	if err := l.result(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// What takes longer than it may is cut, and the exit code has to tell.
func TestDrainIsCut(t *testing.T) {
	s := newSlow(t)
	l := s.draining(t, "{timeout: 100ms}")
	go l.try("GET", "/slow", "")
	<-s.arrived
	l.cancel()
	if err := l.result(); !errors.Is(err, app.ErrDrainCut) {
		t.Errorf("run: %v, want %v", err, app.ErrDrainCut)
	}
}

// A listener that goes lets its requests finish, also when attache is told to
// stop meanwhile.
func TestDrainOfAListenerThatWent(t *testing.T) {
	s := newSlow(t)
	free := freeAddress(t)
	rest := fmt.Sprintf("admin: 127.0.0.1:0\nroutes: [{path: /, upstream: %q}]\n", s.url)
	l := runFile(t, t.TempDir(), "listen: [127.0.0.1:0, "+free+"]\n"+rest)
	inFlight := make(chan string, 1)
	go func() {
		ans, err := http.Get("http://" + free + "/slow")
		if err != nil {
			inFlight <- err.Error()
			return
		}
		defer ans.Body.Close()
		text, _ := io.ReadAll(ans.Body)
		inFlight <- string(text)
	}()
	<-s.arrived
	l.reloaded("listen: 127.0.0.1:0\n" + rest)
	l.until("the address is closed", func() bool { return !dials(free) })
	l.cancel()
	l.until("the other address is closed", func() bool { return !dials(l.app.Addr()) })
	close(s.release)
	if text := <-inFlight; text != "done" {
		t.Errorf("the request in flight: %s", text)
	}
	if err := l.result(); err != nil {
		t.Errorf("run: %v", err)
	}
}

// A listener that went has no more time than the drain, and what is cut there
// counts as well.
func TestDrainCutsAListenerThatWent(t *testing.T) {
	s := newSlow(t)
	free := freeAddress(t)
	text := func(listen, timeout string) string {
		return fmt.Sprintf("listen: %s\nadmin: 127.0.0.1:0\ndrain: {timeout: %s}\nroutes: [{path: /, upstream: %q}]\n", listen, timeout, s.url)
	}
	l := runFile(t, t.TempDir(), text("[127.0.0.1:0, "+free+"]", "1h"))
	go func() {
		if ans, err := http.Get("http://" + free + "/slow"); err == nil {
			ans.Body.Close()
		}
	}()
	<-s.arrived
	l.reloaded(text("127.0.0.1:0", "1h")) // the limit of those that go now
	l.reloaded(text("127.0.0.1:0", "100ms"))
	l.cancel()
	if err := l.result(); !errors.Is(err, app.ErrDrainCut) {
		t.Errorf("run: %v, want %v", err, app.ErrDrainCut)
	}
}

// dials reports whether somebody listens.
func dials(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		c.Close()
	}
	return err == nil
}
