package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// leavingServer is a server of a listener's own kind in memory, in front of a
// proxy to up.
type leavingServer struct {
	leaving *Leaving
	lane    *lane
	dial    dialFunc
	dialled atomic.Int64
}

func newLeavingServer(t *testing.T, up http.Handler) *leavingServer {
	t.Helper()
	rt, err := NewTransport(TransportConfig{Upstream: mustURL(t, "http://up.example"), Dial: listenMemory(t, up, false)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.Close)
	p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, "http://up.example") })
	s := &leavingServer{leaving: NewLeaving(p)}
	b := Bounds{Connections: 100, Header: 8 << 10, HeaderTimeout: time.Second, Idle: time.Hour, Stall: time.Hour}
	in := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
	s.lane = onLane(b, b.Listener(in), b.Server(s.leaving), p)
	t.Cleanup(s.lane.close)
	dial := in.dial
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			s.dialled.Add(1)
		}
		return conn, err
	}
	return s
}

// leave has both lanes tell their clients to go elsewhere.
func (s *leavingServer) leave() {
	s.leaving.Leave()
	s.lane.leave()
}

// keeper is a client that keeps its connection for as long as nobody tells it
// otherwise, and does not look whether it is still there before it sends: what it
// sends on a connection that the server has closed is lost.
type keeper struct {
	servers []*leavingServer // the first that accepts is asked
	conn    net.Conn
	back    *bufio.Reader
}

// ask sends one request and reads its answer.
func (k *keeper) ask(ctx context.Context) (*http.Response, string, error) {
	for i := 0; k.conn == nil; i++ {
		conn, err := k.servers[i].dial(ctx, "", "")
		switch {
		case err == nil:
			k.conn, k.back = conn, bufio.NewReader(conn)
		case i == len(k.servers)-1:
			return nil, "", err
		}
	}
	if _, err := io.WriteString(k.conn, "POST / HTTP/1.1\r\nHost: front.example\r\nContent-Length: 4\r\n\r\nbody"); err != nil {
		return nil, "", err
	}
	ans, err := http.ReadResponse(k.back, nil)
	if err != nil {
		return nil, "", err
	}
	text, err := io.ReadAll(ans.Body)
	if ans.Close {
		k.conn.Close()
		k.conn = nil
	}
	return ans, string(text), err
}

// TestNoRequestIsLostInADrain: a client with a kept connection makes a thousand
// requests, one after the other, while its server leaves and then closes, in a
// pause between two of them.
func TestNoRequestIsLostInADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			time.Sleep(5 * time.Millisecond)
			io.WriteString(w, "ok")
		})
		old, next := newLeavingServer(t, up), newLeavingServer(t, up)
		k := &keeper{servers: []*leavingServer{old, next}}
		const leave, shut = 3007 * time.Millisecond, 5007 * time.Millisecond
		start := time.Now()
		time.AfterFunc(leave, old.leave)
		stopped := make(chan error, 1)
		time.AfterFunc(shut, func() { stopped <- old.lane.shutdown(context.Background()) })
		for i := range 1000 {
			ans, text, err := k.ask(t.Context())
			if err != nil || text != "ok" {
				t.Fatalf("request %d, %v after the start: %q, %v", i, time.Since(start), text, err)
			}
			if took := time.Since(start); ans.Close != (took > leave && took < shut) {
				t.Fatalf("request %d, %v after the start: the connection closes: %v", i, took, ans.Close)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err := <-stopped; err != nil || old.dialled.Load() < 100 || next.dialled.Load() != 1 {
			t.Errorf("%v; %d connections to the old server, %d to the new", err, old.dialled.Load(), next.dialled.Load())
		}
		k.conn.Close()
	})
}

