package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// Plan is what the credentials of a route do to its requests and read from its
// answers. Its methods are called concurrently and return at once. What they
// return is not changed, and they keep no Head, which is reused.
type Plan interface {
	// Strip lists what is removed from the client's request: at least
	// everything that AppendFields may add and that Params reads.
	Strip() []exchange.Name
	// KeepOne lists the names of which exactly one value that the client sent
	// in exactly that name stays; it then takes the place of a field that is
	// IfAbsent.
	KeepOne() []exchange.Name
	// Hide lists what is removed from every answer.
	Hide() []exchange.Name
	// InjectsQuery reports whether AppendFields may add a query parameter.
	InjectsQuery() bool
	// HasBodyRules reports whether WantsBody may return anything but NoBody.
	HasBodyRules() bool
	// HasTrailerRules reports whether Judge may depend on the trailer of a gRPC
	// answer.
	HasTrailerRules() bool
	// Params returns the values that the request gives to the route's tokens,
	// from its head as the client sent it. A value that is missing or does not
	// match is an *[exchange.ParamError].
	Params(client exchange.Head) (refresher.Params, error)
	// AppendFields appends what goes into the request. tokens are parallel to
	// [Route].Slots; a field that needs a zero Token is left out.
	AppendFields(dst []exchange.Field, params refresher.Params, tokens []refresher.Token) ([]exchange.Field, error)
	// WantsBody says what of the answer's body a rule could still look at.
	WantsBody(req, ans exchange.Head) exchange.BodyWant
	// Judge says what the answer means for the tokens that the request
	// carried. body is the decoded part of the body that WantsBody asked for;
	// nil if there is none to look at. A gRPC answer is judged again, with its
	// trailer, once it has ended, if its head had no status of gRPC and refused
	// nothing.
	Judge(req, ans exchange.Head, body []byte) exchange.Verdict
}

// Slot is one token of a route, parallel to the tokens of its [Plan].
type Slot struct {
	// Credential and Token name it in answers, logs and metrics.
	Credential, Token string
	Pool              *refresher.Pool
	// Params says which of the values of [Plan].Params are the pool's, in the
	// pool's order. Empty for a pool that takes none.
	Params []int
}

// Route says where requests go and with which tokens.
type Route struct {
	// Name is unique: the metric label, and the name under which refusals are
	// counted.
	Name string
	// Host is matched without case; a port in it has to match as well. Empty:
	// any host that no other route names.
	Host string
	// Path is a prefix that ends at a segment; "/aicc" and "/aicc/" are the
	// same. Empty: every path.
	Path string
	// Methods that the route takes; empty: all.
	Methods []string
	// Upstream is scheme://host[:port][/path] with scheme http or https, or
	// unix:/socket[:/path].
	Upstream *url.URL
	// Resolve returns the upstream where outputs of tokens say it, with scheme http
	// or https; tokens are parallel to Slots. It is asked for every attempt, and an
	// error, whose text the client gets, ends the request with 502. Nil: it is
	// Upstream; else that is nil, and the Transport a [MovingTransport].
	Resolve func(tokens []refresher.Token) (*url.URL, error)
	// Plan may be nil: nothing is injected or judged.
	Plan  Plan
	Slots []Slot
	// Optional: without a token the request goes on without it.
	Optional bool
	// Wait bounds all waits for tokens of one request together; 0: requests do
	// not wait.
	Wait time.Duration
	// ReplayMaxBody is the size in bytes of the largest request body that is
	// sent again; 0: only requests without a body are.
	ReplayMaxBody int64
	// Transport sends the requests; see [NewTransport].
	Transport Sender
}

// Sender sends the requests of a route to its upstream. [Transport] is one.
type Sender interface {
	// Send sends a request and returns its final answer. The header of req
	// becomes the sender's. onInterim gets the interim answers but 100 and 101,
	// one after the other and none after Send has returned; nil: they are
	// dropped. It is safe for concurrent use.
	Send(req *http.Request, onInterim func(status int, header http.Header)) (*http.Response, error)
}

// RouteMetrics counts what happens on one route. Its methods are called
// concurrently and must not block.
type RouteMetrics interface {
	// Started is called once for each request, Done once at its end. code is
	// the status that the client got, [StatusClientGone] if it left before.
	// trace is the one that the request is part of.
	Started()
	Done(method string, code int, d time.Duration, trace exchange.Trace)
	// Upstream is the time from sending a request to the head of its answer,
	// for each attempt. Only the first one has the request's trace.
	Upstream(d time.Duration, trace exchange.Trace)
	// Replay counts what became of refused requests: one of the Replay
	// constants.
	Replay(outcome string)
	// Unavailable counts tokens that did not come in time. class is that of
	// the last error.
	Unavailable(credential, class string)
	// Limited counts tokens that were not there because their credential was at
	// a limit. limit is [refresher.LimitError].Reason.
	Limited(credential, limit string)
}

