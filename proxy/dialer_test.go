package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// choosy is an upstream with TLS whose choice of protocols can be changed.
type choosy struct {
	*httptest.Server
	one  atomic.Bool // HTTP/1.1 from now on
	pool *x509.CertPool

	mu         sync.Mutex
	dial, shut int
}

// shutting is a connection that counts its first Close.
type shutting struct {
	net.Conn
	once sync.Once
	of   *choosy
}

func (s *shutting) Close() error {
	s.once.Do(func() {
		s.of.mu.Lock()
		defer s.of.mu.Unlock()
		s.of.shut++
	})
	return s.Conn.Close()
}

func newChoosy(t *testing.T, h http.Handler) *choosy {
	c := &choosy{pool: x509.NewCertPool()}
	c.Server = httptest.NewUnstartedServer(h)
	c.EnableHTTP2 = true
	c.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		settings := c.TLS.Clone()
		settings.GetConfigForClient = nil
		if settings.NextProtos = []string{"h2", "http/1.1"}; c.one.Load() {
			settings.NextProtos = []string{"http/1.1"}
		}
		return settings, nil
	}}
	c.StartTLS()
	t.Cleanup(c.Close)
	c.pool.AddCert(c.Certificate())
	return c
}

// transport returns one to it, which counts its connections.
func (c *choosy) transport(t *testing.T, protocol string) *Transport {
	rt, err := NewTransport(TransportConfig{
		Upstream: mustURL(t, c.URL), Protocol: protocol, TLS: &tls.Config{RootCAs: c.pool, ServerName: "example.com"},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			c.mu.Lock()
			c.dial++
			c.mu.Unlock()
			return &shutting{Conn: conn, of: c}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.CloseIdleConnections)
	return rt
}

func (c *choosy) dialed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dial
}

// TestUpstreamChoosesItsProtocol: the connection on which it does so carries the
// first request and all others, with their bodies, and a change of mind costs no
// request.
func TestUpstreamChoosesItsProtocol(t *testing.T) {
	up := newChoosy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.ProtoMajor, " ")
		io.Copy(w, r.Body)
	}))
	rt := up.transport(t, "auto")
	p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, up.URL) })
	want := func(version, body string, dialed int) {
		t.Helper()
		for range 3 {
			if w := do(p, "PUT", "/", body); w.Body.String() != version+" "+body || up.dialed() != dialed {
				t.Fatalf("%q on %d connections", w.Body, up.dialed())
			}
		}
	}
	want("2", "text", 1)
	rt.chose2.Store(false) // as if another request had just found out
	want("2", "text", 2)
	if up.mu.Lock(); up.shut != 1 {
		t.Errorf("%d connections of 2 were closed", up.shut)
	}
	up.mu.Unlock()
	up.one.Store(true)
	up.CloseClientConnections()
	rt.CloseIdleConnections()
	if w := do(p, "POST", "/", "text"); w.Body.String() != "1 text" {
		t.Fatalf("%d %q", w.Code, w.Body)
	}
	if rt.chose2.Load() {
		t.Error("net/http would go on")
	}
	// Without a body: the end of an upload may come after that of the answer,
	// and the connection with it.
	want("1", "", up.dialed()+1)
	up.one.Store(false)
	rt.CloseIdleConnections()
	want("2", "text", up.dialed()+1)
	if rt.spare.take(nil) != nil {
		t.Error("a connection is left over")
	}
}

// TestManyFindOutTheProtocol: those who come second do not leave connections
// behind.
func TestManyFindOutTheProtocol(t *testing.T) {
	up := newChoosy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.ProtoMajor) }))
	rt := up.transport(t, "auto")
	p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, up.URL) })
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if w := get(p, "/"); w.Body.String() != "2" {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		})
	}
	all.Wait()
	if rt.spare.take(nil) != nil {
		t.Error("a connection is left over")
	}
}

// TestOldSpareConnectionIsNotUsed: the upstream has probably closed it.
func TestOldSpareConnectionIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fresh, other := net.Pipe()
		defer other.Close()
		for _, age := range []time.Duration{spareFresh - 1, spareFresh} {
			rt := &Transport{}
			old, far := net.Pipe()
			rt.spare.put(old)
			time.Sleep(age)
			dial := rt.dialStandard(&dialer{connect: func(context.Context, string, string) (net.Conn, error) { return fresh, nil }})
			conn, err := dial(t.Context(), "", "")
			if err != nil || (conn == old) != (age < spareFresh) {
				t.Errorf("after %v: %v, %v", age, conn, err)
			}
			if conn != old {
				if _, err := far.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("the old one: %v", err)
				}
			}
			conn.Close()
		}
	})
}

// TestWebSocketNeedsHTTP1: an upstream that would rather speak HTTP/2 gets it
// over HTTP/1.1; one that is said to speak nothing else does not get it at all.
func TestWebSocketNeedsHTTP1(t *testing.T) {
	up := newChoosy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			fmt.Fprint(w, r.ProtoMajor)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		io.Copy(conn, rw)
	}))
	rt := up.transport(t, "auto")
	s := frontServer(t, newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, up.URL) }), false)
	for range 2 { // before and after the upstream chose HTTP/2
		conn := dialServer(t, s)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		back := bufio.NewReader(conn)
		ans, err := http.ReadResponse(back, nil)
		if err != nil || ans.StatusCode != 101 {
			t.Fatalf("%v, %v", ans, err)
		}
		text := make([]byte, 5)
		if _, err := io.ReadFull(back, text); string(text) != "hello" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		conn.Close()
		ans, err = s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(ans.Body); string(text) != "2" {
			t.Errorf("an ordinary request went over HTTP/%s", text)
		}
		ans.Body.Close()
	}
	for _, cfg := range []TransportConfig{
		{Upstream: mustURL(t, "http://up.example"), Protocol: "h2c"},
		{Upstream: mustURL(t, "https://up.example"), Protocol: "h2"},
	} {
		rt, err := NewTransport(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w := get(newProxy(t, &testPlan{}, rt, nil), "/", "Connection", "Upgrade", "Upgrade", "websocket")
		if w.Code != 502 || w.Header().Get("Proxy-Status") != "attache; error=http_upgrade_failed" {
			t.Errorf("%s: status %d, %s", cfg.Protocol, w.Code, w.Body)
		}
	}
}

// TestDialedAddress: with the port that the scheme implies, and brackets.
func TestDialedAddress(t *testing.T) {
	for upstream, want := range map[string]string{
		"http://up.example":        "up.example:80",
		"http://up.example:":       "up.example:80",
		"https://up.example":       "up.example:443",
		"https://up.example:8443":  "up.example:8443",
		"http://[::1]":             "[::1]:80",
		"http://[::1]:81":          "[::1]:81",
		"http://[fe80::1%25en0]:1": "[fe80::1%en0]:1",
	} {
		var got string
		rt, err := NewTransport(TransportConfig{
			Upstream: mustURL(t, upstream),
			Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				got = address
				return nil, io.EOF
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		get(newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, upstream) }), "/")
		if got != want {
			t.Errorf("%s: dialed %q", upstream, got)
		}
	}
	if _, err := NewTransport(TransportConfig{Upstream: mustURL(t, "http://b\u00fccher.example")}); err == nil || !strings.Contains(err.Error(), "ASCII") {
		t.Errorf("a name that DNS does not have: %v", err)
	}
}
