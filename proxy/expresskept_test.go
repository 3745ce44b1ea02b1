package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
)

// expressInMemory serves a front on the express lane until the test ends. It returns
// the lane, and a connection to it.
func expressInMemory(t *testing.T, f *Front) (*Express, net.Conn) {
	t.Helper()
	x := NewExpress(roomy, roomy.Server(f.Handler()), nil, nil)
	x.Show(f)
	l := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() { x.Serve(l) })
	conn, err := l.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		x.Close()
		l.Close()
		serving.Wait()
	})
	return x, conn
}

// TestSlowHeadIsOfWhoMayCallAtItsEnd: a head that began when somebody else might call
// opens nothing once it is whole.
func TestSlowHeadIsOfWhoMayCallAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, &testPlan{}, fakeTransport(func(*http.Request) (*http.Response, error) { return respond(200, "hello"), nil }), nil)
		known := func(token string) *Front {
			return &Front{Proxy: p, Callers: NewCallers([]Caller{{Name: "app", Bearer: secret.New(token)}}, nil)}
		}
		x, conn := expressInMemory(t, known("0123456789abcdef"))
		const head = "GET / HTTP/1.1\r\nHost: localhost\r\nProxy-Authorization: Bearer 0123456789abcdef\r\n\r\n"
		back := bufio.NewReader(conn)
		exchange := func(between func(), want int) {
			t.Helper()
			io.WriteString(conn, head[:10])
			synctest.Wait()
			between()
			io.WriteString(conn, head[10:])
			res, err := http.ReadResponse(back, nil)
			if err != nil || res.StatusCode != want {
				t.Fatalf("%v, %v, want %d", res, err, want)
			}
			io.Copy(io.Discard, res.Body)
		}
		exchange(func() {}, 200)
		exchange(func() { x.Show(known("another-one-altogether")) }, 407)
		x.Show(known("0123456789abcdef"))
		exchange(func() { x.Show(nil) }, 200) // the standard lane has the first front
	})
}

// TestHandedHTTP2OutlivesShutdown: what the standard lane has is its own, also when the
// end comes in that very moment.
func TestHandedHTTP2OutlivesShutdown(t *testing.T) {
	known := httptest.NewTLSServer(http.NotFoundHandler())
	defer known.Close()
	x := NewExpress(roomy, roomy.Server(http.NotFoundHandler()), known.TLS, nil)
	client, server := net.Pipe()
	defer client.Close()
	conn := x.add(server)
	var serving sync.WaitGroup
	serving.Go(conn.serve)
	secure := tls.Client(client, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnHTTP2}})
	serving.Go(func() { secure.Handshake() })
	handed := <-x.handed
	conn.born = time.Time{} // long ago
	conn.closeIdle()
	serving.Wait()
	serving.Go(func() { handed.Write([]byte("x")) })
	if n, err := secure.Read(make([]byte, 1)); n != 1 {
		t.Errorf("the connection is closed: %v", err)
	}
	serving.Wait()
}

// TestChoiceOfHTTP2LeavesNoConnection: a request that finds out what another one has
// found out already goes by that one's connection, and its own is closed.
func TestChoiceOfHTTP2LeavesNoConnection(t *testing.T) {
	up := newChoosy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	rt := up.transport(t, "auto")
	p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, up.URL) })
	conn := dialExpress(t, &Front{Proxy: p})
	back := bufio.NewReader(conn)
	for dialed := 1; dialed <= 2; dialed++ {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		res, err := http.ReadResponse(back, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(res.Body); string(text) != "HTTP/2.0" || up.dialed() != dialed {
			t.Fatalf("%q on %d connections", text, up.dialed())
		}
		rt.chose2.Store(false) // as if another request had just found out
	}
	// A next request comes after the end of the one before it.
	io.WriteString(conn, "GET /../ HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if res, err := http.ReadResponse(back, nil); err != nil || res.StatusCode != 400 {
		t.Fatal(res, err)
	}
	if rt.spare.take(nil) != nil {
		t.Error("a connection is left over")
	}
}

// TestIdleConnectionKeepsNoSecret: neither the head of the request nor that of its
// answer is kept by a connection that waits for the next request, whatever their size.
func TestIdleConnectionKeepsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{serve: func(_ int, c net.Conn) {
			defer c.Close()
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Renewed: secret\r\n"+strings.Repeat("X-More: 1\r\n", 1000)+"Content-Length: 5\r\n\r\nhello")
			}
		}}
		up := mustURL(t, "http://up.example")
		rt, err := NewTransport(TransportConfig{Upstream: up, Dial: network.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = up })
		x, conn := expressInMemory(t, &Front{Proxy: p})
		go io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer own\r\n"+strings.Repeat("X-More: 1\r\n", 1000)+"\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		io.Copy(io.Discard, res.Body)
		synctest.Wait()
		for e := range x.conns {
			if e.state.Load() != expressIdle || e.writer != nil {
				t.Error("it is not idle, or was no plain request")
			}
			if kept := e.head.Method + e.head.Target + e.head.Host + e.message.Method; kept != "" {
				t.Errorf("%q of the request is kept", kept)
			}
		}
	})
}

// TestShutdownWaitsForFirstRequests: who has just connected may be about to send a
// request, and gets an answer. Nobody is waited for who sends none.
func TestShutdownWaitsForFirstRequests(t *testing.T) {
	for _, sends := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := newProxy(t, &testPlan{}, fakeTransport(func(*http.Request) (*http.Response, error) { return respond(200, "hello"), nil }), nil)
			x, conn := expressInMemory(t, &Front{Proxy: p})
			time.Sleep(time.Second)
			var ending sync.WaitGroup
			ending.Go(func() { x.Shutdown(t.Context()) })
			start := time.Now()
			time.Sleep(time.Second)
			if sends {
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
				if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != 200 || !res.Close {
					t.Error(res, err)
				}
			}
			io.Copy(io.Discard, conn)
			if took := time.Since(start); took > newGrace {
				t.Errorf("it takes %v", took)
			}
			ending.Wait()
		})
	}
}
