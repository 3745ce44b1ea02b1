package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	defaultDialTimeout = 5 * time.Second
	// idlePerHost is large because all traffic of an application goes to few
	// hosts; each connection beyond it would be dialled anew.
	idlePerHost = 512
	// maxAnswerHead bounds the head of an answer in bytes.
	maxAnswerHead = 1 << 20
)

// TransportConfig configures a [Transport].
type TransportConfig struct {
	// Upstream is where requests will go; its scheme, and its socket if it has
	// one, decide how to connect.
	Upstream *url.URL
	// Protocol is "auto" (or empty), "http1", "h2" or "h2c".
	Protocol string
	// TLS has the CA, the client's certificate and the server name; nil: the
	// system's CAs. It is cloned.
	TLS *tls.Config
	// Proxy chooses a proxy for a request, as [http.ProxyFromEnvironment]
	// does; nil: none.
	Proxy func(*http.Request) (*url.URL, error)
	// DialTimeout bounds connecting, without the TLS handshake, which has as
	// long again; 0: 5s.
	DialTimeout time.Duration
	// HeaderTimeout bounds the time from a request's end to its answer's head;
	// 0: none. It does not count for gRPC and upgrades.
	HeaderTimeout time.Duration
	// Dial connects; nil: [net.Dialer.DialContext].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Transport sends requests to an upstream. It reuses connections, follows no
// redirect and adds no compression. A request of a method that is not idempotent
// is never sent again once any of it was written, any other at most once. It is
// safe for concurrent use.
type Transport struct {
	timed   *http.Transport
	untimed *http.Transport // for gRPC and upgrades, whose answers may take any time
	proxy   func(*http.Request) (*url.URL, error)
	http2   bool // connections may speak HTTP/2
	h2c     bool // all speak HTTP/2, without TLS
	buffers BufferPool
}

// NewTransport returns a transport for requests to cfg.Upstream.
func NewTransport(cfg TransportConfig) (*Transport, error) {
	upstream, err := endpointOf(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	protocols, err := protocolsOf(cfg.Protocol, upstream.scheme)
	if err != nil {
		return nil, err
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = defaultDialTimeout
	}
	dial := cfg.dial()
	if upstream.socket != "" {
		inner := dial
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return inner(ctx, "unix", upstream.socket)
		}
		cfg.Proxy = nil
	}
	settings := cfg.TLS.Clone() // nil stays nil
	if settings == nil {
		settings = &tls.Config{}
	}
	if settings.ClientSessionCache == nil {
		settings.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	build := func(headerTimeout time.Duration) *http.Transport {
		return &http.Transport{
			Proxy:                  cfg.Proxy,
			DialContext:            dial,
			TLSClientConfig:        settings.Clone(),
			TLSHandshakeTimeout:    cfg.DialTimeout,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    idlePerHost,
			IdleConnTimeout:        90 * time.Second,
			ResponseHeaderTimeout:  headerTimeout,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: maxAnswerHead,
			Protocols:              protocols,
			// A connection whose other end vanished is found out by a ping.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		}
	}
	return &Transport{
		timed: build(cfg.HeaderTimeout), untimed: build(0), proxy: cfg.Proxy,
		http2: protocols.UnencryptedHTTP2() || protocols.HTTP2() && upstream.scheme == "https",
		h2c:   protocols.UnencryptedHTTP2(),
	}, nil
}

func (cfg *TransportConfig) dial() func(ctx context.Context, network, address string) (net.Conn, error) {
	if cfg.Dial != nil {
		return cfg.Dial
	}
	return (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext
}

func protocolsOf(name, scheme string) (*http.Protocols, error) {
	p := new(http.Protocols)
	switch name {
	case "", "auto":
		p.SetHTTP1(true)
		p.SetHTTP2(true)
	case "http1":
		p.SetHTTP1(true)
	case "h2":
		if scheme != "https" {
			return nil, errors.New("protocol h2 needs an https upstream; without TLS it is h2c")
		}
		p.SetHTTP2(true)
	case "h2c":
		if scheme != "http" {
			return nil, errors.New("protocol h2c needs an http upstream; with TLS it is h2")
		}
		p.SetUnencryptedHTTP2(true)
	default:
		return nil, fmt.Errorf("protocol %q is unknown; use auto, http1, h2 or h2c", name)
	}
	return p, nil
}

// RoundTrip implements [http.RoundTripper]. What watches over the request is
// released with its context, which should therefore end soon after the answer.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if u := req.URL; u.Opaque != "" && u.Opaque[:min(2, len(u.Opaque))] != "//" && t.proxied(req) {
		// A proxy takes requests for http in absolute form alone.
		req = req.Clone(req.Context())
		req.URL.Opaque = "//" + u.Host + u.Opaque
	}
	rt := t.timed
	if req.Header["Upgrade"] != nil || isGRPC(req.Header.Get("Content-Type")) {
		rt = t.untimed
	}
	if !t.http2 && !idempotent(req.Method) {
		return rt.RoundTrip(req) // repeats it only if nothing was written
	}
	req, s := t.watch(req)
	ans, err := rt.RoundTrip(req)
	if err != nil {
		s.cancel(err)
		if s.over {
			err = errSent
		}
	}
	return ans, err
}

// proxied reports whether the request goes to a proxy that sees its target.
func (t *Transport) proxied(req *http.Request) bool {
	if t.proxy == nil || req.URL.Scheme != "http" {
		return false
	}
	u, err := t.proxy(req)
	return err == nil && u != nil && (u.Scheme == "http" || u.Scheme == "https")
}

// CloseIdleConnections closes what no request uses right now.
func (t *Transport) CloseIdleConnections() {
	t.timed.CloseIdleConnections()
	t.untimed.CloseIdleConnections()
}

// bufferSize is that of the buffers that bodies are copied through, in bytes.
const bufferSize = 32 << 10

// BufferPool lends buffers of 32 KiB. It implements
// [net/http/httputil.BufferPool]. The zero value is ready, and safe for
// concurrent use.
type BufferPool struct{ pool sync.Pool }

// Get returns a buffer.
func (p *BufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b[:]
	}
	return new([bufferSize]byte)[:]
}

// Put takes a buffer of Get back.
func (p *BufferPool) Put(b []byte) {
	if cap(b) >= bufferSize {
		p.pool.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}
