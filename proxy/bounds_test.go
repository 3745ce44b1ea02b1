package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func testBounds() Bounds {
	return Bounds{Connections: 2, Header: 8 << 10, HeaderTimeout: 10 * time.Second, Idle: time.Hour, Stall: time.Minute}
}

// bounded runs a server within bounds b in a bubble, on connections without a
// network.
type bounded struct {
	t  *testing.T
	in *memoryListener
}

// inBounds calls test with a server of handler.
func inBounds(t *testing.T, b Bounds, handler http.HandlerFunc, test func(t *testing.T, s *bounded)) {
	synctest.Test(t, func(t *testing.T) {
		s := &bounded{t: t, in: &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}}
		serving := onLane(b, b.Listener(s.in), b.Server(handler), handler)
		test(t, s)
		serving.close()
		time.Sleep(100 * time.Hour) // what is still about to end does
	})
}

// connect returns the client's side of a new connection.
func (s *bounded) connect() net.Conn {
	client, server := net.Pipe()
	s.in.conns <- server
	s.t.Cleanup(func() { client.Close() })
	return client
}

// client returns an HTTP/2 client without TLS, with windows of 64 KiB.
func (s *bounded) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{
		Protocols:   protocols,
		HTTP2:       &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
		DialContext: func(context.Context, string, string) (net.Conn, error) { return s.connect(), nil },
	}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// ended waits for the server to close the connection and says after what time.
func ended(conn net.Conn) time.Duration {
	start := time.Now()
	io.Copy(io.Discard, conn)
	return time.Since(start)
}

func TestConnectionsAreBounded(t *testing.T) {
	ok := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }
	inBounds(t, testBounds(), ok, func(t *testing.T, s *bounded) {
		first := s.connect()
		s.connect()
		third, server := net.Pipe()
		taken := make(chan struct{})
		go func() {
			s.in.conns <- server
			close(taken)
		}()
		accepted := func() bool {
			synctest.Wait()
			select {
			case <-taken:
				return true
			default:
				return false
			}
		}
		if accepted() {
			t.Error("a third connection is accepted")
		}
		first.Close()
		if !accepted() {
			t.Error("the third connection is not accepted when the first has ended")
		}
		third.Close()
	})
}

func TestBoundListenerMayBeClosedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &memoryListener{conns: make(chan net.Conn, 4), shut: make(chan struct{})}
		l := testBounds().Listener(in)
		for range 4 {
			_, server := net.Pipe()
			in.conns <- server
		}
		accept := func() net.Conn {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first, second := accept(), accept()
		first.Close()
		first.Close() // must make room for one, not for two
		defer second.Close()
		defer accept().Close()
		full := make(chan error)
		go func() {
			_, err := l.Accept()
			full <- err
		}()
		synctest.Wait()
		select {
		case err := <-full:
			t.Fatalf("beyond the bound: %v", err)
		default:
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-full; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept ends with %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
	})
}

func TestLargeHeadIs431(t *testing.T) {
	inBounds(t, testBounds(), func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, s *bounded) {
		conn := s.connect()
		go fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 16<<10))
		ans, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || ans.StatusCode != 431 {
			t.Errorf("%v, %v", ans, err)
		}
	})
}

