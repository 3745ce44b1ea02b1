package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// socketLane is a proxy on the lane under test between real sockets. It returns what
// connects to it.
func socketLane(t *testing.T, up func(net.Conn)) func() *laneClient {
	t.Helper()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := upstream.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				up(conn)
			})
		}
	})
	to := mustURL(t, "http://"+upstream.Addr().String())
	rt, err := NewTransport(TransportConfig{Upstream: to})
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = to })
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := onLane(roomy, roomy.Listener(in), roomy.Server(p), p)
	t.Cleanup(func() {
		l.close()
		rt.Close()
		upstream.Close()
		serving.Wait()
	})
	return func() *laneClient {
		conn, err := net.Dial("tcp", in.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &laneClient{conn, t, bufio.NewReader(conn)}
	}
}

// TestKeptConnectionsOfTheUpstream: one that was closed while nobody used it, or on
// which something came that nobody asked for, serves no request. What is not
// idempotent is safe as well, because nothing was written.
func TestKeptConnectionsOfTheUpstream(t *testing.T) {
	// On the standard lane a goroutine of its own sends a body, and may keep the
	// connection for longer than the answer takes; so only the last request has one.
	const bodiless = "POST /x HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n"
	const bodied = "POST /x HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc"
	closes := func(c net.Conn) { c.Close() }
	says := func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil") }
	for name, tc := range map[string]struct {
		spoil func(net.Conn)
		after []string
	}{
		"closed":               {closes, []string{bodiless, bodied}},
		"closed, a body":       {closes, []string{bodied}},
		"foreign text":         {says, []string{bodiless, bodied}},
		"foreign text, a body": {says, []string{bodied}},
	} {
		t.Run(name, func(t *testing.T) {
			var dialed atomic.Int64
			idle, spoilt := make(chan struct{}), make(chan struct{})
			connect := socketLane(t, func(conn net.Conn) {
				n := dialed.Add(1)
				served := script(func(int, *http.Request, string) string { return "HTTP/1.1 200 OK\nContent-Length: 2\n\nok" })
				if n > 1 {
					served(conn)
					return
				}
				go func() {
					<-idle
					tc.spoil(conn)
					close(spoilt)
				}()
				served(conn)
			})
			c := connect()
			c.expect(bodiless, 200)
			c.expect(bodiless, 200)
			before := dialed.Load()
			close(idle)
			<-spoilt
			for _, request := range tc.after {
				if _, text := c.expect(request, 200); text != "ok" {
					t.Errorf("the answer is %q", text)
				}
			}
			if got := dialed.Load() - before; before != 1 || got != 1 {
				t.Errorf("%d connections, and %d more", before, got)
			}
		})
	}
}

// TestClientThatHalfCloses gets its answer, or learns that there is none; its
// connection ends in any case.
func TestClientThatHalfCloses(t *testing.T) {
	release := make(chan struct{})
	connect := socketLane(t, script(func(int, *http.Request, string) string {
		<-release
		return "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
	}))
	for range 2 {
		c := connect()
		c.write(laneGet)
		c.Conn.(*net.TCPConn).CloseWrite()
		if text, err := io.ReadAll(c.back); err != nil || len(text) > 0 && !strings.HasSuffix(string(text), "ok") {
			t.Errorf("%q, %v", text, err)
		}
		select {
		case <-release:
		default:
			close(release)
		}
	}
}