// TestLeavingAnswers: whoever makes the answer, however it is sent, and whenever
// the request began, its head says that the connection closes. Interim answers do
// not say it, nor does what is no HTTP from then on.
func TestLeavingAnswers(t *testing.T) {
	ended := make(chan time.Time, 1)
	up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			socketServer(ended, func(*http.Request) {}).ServeHTTP(w, r)
			return
		}
		switch r.URL.Path {
		case "/early":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		case "/slow":
			time.Sleep(time.Minute)
		case "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			return
		case "/keep":
			w.Header().Set("Connection", "keep-alive")
		}
		io.WriteString(w, "ok")
	})
	for _, tc := range []struct {
		request string
		after   bool // the request comes after Leave
		want    []string
	}{
		{"GET /plain HTTP/1.1", true, []string{"200 close"}},
		{"GET /early HTTP/1.1", true, []string{"103 ", "200 close"}},
		{"GET /stream HTTP/1.1", true, []string{"200 close"}},
		{"GET /none HTTP/1.1", true, []string{"204 close"}},
		{"GET /keep HTTP/1.1", true, []string{"200 close"}},
		{"HEAD /plain HTTP/1.1", true, []string{"200 close"}},
		{"TRACE /made-here HTTP/1.1", true, []string{"501 close"}},
		{"GET /slow HTTP/1.1", false, []string{"200 close"}},
		{"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket", true, []string{"101 Upgrade"}},
	} {
		t.Run(strings.Fields(tc.request)[1], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newLeavingServer(t, up)
				conn, err := s.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				if tc.after {
					s.leave()
				}
				io.WriteString(conn, tc.request+"\r\nHost: front.example\r\n\r\n")
				if !tc.after {
					time.Sleep(time.Second)
					s.leave()
				}
				back := bufio.NewReader(conn)
				method, _, _ := strings.Cut(tc.request, " ")
				for _, want := range tc.want {
					ans, err := http.ReadResponse(back, &http.Request{Method: method})
					if err != nil {
						t.Fatal(err)
					}
					got := ans.Status[:4] + ans.Header.Get("Connection")
					if ans.Close { // ReadResponse takes the field out
						got += "close"
					}
					if got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					if ans.StatusCode == 101 {
						conn.Close()
						<-ended
						return
					}
					if ans.StatusCode >= 200 {
						io.Copy(io.Discard, ans.Body)
					}
				}
				if _, err := back.ReadByte(); err != io.EOF {
					t.Errorf("the connection goes on: %v", err)
				}
			})
		})
	}
}

// TestLeavingHandlerThatWritesNothing is answered 200 by net/http.
func TestLeavingHandlerThatWritesNothing(t *testing.T) {
	l := NewLeaving(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if got := get(l, "/").Header().Get("Connection"); got != "" {
		t.Errorf("Connection: %s ahead of time", got)
	}
	l.Leave()
	if got := get(l, "/").Header().Get("Connection"); got != "close" {
		t.Errorf("Connection: %q", got)
	}
}

// TestLeavingOverHTTP2: a connection ends after its streams, and new requests
// take a new one. No answer has a field that HTTP/2 forbids.
func TestLeavingOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLeavingServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				w.(http.Flusher).Flush()
				time.Sleep(time.Minute)
			}
			io.WriteString(w, "ok")
		}))
		tr := &http.Transport{Protocols: protocols(true), DialContext: s.dial}
		defer tr.CloseIdleConnections()
		c := &memoryClient{http: &http.Client{Transport: tr}, base: "http://front.example"}
		fetch := func(path string, want int64) {
			t.Helper()
			ans := c.do(t, "GET", path, nil)
			if text, err := io.ReadAll(ans.Body); err != nil || string(text) != "ok" || ans.Header.Get("Connection") != "" {
				t.Errorf("%q, %v, %v", text, err, ans.Header)
			}
			if got := s.dialled.Load(); got != want {
				t.Errorf("%s: %d connections were made, want %d", path, got, want)
			}
			time.Sleep(time.Second) // the client learns of the end
		}
		slow := make(chan struct{})
		go func() {
			defer close(slow)
			ans := c.do(t, "GET", "/slow", nil)
			if text, err := io.ReadAll(ans.Body); err != nil || string(text) != "ok" {
				t.Errorf("the stream under way: %q, %v", text, err)
			}
		}()
		time.Sleep(time.Second)
		fetch("/", 1)
		s.leave()
		fetch("/", 1) // the old connection is told
		fetch("/", 2)
		fetch("/", 3)
		<-slow
	})
}
