package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"attache/internal/exchange"
)

// call is one request on its way. Calls are reused, so nothing that outlives
// ServeHTTP may hold one; a transport, for instance, gets headers and bodies of
// its own.
type call struct {
	proxy *Proxy
	w     http.ResponseWriter
	r     *http.Request
	start time.Time

	route   *route // nil: none was found
	metrics RouteMetrics
	trace   exchange.Trace // that the request is part of
	session session
	fields  []exchange.Field // injected into the attempt under way

	// The request as it goes upstream, before injection.
	path, query string
	forceQuery  bool // the query is empty but there
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

	replays  int
	upstream time.Duration // until the heads of all answers
	status   int           // that the client got
	own      *answer       // made here
	aborted  bool          // the client has to see that the answer is broken
	done     bool          // serve returned
}

func (c *call) begin(p *Proxy, w http.ResponseWriter, r *http.Request) {
	c.proxy, c.w, c.r, c.start, c.metrics = p, w, r, time.Now(), p.unrouted
	c.grpc = isGRPCCall(r)
	c.trace = exchange.SampledTrace(r.Header["Traceparent"])
}

// serve answers the request, whatever comes.
func (c *call) serve() {
	err := c.admit()
	c.metrics.Started()
	if err == nil {
		err = c.exchange(c.r.Context())
	}
	if err != nil {
		c.reply(err)
	}
	c.done = true
}

// exchange sends the request, again if need be, and relays its last answer.
// Errors are *answer or errClientGone; nothing was sent to the client then.
func (c *call) exchange(ctx context.Context) error {
	params, err := c.params()
	if err != nil {
		return err
	}
	if err := c.session.begin(ctx, c.route, params); err != nil {
		return err
	}
	c.openBody()
	for {
		ans, err := c.send(ctx)
		if err != nil {
			return err
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
	took := time.Since(c.start)
	c.session.release()
	c.stopBody()
	if !c.done { // something panicked; the server logs it and ends the connection
		c.metrics.Done(c.r.Method, http.StatusInternalServerError, took, c.trace)
		return
	}
	c.metrics.Done(c.r.Method, c.status, took, c.trace)
	c.logRequest(took)
	aborted := c.aborted
	clear(c.fields[:cap(c.fields)])
	p := c.proxy
	*c = call{
		session: session{pins: c.session.pins, tokens: c.session.tokens},
		fields:  c.fields[:0],
	}
	p.calls.Put(c)
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

// logRequest logs the request if it is one of those that are logged. Neither
// path nor query are: the one may name a user, the other may hold a token.
func (c *call) logRequest(took time.Duration) {
	level := slog.LevelInfo
	switch {
	case c.own != nil && c.own.status != http.StatusNotFound || c.status >= http.StatusInternalServerError || c.session.passed != "":
		level = slog.LevelWarn
	case c.own != nil:
	case c.proxy.requests != LogAll:
		return
	}
	if c.proxy.requests == LogNone || !c.proxy.log.Enabled(c.r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs,
		slog.String("method", c.r.Method),
		slog.String("route", c.routeName()),
		slog.Int("status", c.status),
		slog.Float64("duration_ms", millis(took)),
		slog.Float64("upstream_ms", millis(c.upstream)),
		slog.Int("replays", c.replays))
	if name := CallerName(c.r.Context()); name != "" {
		attrs = append(attrs, slog.String("caller", name))
	}
	if c.own != nil {
		attrs = append(attrs, slog.String("error", c.own.kind), slog.String("detail", c.own.detail))
		if c.own.credential != "" {
			attrs = append(attrs, slog.String("credential", c.own.credential), slog.String("class", c.own.class))
		}
	}
	if c.session.passed != "" {
		attrs = append(attrs, slog.String("refusal", whyPassed(c.session.passed)))
	}
	c.proxy.log.LogAttrs(c.r.Context(), level, "request", attrs...)
}

// millis is a duration as logs have it: a number whose unit its name tells.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// whyPassed tells an operator why the client got to see a refusal.
func whyPassed(outcome string) string {
	switch outcome {
	case ReplayBody:
		return "passed on: the request's body is incomplete or longer than replay.max_body; the token is renewed"
	case ReplayRefused:
		return "passed on: the renewed token was refused as well; the account may lack the permission"
	case ReplayOverBudget:
		return "passed on: too many refusals of late, or the vendor gave the same token again; the token stays in use"
	case ReplaySameToken:
		return "passed on: the login gave the refused token again"
	case ReplayLate:
		return "passed on: the refusal came when the answer had begun; the token is renewed"
	}
	return "passed on: there is no token"
}

func (c *call) routeName() string {
	if c.route == nil {
		return ""
	}
	return c.route.Name
}
