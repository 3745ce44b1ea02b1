package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	defaultMaxIdle     = 512
	defaultIdleTimeout = 90 * time.Second
	defaultMaxHead     = 1 << 20
	// maxInterim is how many interim answers one request may get.
	maxInterim = 100
	// continueWait is how long a request with "Expect: 100-continue" waits for
	// leave to send its body.
	continueWait = time.Second
	// lateAnswer is how long an answer may take that comes although the request
	// could not be written to its end.
	lateAnswer = time.Second
)

// Config configures a [Client].
type Config struct {
	// Dial connects to the upstream; TLS is shaken hands on already. Its errors
	// are returned as they are. See also [Repeated].
	Dial func(ctx context.Context) (net.Conn, error)
	// MaxIdle bounds the idle connections that are kept; 0: 512.
	MaxIdle int
	// IdleTimeout is how long an idle connection is kept; 0: 90s.
	IdleTimeout time.Duration
	// MaxHead bounds the head of an answer, in bytes, together with the interim
	// answers before it, and its trailer; 0: 1 MiB.
	MaxHead int
}

// Options are those of one request.
type Options struct {
	// HeaderTimeout bounds the time from the request's end to the answer's
	// head; 0: none. Before that head an upstream may also take nothing of the
	// request's body for as long, or for a minute if that is longer.
	HeaderTimeout time.Duration
	// OnInterim is called, on the goroutine of Do, with every interim answer
	// (RFC 9110 section 15.2) but 100 and 101. nil: interim answers are
	// dropped.
	OnInterim func(status int, header http.Header)
}

// Client sends requests to one upstream. It is safe for concurrent use.
type Client struct {
	dial    func(ctx context.Context) (net.Conn, error)
	maxHead int
	idle    pool
	buffers readBuffers
	heads   headBuffers
	uploads uploadBuffers
}

// New returns a client. Its Close should be called when it is no longer needed.
func New(cfg Config) *Client {
	c := &Client{dial: cfg.Dial, maxHead: cfg.MaxHead}
	c.idle.max, c.idle.timeout = cfg.MaxIdle, cfg.IdleTimeout
	if c.maxHead == 0 {
		c.maxHead = defaultMaxHead
	}
	if c.idle.max == 0 {
		c.idle.max = defaultMaxIdle
	}
	if c.idle.timeout == 0 {
		c.idle.timeout = defaultIdleTimeout
	}
	return c
}

// CloseIdle closes the connections that no request uses, and those in use once
// their requests have ended, unless another request comes before.
func (c *Client) CloseIdle() { c.idle.closeAll(false) }

// Close closes the connections that no request uses, and from now on each one
// whose request has ended, so that nothing of the client is left after the last
// of them. Requests are sent as before, on connections of their own.
func (c *Client) Close() { c.idle.closeAll(true) }

// Do sends a request and returns the final answer. Of the request it uses the
// method, URL, Host, Header, ContentLength, Body, GetBody, Trailer and context;
// fields of the header without values are not sent. The context's end ends the
// request, until the body of its answer has ended.
//
// The answer's Body has to be closed or read to its end. Its Close may be called
// at any time and ends a read under way. Trailers are in Trailer once the body
// has returned io.EOF. The Body of a 101 is an [io.ReadWriteCloser] with
// CloseWrite and is the connection itself, which no context ends any more.
//
// The request's body is always closed, maybe after Do has returned, and may be
// read until then. If it fails Do returns its error.
//
// A request that an idle connection swallowed is sent again, once, on a new
// connection: if not a byte of it was written, or if its method is idempotent
// and the connection ended without any answer (RFC 9110 section 9.2.2). A body
// is sent again only if GetBody gives it again.
//
// Errors never hold what the upstream sent. What is wrong with an answer is a
// [*ProtocolError].
func (c *Client) Do(req *http.Request, opts Options) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		closeBody(req.Body)
		return nil, err
	}
	out, err := c.build(req)
	if err != nil {
		closeBody(req.Body)
		return nil, err
	}
	conn := c.idle.get()
	if conn == nil {
		if conn, err = c.connect(ctx); err != nil {
			out.free()
			closeBody(req.Body)
			return nil, err
		}
	}
	ans, failed := c.attempt(conn, &out, req, req.Body, opts)
	if failed == nil {
		return ans, nil
	}
	if ctx.Err() != nil { // before the body is asked for again: it would have to be closed
		return nil, ctx.Err()
	}
	body, again := failed.repeat(req, conn.reused)
	if !again || ctx.Err() != nil {
		closeBody(body)
		return nil, failed.cause(ctx)
	}
	if !failed.unwritten {
		ctx = context.WithValue(ctx, repeatedKey{}, true)
	}
	if out, err = c.build(req); err == nil {
		if conn, err = c.connect(ctx); err != nil {
			out.free()
		}
	}
	if err != nil {
		closeBody(body)
		return nil, err
	}
	if ans, failed = c.attempt(conn, &out, req, body, opts); failed != nil {
		return nil, failed.cause(ctx)
	}
	return ans, nil
}

