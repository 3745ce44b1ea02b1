package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/http1"
)

// pipes is a network in memory: each connection is served by the handler, which
// gets its number.
type pipes struct {
	serve func(n int, conn net.Conn)
	wrap  func(n int, conn net.Conn) net.Conn // of the dialling side; nil: none

	mu     sync.Mutex
	dialed int
	served sync.WaitGroup
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p.mu.Lock()
	p.dialed++
	n := p.dialed
	p.mu.Unlock()
	p.served.Go(func() {
		defer server.Close()
		p.serve(n, server)
	})
	if p.wrap != nil {
		return p.wrap(n, client), nil
	}
	return client, nil
}

// wait returns when every connection is served to its end. It is for the end of a
// bubble, whose rest has to stand still first: nothing else orders it and the handlers
// that have dialed, for which a closed [http.Server] does not wait.
func (p *pipes) wait() {
	synctest.Wait()
	p.served.Wait()
}

// swallowOnce reads one request and returns its body.
func swallowOnce(conn net.Conn) (string, error) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r.Body)
	return string(text), err
}

// answerOnce reads one request and answers it; it returns the request's body.
func answerOnce(conn net.Conn) (string, error) {
	text, err := swallowOnce(conn)
	if err == nil {
		_, err = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	return text, err
}

// pipeProxy is a proxy whose upstream is on n. Call the returned function at the
// end of the bubble.
func pipeProxy(t *testing.T, n *pipes, change ...func(*TransportConfig)) (*Proxy, func()) {
	t.Helper()
	cfg := TransportConfig{Upstream: mustURL(t, "http://up.example"), Dial: n.dial}
	for _, c := range change {
		c(&cfg)
	}
	rt, err := NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = cfg.Upstream })
	return p, func() {
		rt.CloseIdleConnections()
		n.wait()
	}
}

// eachClient runs a test with either client that speaks HTTP/1.1: the one of our
// own, and net/http's, which requests through a proxy take.
func eachClient(t *testing.T, f func(t *testing.T, change func(*TransportConfig))) {
	t.Run("own", func(t *testing.T) { f(t, func(*TransportConfig) {}) })
	t.Run("net/http", func(t *testing.T) {
		f(t, func(c *TransportConfig) {
			c.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example"})
		})
	})
}

// deadConn fails all writes once dead is set, and its reads block until it is
// closed, like a connection whose other end has just vanished.
type deadConn struct {
	net.Conn
	dead atomic.Bool
	shut chan struct{}
	once sync.Once
}

func (c *deadConn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return 0, errors.New("broken pipe")
	}
	return c.Conn.Write(p)
}

func (c *deadConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		<-c.shut
	}
	return n, err
}

func (c *deadConn) Close() error {
	c.once.Do(func() { close(c.shut) })
	return c.Conn.Close()
}

// TestUnwrittenRequestIsRetried: not a byte of it was written, so it is sent
// again on another connection, whatever its method and with its body.
func TestUnwrittenRequestIsRetried(t *testing.T) {
	eachClient(t, func(t *testing.T, client func(*TransportConfig)) {
		synctest.Test(t, func(t *testing.T) {
			bodies := make(chan string, 2)
			var first *deadConn
			n := &pipes{
				serve: func(_ int, conn net.Conn) {
					if text, err := answerOnce(conn); err == nil {
						bodies <- text
					}
				},
				wrap: func(n int, conn net.Conn) net.Conn {
					if n > 1 {
						return conn
					}
					first = &deadConn{Conn: conn, shut: make(chan struct{})}
					return first
				},
			}
			p, end := pipeProxy(t, n, client)
			defer end()
			if w := do(p, "POST", "/", "one"); w.Code != 200 {
				t.Fatalf("status %d", w.Code)
			}
			synctest.Wait()
			first.dead.Store(true)
			if w := do(p, "POST", "/", "two"); w.Code != 200 {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if one, two := <-bodies, <-bodies; one != "one" || two != "two" || n.dialed != 2 {
				t.Errorf("the upstream read %s and %s on %d connections", one, two, n.dialed)
			}
		})
	})
}

// TestSwallowedRequest: the connection was reused and closes before any answer,
// after the request was written. Only idempotent methods are sent again.
func TestSwallowedRequest(t *testing.T) {
	eachClient(t, func(t *testing.T, client func(*TransportConfig)) {
		for method, want := range map[string]int{"GET": 200, "PUT": 200, "DELETE": 200, "POST": 502, "PATCH": 502} {
			t.Run(method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := &pipes{serve: func(n int, conn net.Conn) {
						if text, err := answerOnce(conn); err != nil || n == 2 && text != "two" {
							t.Errorf("the upstream read %q, %v", text, err)
						}
						if n == 1 {
							swallowOnce(conn) // the second request; then the connection closes
						}
					}}
					p, end := pipeProxy(t, n, client)
					defer end()
					if w := do(p, "POST", "/", "one"); w.Code != 200 {
						t.Fatalf("status %d", w.Code)
					}
					synctest.Wait()
					if w := do(p, method, "/", "two"); w.Code != want {
						t.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
					}
					if method == "PUT" && n.dialed != 2 {
						t.Errorf("%d connections", n.dialed)
					}
				})
			})
		}
	})
}

