package proxy

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// TestPipelinedRequests are answered in their order, whatever their bodies.
func TestPipelinedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, script(func(_ int, r *http.Request, body string) string {
			text := r.URL.Path + " " + body
			return fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", len(text), text)
		}))
		c := p.client()
		var all strings.Builder
		var want []string
		for i := range 40 {
			body := strings.Repeat(fmt.Sprint(i, "."), i*i)
			switch i % 4 {
			case 0:
				body = ""
				fmt.Fprintf(&all, "GET /%d HTTP/1.1\nHost: localhost\n\n", i)
			case 1:
				fmt.Fprintf(&all, "POST /%d HTTP/1.1\nHost: localhost\nContent-Length: %d\n\n%s", i, len(body), body)
			case 2:
				fmt.Fprintf(&all, "PUT /%d HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n%x\n%s\n0\n\n", i, len(body), body)
			case 3:
				body = "x"
				fmt.Fprintf(&all, "POST /%d HTTP/1.1\nHost: localhost\nX-Pad: %s\nContent-Length: 1\n\nx", i, strings.Repeat("p", 100*i))
			}
			want = append(want, fmt.Sprint("/", i, " ", body))
		}
		go func() {
			for text := strings.ReplaceAll(all.String(), "\n", "\r\n"); text != ""; text = text[min(777, len(text)):] {
				io.WriteString(c.Conn, text[:min(777, len(text))])
			}
		}()
		for i, want := range want {
			if ans, text, err := c.read(); err != nil || ans.StatusCode != 200 || text != want {
				t.Fatalf("answer %d: %v %.40q, %v", i, ans.Status, text, err)
			}
		}
	})
}

// TestClientThatTakesNothingOfAnAnswer holds neither itself nor its upstream.
func TestClientThatTakesNothingOfAnAnswer(t *testing.T) {
	for _, framing := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		synctest.Test(t, func(t *testing.T) {
			cut := make(chan time.Duration, 1)
			p := newLanePair(t, roomy, &testPlan{}, nil, func(conn net.Conn) {
				conn.Read(make([]byte, 4096))
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", framing)
				start := time.Now()
				for {
					if _, err := fmt.Fprintf(conn, "2710\r\n%s\r\n", strings.Repeat("x", 10000)); err != nil {
						break
					}
				}
				cut <- time.Since(start)
			})
			c := p.client()
			c.write(laneGet)
			c.back.ReadByte()
			time.Sleep(time.Hour)
			if got := <-cut; got < roomy.Stall || got > 2*roomy.Stall {
				t.Errorf("%s: the upstream is let go of after %v", framing, got)
			}
		})
	}
}

// TestClientThatLeavesItsConnection: wherever the request is, it ends with its client,
// and its upstream's connection does.
func TestClientThatLeavesItsConnection(t *testing.T) {
	drip := func(head string) func(net.Conn, chan<- time.Time) {
		return func(conn net.Conn, ended chan<- time.Time) {
			io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n"))
			for {
				if _, err := io.WriteString(conn, "1\r\nx\r\n"); err != nil {
					ended <- time.Now()
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	silent := func(conn net.Conn, ended chan<- time.Time) {
		io.Copy(io.Discard, conn)
		ended <- time.Now()
	}
	const post = "POST /x HTTP/1.1\nHost: localhost\n"
	for name, tc := range map[string]struct {
		request string
		up      func(net.Conn, chan<- time.Time)
		status  int
	}{
		"while it waits for an answer":      {laneGet, silent, StatusClientGone},
		"having sent a body":                {post + "Content-Length: 3\n\nabc", silent, StatusClientGone},
		"having sent chunks":                {post + "Transfer-Encoding: chunked\n\n3\nabc\n0\n\n", silent, StatusClientGone},
		"in the midst of its body":          {post + "Content-Length: 30\n\nabc", silent, StatusClientGone},
		"in the midst of its chunks":        {post + "Transfer-Encoding: chunked\n\n3\nabc\n", silent, StatusClientGone},
		"in the midst of an answer":         {laneGet, drip("HTTP/1.1 200 OK\nContent-Length: 1000000\n\n"), 200},
		"in the midst of one in chunks":     {laneGet, drip("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"), 200},
		"in the midst of one without a end": {laneGet, drip("HTTP/1.1 200 OK\n\n"), 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan time.Time, 1)
				p := newLanePair(t, roomy, &testPlan{}, nil, func(conn net.Conn) {
					conn.Read(make([]byte, 4096))
					tc.up(conn, ended)
				})
				c := p.client()
				c.write(tc.request)
				go io.Copy(io.Discard, c.back)
				time.Sleep(10 * time.Second)
				c.Close()
				left := time.Now()
				if got := (<-ended).Sub(left); got > time.Second {
					t.Errorf("the upstream's connection ends after %v", got)
				}
				synctest.Wait()
				p.counts.mu.Lock()
				defer p.counts.mu.Unlock()
				if p.counts.codes[tc.status] != 1 {
					t.Errorf("codes %v, want %d", p.counts.codes, tc.status)
				}
			})
		})
	}
}

