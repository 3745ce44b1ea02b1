package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestRepeats: what an idle connection swallowed is sent again at most once, and
// only if that can do no harm.
func TestRepeats(t *testing.T) {
	swallowSecond := func(conn net.Conn) {
		r := bufio.NewReader(conn)
		if _, _, err := swallow(r); err == nil {
			io.WriteString(conn, ok)
			swallow(r)
		}
	}
	for _, tc := range []struct {
		name, method, body string
		second             func(net.Conn) // the connection after the idle one
		again              bool           // GetBody is there
		want               bool
		dialed             int
	}{
		{"GET", "GET", "", answering(ok), true, true, 2},
		{"PUT", "PUT", "text", answering(ok), true, true, 2},
		{"PUT without its body", "PUT", "text", answering(ok), false, false, 1},
		{"POST", "POST", "text", answering(ok), true, false, 1},
		{"empty POST", "POST", "", answering(ok), true, false, 1},
		{"GET twice", "GET", "", func(conn net.Conn) { swallow(bufio.NewReader(conn)) }, true, false, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: []func(net.Conn){swallowSecond, tc.second, answering(ok)}}
				c, end := n.client(Config{})
				defer end()
				c.dial = func(ctx context.Context) (net.Conn, error) {
					if Repeated(ctx) != (n.dialed > 0) {
						t.Errorf("connection %d is for a request that was sent: %t", n.dialed+1, Repeated(ctx))
					}
					return n.dial(ctx)
				}
				if _, _, err := fetch(c, request(t.Context(), "GET", "")); err != nil {
					t.Fatal(err)
				}
				r := request(t.Context(), tc.method, tc.body)
				if !tc.again {
					r.GetBody = nil
				}
				_, _, err := fetch(c, r)
				if (err == nil) != tc.want || n.dialed != tc.dialed {
					t.Errorf("%v, %d connections", err, n.dialed)
				}
			})
		})
	}
}

// TestEveryBodyIsClosed: also that for a repetition that the context prevents.
func TestEveryBodyIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){func(conn net.Conn) {
			r := bufio.NewReader(conn)
			swallow(r)
			io.WriteString(conn, ok)
			swallow(r)
		}}}
		c, end := n.client(Config{})
		defer end()
		if _, _, err := fetch(c, request(t.Context(), "GET", "")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := request(ctx, "PUT", "text")
		closed := make(chan struct{})
		r.GetBody = func() (io.ReadCloser, error) {
			cancel()
			return &closing{Reader: strings.NewReader("text"), closed: closed}, nil
		}
		if _, _, err := fetch(c, r); !errors.Is(err, context.Canceled) || n.dialed != 1 {
			t.Errorf("%v, %d connections", err, n.dialed)
		}
		synctest.Wait()
		select {
		case <-closed:
		default:
			t.Error("a body is left open")
		}
	})
}

// closing is a body that tells when it is closed.
type closing struct {
	io.Reader
	closed chan struct{}
}

func (c *closing) Close() error {
	close(c.closed)
	return nil
}

// TestFreshConnectionIsNotRepeated: it was no idle connection's fault.
func TestFreshConnectionIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){func(conn net.Conn) { swallow(bufio.NewReader(conn)) }}}
		c, end := n.client(Config{})
		defer end()
		if _, _, err := fetch(c, request(t.Context(), "GET", "")); err != io.EOF || n.dialed != 1 {
			t.Errorf("%v, %d connections", err, n.dialed)
		}
	})
}

// TestBegunAnswerIsNotRepeated: the upstream had the request.
func TestBegunAnswerIsNotRepeated(t *testing.T) {
	for _, begun := range []string{"H", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{serve: []func(net.Conn){func(conn net.Conn) {
				r := bufio.NewReader(conn)
				swallow(r)
				io.WriteString(conn, ok)
				swallow(r)
				io.WriteString(conn, begun)
			}}}
			c, end := n.client(Config{})
			defer end()
			fetch(c, request(t.Context(), "GET", ""))
			if _, _, err := fetch(c, request(t.Context(), "GET", "")); err == nil || n.dialed != 1 {
				t.Errorf("%v, %d connections", err, n.dialed)
			}
		})
	}
}

// TestContextEndsTheRequest: at any point, and the connection with it.
func TestContextEndsTheRequest(t *testing.T) {
	silent := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	says := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			go io.WriteString(conn, text)
			io.Copy(io.Discard, conn)
		}
	}
	for name, serve := range map[string]func(net.Conn){
		"before the head": silent,
		"in the head":     says("HTTP/1.1 200 OK\r\nConte"),
		"in the body":     says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"),
		"in a chunk":      says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok"),
		"while writing":   func(conn net.Conn) { io.ReadFull(conn, make([]byte, 10)); time.Sleep(time.Hour) },
	} {
		for _, body := range []string{"", "text"} {
			t.Run(name+"/"+body, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := &network{serve: []func(net.Conn){serve}}
					c, end := n.client(Config{})
					defer end()
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					start := time.Now()
					_, _, err := fetch(c, request(ctx, "POST", body))
					if err == nil || time.Since(start) != time.Second || c.idleCount() != 0 {
						t.Errorf("%v after %v, %d idle connections", err, time.Since(start), c.idleCount())
					}
				})
			})
		}
	}
}