func TestClientThatSendsNothing(t *testing.T) {
	read := func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
	b := testBounds()
	for name, tc := range map[string]struct {
		head string
		want time.Duration
	}{
		"of a head":             {"GET / HT", b.HeaderTimeout},
		"of a body":             {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", b.Stall},
		"of a body to nobody":   {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", b.Stall},
		"of a chunk":            {"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", b.Stall},
		"after a request":       {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", b.Idle},
		"although continued":    {"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", b.Stall},
		"expecting what is not": {"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\nContent-Length: 3\r\n\r\na", b.HeaderTimeout + b.Stall},
		"claims to speak gRPC":  {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/grpc\r\nContent-Length: 3\r\n\r\n", b.Stall},
	} {
		t.Run(name, func(t *testing.T) {
			inBounds(t, b, read, func(t *testing.T, s *bounded) {
				conn := s.connect()
				fmt.Fprint(conn, tc.head)
				got := ended(conn).Round(time.Second)
				if !standardLane() && tc.want == b.Idle && got > b.Idle && got <= b.Idle*9/8 { // it sets few deadlines
					return
				}
				if got != tc.want {
					t.Errorf("cut off after %v, want %v", got, tc.want)
				}
			})
		})
	}
}

// TestHandlerGetsEveryRequest: net/http would answer "OPTIONS *" itself, past
// guards and callers.
func TestHandlerGetsEveryRequest(t *testing.T) {
	inBounds(t, testBounds(), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(407) }, func(t *testing.T, s *bounded) {
		conn := s.connect()
		fmt.Fprint(conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
		ans, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || ans.StatusCode != 407 {
			t.Errorf("%v, %v", ans, err)
		}
	})
}

// TestUnreadBodyDoesNotHoldTheConnection: net/http's server reads it after the
// handler. The express lane ends the connection, and says so.
func TestUnreadBodyDoesNotHoldTheConnection(t *testing.T) {
	inBounds(t, testBounds(), func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, s *bounded) {
		conn := s.connect()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
		start, want := time.Now(), time.Duration(0)
		if standardLane() {
			want = time.Minute
		}
		back := bufio.NewReader(conn)
		ans, err := http.ReadResponse(back, nil)
		if err != nil || ans.StatusCode != 200 || !ans.Close {
			t.Errorf("%v, %v", ans, err)
		}
		if _, err := back.ReadByte(); err != io.EOF || time.Since(start).Round(time.Second) != want {
			t.Errorf("%v, cut off after %v", err, time.Since(start))
		}
	})
}

// TestSlowBodyIsNotCutOff: one byte in less than the bound, for a long time; and
// the connection serves another request afterwards.
func TestSlowBodyIsNotCutOff(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		time.Sleep(time.Hour) // what is not owed any more cannot stall
		fmt.Fprint(w, n, err, r.Context().Err())
	}
	inBounds(t, testBounds(), read, func(t *testing.T, s *bounded) {
		conn := s.connect()
		back := bufio.NewReader(conn)
		for range 2 {
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
			for range 10 {
				time.Sleep(59 * time.Second)
				fmt.Fprint(conn, "x")
			}
			ans, err := http.ReadResponse(back, nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := io.ReadAll(ans.Body); string(text) != "10 <nil> <nil>" {
				t.Errorf("the handler read %s", text)
			}
			time.Sleep(30 * time.Minute)
		}
	})
}

// pour writes without end until that fails.
func pour(w io.Writer) {
	for {
		if _, err := w.Write(make([]byte, 1000)); err != nil {
			return
		}
	}
}

func TestClientThatTakesNothing(t *testing.T) {
	var failed chan time.Time // made in the bubble, whose time would stand still otherwise
	h := func(w http.ResponseWriter, _ *http.Request) {
		pour(w)
		failed <- time.Now()
	}
	inBounds(t, testBounds(), h, func(t *testing.T, s *bounded) {
		failed = make(chan time.Time, 1)
		conn := s.connect()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		// As long as it takes a byte now and then it may go on.
		for range 100 {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(59 * time.Second)
		}
		conn.Read(make([]byte, 1))
		last := time.Now()
		// When in a write the last byte went nobody tells, so it may be twice that.
		if got := (<-failed).Sub(last); got < time.Minute || got >= 2*time.Minute {
			t.Errorf("cut off after %v", got)
		}
	})
}

// TestOwnDeadlineOfAWriteCounts: TLS and hijackers set deadlines themselves.
func TestOwnDeadlineOfAWriteCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		c := &boundConn{Conn: server, stall: time.Minute, leave: func() {}}
		write := func() time.Duration {
			start := time.Now()
			if n, err := c.Write([]byte("abc")); n > 1 || err == nil {
				t.Errorf("%d, %v", n, err)
			}
			return time.Since(start)
		}
		c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if got := write(); got != 5*time.Second {
			t.Errorf("a sooner deadline ends the write after %v", got)
		}
		c.SetDeadline(time.Now().Add(time.Hour))
		if got := write(); got != time.Minute {
			t.Errorf("a later one after %v", got)
		}
		c.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(30 * time.Second)
			c.SetWriteDeadline(time.Time{}) // takes nothing from the write under way
		}()
		if got := write(); got != time.Minute {
			t.Errorf("none after %v", got)
		}
		go func() {
			time.Sleep(10 * time.Second)
			c.SetWriteDeadline(time.Now())
		}()
		if got := write(); got != 10*time.Second {
			t.Errorf("one that is set meanwhile after %v", got)
		}
		// A part went out, then the user's deadline passes: no round follows.
		c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		go client.Read(make([]byte, 1))
		if got := write(); got != 5*time.Second {
			t.Errorf("after a part %v", got)
		}
	})
}

func TestIdleStreamAndWebSocketSurvive(t *testing.T) {
	events := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			fmt.Fprint(w, "data: x\n\n")
			http.NewResponseController(w).Flush()
			time.Sleep(24 * time.Hour)
		}
	}
	inBounds(t, testBounds(), events, func(t *testing.T, s *bounded) {
		conn := s.connect()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		ans, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(ans.Body); err != nil || strings.Count(string(text), "data") != 3 {
			t.Errorf("HTTP/1.1: %q, %v", text, err)
		}
		ans, err = s.client().Get("http://localhost/")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(ans.Body); err != nil || strings.Count(string(text), "data") != 3 {
			t.Errorf("HTTP/2: %q, %v", text, err)
		}
	})
	var ended chan time.Duration
	hijack := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Time{})
		for range 3 {
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			time.Sleep(24 * time.Hour)
		}
		start := time.Now()
		conn.Write([]byte("nobody reads this"))
		ended <- time.Since(start)
	}
	inBounds(t, testBounds(), hijack, func(t *testing.T, s *bounded) {
		ended = make(chan time.Duration, 1)
		conn := s.connect()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if _, err := io.ReadFull(conn, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if got := <-ended; got != time.Minute {
			t.Errorf("a WebSocket whose peer takes nothing ends after %v", got)
		}
	})
}
