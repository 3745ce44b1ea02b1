package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// protocols returns HTTP/2 without TLS, or HTTP/1.1.
func protocols(h2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(h2)
	p.SetHTTP1(!h2)
	return p
}

// listenMemory serves h on connections in memory until the test ends. It can be
// used in a bubble. It returns what dials it.
func listenMemory(t *testing.T, h http.Handler, h2 bool) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	return serveMemory(t, &http.Server{Handler: h, Protocols: protocols(h2)})
}

// serveMemory is listenMemory for a server, which may want TLS. A proxy is served on
// the lane under test, anything else on the standard lane.
func serveMemory(t *testing.T, s *http.Server) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	l := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
	_, isProxy := s.Handler.(*Proxy)
	serving := onLaneOf(standardLane() || !isProxy, roomy, l, s, s.Handler)
	t.Cleanup(serving.close)
	return l.dial
}

// dial connects to whoever accepts.
func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.shut:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// memoryClient sends requests to a proxy whose connections on both sides are in
// memory.
type memoryClient struct {
	http *http.Client
	dial func() net.Conn // to the proxy
	base string

	proxy *Proxy
}

// sides says which sides of a proxy speak HTTP/2.
type sides struct{ client, upstream bool }

// do sends a request, which must be answered.
func (c *memoryClient) do(t *testing.T, method, path string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	ans, err := c.try(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return ans
}

// try sends a request; header are pairs.
func (c *memoryClient) try(ctx context.Context, method, path string, body io.Reader, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return c.http.Do(r)
}

// call begins a gRPC call; body is what the client sends.
func (c *memoryClient) call(t *testing.T, method string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	return c.do(t, "POST", method, body, append(header, "Content-Type", "application/grpc+proto", "Te", "trailers")...)
}

// inMemory puts a proxy with the plan in front of the upstream.
func inMemory(t *testing.T, s sides, plan Plan, upstream http.Handler, m RouteMetrics, slots ...Slot) *memoryClient {
	t.Helper()
	cfg := TransportConfig{Upstream: mustURL(t, "http://up.example"), Dial: listenMemory(t, upstream, s.upstream), Protocol: "http1"}
	if s.upstream {
		cfg.Protocol = "h2c"
	}
	rt, err := NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.CloseIdleConnections)
	p := newProxyWithMetrics(t, plan, rt, slots, m, func(r *Route) {
		r.Upstream, r.ReplayMaxBody = cfg.Upstream, 1000
	})
	dial := listenMemory(t, p, s.client)
	tr := &http.Transport{Protocols: protocols(s.client), DialContext: dial, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &memoryClient{
		http: &http.Client{Transport: tr}, base: "http://front.example", proxy: p,
		dial: func() net.Conn {
			conn, err := dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		},
	}
}

// settled waits until nothing in the bubble moves, for as long as nobody minds.
func settled() { time.Sleep(time.Minute) }