// TestAmbiguousRequestsAreRefused: the express lane answers them 400 and ends the
// connection, whatever the client still sends, and no upstream sees anything of them.
// The standard lane does so for most.
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	var asked atomic.Int64
	connect := socketLane(t, script(func(_ int, r *http.Request, _ string) string {
		if r.URL.Path != "/x" {
			asked.Add(1)
		}
		return "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
	}))
	const post = "POST /bad HTTP/1.1\nHost: localhost\n"
	ambiguous := []string{
		post + "Content-Length: 3, 3\n\n",
		post + "Content-Length: -3\n\n",
		post + "Content-Length:\n\n",
		post + "Host: localhost\n\n",
		"GET /bad HTTP/1.1\n\n",
		post + "X-A : 1\n\n",
		post + " X-A: 1\n\n",
		post + "X-A: 1\rX-B: 2\n\n",
		post + "X-A: \x00\n\n",
		post + "X A: 1\n\n",
		post + "X-A\n\n",
		"GET  /bad HTTP/1.1\nHost: localhost\n\n",
		"GET /bad HTTP/1.1 \nHost: localhost\n\n",
		"GET\t/bad HTTP/1.1\nHost: localhost\n\n",
		"G@T /bad HTTP/1.1\nHost: localhost\n\n",
	}
	more := strings.Repeat(strings.ReplaceAll(laneGet, "\n", "\r\n"), 5000)
	if standardLane() {
		more = "" // it would reset the connection, and its answer with it
	} else {
		ambiguous = append(ambiguous, // net/http finds a reading, or answers 501
			post+"Content-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n",
			post+"Transfer-Encoding: chunked\nContent-Length: 3\n\n0\n\n",
			post+"Content-Length: 3\nContent-Length: 3\n\n",
			post+"Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n",
			post+"X-A: 1\n folded\n\n",
		)
	}
	for _, request := range ambiguous {
		for _, lines := range []string{"\r\n", "\n"} {
			c := connect()
			c.expect(laneGet, 200)
			text := strings.ReplaceAll(request, "\n", lines) + more
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				io.WriteString(c.Conn, text)
			}()
			ans, err := http.ReadResponse(c.back, nil)
			if err != nil || ans.StatusCode != 400 || !ans.Close {
				t.Fatalf("%q: %v, %v", text[:len(request)], ans, err)
			}
			io.Copy(io.Discard, ans.Body)
			if rest, err := io.ReadAll(c.back); len(rest) > 0 || err != nil {
				t.Errorf("%q: %q, %v behind the refusal", text[:len(request)], rest, err)
			}
			c.Close()
			<-sent
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the upstream sees %d of them", n)
	}
}

// TestLargeBodiesBothWays: 100 MB each way, and at no time more than a little of it in
// memory.
func TestLargeBodiesBothWays(t *testing.T) {
	if testing.Short() {
		t.Skip("it moves 800 MB")
	}
	const size = 100 << 20
	piece := []byte(strings.Repeat("0123456789abcdef", 4<<10))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	pour := func(w io.Writer, chunked bool) {
		for range size / len(piece) {
			if chunked {
				fmt.Fprintf(w, "%x\r\n", len(piece))
			}
			w.Write(piece)
			if chunked {
				io.WriteString(w, "\r\n")
			}
		}
		if chunked {
			io.WriteString(w, "0\r\n\r\n")
		}
	}
	framing := func(chunked bool) string {
		if chunked {
			return "Transfer-Encoding: chunked\r\n\r\n"
		}
		return fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
	}
	for _, chunked := range []bool{false, true} {
		before := heap()
		var most atomic.Uint64
		connect := socketLane(t, func(conn net.Conn) {
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			n, err := io.CopyN(io.Discard, r.Body, size/2)
			most.Store(heap())
			m, err2 := io.Copy(io.Discard, r.Body)
			if n+m != size || err != nil || err2 != nil {
				t.Errorf("the upstream got %d bytes, %v, %v", n+m, err, err2)
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+framing(chunked))
			pour(conn, chunked)
		})
		c := connect()
		c.SetDeadline(time.Now().Add(2 * time.Minute)) // only a hang comes near it
		go func() {
			io.WriteString(c.Conn, "POST /x HTTP/1.1\r\nHost: localhost\r\n"+framing(chunked))
			pour(c.Conn, chunked)
		}()
		ans, err := http.ReadResponse(c.back, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyN(io.Discard, ans.Body, size/2)
		most.Store(max(most.Load(), heap()))
		m, err2 := io.Copy(io.Discard, ans.Body)
		if n+m != size || err != nil || err2 != nil {
			t.Errorf("the client got %d bytes, %v, %v", n+m, err, err2)
		}
		if used := int64(most.Load()) - int64(before); used > 8<<20 {
			t.Errorf("%d bytes are held of a body that moves", used)
		}
	}
}
