package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"attache/internal/http1"
	"attache/internal/rawio"
)

// errNoUpgrade: RFC 8441 would carry WebSockets over HTTP/2, but few upstreams
// know it.
var errNoUpgrade = errors.New("an upgrade needs HTTP/1.1 towards the upstream")

// dialer connects to one upstream.
type dialer struct {
	connect dialFunc
	address string
	tls     *tls.Config // nil: no TLS
	timeout time.Duration
}

// newDialer also completes cfg.TLS, for what net/http sends.
func newDialer(cfg *TransportConfig, upstream endpoint) *dialer {
	d := &dialer{connect: cfg.Dial, timeout: cfg.DialTimeout}
	if d.connect == nil {
		d.connect = (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext
	}
	if upstream.socket != "" {
		inner := d.connect
		d.connect = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return inner(ctx, "unix", upstream.socket)
		}
	}
	host, port := upstream.host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	if port == "" {
		port = "80"
		if upstream.scheme == "https" {
			port = "443"
		}
	}
	d.address = host + ":" + port
	settings := cfg.TLS.Clone() // nil stays nil
	if settings == nil {
		settings = &tls.Config{}
	}
	if settings.ClientSessionCache == nil {
		settings.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	cfg.TLS = settings // net/http names the server itself: it may be a proxy
	if upstream.scheme == "https" {
		d.tls = settings.Clone()
		if d.tls.ServerName == "" {
			d.tls.ServerName = host
		}
	}
	return d
}

// dial connects, with TLS if the upstream wants it, and lets it choose one of
// protocols.
func (d *dialer) dial(ctx context.Context, protocols ...string) (net.Conn, error) {
	conn, err := d.connect(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	if conn = rawio.Wrap(conn); d.tls == nil {
		return conn, nil
	}
	settings := d.tls.Clone()
	settings.NextProtos = protocols
	secure := tls.Client(conn, settings)
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// Names of protocols in a TLS handshake (RFC 7301).
const (
	alpnHTTP1 = "http/1.1"
	alpnHTTP2 = "h2"
)

// choseHTTP2 says that the upstream wants to speak HTTP/2 on a new connection.
type choseHTTP2 struct{ conn net.Conn }

// Error implements error.
func (*choseHTTP2) Error() string { return "the upstream chose HTTP/2" }

// newOwn returns a client for HTTP/1.1. With offer2 its connections fail with
// choseHTTP2 if the upstream wants that.
func (d *dialer) newOwn(offer2 bool) *http1.Client {
	dial := func(ctx context.Context) (net.Conn, error) { return d.dial(ctx, alpnHTTP1) }
	if offer2 {
		plain := dial
		dial = func(ctx context.Context) (net.Conn, error) {
			if http1.Repeated(ctx) { // net/http would not know that it was sent
				return plain(ctx)
			}
			conn, err := d.dial(ctx, alpnHTTP2, alpnHTTP1)
			if err == nil && isHTTP2(conn) {
				return nil, &choseHTTP2{conn}
			}
			return conn, err
		}
	}
	return http1.New(http1.Config{Dial: dial, MaxIdle: idlePerHost, IdleTimeout: idleTimeout, MaxHead: maxAnswerHead})
}

// newStandard returns a transport of net/http, which does not know yet how to
// connect.
func (d *dialer) newStandard(cfg *TransportConfig, protocols *http.Protocols, headerTimeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  cfg.Proxy,
		TLSClientConfig:        cfg.TLS.Clone(),
		TLSHandshakeTimeout:    cfg.DialTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxAnswerHead,
		Protocols:              protocols,
		// A connection whose other end vanished is found out by a ping.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// dialStandard connects for net/http, to an upstream that chose HTTP/2: first of
// all it hands over the connection on which that was found out. An upstream that
// has changed its mind is spoken to in HTTP/1.1 from then on.
func (t *Transport) dialStandard(d *dialer) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		if conn := t.spare.takeFresh(); conn != nil {
			return conn, nil
		}
		conn, err := d.dial(ctx, alpnHTTP2, alpnHTTP1)
		if err == nil {
			t.chose2.Store(isHTTP2(conn))
		}
		return conn, err
	}
}

// keeping returns a dial for net/http, whose connections end with the transport.
func (t *Transport) keeping(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := t.conns.keep(conn); err != nil {
			return nil, err
		}
		return conn, nil
	}
}

// switchTo2 sends a request by net/http after the upstream chose HTTP/2. Nothing was
// sent so far.
func (t *Transport) switchTo2(req *http.Request, chosen *choseHTTP2, untimed bool, onInterim func(int, http.Header)) (*http.Response, error) {
	defer t.chose(chosen)()
	if req.Body != nil && req.GetBody != nil { // the first was closed
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		req.Body = body
	}
	return t.sendStandard(req, untimed, onInterim)
}

// spareFresh is how old a spare connection may be that is used. Who left it may
// have found another, and hear of its own answer much later; meanwhile servers
// close connections on which nothing is said.
const spareFresh = 5 * time.Second

// spareConn holds a connection between one goroutine and another.
type spareConn struct {
	mu    sync.Mutex
	conn  net.Conn
	since time.Time
}

// put leaves a connection, instead of another that nobody took.
func (s *spareConn) put(conn net.Conn) {
	s.mu.Lock()
	old := s.conn
	s.conn, s.since = conn, time.Now()
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// takeFresh returns the connection, or closes one that is too old.
func (s *spareConn) takeFresh() net.Conn {
	s.mu.Lock()
	conn, fresh := s.conn, time.Since(s.since) < spareFresh
	s.conn = nil
	s.mu.Unlock()
	if conn == nil || fresh {
		return conn
	}
	conn.Close()
	return nil
}

// take returns the connection if it is still there and is want; nil: whichever
// it is.
func (s *spareConn) take(want net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.conn
	if conn == nil || want != nil && conn != want {
		return nil
	}
	s.conn = nil
	return conn
}