// TestEndedRequestAsksForNoBody: a request whose context has ended is not sent
// again, and a body that it asked for in vain would stay open.
func TestEndedRequestAsksForNoBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := &network{serve: []func(net.Conn){func(conn net.Conn) {
			r := bufio.NewReader(conn)
			swallow(r)
			io.WriteString(conn, ok)
			swallow(r)
			cancel()
		}}}
		c, end := n.client(Config{})
		defer end()
		if _, _, err := fetch(c, request(t.Context(), "GET", "")); err != nil {
			t.Fatal(err)
		}
		r := request(ctx, "PUT", "text")
		r.GetBody = func() (io.ReadCloser, error) {
			t.Error("the body is asked for again")
			return http.NoBody, nil
		}
		if _, _, err := fetch(c, r); err != context.Canceled {
			t.Error(err)
		}
	})
}

// TestContextAfterTheAnswer: it no longer has to do with the connection.
func TestContextAfterTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){answering(ok)}}
		c, end := n.client(Config{})
		defer end()
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			_, _, err := fetch(c, request(ctx, "POST", "x"))
			cancel()
			synctest.Wait()
			if err != nil {
				t.Error(err)
			}
		}
		if n.dialed != 1 {
			t.Errorf("%d connections", n.dialed)
		}
	})
}

func TestContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := New(Config{Dial: func(context.Context) (net.Conn, error) {
		t.Error("a connection was made")
		return nil, io.EOF
	}})
	if _, err := c.Do(request(ctx, "GET", ""), Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestHeaderTimeout: it counts from the request's end to the head, and only
// there.
func TestHeaderTimeout(t *testing.T) {
	for _, tc := range []struct {
		name           string
		upload, silent time.Duration
		want           bool
	}{
		{"in time", 0, 59 * time.Second, true},
		{"too late", 0, 61 * time.Second, false},
		{"a slow upload does not count", time.Hour, 59 * time.Second, true},
		{"too late after a slow upload", time.Hour, 61 * time.Second, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: []func(net.Conn){func(conn net.Conn) {
					swallow(bufio.NewReader(conn))
					time.Sleep(tc.silent)
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
					time.Sleep(time.Hour)
					io.WriteString(conn, "k")
				}}}
				c, end := n.client(Config{})
				defer end()
				r := request(t.Context(), "POST", "")
				if tc.upload > 0 {
					src, in := io.Pipe()
					r.Body, r.ContentLength = src, 1
					go func() {
						time.Sleep(tc.upload)
						in.Write([]byte("x"))
					}()
				}
				start := time.Now()
				ans, err := c.Do(r, Options{HeaderTimeout: time.Minute})
				if !tc.want {
					if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != tc.upload+time.Minute {
						t.Errorf("%v after %v", err, time.Since(start))
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if text, err := io.ReadAll(ans.Body); string(text) != "ok" || err != nil {
					t.Errorf("%q, %v", text, err)
				}
			})
		})
	}
}

// TestCloseEndsARead: also one that waits in another goroutine.
func TestCloseEndsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){func(conn net.Conn) {
			swallow(bufio.NewReader(conn))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")
			io.Copy(io.Discard, conn)
		}}}
		c, end := n.client(Config{})
		defer end()
		ans, err := c.Do(request(t.Context(), "GET", ""), Options{})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := io.ReadAll(ans.Body)
			ended <- err
		}()
		synctest.Wait()
		ans.Body.Close()
		if err := <-ended; err == nil {
			t.Error("the body ended well")
		}
		if _, err := ans.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Error(err)
		}
		if c.idleCount() != 0 {
			t.Error("the connection is kept")
		}
	})
}

// TestSwitchedProtocol: early bytes come first, and neither the context nor a
// timeout ends the connection.
func TestSwitchedProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){func(conn net.Conn) {
			r := bufio.NewReader(conn)
			swallow(r)
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nearly ")
			line, _ := r.ReadString('\n')
			io.WriteString(conn, line)
		}}}
		c, end := n.client(Config{})
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		ans, err := c.Do(request(ctx, "GET", "", "Upgrade", "x"), Options{HeaderTimeout: time.Second})
		if err != nil || ans.StatusCode != 101 {
			t.Fatalf("%v, %v", ans, err)
		}
		cancel()
		time.Sleep(time.Minute)
		both := ans.Body.(io.ReadWriteCloser)
		if _, err := io.WriteString(both, "late\n"); err != nil {
			t.Error(err)
		}
		if text, err := io.ReadAll(both); string(text) != "early late\n" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		both.Close()
	})
}

