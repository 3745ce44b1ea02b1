package proxy

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"attache/internal/http1"
)

// The long way: what a request on the express lane takes of the standard lane when it,
// its body or its answer needs more than the short way has. It keeps its connection,
// and gets a request and a writer of net/http's kind.

// serveAtLength answers the request by the standard lane's handler: its body is not
// here yet, or somebody may not call.
func (e *expressConn) serveAtLength() {
	var body *http1.RequestBody
	r := e.httpRequest()
	if e.head.Length != 0 {
		body = http1.NewRequestBody(&bodySource{e.in, e.ctx}, e.buf[e.r:e.w], e.head.Length, e.bodyEnded)
		r.Body, r.ContentLength = body, e.head.Length
		if e.head.Length < 0 {
			r.TransferEncoding = []string{"chunked"}
		}
		e.release()
	} else if e.r == e.w {
		e.ctx.allow()
	}
	w := e.newWriter()
	w.body = body
	defer func() {
		if p := recover(); p != nil {
			w.abort()
			panic(p)
		}
	}()
	e.answers.handler.ServeHTTP(w, r)
	e.now = time.Now()
}

// bodySource is a connection from which a body is read. Where that fails, the client
// has left, or is to be given up.
type bodySource struct {
	net.Conn
	ctx *watchedContext
}

// Read implements [io.Reader].
func (s *bodySource) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil {
		s.ctx.end()
	}
	return n, err
}

// bodyEnded takes what was read of the connection beyond a request's body.
func (e *expressConn) bodyEnded(rest []byte) {
	if len(rest) == 0 {
		e.ctx.allow()
		return
	}
	e.pending = append([]byte(nil), rest...)
}

// httpRequest returns the request as net/http's server would, without a body.
func (e *expressConn) httpRequest() *http.Request {
	h := &e.head
	u, err := url.ParseRequestURI(h.Target)
	if err != nil { // nobody looks at it but for the target
		u = &url.URL{Opaque: h.Target}
	}
	r := &http.Request{
		Method: h.Method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h.Fields.Header(), Body: http.NoBody,
		Host: h.Host, RemoteAddr: e.conn.RemoteAddr().String(), RequestURI: h.Target, TLS: e.tls,
	}
	// What net/http's transports hold for a request they hold until its context ends.
	ctx, cancel := context.WithCancel(e.ctx)
	e.cancel = cancel
	return r.WithContext(ctx)
}

// enlarge gives the call what it has on the standard lane: a request and a writer of
// net/http's kind.
func (c *call) enlarge(e *expressConn) {
	if c.w != nil {
		return
	}
	c.r = e.httpRequest()
	c.ctx = c.r.Context()
	c.w = e.newWriter()
	if len(e.body) > 0 && c.route != nil {
		c.r.ContentLength = int64(len(e.body))
		c.body = finishedBody(e.body, c.route.ReplayMaxBody)
	}
}

// sendAtLength sends the request as the standard lane does.
func (c *call) sendAtLength(e *expressConn) error {
	c.enlarge(e)
	ans, err := c.send(c.ctx)
	if err != nil {
		return err
	}
	return c.converse(c.ctx, ans)
}