type repeatedKey struct{}

// Repeated reports whether a context that Config.Dial gets is that of a request
// which the upstream may have had already. It must not be sent a third time,
// whatever the connection turns out to be.
func Repeated(ctx context.Context) bool { return ctx.Value(repeatedKey{}) != nil }

func (c *Client) connect(ctx context.Context) (*conn, error) {
	nc, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	return newConn(nc, &c.buffers), nil
}

// failure is an attempt without an answer.
type failure struct {
	err       error
	unwritten bool // not a byte of the request was written
	silent    bool // the connection ended before any byte of an answer
}

// cause returns the error that the caller gets.
func (f *failure) cause(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.err
}

// repeat reports whether the request is sent again, and with which body.
func (f *failure) repeat(req *http.Request, reused bool) (io.ReadCloser, bool) {
	if !reused || !f.unwritten && !(f.silent && Idempotent(req.Method)) {
		return nil, false
	}
	if bodyLengthOf(req) == 0 {
		return nil, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

// attempt sends the request on conn, which is its own from now on, as is out.
func (c *Client) attempt(conn *conn, out *outgoing, req *http.Request, body io.ReadCloser, opts Options) (*http.Response, *failure) {
	conn.begin()
	a := &answer{}
	a.body.client, a.body.conn = c, conn
	a.body.unwatch = context.AfterFunc(req.Context(), conn.abort)
	broken := c.write(a, out, req, body, opts.HeaderTimeout)
	if broken != nil && broken.unwritten {
		a.body.drop()
		return nil, broken
	}
	conn.cut = broken != nil
	err := c.readHead(a, req.Method, opts)
	if err == nil {
		a.res.Request = req
		return &a.res, nil
	}
	f := &failure{err: err, silent: !conn.heard && isSilence(err)}
	a.body.drop()
	if broken != nil {
		f.err, f.silent = broken.err, !conn.heard
	}
	if a.body.up != nil {
		a.body.up.explain(f)
	}
	return nil, f
}

// write writes the request, or begins to. What it returns need not be the end:
// an upstream may answer a request that it does not take to its end.
func (c *Client) write(a *answer, out *outgoing, req *http.Request, body io.ReadCloser, timeout time.Duration) *failure {
	conn := a.body.conn
	if out.length != 0 && !out.takeWhole(body) {
		up, err := c.startUpload(conn, out, body, req.Trailer, timeout)
		a.body.up = up
		if err == nil {
			return nil
		}
		f := &failure{err: err}
		up.explain(f)
		conn.awaitHead(lateAnswer)
		return f
	}
	n, err := conn.Write(out.buf)
	out.free()
	closeBody(body)
	if err != nil {
		conn.awaitHead(lateAnswer)
		return &failure{err: err, unwritten: n == 0}
	}
	conn.awaitHead(timeout)
	return nil
}

// isSilence reports whether a connection ended rather than said something wrong
// or nothing in time.
func isSilence(err error) bool {
	if _, ok := errors.AsType[*ProtocolError](err); ok {
		return false
	}
	e, ok := errors.AsType[net.Error](err)
	return !ok || !e.Timeout()
}

// Idempotent reports whether sending a request of this method twice means the
// same as sending it once (RFC 9110 section 9.2.2).
func Idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

func closeBody(body io.Closer) {
	if body != nil {
		body.Close()
	}
}
