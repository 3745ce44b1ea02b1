package proxy

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"attache/internal/exchange"
)

// record is what is counted and logged of a request at its end. It holds nothing
// of the call, which is reused, nor of the proxy: that of a WebSocket may wait for
// days.
type record struct {
	log      *slog.Logger
	requests RequestLog
	metrics  RouteMetrics
	trace    exchange.Trace

	method, route   string
	caller          string // "": the context of done may tell
	start           time.Time
	upstream        time.Duration // until the heads of all answers
	status, replays int
	own             *answer // made here
	passed          string  // what became of a refusal that the client got to see
}

// record returns what is known once the handler is done.
func (c *call) record() record {
	rec := record{
		log: c.proxy.log, requests: c.proxy.requests, metrics: c.metrics, trace: c.trace,
		method: c.method, caller: c.caller,
		start: c.start, upstream: c.upstream, status: c.status, replays: c.replays, own: c.own, passed: c.session.passed,
	}
	if c.route != nil {
		rec.route = c.route.Name
	}
	return rec
}

// done counts and logs the request, which has ended.
func (r *record) done(ctx context.Context) { r.ended(ctx, time.Now()) }

// ended is done for a request that ended at now.
func (r *record) ended(ctx context.Context, now time.Time) {
	took := now.Sub(r.start)
	r.metrics.Done(r.method, r.status, took, r.trace)
	level := slog.LevelInfo
	switch {
	case r.own != nil && r.own.status != http.StatusNotFound || r.status >= http.StatusInternalServerError || r.passed != "":
		level = slog.LevelWarn
	case r.own != nil:
	case r.requests != LogAll:
		return
	}
	if r.requests == LogNone || !r.log.Enabled(ctx, level) {
		return
	}
	r.write(ctx, level, took)
}

// write logs the request. Neither path nor query are in it: the one may name a
// user, the other may hold a token.
func (r *record) write(ctx context.Context, level slog.Level, took time.Duration) {
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs,
		slog.String("method", r.method),
		slog.String("route", r.route),
		slog.Int("status", r.status),
		slog.Float64("duration_ms", millis(took)),
		slog.Float64("upstream_ms", millis(r.upstream)),
		slog.Int("replays", r.replays))
	if caller := cmp.Or(r.caller, CallerName(ctx)); caller != "" {
		attrs = append(attrs, slog.String("caller", caller))
	}
	if r.own != nil {
		attrs = append(attrs, slog.String("error", r.own.kind), slog.String("detail", r.own.detail))
		if r.own.credential != "" {
			attrs = append(attrs, slog.String("credential", r.own.credential), slog.String("class", r.own.class))
		}
	}
	if r.passed != "" {
		attrs = append(attrs, slog.String("refusal", whyPassed(r.passed)))
	}
	r.log.LogAttrs(ctx, level, "request", attrs...)
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
