package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"attache/internal/exchange"
)

// call is one request on its way. Calls are reused, so nothing that outlives
// ServeHTTP may hold one; a transport, for instance, gets headers and bodies of
// its own.
type call struct {
	proxy  *Proxy
	w      http.ResponseWriter // nil on the express lane, until it is needed
	r      *http.Request       // as w
	ctx    context.Context     // ends when the client has left
	method string
	host   string
	caller string // on the express lane; "": ctx may tell
	start  time.Time

	route   *route // nil: none was found
	metrics RouteMetrics
	trace   exchange.Trace // that the request is part of
	session session
	fields  []exchange.Field // injected into the attempt under way

	// The request's target as the client sent it.
	clientPath, clientQuery string
	forceQuery              bool // the query is empty but there

	// The request as it goes upstream, before injection.
	up          *endpoint // nil: not known before the tokens are there
	rest        string    // of the path, behind the route's
	path, query string
	header      strippedHeader
	upgrade     bool
	grpc        bool
	body        *bodyCopy // nil: there is none
	duplex      bool      // the server leaves the unread body alone

	// Of the answer under way.
	announced []string  // trailers that go to the client
	headSent  bool      // its head went to the client
	first     firstPart // was read before it was known where it goes
	unsettled bool      // its end may still refuse a token

	stream   *stream                 // nil: it will end by itself
	cancel   context.CancelCauseFunc // of a gRPC call; nil: it is none
	switched switched

	replays  int
	upstream time.Duration // until the heads of all answers
	status   int           // that the client got
	own      *answer       // made here
	aborted  bool          // the client has to see that the answer is broken
	done     bool          // serve returned
}

func (c *call) begin(p *Proxy, w http.ResponseWriter, r *http.Request) {
	c.proxy, c.w, c.r, c.start, c.metrics = p, w, r, time.Now(), p.unrouted
	c.ctx, c.method, c.host = r.Context(), r.Method, r.Host
	c.grpc = isGRPCCall(r)
	c.trace = exchange.SampledTrace(r.Header["Traceparent"])
}

// serve answers the request, whatever comes.
func (c *call) serve() {
	err := c.admit()
	c.metrics.Started()
	if err == nil {
		ctx := c.ctx
		if c.grpc {
			ctx = c.streamCall(ctx)
		}
		if err = c.exchange(ctx); err == errClientGone && c.stream.wasCut() {
			err = shuttingDown()
		}
	}
	if err != nil {
		c.reply(err)
	}
	c.done = true
}

// exchange sends the request, again if need be, and relays its last answer.
// Errors are *answer or errClientGone; nothing was sent to the client then.
func (c *call) exchange(ctx context.Context) error {
	params, err := c.params(c.r.Header)
	if err != nil {
		return err
	}
	if err := c.session.begin(ctx, c.route, params); err != nil {
		return err
	}
	c.openBody()
	ans, err := c.send(ctx)
	if err != nil {
		return err
	}
	return c.converse(ctx, ans)
}

// converse sees to an answer, and to the others if the request is sent again.
// Errors are as those of exchange.
func (c *call) converse(ctx context.Context, ans *http.Response) error {
	for {
		if c.stream != nil {
			c.stream.reading(ans.Body) // the end of a context goes unnoticed while the client's body is read
		}
		again, err := c.judge(ctx, ans)
		if err != nil {
			discard(ans)
			return err
		}
		if !again {
			c.relay(ans)
			return nil
		}
		discard(ans)
		c.replays++
		if ans, err = c.send(ctx); err != nil {
			return err
		}
	}
}

// reply answers with err.
func (c *call) reply(err error) {
	own, ok := errors.AsType[*answer](err)
	if !ok { // the client is gone: nobody reads an answer, and an empty one would be a lie
		c.status, c.aborted = StatusClientGone, true
		return
	}
	c.own, c.status = own, own.status
	if c.body == nil {
		answerEarly(c.w, c.r, func() { own.write(c.w, c.grpc) })
		return
	}
	c.closeIfUnread()
	own.write(c.w, c.grpc)
}

// finish lets go of everything the call holds, counts it and logs it.
func (c *call) finish() {
	c.session.release()
	c.stopBody()
	c.endStream()
	if !c.done {
		c.metrics.Done(c.method, http.StatusInternalServerError, time.Since(c.start), c.trace)
		c.panicked(recover())
	}
	if c.switched.client != nil {
		c.leaveTunnel(c.record())
	} else {
		rec := c.record()
		rec.done(c.ctx)
	}
	p, aborted := c.proxy, c.aborted
	c.recycle()
	p.calls.Put(c)
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

// recycle forgets the request, and keeps the memory for another.
func (c *call) recycle() {
	clear(c.fields[:cap(c.fields)])
	pins, tokens, fields := c.session.pins, c.session.tokens, c.fields[:0]
	*c = call{} // in place: a literal with fields would be made on the stack first
	c.session.pins, c.session.tokens, c.fields = pins, tokens, fields
}

// panicked logs what a handler panicked with, and has the server end the
// connection. What the server would log itself may hold anything, so of other
// values than the runtime's the type alone is told.
func (c *call) panicked(p any) {
	if p != http.ErrAbortHandler && c.proxy.log != nil {
		what := fmt.Sprintf("%T", p)
		if err, ok := p.(runtime.Error); ok {
			what = err.Error()
		}
		c.proxy.log.Error("a mistake of attache ended a request; please report it", "panic", what, "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// leaveTunnel lets the bytes of another protocol flow after the handler has
// returned: only then the server gives back the buffers that it has for requests,
// which an idle WebSocket would pay for.
func (c *call) leaveTunnel(rec record) {
	s := &c.switched
	rec.caller = cmp.Or(rec.caller, CallerName(c.ctx))
	c.proxy.streams.startTunnel(s.client, s.early, s.upstream, func() {
		rec.done(context.Background()) // the request's would keep alive what belongs to it
	})
}
