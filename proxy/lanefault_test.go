package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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
	p.proxy = newProxy(t, plan, p.rt, slots, append([]func(*Route){func(r *Route) { r.Upstream = mustURL(t, "http://up.example") }}, change...)...)
	p.lane = onLane(b, b.Listener(p.in), b.Server(p.proxy), p.proxy)
	t.Cleanup(func() {
		p.lane.close()
		p.rt.Close()
		p.up.served.Wait()
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