// TestClientThatLeavesBeforeItsToken is not sent upstream.
func TestClientThatLeavesBeforeItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		slot := addToken(t, startEngine(t), "access", &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) {
			time.Sleep(3 * time.Second)
			return lasting("token1"), nil
		}})
		p := newLanePair(t, roomy, bearerPlan(), []Slot{slot}, script(func(int, *http.Request, string) string {
			asked.Add(1)
			return "HTTP/1.1 200 OK\nContent-Length: 0\n\n"
		}))
		c := p.client()
		c.write(laneGet)
		time.Sleep(time.Second)
		c.Close()
		synctest.Wait()
		if p.counts.codes[StatusClientGone] != 1 {
			t.Errorf("codes %v while the token is on its way", p.counts.codes)
		}
		time.Sleep(time.Minute)
		if asked.Load() != 0 {
			t.Error("the upstream was asked")
		}
		p.client().expect(laneGet, 200)
	})
}

// TestNextRequestBeforeTheAnswer is not lost while somebody watches for its client's
// leaving.
func TestNextRequestBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, script(func(n int, r *http.Request, body string) string {
			time.Sleep(5 * time.Second)
			text := fmt.Sprint(n, r.Method, r.URL.Path, body)
			return fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", len(text), text)
		}))
		c := p.client()
		c.write("GET /a HTTP/1.1\nHost: localhost\n\n")
		time.Sleep(time.Second)
		go c.write("POST /b HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabcGET /c HTTP/1.1\nHost: localhost\n\n")
		for _, want := range []string{"1GET/a", "2POST/babc", "3GET/c"} {
			if _, text, err := c.read(); text != want || err != nil {
				t.Errorf("%q, %v, want %q", text, err, want)
			}
		}
	})
}