// TestSentLikeNetHTTP: the same lines, in whatever order.
func TestSentLikeNetHTTP(t *testing.T) {
	lines := func(text string) map[string]int {
		m := map[string]int{}
		for line := range strings.SplitSeq(text, "\r\n") {
			m[line]++
		}
		return m
	}
	for _, target := range []string{"http://up.example", "http://up.example:81/a%2Fb/%41?x=%20&y", "http://up.example/?", "http://[fe80::1%25en0]:80/a;b=(c)", "opaque:/a|b", "opaque://up.example//a|b?x"} {
		for _, method := range []string{"", "GET", "POST", "PUT", "DELETE", "PROPFIND"} {
			for _, length := range []int64{0, 3, -1} {
				if length < 0 && method != "POST" && method != "PUT" {
					continue // net/http puts a first chunk of one byte there
				}
				r := request(t.Context(), method, "", "User-Agent", "x", "X-Two", "1", "Accept", " padded\t")
				r.Header["X-Two"] = append(r.Header["X-Two"], "2")
				r.Header["X-None"] = nil
				if opaque, ok := strings.CutPrefix(target, "opaque:"); ok {
					r.URL.Opaque = opaque
				} else {
					u, err := r.URL.Parse(target)
					if err != nil {
						t.Fatal(err)
					}
					r.URL, r.Host = u, u.Host
				}
				body := func() io.ReadCloser { return io.NopCloser(strings.NewReader("abc")) }
				if length != 0 {
					r.Body, r.ContentLength, r.Trailer = body(), length, http.Header{"X-Sum": {"1"}}
				}
				var want strings.Builder
				if err := r.Write(&want); err != nil {
					t.Fatal(err)
				}
				if length != 0 {
					r.Body = body()
				}
				rec := &recorder{}
				c := New(Config{Dial: func(context.Context) (net.Conn, error) { return rec, nil }})
				c.Do(r, Options{})
				got, all := lines(rec.String()), lines(want.String())
				for line := range all {
					if got[line] != all[line] {
						t.Errorf("%s %s, length %d: %q is sent %d times in\n%s", method, target, length, line, got[line], rec.String())
					}
				}
				if len(got) != len(all) {
					t.Errorf("%s %s: more is sent than\n%s\n%s", method, target, want.String(), rec.String())
				}
			}
		}
	}
}

// recorder is a connection that keeps what is written; there is never an answer.
type recorder struct {
	scripted
	mu     sync.Mutex
	text   strings.Builder
	writes int
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	return r.text.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// Read waits until the whole request was written.
func (r *recorder) Read([]byte) (int, error) {
	for !strings.HasSuffix(r.String(), "\r\n\r\n") && !strings.HasSuffix(r.String(), "abc") {
		time.Sleep(time.Millisecond)
	}
	return 0, io.EOF
}

// TestUnsendable: nothing that could be read as more than one request is
// written.
func TestUnsendable(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"space in the method":     func(r *http.Request) { r.Method = "GET /x" },
		"line end in the method":  func(r *http.Request) { r.Method = "GET\r\n" },
		"space in the path":       func(r *http.Request) { r.URL.Opaque = "/a HTTP/1.1" },
		"line end in the query":   func(r *http.Request) { r.URL.RawQuery = "a\r\nb" },
		"no URL":                  func(r *http.Request) { r.URL = nil },
		"line end in the host":    func(r *http.Request) { r.Host = "up\r\nX: y" },
		"space in the host":       func(r *http.Request) { r.Host = "up example" },
		"line end in a name":      func(r *http.Request) { r.Header["X\r\nY"] = []string{"1"} },
		"colon in a name":         func(r *http.Request) { r.Header["X:"] = []string{"1"} },
		"empty name":              func(r *http.Request) { r.Header[""] = []string{"1"} },
		"line end in a value":     func(r *http.Request) { r.Header["X"] = []string{"1\r\nY: 2"} },
		"LF in a value":           func(r *http.Request) { r.Header["X"] = []string{"1\nY: 2"} },
		"NUL in a value":          func(r *http.Request) { r.Header["X"] = []string{"1\x00"} },
		"framing as trailer":      func(r *http.Request) { r.Trailer = http.Header{"content-length": nil} },
		"line end in the trailer": func(r *http.Request) { r.Trailer = http.Header{"X\r\n": nil} },
	} {
		c := New(Config{Dial: func(context.Context) (net.Conn, error) {
			t.Errorf("%s: a connection was made", name)
			return nil, io.EOF
		}})
		r := request(t.Context(), "POST", "abc")
		r.ContentLength = -1
		change(r)
		_, err := c.Do(r, Options{})
		if _, ok := errors.AsType[*ProtocolError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	rec := &recorder{}
	c := New(Config{Dial: func(context.Context) (net.Conn, error) { return rec, nil }})
	c.Do(request(t.Context(), "GET", "", "transfer-ENCODING", "chunked", "content-length", "5", "HOST", "evil", "trailer", "x"), Options{})
	if rec.String() != "GET / HTTP/1.1\r\nHost: up.example\r\n\r\n" {
		t.Errorf("%q", rec.String())
	}
}
