package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// together runs n requests at the same time, each of which therefore has a
// connection of its own.
func together(t *testing.T, c *Client, n int) {
	var open []*http.Response
	for range n {
		ans, err := c.Do(request(t.Context(), "GET", ""), Options{})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, ans)
	}
	for _, ans := range open {
		io.Copy(io.Discard, ans.Body)
	}
}

// TestIdleConnections: their number and age are bounded, and those used last are
// used next.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		n := &network{serve: []func(net.Conn){func(conn net.Conn) {
			open.Add(1)
			answering(ok)(conn)
			open.Add(-1)
		}}}
		c, end := n.client(Config{MaxIdle: 3, IdleTimeout: time.Minute})
		defer end()
		together(t, c, 5)
		if synctest.Wait(); c.idleCount() != 3 || open.Load() != 3 {
			t.Errorf("%d are idle, %d open", c.idleCount(), open.Load())
		}
		for range 5 { // one at a time needs one connection
			time.Sleep(20 * time.Second)
			together(t, c, 1)
		}
		if synctest.Wait(); c.idleCount() != 1 || open.Load() != 1 || n.dialed != 5 {
			t.Errorf("%d are idle, %d open, %d dialed", c.idleCount(), open.Load(), n.dialed)
		}
		time.Sleep(time.Minute)
		if synctest.Wait(); c.idleCount() != 0 || open.Load() != 0 {
			t.Errorf("%d are idle, %d open", c.idleCount(), open.Load())
		}
		together(t, c, 2) // the janitor comes again
		time.Sleep(time.Minute)
		if synctest.Wait(); open.Load() != 0 {
			t.Errorf("%d are open", open.Load())
		}
	})
}

// TestCloseIdle: connections in use are closed after their requests, and later
// requests are served as ever.
func TestCloseIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){answering(ok)}}
		c, end := n.client(Config{})
		defer end()
		together(t, c, 2)
		ans, err := c.Do(request(t.Context(), "GET", ""), Options{})
		if err != nil {
			t.Fatal(err)
		}
		c.CloseIdle()
		io.Copy(io.Discard, ans.Body)
		start := time.Now()
		n.served.Wait() // all connections end
		if time.Since(start) != 0 {
			t.Error("a connection was kept until it was too old")
		}
		together(t, c, 1)
		if c.idleCount() != 1 {
			t.Error("the client has ended for good")
		}
	})
}

// TestClose: a closed client goes on with its requests and takes others, and
// nothing is left of it when the last of them has ended: no connection, no
// goroutine (which would keep the bubble from ending) and no timer.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){answering(ok)}}
		c, end := n.client(Config{})
		defer end()
		together(t, c, 2)
		get, err := c.Do(request(t.Context(), "GET", ""), Options{})
		if err != nil {
			t.Fatal(err)
		}
		post, err := c.Do(request(t.Context(), "POST", "a body that a goroutine sends"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if synctest.Wait(); c.idleCount() != 0 {
			t.Errorf("%d connections are idle after Close", c.idleCount())
		}
		for i := range 3 { // each on a connection of its own
			if _, text, err := fetch(c, request(t.Context(), "GET", "")); err != nil || text != "ok" {
				t.Errorf("request %d after Close: %q, %v", i, text, err)
			}
			if c.idleCount() != 0 {
				t.Errorf("the connection of request %d after Close is kept", i)
			}
		}
		for _, ans := range []*http.Response{get, post} {
			if text, err := io.ReadAll(ans.Body); err != nil || string(text) != "ok" {
				t.Errorf("a request under way at Close: %q, %v", text, err)
			}
		}
		start := time.Now()
		n.served.Wait() // all connections end
		if time.Since(start) != 0 {
			t.Error("a connection was kept until it was too old")
		}
		if c.idle.ticking {
			t.Error("the janitor still comes")
		}
	})
}

// TestIdleConnectionsHoldNoBuffer keeps many of them cheap.
func TestIdleConnectionsHoldNoBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: []func(net.Conn){answering(ok)}}
		c, end := n.client(Config{})
		defer end()
		together(t, c, 2)
		for _, conn := range c.idle.conns {
			if conn.buf != nil {
				t.Error("an idle connection has a buffer")
			}
		}
	})
}

// listen serves connections on the loopback until the test ends.
func listen(t *testing.T, serve func(n int, conn net.Conn)) func(context.Context) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				serve(n, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return dialer(l.Addr().String())
}

