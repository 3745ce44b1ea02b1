package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"attache/internal/http1"
)

const (
	defaultDialTimeout = 5 * time.Second
	// idlePerHost is large because all traffic of an application goes to few
	// hosts; each connection beyond it would be dialled anew.
	idlePerHost = 512
	idleTimeout = 90 * time.Second
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
	// does; nil: none. Whether it chooses any is asked once, ahead, for the
	// upstream's root.
	Proxy func(*http.Request) (*url.URL, error)
	// DialTimeout bounds connecting, without the TLS handshake, which has as
	// long again; 0: 5s.
	DialTimeout time.Duration
	// HeaderTimeout bounds the time from a request's end to its answer's head;
	// 0: none. It does not count for gRPC and upgrades.
	HeaderTimeout time.Duration
	// Dial connects, within a time of its own; nil: [net.Dialer.DialContext]
	// with DialTimeout.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Transport sends requests to an upstream. It reuses connections, follows no
// redirect and adds no compression. A request of a method that is not idempotent
// is never sent again once any of it was written, any other at most once. It is
// safe for concurrent use. [Transport.Close] ends it.
//
// HTTP/1.1 is spoken by a client of its own. HTTP/2, and what goes through a
// proxy, is net/http's.
type Transport struct {
	headerTimeout time.Duration
	own           *http1.Client // nil: net/http does everything
	// Of an upstream that may choose HTTP/2: upgrades has connections that may
	// not, and chose2 is what it chose last. spare is the connection on which it
	// did so first.
	upgrades *http1.Client
	chose2   atomic.Bool
	spare    spareConn

	timed   *http.Transport // nil: own does everything
	untimed *http.Transport // for gRPC and upgrades, whose answers may take any time
	proxy   func(*http.Request) (*url.URL, error)
	conns   standardConns
	http2   bool // connections of net/http may speak HTTP/2
	only2   bool // they always do
	h2c     bool // without TLS
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
	if strings.IndexFunc(upstream.host, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return nil, errors.New("the upstream's host must be in ASCII; write it as DNS has it, xn--…")
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = defaultDialTimeout
	}
	d := newDialer(&cfg, upstream)
	if upstream.socket != "" {
		cfg.Proxy = nil
	}
	t := &Transport{
		headerTimeout: cfg.HeaderTimeout,
		proxy:         cfg.Proxy,
		http2:         protocols.UnencryptedHTTP2() || protocols.HTTP2() && upstream.scheme == "https",
		only2:         !protocols.HTTP1(),
		h2c:           protocols.UnencryptedHTTP2(),
	}
	direct := !throughProxy(cfg.Proxy, upstream)
	if direct && !t.only2 {
		t.own = d.newOwn(t.http2)
		if !t.http2 {
			return t, nil
		}
		t.upgrades = d.newOwn(false)
	}
	d.connect = t.conns.wrap(d.connect)
	t.timed = d.newStandard(&cfg, protocols, cfg.HeaderTimeout)
	t.untimed = d.newStandard(&cfg, protocols, 0)
	t.timed.DialContext = t.keeping(d.connect)
	t.untimed.DialContext = t.timed.DialContext
	if t.own != nil {
		t.timed.DialTLSContext = t.keeping(t.dialStandard(d))
		t.untimed.DialTLSContext = t.timed.DialTLSContext
	}
	return t, nil
}

// throughProxy reports whether requests to the upstream go through a proxy. If
// that cannot be said net/http gets to say so at each request.
func throughProxy(proxy func(*http.Request) (*url.URL, error), upstream endpoint) bool {
	if proxy == nil {
		return false
	}
	u := &url.URL{Scheme: upstream.scheme, Host: upstream.host, Path: "/"}
	by, err := proxy(&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}})
	return err != nil || by != nil
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

// Send sends a request and returns the final answer. Interim answers but 100 and
// 101 go to onInterim, which is never called after Send has returned, nor by two
// at once. The header of req is no longer the caller's. What watches over a
// request that net/http sends is released with its context, which should
// therefore end soon after the answer.
func (t *Transport) Send(req *http.Request, onInterim func(status int, header http.Header)) (*http.Response, error) {
	upgrade := req.Header["Upgrade"] != nil
	if upgrade && t.only2 {
		return nil, errNoUpgrade
	}
	opts := http1.Options{HeaderTimeout: t.headerTimeout, OnInterim: onInterim}
	untimed := upgrade || isGRPC(req.Header.Get("Content-Type"))
	if untimed {
		opts.HeaderTimeout = 0
	}
	switch {
	case t.own == nil || !upgrade && t.chose2.Load():
		return t.sendStandard(req, untimed, onInterim)
	case upgrade && t.upgrades != nil:
		return t.upgrades.Do(req, opts)
	}
	ans, err := t.own.Do(req, opts)
	if chosen, ok := errors.AsType[*choseHTTP2](err); ok {
		return t.switchTo2(req, chosen, untimed, onInterim)
	}
	return ans, err
}

// client returns what sends plain requests of HTTP/1.1, and how long an upstream may
// take for the head of an answer; nil: they have to go through Send.
func (t *Transport) client() (*http1.Client, time.Duration) {
	if t.chose2.Load() {
		return nil, 0
	}
	return t.own, t.headerTimeout
}

// chose tells that a connection of own is for HTTP/2: requests have to go through
// net/http from now on, which begins with that connection. The function that it returns
// is called after the first of them, for which there may have been another connection
// meanwhile.
func (t *Transport) chose(c *choseHTTP2) (after func()) {
	t.spare.put(c.conn)
	t.chose2.Store(true)
	return func() {
		if unused := t.spare.take(c.conn); unused != nil {
			unused.Close()
		}
	}
}

// sendStandard sends a request by net/http.
func (t *Transport) sendStandard(req *http.Request, untimed bool, onInterim func(int, http.Header)) (*http.Response, error) {
	if u := req.URL; u.Opaque != "" && u.Opaque[:min(2, len(u.Opaque))] != "//" && t.proxied(req) {
		// A proxy takes requests for http in absolute form alone.
		req = req.Clone(req.Context())
		req.URL.Opaque = "//" + u.Host + u.Opaque
	}
	rt := t.timed
	if untimed {
		rt = t.untimed
	}
	quiet(req)
	req, s := t.watch(req, onInterim)
	t.conns.begin()
	ans, err := rt.RoundTrip(req)
	s.interim.end()
	if err != nil {
		t.conns.end()
		s.cancel(err)
		if s.over {
			err = errSent
		}
		return nil, err
	}
	ans.Body = t.conns.until(ans.Body)
	return ans, nil
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
	for _, own := range [...]*http1.Client{t.own, t.upgrades} {
		if own != nil {
			own.CloseIdle()
		}
	}
	if t.timed != nil {
		t.timed.CloseIdleConnections()
		t.untimed.CloseIdleConnections()
	}
}

// Close retires the transport: the connections that no request uses are closed
// now, each other one once its request has ended. Requests under way are not
// disturbed, and later ones are sent as before. Nothing of the transport is left
// when the last of them has ended: no connection, goroutine or timer. Connections
// that switched protocols are their users' own. It may be called more than once.
func (t *Transport) Close() {
	for _, own := range [...]*http1.Client{t.own, t.upgrades} {
		if own != nil {
			own.Close()
		}
	}
	if t.timed != nil {
		t.timed.CloseIdleConnections()
		t.untimed.CloseIdleConnections()
		t.conns.close()
	}
}