// What became of a request whose token was refused: the values of a metric
// label.
const (
	ReplayOK         = "ok"          // sent again and answered without a refusal
	ReplayRefused    = "refused"     // the same token was refused twice; passed on
	ReplayError      = "error"       // sent again, but there was no answer
	ReplayOverBudget = "over_budget" // refused too often of late; passed on
	ReplaySameToken  = "same_token"  // the login gave the refused token again; passed on
	ReplayNoToken    = "no_token"    // no new token came in time
	ReplayBody       = "body"        // its body is incomplete or too large; passed on
	ReplayLate       = "late"        // the refusal came when the answer had begun; passed on
)

// StatusClientGone is the status in logs and metrics of requests whose client
// left before there was an answer. It is never sent.
const StatusClientGone = 499

// RequestLog says which requests are logged.
type RequestLog uint8

// The levels of the request log.
const (
	LogNone   RequestLog = iota
	LogErrors            // answers made here and every 5xx
	LogAll
)

// Config configures a [Proxy].
type Config struct {
	Routes []Route
	// Logger gets the request log; nil: none.
	Logger   *slog.Logger
	Requests RequestLog
	// Metrics returns the counters of a route, and for "" those of requests
	// that no route takes. It is called once for each by [New]; nil: none are
	// kept.
	Metrics func(route string) RouteMetrics
	// Streams gets the exchanges that may never end by themselves; nil: the proxy
	// has one of its own, and nobody ends them. A proxy needs no other end: what
	// else goes on beyond a request belongs to its transports.
	Streams *Streams
}

// Proxy is an [http.Handler] that forwards requests along its routes. It is
// immutable and safe for concurrent use.
type Proxy struct {
	table    table
	log      *slog.Logger
	requests RequestLog
	unrouted RouteMetrics
	streams  *Streams

	calls    sync.Pool // *call
	buffers  BufferPool
	decoders gzipPool
}

// New returns a proxy for the routes. The error names every route that cannot
// work and why.
func New(cfg Config) (*Proxy, error) {
	p := &Proxy{log: cfg.Logger, requests: cfg.Requests, streams: cfg.Streams}
	if p.streams == nil {
		p.streams = new(Streams)
	}
	if p.log == nil {
		p.requests = LogNone
	}
	metrics := cfg.Metrics
	if metrics == nil {
		metrics = func(string) RouteMetrics { return noMetrics{} }
	}
	p.unrouted = metrics("")
	var problems []error
	names := map[string]bool{}
	for i := range cfg.Routes {
		r, err := newRoute(cfg.Routes[i])
		if err == nil && names[r.Name] {
			err = errors.New("the name is taken")
		}
		if err == nil {
			names[r.Name] = true
			r.metrics = metrics(r.Name)
			err = p.table.add(r)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("route %s: %w", cfg.Routes[i].Name, err))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	p.table.sort()
	return p, nil
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := p.calls.Get().(*call)
	if !ok {
		c = new(call)
	}
	c.begin(p, w, r)
	defer c.finish() // tokens are unpinned even if something panics
	c.serve()
}

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) Started()                                        {}
func (noMetrics) Done(string, int, time.Duration, exchange.Trace) {}
func (noMetrics) Upstream(time.Duration, exchange.Trace)          {}
func (noMetrics) Replay(string)                                   {}
func (noMetrics) Unavailable(string, string)                      {}
func (noMetrics) Limited(string, string)                          {}

// noPlan injects and judges nothing.
type noPlan struct{}

func (noPlan) Strip() []exchange.Name                                  { return nil }
func (noPlan) KeepOne() []exchange.Name                                { return nil }
func (noPlan) Hide() []exchange.Name                                   { return nil }
func (noPlan) InjectsQuery() bool                                      { return false }
func (noPlan) HasBodyRules() bool                                      { return false }
func (noPlan) HasTrailerRules() bool                                   { return false }
func (noPlan) Params(exchange.Head) (refresher.Params, error)          { return nil, nil }
func (noPlan) WantsBody(_, _ exchange.Head) exchange.BodyWant          { return exchange.NoBody }
func (noPlan) Judge(_, _ exchange.Head, _ []byte) (v exchange.Verdict) { return v }
func (noPlan) AppendFields(dst []exchange.Field, _ refresher.Params, _ []refresher.Token) ([]exchange.Field, error) {
	return dst, nil
}