// TestReplaysOnALane: a refused request goes again with its body, unless that is too
// large, however small the buffers are.
func TestReplaysOnALane(t *testing.T) {
	for _, tc := range []struct {
		request string
		limit   int64
		status  int
		outcome string
	}{
		{laneGet, 0, 200, ReplayOK},
		{"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc", 3, 200, ReplayOK},
		{"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc", 2, 401, ReplayBody},
		{"POST /x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n", 3, 200, ReplayOK},
		{"POST /x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n", 2, 401, ReplayBody},
		{"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 50000\n\n" + strings.Repeat("a", 50000), 50000, 200, ReplayOK},
		{"POST /x HTTP/1.1\nHost: localhost\nContent-Length: 50000\n\n" + strings.Repeat("a", 50000), 49999, 401, ReplayBody},
	} {
		for _, framing := range []string{"Content-Length: 2\n\nno", "Transfer-Encoding: chunked\n\n2\nno\n0\n\n", "Transfer-Encoding: chunked\n\n2\nno\n<wait>0\n\n"} {
			synctest.Test(t, func(t *testing.T) {
				slot := addToken(t, startEngine(t), "access", &source{t: t, fetch: numbered})
				var bodies []string
				p := newLanePair(t, roomy, bearerPlan(), []Slot{slot}, script(func(n int, r *http.Request, body string) string {
					bodies = append(bodies, r.Header.Get("Authorization")+body)
					if r.Header.Get("Authorization") == "Bearer token1" {
						return "HTTP/1.1 401 Unauthorized\n" + framing
					}
					return "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
				}), func(r *Route) { r.ReplayMaxBody = tc.limit })
				c := p.client()
				c.expect(tc.request, tc.status)
				synctest.Wait()
				if p.counts.replays[tc.outcome] != 1 {
					t.Errorf("%.60q with %d: replays %v", tc.request, tc.limit, p.counts.replays)
				}
				if len(bodies) == 2 && strings.Replace(bodies[0], "token1", "token2", 1) != bodies[1] {
					t.Errorf("sent again as %.40q instead of %.40q", bodies[1], bodies[0])
				}
				c.expect(laneGet, 200)
			})
		}
	}
}

// TestPanicOnALane ends its request and its connection alone, and is told of once.
func TestPanicOnALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := bearerPlan()
		judge := plan.judge
		plan.judge = func(req, ans exchange.Head, body []byte) exchange.Verdict {
			if ans.Status == 418 {
				panic("token-4711")
			}
			return judge(req, ans, body)
		}
		slot := addToken(t, startEngine(t), "access", &source{t: t, fetch: numbered})
		p := newLanePair(t, roomy, plan, []Slot{slot}, script(func(n int, r *http.Request, _ string) string {
			if n == 1 {
				return "HTTP/1.1 418 Tea\nContent-Length: 0\n\n"
			}
			return "HTTP/1.1 200 OK\nContent-Length: 0\n\n"
		}))
		var out bytes.Buffer
		p.proxy.log = slog.New(slog.NewTextHandler(&out, nil))
		c := p.client()
		c.write(laneGet)
		if none, _ := c.ended(); !none {
			t.Error("the panic has an answer")
		}
		if strings.Count(out.String(), "please report it") != 1 || strings.Contains(out.String(), "4711") || p.counts.codes[500] != 1 {
			t.Errorf("codes %v, logged %q", p.counts.codes, &out)
		}
		p.client().expect(laneGet, 200)
	})
}

// TestClientThatStallsInItsBody holds its upstream no longer than it may.
func TestClientThatStallsInItsBody(t *testing.T) {
	for _, framing := range []string{"Content-Length: 30\n\nabc", "Transfer-Encoding: chunked\n\n5\nabc"} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan time.Time, 1)
			p := newLanePair(t, roomy, &testPlan{}, nil, func(conn net.Conn) {
				io.Copy(io.Discard, conn)
				ended <- time.Now()
			})
			c := p.client()
			start := time.Now()
			c.write("POST /x HTTP/1.1\nHost: localhost\n" + framing)
			if got := (<-ended).Sub(start); got < roomy.Stall || got > roomy.Stall+headDelay {
				t.Errorf("%q: the upstream is let go of after %v", framing, got)
			}
			if _, after := c.ended(); after > time.Second {
				t.Errorf("%q: the client's connection ends %v later", framing, after)
			}
		})
	}
}

// TestStreamOfKnownLengthEndsInADrain as those without one do.
func TestStreamOfKnownLengthEndsInADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLanePair(t, roomy, &testPlan{}, nil, func(conn net.Conn) {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\ndata: x\n\n")
			io.Copy(io.Discard, conn)
		})
		c := p.client()
		c.write(laneGet)
		if _, err := c.back.Peek(100); err != nil {
			t.Fatal(err)
		}
		if n := p.proxy.streams.End(); n != 1 {
			t.Errorf("%d streams end", n)
		}
		if _, after := c.ended(); after > time.Second {
			t.Errorf("the client's connection ends after %v", after)
		}
	})
}
