package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// wireHost is the upstream of these tests; nobody resolves it.
const wireHost = "up.example"

// scriptConn is a client's connection on which everything was sent beforehand.
// The server's reads get it and then the end; only while a handler runs, when
// the server looks for the client's leaving with reads of a single byte, does
// the end not show, because the client waits for its answer.
type scriptConn struct {
	mu      sync.Mutex
	changed sync.Cond
	in      []byte
	out     bytes.Buffer
	past    bool // the read deadline is over
	closed  bool
	gone    chan struct{} // closed with the connection

	patience time.Duration // how long the client waits for an answer; 0: for ever
	given    bool          // up
}

func (c *scriptConn) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = true
	c.changed.Broadcast()
}

func newScriptConn(in []byte) *scriptConn {
	c := &scriptConn{in: in, gone: make(chan struct{})}
	c.changed.L = &c.mu
	return c
}

func (c *scriptConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.in) == 0 {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.past:
			return 0, os.ErrDeadlineExceeded
		case len(p) != 1 || c.given:
			return 0, io.EOF
		}
		if c.patience > 0 {
			timer := time.AfterFunc(c.patience, c.giveUp)
			defer timer.Stop()
		}
		c.changed.Wait()
	}
	if c.past {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	return c.out.Write(p)
}

func (c *scriptConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.gone)
		c.changed.Broadcast()
	}
	return nil
}

func (c *scriptConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past = !t.IsZero() && time.Until(t) <= 0
	c.changed.Broadcast()
	return nil
}

func (c *scriptConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }
func (c *scriptConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "memory", Net: "unix"} }
func (c *scriptConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// wire is a proxy between a client in memory and an upstream in memory that
// reads strictly and remembers.
type wire struct {
	handler http.Handler
	conns   chan net.Conn
	rt      *Transport

	mu     sync.Mutex
	dialed map[string]int // connections by address
	seen   []*strictRequest
	broken error // what the upstream could not read
	open   sync.WaitGroup
}

// newWire starts a proxy with the plan on a real server; it ends with the test.
func newWire(tb testing.TB, plan Plan) *wire {
	tb.Helper()
	w := &wire{conns: make(chan net.Conn), dialed: map[string]int{}}
	upstream := mustURL(tb, "http://"+wireHost)
	var err error
	w.rt, err = NewTransport(TransportConfig{Upstream: upstream, Dial: w.dial})
	if err != nil {
		tb.Fatal(err)
	}
	p, err := New(Config{Routes: []Route{{Name: "api", Upstream: upstream, Plan: plan, ReplayMaxBody: 64 << 10, Transport: w.rt}}})
	if err != nil {
		tb.Fatal(err)
	}
	w.handler = p
	l := &memoryListener{conns: w.conns, shut: make(chan struct{})}
	s := &http.Server{Handler: p, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	tb.Cleanup(onLane(roomy, l, s, p).close)
	return w
}

func (w *wire) dial(_ context.Context, _, address string) (net.Conn, error) {
	client, server := net.Pipe()
	w.mu.Lock()
	w.dialed[address]++
	w.mu.Unlock()
	w.open.Go(func() {
		defer server.Close()
		w.upstream(server)
	})
	return client, nil
}

// upstream reads requests and answers them until the connection ends.
func (w *wire) upstream(conn net.Conn) {
	s := strictReader{bufio.NewReader(conn)}
	for {
		r, err := s.head()
		if err == nil {
			w.mu.Lock()
			w.seen = append(w.seen, r)
			w.mu.Unlock()
			if exactly(r.fields, "Expect") != nil {
				io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
			}
			err = s.rest(r)
		}
		if err != nil {
			if errors.Is(err, errNotStrict) {
				w.mu.Lock()
				w.broken = err
				w.mu.Unlock()
			}
			return
		}
		if _, err := io.WriteString(conn, wireAnswer(r)); err != nil || switches(r) {
			return
		}
	}
}

// switches reports whether the upstream agrees to the WebSocket that is asked
// for.
func switches(r *strictRequest) bool {
	return exactly(r.fields, "Upgrade") != nil && !strings.Contains(r.target, "refused")
}

func wireAnswer(r *strictRequest) string {
	body := `{"ok":true}`
	switch {
	case switches(r):
		return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	case r.method == http.MethodHead:
		body = ""
	}
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// forwarded is what the upstream saw.
type forwarded struct {
	requests []*strictRequest
	broken   error
	answers  string // what the client got
}

// collect waits until the upstream's connections have ended.
func (w *wire) collect(tb testing.TB) forwarded {
	tb.Helper()
	w.rt.CloseIdleConnections()
	done := make(chan struct{})
	go func() {
		w.open.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second): // only a hang comes near it
		tb.Fatal("a connection to the upstream stays open")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := forwarded{requests: w.seen, broken: w.broken}
	w.seen, w.broken = nil, nil
	return f
}

// send sends what a client writes on one connection.
func (w *wire) send(tb testing.TB, in []byte) forwarded {
	tb.Helper()
	conn := newScriptConn(in)
	w.conns <- conn
	select {
	case <-conn.gone:
	case <-time.After(30 * time.Second): // only a hang comes near it
		tb.Fatal("the client's connection stays open")
	}
	f := w.collect(tb)
	f.answers = conn.out.String()
	return f
}

// accepted are the requests that net/http reads from what a client writes, as
// far as their bodies come to an end.
func accepted(in []byte) []*http.Request {
	var all []*http.Request
	buffered := bufio.NewReader(bytes.NewReader(in))
	for {
		r, err := http.ReadRequest(buffered)
		if err != nil {
			return all
		}
		text, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(text))
		all = append(all, r)
		if err != nil || r.Close {
			return all
		}
		if r.Method == http.MethodPost { // a server forgives a line's end here
			peek, _ := buffered.Peek(4)
			buffered.Discard(len(peek) - len(strings.TrimLeft(string(peek), "\r\n")))
		}
	}
}