func TestTransportTimeouts(t *testing.T) {
	eachClient(t, func(t *testing.T, client func(*TransportConfig)) {
		for _, tc := range []struct {
			name   string
			header []string
			after  time.Duration
			want   int
		}{
			{"in time", nil, 59 * time.Second, 200},
			{"too late", nil, 61 * time.Second, 504},
			{"an upgrade may take longer", []string{"Connection", "Upgrade", "Upgrade", "websocket"}, time.Hour, 200},
		} {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := &pipes{serve: func(_ int, conn net.Conn) {
						r, err := http.ReadRequest(bufio.NewReader(conn))
						if err != nil {
							return
						}
						r.Body.Close()
						time.Sleep(tc.after)
						fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}}
					p, end := pipeProxy(t, n, client, func(c *TransportConfig) { c.HeaderTimeout = time.Minute })
					defer end()
					w := get(p, "/", tc.header...)
					if w.Code != tc.want {
						t.Errorf("status %d, want %d", w.Code, tc.want)
					}
					if status := w.Header().Get("Proxy-Status"); tc.want == 504 && status != "attache; error=http_response_timeout" {
						t.Errorf("Proxy-Status is %q", status)
					}
				})
			})
		}
	})
}

func TestTransportFailures(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tc := range []struct {
		err  error
		code int
		kind string
	}{
		{dial(syscall.ECONNREFUSED), 502, "connection_refused"},
		{dial(syscall.EHOSTUNREACH), 502, "destination_unavailable"},
		{dial(&net.DNSError{Err: "no such host", IsNotFound: true}), 502, "dns_error"},
		{dial(context.DeadlineExceeded), 504, "connection_timeout"},
		{&tls.CertificateVerificationError{Err: errors.New("x")}, 502, "tls_certificate_error"},
		{x509.UnknownAuthorityError{}, 502, "tls_certificate_error"},
		{tls.RecordHeaderError{Msg: "x"}, 502, "tls_protocol_error"},
		{tls.AlertError(40), 502, "tls_protocol_error"},
		{io.ErrUnexpectedEOF, 502, "connection_terminated"},
		{fmt.Errorf("malformed HTTP response %q", "GET /?access_token=secret"), 502, "connection_terminated"},
	} {
		rt := fakeTransport(func(*http.Request) (*http.Response, error) { return nil, tc.err })
		w := get(newProxy(t, &testPlan{}, rt, nil), "/")
		if w.Code != tc.code || w.Header().Get("Proxy-Status") != "attache; error="+tc.kind {
			t.Errorf("%v: status %d, %q, want %d, %s", tc.err, w.Code, w.Header().Get("Proxy-Status"), tc.code, tc.kind)
		}
		if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), tc.err.Error()) {
			t.Errorf("%v: the client is told %s", tc.err, w.Body)
		}
	}
}

