package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/rawio"
)

// counting returns a dial that counts the connections that are open at this end.
func counting(dial dialFunc, open *atomic.Int64) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &countedConn{conn, sync.OnceFunc(func() { open.Add(-1) })}, nil
	}
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// upstreamKind is a way to speak to an upstream.
type upstreamKind struct {
	protocol string
	scheme   string
	h2       bool // the upstream speaks HTTP/2 alone
	proxied  bool
}

var upstreamKinds = map[string]upstreamKind{
	"own client":               {"http1", "http", false, false},
	"own client over TLS":      {"http1", "https", false, false},
	"net/http through a proxy": {"http1", "http", false, true},
	"h2c":                      {"h2c", "http", true, false},
	"h2":                       {"h2", "https", true, false},
	"h2 by choice":             {"auto", "https", true, false},
}

// transportTo returns a transport to h in memory. It belongs into a bubble.
func transportTo(t *testing.T, kind upstreamKind, h http.Handler, open *atomic.Int64) *Transport {
	t.Helper()
	cfg := TransportConfig{Upstream: mustURL(t, kind.scheme+"://up.example"), Protocol: kind.protocol}
	s := &http.Server{Handler: h, Protocols: protocols(kind.h2)}
	if kind.scheme == "https" {
		ca := newAuthority(t)
		cert := ca.sign(t, &x509.Certificate{DNSNames: []string{"up.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		s.TLSConfig, cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: ca.pool}
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(!kind.h2)
		s.Protocols.SetHTTP2(kind.h2)
	}
	if kind.proxied {
		cfg.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example"})
	}
	cfg.Dial = counting(serveMemory(t, s), open)
	rt, err := NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// fetchBy sends a request by a transport and returns the answer's body.
func fetchBy(ctx context.Context, rt *Transport, path string) (string, error) {
	u := &url.URL{Scheme: "http", Host: "up.example", Path: path}
	if rt.http2 && !rt.h2c {
		u.Scheme = "https"
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ans, err := rt.Send((&http.Request{Method: "GET", URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx), nil)
	if err != nil {
		return "", err
	}
	defer ans.Body.Close()
	text, err := io.ReadAll(ans.Body)
	return string(text), err
}

// TestCloseTransport: a closed transport goes on with the requests under way and
// takes others. Nothing is left of it when the last of them has ended: neither a
// connection, at once, nor a goroutine, which the bubble would wait for.
func TestCloseTransport(t *testing.T) {
	for name, kind := range upstreamKinds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int64
				rt := transportTo(t, kind, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						w.(http.Flusher).Flush()
						time.Sleep(10 * time.Second)
					}
					io.WriteString(w, "ok")
				}), &open)
				fetch := func(path string) {
					if text, err := fetchBy(t.Context(), rt, path); err != nil || text != "ok" {
						t.Errorf("%s after %v: %q, %v", path, time.Since(start2000), text, err)
					}
				}
				var slow, first sync.WaitGroup
				for range 3 {
					first.Go(func() { fetch("/") })
				}
				first.Wait()
				slow.Go(func() { fetch("/slow") })
				time.Sleep(time.Second)
				rt.Close()
				if synctest.Wait(); open.Load() != 1 {
					t.Errorf("%d connections are open with one request under way", open.Load())
				}
				fetch("/") // while it is
				slow.Wait()
				if synctest.Wait(); open.Load() != 0 || time.Since(start2000) != 10*time.Second {
					t.Errorf("%d connections are open after the last request, %v after the start", open.Load(), time.Since(start2000))
				}
				fetch("/")
				rt.Close()
				if synctest.Wait(); open.Load() != 0 {
					t.Errorf("%d connections are open after a late request", open.Load())
				}
			})
		})
	}
}

// start2000 is when every bubble begins.
var start2000 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// TestCloseTransportWhileDialling: a connection that comes when nobody waits for
// it any more is closed.
func TestCloseTransportWhileDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		rt := transportTo(t, upstreamKinds["h2c"], http.NotFoundHandler(), &open)
		quick := rt.timed.DialContext
		rt.timed.DialContext = rt.keeping(func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(3 * time.Second)
			return quick(context.WithoutCancel(ctx), network, address)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := fetchBy(ctx, rt, "/"); err == nil {
			t.Error("there is an answer without a connection")
		}
		rt.Close()
		time.Sleep(time.Minute)
		if synctest.Wait(); open.Load() != 0 {
			t.Errorf("%d connections are open", open.Load())
		}
	})
}

// TestCloseTransportLeavesTunnels: a connection that switched protocols is its
// users', in both directions, whichever ends first.
func TestCloseTransportLeavesTunnels(t *testing.T) {
	for _, name := range []string{"own client", "net/http through a proxy"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int64
				ended := make(chan time.Time, 1)
				rt := transportTo(t, upstreamKinds[name], socketServer(ended, func(*http.Request) {}), &open)
				u := mustURL(t, "http://up.example/")
				ctx, cancel := context.WithCancel(t.Context())
				header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
				ans, err := rt.Send((&http.Request{Method: "GET", URL: u, Host: u.Host, Header: header}).WithContext(ctx), nil)
				if err != nil {
					t.Fatal(err)
				}
				rt.Close()
				cancel() // as a server does when its handler returns
				synctest.Wait()
				conn := ans.Body.(io.ReadWriteCloser)
				if _, err := io.WriteString(conn, "there"); err != nil {
					t.Error(err)
				}
				text := make([]byte, len("hello there"))
				if _, err := io.ReadFull(conn, text); err != nil || string(text) != "hello there" {
					t.Errorf("%q, %v", text, err)
				}
				conn.Close()
				<-ended
				if synctest.Wait(); open.Load() != 0 || rt.conns.requests != 0 {
					t.Errorf("%d connections are open, %d requests under way", open.Load(), rt.conns.requests)
				}
			})
		})
	}
}

// TestHalfOfATunnelIsARequest: what the upstream no longer sends the client may
// still.
func TestHalfOfATunnelIsARequest(t *testing.T) {
	var s standardConns
	s.begin()
	client, upstream := net.Pipe()
	upstream.Close()
	body := s.until(client)
	if _, err := body.Read(make([]byte, 1)); err != io.EOF || s.requests != 1 {
		t.Errorf("%v, %d requests under way", err, s.requests)
	}
	body.Close()
	body.Close()
	if s.requests != 0 {
		t.Errorf("%d requests under way after Close", s.requests)
	}
}

// TestConnectionsOfNetHTTPAreRaw: a connection that net/http might use may be one of
// HTTP/1.1 in the end, as with every https upstream that is asked which it wants.
func TestConnectionsOfNetHTTPAreRaw(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var set standardConns
	dial := set.wrap(new(net.Dialer).DialContext)
	conn, err := dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, isRaw := rawio.Wrap(plain).(*rawio.Conn); !isRaw {
		return // not on this system
	}
	if _, ok := conn.(*standardConn).NetConn().(*rawio.Conn); !ok {
		t.Errorf("%T", conn.(*standardConn).NetConn())
	}
}
