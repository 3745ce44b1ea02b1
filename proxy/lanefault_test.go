package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lanePair is a proxy on the lane under test between connections in memory. It belongs
// into a bubble.
type lanePair struct {
	t     *testing.T
	lane  *lane
	proxy *Proxy
	in    *memoryListener
	up    *pipes
	rt    *Transport

	counts *counters
}

// newLanePair starts a proxy within b in front of up.
func newLanePair(t *testing.T, b Bounds, plan Plan, slots []Slot, up func(net.Conn), change ...func(*Route)) *lanePair {
	t.Helper()
	p := &lanePair{t: t, in: &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}}
	p.up = &pipes{serve: func(_ int, c net.Conn) { up(c) }}
	var err error
	p.rt, err = NewTransport(TransportConfig{Upstream: mustURL(t, "http://up.example"), Dial: p.up.dial, HeaderTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p.counts = &counters{}
	p.proxy = newProxyWithMetrics(t, plan, p.rt, slots, p.counts, append([]func(*Route){func(r *Route) { r.Upstream = mustURL(t, "http://up.example") }}, change...)...)
	p.lane = onLane(b, b.Listener(p.in), b.Server(p.proxy), p.proxy)
	t.Cleanup(func() {
		p.lane.close()
		p.rt.Close()
		p.up.wait()
	})
	return p
}

// connect returns the client's side of a new connection.
func (p *lanePair) connect() net.Conn {
	p.t.Helper()
	conn, err := p.in.dial(p.t.Context(), "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	return conn
}

// laneClient is a client on one connection.
type laneClient struct {
	net.Conn
	t    *testing.T
	back *bufio.Reader
}

func (p *lanePair) client() *laneClient {
	conn := p.connect()
	return &laneClient{conn, p.t, bufio.NewReader(conn)}
}

// write sends text, whose lines end with "\n", which stands for CRLF.
func (c *laneClient) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		c.t.Error(err) // any goroutine may call this
	}
}

// read reads an answer, which has to come.
func (c *laneClient) read() (ans *http.Response, body string, err error) {
	c.t.Helper()
	ans, err = http.ReadResponse(c.back, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := io.ReadAll(ans.Body)
	return ans, string(text), err
}

// expect sends a request and fails the test unless the answer has that status.
func (c *laneClient) expect(request string, status int) (ans *http.Response, body string) {
	c.t.Helper()
	c.write(request)
	ans, body, err := c.read()
	if err != nil || ans.StatusCode != status {
		c.t.Errorf("%.40q: %v %q, %v", request, ans.Status, body, err)
	}
	return ans, body
}

// ended reports whether the connection ends without another byte, and after what time.
func (c *laneClient) ended() (bool, time.Duration) {
	start := time.Now()
	rest, _ := io.ReadAll(c.back)
	return len(rest) == 0, time.Since(start)
}

const laneGet = "GET /x HTTP/1.1\nHost: localhost\n\n"

// script serves a connection of the upstream: each request, once it was read, gets the
// text that answer returns, a second for each "<wait>" in it; "<end>" ends the
// connection. n counts from 1.
func script(answer func(n int, r *http.Request, body string) string) func(net.Conn) {
	var count atomic.Int64
	return func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			text, end := strings.CutSuffix(answer(int(count.Add(1)), r, string(body)), "<end>")
			pause := time.Duration(0)
			for piece := range strings.SplitSeq(strings.ReplaceAll(text, "\n", "\r\n"), "<wait>") {
				time.Sleep(pause)
				if _, err := io.WriteString(conn, piece); err != nil {
					return
				}
				pause = time.Second
			}
			if end || text == "" {
				return
			}
		}
	}
}