func TestProtocols(t *testing.T) {
	proto := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto+" "+r.Host) })
	cleartext := httptest.NewUnstartedServer(proto)
	cleartext.Config.Protocols = new(http.Protocols)
	cleartext.Config.Protocols.SetHTTP1(true)
	cleartext.Config.Protocols.SetUnencryptedHTTP2(true)
	cleartext.Start()
	defer cleartext.Close()
	secure := httptest.NewUnstartedServer(proto)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	socket := httptest.NewUnstartedServer(proto)
	path := filepath.Join(t.TempDir(), "app.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	socket.Listener.Close()
	socket.Listener = listener
	socket.Start()
	defer socket.Close()
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	trust := &tls.Config{RootCAs: pool, ServerName: "example.com"}
	for _, tc := range []struct {
		upstream, protocol, want string
		tls                      *tls.Config
	}{
		{cleartext.URL, "", "HTTP/1.1 " + cleartext.Listener.Addr().String(), nil},
		{cleartext.URL, "h2c", "HTTP/2.0 " + cleartext.Listener.Addr().String(), nil},
		{secure.URL, "auto", "HTTP/2.0 " + secure.Listener.Addr().String(), trust},
		{secure.URL, "h2", "HTTP/2.0 " + secure.Listener.Addr().String(), trust},
		{secure.URL, "http1", "HTTP/1.1 " + secure.Listener.Addr().String(), trust},
		{secure.URL, "http1", "tls_certificate_error", nil},
		{"unix:" + path, "", "HTTP/1.1 localhost", nil},
		{"unix:" + path + ":/base", "http1", "HTTP/1.1 localhost", nil},
	} {
		rt, err := NewTransport(TransportConfig{Upstream: mustURL(t, tc.upstream), Protocol: tc.protocol, TLS: tc.tls})
		if err != nil {
			t.Fatal(err)
		}
		w := get(newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = mustURL(t, tc.upstream) }), "/")
		got := w.Body.String()
		if w.Code == 502 {
			got = strings.TrimPrefix(w.Header().Get("Proxy-Status"), "attache; error=")
		}
		if got != tc.want {
			t.Errorf("%s over %q: %q, want %q", tc.upstream, tc.protocol, got, tc.want)
		}
		rt.CloseIdleConnections()
	}
}

func TestProtocolsThatDoNotFit(t *testing.T) {
	for _, tc := range [][3]string{
		{"http://up", "h2", "protocol h2 needs an https upstream; without TLS it is h2c"},
		{"https://up", "h2c", "protocol h2c needs an http upstream; with TLS it is h2"},
		{"https://up", "h3", `protocol "h3" is unknown; use auto, http1, h2 or h2c`},
		{"ftp://up", "", `the upstream's scheme must be http, https or unix, not "ftp"`},
	} {
		if _, err := NewTransport(TransportConfig{Upstream: mustURL(t, tc[0]), Protocol: tc[1]}); err == nil || err.Error() != tc[2] {
			t.Errorf("%s over %s: %v", tc[0], tc[1], err)
		}
	}
}

// TestProxySeesAbsoluteForm: also of paths that net/url would escape.
func TestProxySeesAbsoluteForm(t *testing.T) {
	var target string
	corporate := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { target = r.RequestURI }), false)
	rt, err := NewTransport(TransportConfig{
		Upstream: mustURL(t, "http://up.example"),
		Proxy:    http.ProxyURL(mustURL(t, corporate.URL)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.CloseIdleConnections()
	p := newProxy(t, &testPlan{}, rt, nil, func(r *Route) { r.Upstream = &url.URL{Scheme: "http", Host: "up.example"} })
	for _, path := range []string{"/a%2Fb?x", "/a|b?x", "//a|b?x"} {
		if w := get(p, path); w.Code != 200 || target != "http://up.example"+path {
			t.Errorf("status %d, the proxy saw %q", w.Code, target)
		}
	}
}

// TestAnswerThatIsNone: the client is told so, and nothing of what it was.
func TestAnswerThatIsNone(t *testing.T) {
	for _, text := range []string{"GET /?access_token=secret\r\n", "HTTP/1.1 200 OK\r\nX: secret\nY: z\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nsecret"} {
		synctest.Test(t, func(t *testing.T) {
			n := &pipes{serve: func(_ int, conn net.Conn) {
				swallowOnce(conn)
				io.WriteString(conn, text)
			}}
			p, end := pipeProxy(t, n)
			defer end()
			w := get(p, "/")
			if w.Code != 502 || w.Header().Get("Proxy-Status") != "attache; error=http_protocol_error" || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("status %d, %v, %s", w.Code, w.Header(), w.Body)
			}
		})
	}
}

// TestReplayedBodyIsReady: the client that sends it again need not wait for it,
// and puts it into one piece with the head.
func TestReplayedBodyIsReady(t *testing.T) {
	b := newBodyCopy(strings.NewReader("text"), 4, 100)
	first, err := b.view(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := any(first).(http1.Ready); !ok || first.Ready() != 0 {
		t.Errorf("%d bytes are there before any was read", first.Ready())
	}
	io.ReadFull(first, make([]byte, 3))
	second, err := b.view(nil)
	if err != nil || second.Ready() != 3 || first.Ready() != 0 {
		t.Errorf("%d and %d bytes are there, %v", first.Ready(), second.Ready(), err)
	}
}
