package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestUnreadBodyIsNoRequest: an upstream answers before it has read the body;
// what is left of it must not be served as the next request.
func TestUnreadBodyIsNoRequest(t *testing.T) {
	var requests atomic.Int64
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
	}), false)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	smuggled := "GET /route/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
	fmt.Fprintf(conn, "POST /route HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", 10+len(smuggled))
	answers := bufio.NewReader(conn)
	ans, err := http.ReadResponse(answers, nil)
	if err != nil || ans.StatusCode != 413 || !ans.Close {
		t.Fatalf("%v, %v", ans, err)
	}
	fmt.Fprint(conn, "0123456789"+smuggled)
	if _, err := http.ReadResponse(answers, nil); err == nil {
		t.Error("the rest of the body was answered")
	}
	if got := requests.Load(); got != 1 {
		t.Errorf("the upstream saw %d requests", got)
	}
}

// memoryListener accepts connections that have no network below them.
type memoryListener struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.shut) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// TestClientThatStopsSending: an upstream that fails early leaves a client in
// the midst of its body. The client gets the answer at once and a moment to
// read it; then the connection ends, though the client sends nothing more.
func TestClientThatStopsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			r.Body.Read(make([]byte, 3))
			return nil, errors.New("down")
		})
		l := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		p := newProxy(t, &testPlan{}, rt, nil)
		s := onLane(roomy, l, &http.Server{Handler: p}, p)
		conn, server := net.Pipe()
		l.conns <- server
		start := time.Now()
		if !standardLane() { // which gives a short body that long to come along with its head
			start = start.Add(headDelay)
		}
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
		back := bufio.NewReader(conn)
		ans, err := http.ReadResponse(back, nil)
		if err != nil || ans.StatusCode != 502 || !ans.Close || time.Since(start) != 0 {
			t.Fatalf("%v, %v after %v", ans, err, time.Since(start))
		}
		if _, err := io.ReadAll(ans.Body); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := back.ReadByte(); err != io.EOF || time.Since(start) != unreadGrace {
			t.Errorf("the connection ends with %v after %v", err, time.Since(start))
		}
		conn.Close()
		s.close()
	})
}

// TestClientThatStopsSendingWhileItIsRead: the same while the transport still
// reads the body. It uses a real connection because net/http holds a lock then,
// which a bubble does not see through.
func TestClientThatStopsSendingWhileItIsRead(t *testing.T) {
	rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
		r.Body.Read(make([]byte, 3))
		go io.Copy(io.Discard, r.Body) // as a transport does until it notices
		return respond(400, "enough"), nil
	})
	s := frontServer(t, newProxy(t, &testPlan{}, rt, nil), false)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
	text, err := io.ReadAll(conn) // ends when the server closes
	if !strings.Contains(string(text), "enough") || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
