package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"attache/internal/http1"
)

// maxSends is how often a request of an idempotent method is sent at most.
const maxSends = 2

// errSent ends an attempt that would send a request once too often.
var errSent = errors.New("the upstream had the request and did not answer it")

// sending bounds how often an [http.Transport] sends one request. The transport
// repeats requests by rules of its own: over HTTP/2 whenever the upstream resets
// a stream with certain codes, whatever the method and on one new connection
// after the other; over HTTP/1 as long as there are idle connections that turn
// out to be dead. It asks nobody, but tells a trace of each connection before it
// writes to it.
type sending struct {
	idempotent bool
	h2c        bool
	cancel     context.CancelCauseFunc
	trace      httptrace.ClientTrace
	interim    interimRelay

	// Of the attempt before; only the goroutine of RoundTrip uses these.
	began, http2 bool
	sent         int // attempts of which the upstream may have seen something
	over         bool

	wrote atomic.Bool // HTTP/2: the attempt's head
}

// watch returns req with a context that ends before the request is sent once too
// often.
func (t *Transport) watch(req *http.Request, onInterim func(int, http.Header)) (*http.Request, *sending) {
	s := &sending{idempotent: http1.Idempotent(req.Method), h2c: t.h2c}
	s.interim.pass = onInterim
	s.trace.GotConn, s.trace.Got1xxResponse = s.gotConn, s.interim.got
	if t.http2 {
		s.trace.WroteHeaders = s.wroteHeaders
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	s.cancel = cancel
	req = req.WithContext(httptrace.WithClientTrace(ctx, &s.trace))
	if t.http2 && req.Body != nil && req.Body != http.NoBody {
		t.leavable(req)
	}
	return req, s
}

// gotConn is called before anything is written to a connection.
func (s *sending) gotConn(info httptrace.GotConnInfo) {
	before := s.http2
	// HTTP/1 does not tell whether it wrote anything, so every attempt counts.
	// What is not idempotent it only repeats if it wrote nothing.
	sent := s.began && (!before || s.wrote.Swap(false))
	s.began, s.http2 = true, s.h2c || isHTTP2(info.Conn)
	if !sent {
		return
	}
	s.sent++
	if s.idempotent && s.sent < maxSends || !s.idempotent && !before {
		return
	}
	s.over = true
	s.cancel(errSent)
	if !s.http2 {
		// HTTP/1 looks at the context too late. An HTTP/2 connection is shared
		// and looks in time.
		info.Conn.Close()
	}
}

func (s *sending) wroteHeaders() { s.wrote.Store(true) }

func isHTTP2(conn net.Conn) bool {
	c, ok := conn.(*tls.Conn)
	return ok && c.ConnectionState().NegotiatedProtocol == alpnHTTP2
}

// quiet keeps net/http from adding anything of its own, by keys without values,
// which it does not send.
func quiet(req *http.Request) {
	header := req.Header
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = nil
	}
	// It repeats requests that a dead connection swallowed only if it knows that
	// they are idempotent; of PUT and DELETE it has to be told.
	if http1.Idempotent(req.Method) {
		if _, ok := header["X-Idempotency-Key"]; !ok && (req.Method == http.MethodPut || req.Method == http.MethodDelete) {
			header["X-Idempotency-Key"] = nil
		}
		return
	}
	// It takes the word of these for that, but they are for the upstream. Under
	// another spelling it does not find them.
	for _, key := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := header[key]; ok {
			delete(header, key)
			header[strings.ToLower(key)] = values
		}
	}
}
