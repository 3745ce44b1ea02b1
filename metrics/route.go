package metrics

import (
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Route counts the requests of one route. Make it once with [Metrics.Route]
// and keep it: its methods look nothing up by the route's name and allocate
// nothing once a method and status were seen. They may be called concurrently.
type Route struct {
	inFlight          prometheus.Gauge
	total, upstream   prometheus.Observer
	requests          requestCounters
	replays, noTokens *prometheus.CounterVec
}

// Route returns the handles of a route, and for "" those of the requests that
// no route takes. Equal names share their series.
func (m *Metrics) Route(name string) *Route {
	route := prometheus.Labels{"route": name}
	r := &Route{
		inFlight: m.inFlight,
		total:    m.requestDuration.WithLabelValues(name),
		upstream: m.upstreamDuration.WithLabelValues(name),
		requests: requestCounters{vec: m.requests.MustCurryWith(route)},
		replays:  m.replays.MustCurryWith(route),
		noTokens: m.unavailable.MustCurryWith(route),
	}
	r.requests.known.Store(&map[methodCode]prometheus.Counter{})
	for _, o := range replayOutcomes() {
		r.replays.WithLabelValues(o) // shown from the start, at 0; see prepare
	}
	return r
}

// Started says that a request arrived. Each call is followed by exactly one of
// [Route.Done].
func (r *Route) Started() { r.inFlight.Inc() }

// Done says that a request was answered with code, d after its arrival. What is
// no status of three digits counts as other.
func (r *Route) Done(method string, code int, d time.Duration) {
	r.inFlight.Dec()
	r.requests.counter(methodLabel(method), code).Inc()
	r.total.Observe(d.Seconds())
}

// Upstream says that the head of an upstream's answer came d after the request
// was sent.
func (r *Route) Upstream(d time.Duration) { r.upstream.Observe(d.Seconds()) }

// Replay says what became of a request whose token was refused, in a word of
// the list in the reference.
func (r *Route) Replay(outcome string) { r.replays.WithLabelValues(outcome).Inc() }

// Unavailable says that a token of credential did not come in time; class is
// that of its last failed login.
func (r *Route) Unavailable(credential, class string) {
	r.noTokens.WithLabelValues(credential, class).Inc()
}

// requestCounters finds counters by method and status without formatting or
// hashing label values for each request: readers look into an immutable map,
// and a pair that is new makes a larger copy of it. Of two pairs that are new
// at the same moment the map may keep one; the other is added at its next
// request, and its counter is the same.
type requestCounters struct {
	vec   *prometheus.CounterVec
	known atomic.Pointer[map[methodCode]prometheus.Counter]
}

type methodCode struct {
	method string
	code   int
}

// counter bounds the code: what is no status of three digits counts as 0.
func (c *requestCounters) counter(method string, code int) prometheus.Counter {
	if code < 100 || code > 999 {
		code = 0
	}
	key := methodCode{method, code}
	known := c.known.Load()
	if counter, ok := (*known)[key]; ok {
		return counter
	}
	larger := maps.Clone(*known)
	larger[key] = c.vec.WithLabelValues(method, codeLabel(code))
	c.known.Store(&larger)
	return larger[key]
}

const other = "other"

// methodLabel bounds the label: a client may send any token as its method.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, http.MethodPatch:
		return method
	}
	return other
}

func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, http.MethodPatch, other,
	}
}

func codeLabel(code int) string {
	if code == 0 {
		return other
	}
	return strconv.Itoa(code)
}