// TestUpstreamFaults: what an upstream does wrong costs its own request alone. The
// client's connection goes on wherever the client could read a whole answer.
func TestUpstreamFaults(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
	for name, tc := range map[string]struct {
		first  string // what the first request gets
		status int
		broken bool
		dialed int // connections after another request
	}{
		"closes in the head":            {"HTTP/1.1 200 OK\nContent-Le<end>", 502, false, 2},
		"closes without a word":         {"<end>", 502, false, 2},
		"closes in the body":            {"HTTP/1.1 200 OK\nContent-Length: 10\n\nhello<end>", 200, true, 2},
		"closes in a chunk":             {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\na\nhello<end>", 200, true, 2},
		"closes before the last chunk":  {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n<end>", 200, true, 2},
		"sends a bad chunk":             {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n<wait>x\n", 200, true, 2},
		"answers twice":                 {ok + "HTTP/1.1 200 OK\nContent-Length: 4\n\nevil", 200, false, 2},
		"closes while idle":             {ok + "<end>", 200, false, 2},
		"says so":                       {"HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nok", 200, false, 2},
		"has two lengths":               {"HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2\n\nok", 502, false, 2},
		"has a length and chunks":       {"HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n", 502, false, 2},
		"is no HTTP":                    {"SSH-2.0-x\n", 502, false, 2},
		"interim answers without end":   {strings.Repeat("HTTP/1.1 103 Early Hints\n\n", 102), 502, false, 2},
		"ends an answer with its close": {"HTTP/1.1 200 OK\n\nok<end>", 200, false, 2},
		"does well":                     {ok, 200, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newLanePair(t, roomy, &testPlan{}, nil, script(func(n int, _ *http.Request, _ string) string {
					if n == 1 {
						return tc.first
					}
					return ok
				}))
				c := p.client()
				c.write("POST /x HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc")
				start := time.Now()
				ans, text, err := c.read()
				for ans.StatusCode == 103 {
					ans, text, err = c.read()
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("the client learns of it after %v", took)
				}
				if ans.StatusCode != tc.status || (err != nil) != tc.broken || strings.Contains(text, "evil") {
					t.Errorf("%v %q, %v", ans.Status, text, err)
				}
				if tc.broken {
					c = p.client()
				}
				time.Sleep(time.Second)
				if _, text := c.expect(laneGet, 200); text != "ok" {
					t.Errorf("the next answer is %q", text)
				}
				if p.up.dialed != tc.dialed {
					t.Errorf("%d connections to the upstream, want %d", p.up.dialed, tc.dialed)
				}
			})
		})
	}
}

// TestEarlyAnswer comes while the client still sends: it gets it at once and may read
// it, and what it still sends is no request.
func TestEarlyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
				io.Copy(io.Discard, conn)
			}
		})
		c := p.client()
		start := time.Now()
		c.write("POST /x HTTP/1.1\nHost: localhost\nContent-Length: 1000000\n\nabc")
		ans, text, err := c.read()
		if ans.StatusCode != 413 || text != "big" || err != nil || !ans.Close || time.Since(start) > headDelay {
			t.Errorf("%v %q, %v after %v, closes %v", ans.Status, text, err, time.Since(start), ans.Close)
		}
		go io.WriteString(c.Conn, strings.ReplaceAll(laneGet, "\n", "\r\n"))
		if none, after := c.ended(); !none || after > unreadGrace {
			t.Errorf("the connection ends after %v, silent %v", after, none)
		}
	})
}

// TestUpstreamThatIsLate: the time for the head of an answer is exact, on new
// connections and on kept ones.
func TestUpstreamThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, script(func(_ int, r *http.Request, _ string) string {
			d, _ := time.ParseDuration(r.Header.Get("Late"))
			time.Sleep(d)
			return "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
		}))
		c := p.client()
		for _, tc := range []struct {
			late   string
			status int
		}{{"31s", 504}, {"29s", 200}, {"0s", 200}, {"29.9s", 200}, {"1m", 504}, {"100ms", 200}, {"250ms", 200}} {
			for _, framing := range []string{"", "Content-Length: 3\n\nabc", "Transfer-Encoding: chunked\n\n3\nabc\n0\n\n"} {
				start := time.Now()
				if framing == "" {
					framing = "\n"
				}
				c.expect("POST /x HTTP/1.1\nHost: localhost\nLate: "+tc.late+"\n"+framing, tc.status)
				want, _ := time.ParseDuration(tc.late)
				if got := time.Since(start); got != min(want, 30*time.Second) {
					t.Errorf("answered %d after %v, the upstream takes %v", tc.status, got, want)
				}
				time.Sleep(time.Second)
			}
		}
	})
}

// TestRequestContextsEnd: what a sender hangs on a request's context is let go of with
// the request, though the connection goes on.
func TestRequestContextsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []context.Context
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Context())
			if r.Body != nil {
				io.Copy(io.Discard, r.Body)
			}
			return respond(200, "ok"), nil
		})
		p := newProxy(t, &testPlan{}, rt, nil)
		in := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		l := onLane(roomy, roomy.Listener(in), roomy.Server(p), p)
		defer l.close()
		conn, err := in.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		back := bufio.NewReader(conn)
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
			"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		} {
			fmt.Fprint(conn, request)
			ans, err := http.ReadResponse(back, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, ans.Body)
			synctest.Wait()
			if last := seen[len(seen)-1]; last.Err() == nil {
				t.Errorf("the context outlives its request: %q", request)
			}
		}
	})
}