// TestIdleConnectionThatIsNotSilent: one that was closed, or on which something
// came that nobody asked for, serves no request, of whatever method.
func TestIdleConnectionThatIsNotSilent(t *testing.T) {
	for name, after := range map[string]func(net.Conn){
		"closed":    func(conn net.Conn) { conn.Close() },
		"reset":     func(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0); conn.Close() },
		"an answer": func(conn net.Conn) { io.WriteString(conn, strings.ReplaceAll(ok, "\r\nok", "\r\nno")) },
		"a byte":    func(conn net.Conn) { io.WriteString(conn, "\n") },
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+"/"+method, func(t *testing.T) {
				read, said := make(chan struct{}), make(chan struct{})
				dial := listen(t, func(n int, conn net.Conn) {
					if n > 1 {
						answering(ok)(conn)
						return
					}
					r := bufio.NewReader(conn)
					swallow(r)
					io.WriteString(conn, ok)
					<-read
					after(conn)
					close(said)
					if _, _, err := swallow(r); err == nil {
						t.Error("another request came on the connection")
					}
				})
				c := New(Config{Dial: dial})
				defer c.CloseIdle()
				if _, _, err := fetch(c, request(t.Context(), "GET", "")); err != nil || c.idleCount() != 1 {
					t.Fatal(err)
				}
				close(read)
				<-said
				if _, text, err := fetch(c, request(t.Context(), method, "")); text != "ok" || err != nil {
					t.Errorf("%q, %v", text, err)
				}
			})
		}
	}
}

// gathered is a connection whose writes leave together once it is told so.
type gathered struct {
	net.Conn
	hold bool
	text bytes.Buffer
}

func (g *gathered) Write(p []byte) (int, error) {
	if g.hold {
		return g.text.Write(p)
	}
	return g.Conn.Write(p)
}

func (g *gathered) release() {
	g.hold = false
	g.Conn.Write(g.text.Bytes())
	g.text.Reset()
}

// TestAnswersHiddenInTLS: TLS may have read more than the answer, which no look
// at the socket tells.
func TestAnswersHiddenInTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	certificate, pool := s.TLS.Certificates, x509.NewCertPool()
	pool.AddCert(s.Certificate())
	s.Close()
	for name, records := range map[string][]string{
		"none":                 {ok},
		"in the same record":   {ok + ok},
		"in a record behind":   {ok, ok},
		"in pieces":            {ok[:10], ok[10:], "H"},
		"after a large answer": {"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + strings.Repeat("x", 10000) + "H"},
		"after a large record": {"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", strings.Repeat("x", 10000), "H"},
	} {
		for _, size := range []int{2, 4096, 10000, 1 << 20} {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: []func(net.Conn){func(conn net.Conn) {
					g := &gathered{Conn: conn}
					secure := tls.Server(g, &tls.Config{Certificates: certificate})
					if _, _, err := swallow(bufio.NewReader(secure)); err != nil {
						t.Error(err)
						return
					}
					g.hold = true
					for _, text := range records {
						io.WriteString(secure, text)
					}
					g.release()
					io.Copy(io.Discard, secure)
				}}}
				c := New(Config{Dial: func(ctx context.Context) (net.Conn, error) {
					conn, _ := n.dial(ctx)
					return tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "example.com"}), nil
				}})
				ans, err := c.Do(request(t.Context(), "GET", ""), Options{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{ans.Body}, make([]byte, size)); err != nil {
					t.Error(err)
				}
				if kept := c.idleCount() == 1; kept != (name == "none") {
					t.Errorf("%s, read by %d: the connection is kept: %t", name, size, kept)
				}
				c.CloseIdle()
				n.served.Wait()
			})
		}
	}
}

// TestNoConnectionServesTwo: under load, with requests that are given up at any
// moment, everyone gets their own answer, and nothing is left behind.
func TestNoConnectionServesTwo(t *testing.T) {
	before := runtime.NumGoroutine()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.Header().Set("Id", r.Header.Get("Id"))
		if len(text)%2 == 1 {
			http.NewResponseController(w).Flush() // chunked
		}
		fmt.Fprint(w, r.Header.Get("Id"), string(text))
	}))
	c := New(Config{Dial: dialer(s.Listener.Addr().String()), MaxIdle: 8})
	var working sync.WaitGroup
	for worker := range 16 {
		working.Go(func() {
			for i := range 150 {
				id := fmt.Sprint(worker, "-", i)
				body := strings.Repeat("x", rand.IntN(3)*rand.IntN(3000))
				ctx, cancel := context.WithCancel(context.Background())
				if rand.IntN(3) == 0 {
					time.AfterFunc(time.Duration(rand.IntN(1000))*time.Microsecond, cancel)
				}
				ans, text, err := fetch(c, request(ctx, "PUT", body, "Id", id))
				if err == nil && (text != id+body || ans.Header.Get("Id") != id) {
					t.Errorf("request %s got the answer to %s", id, ans.Header.Get("Id"))
				}
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	working.Wait()
	c.CloseIdle()
	s.Close()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

// hooked is a connection that calls a function at its last read.
type hooked struct {
	scripted
	last func()
}

func (h *hooked) Read(p []byte) (int, error) {
	n, err := h.scripted.Read(p)
	if h.text == "" {
		h.last()
	}
	return n, err
}

// TestContextThatEndsWithTheAnswer: what it sets off must not hit a connection
// that is somebody else's by then.
func TestContextThatEndsWithTheAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := New(Config{Dial: func(context.Context) (net.Conn, error) {
		return &hooked{scripted{text: ok, piece: len(ok) - 1}, cancel}, nil
	}})
	ans, err := c.Do(request(ctx, "GET", ""), Options{})
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, ans.Body)
	if c.idleCount() != 0 {
		t.Error("the connection is kept")
	}
}
