package metrics

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"attache/internal/exchange"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Route counts the requests of one route. Make it once with [Metrics.Route]
// and keep it: its methods look nothing up by the route's name and allocate
// nothing once a method and status were seen, unless there is a trace. They may
// be called concurrently, also once the route is out of service.
type Route struct {
	inFlight                   prometheus.Gauge
	totals, upstreams          *prometheus.HistogramVec // of one series each
	total, upstream            prometheus.Observer
	requests                   requestCounters
	replays, noTokens, limited *prometheus.CounterVec

	// Of [Route.Totals]: several series count them, some of which go with their
	// credential.
	errors, sentAgain, without atomic.Uint64
}

// Route returns the handles of a route, and for "" those of the requests that
// no route takes. Equal names share their series as long as the route is in
// service; see [Metrics.Keep].
func (m *Metrics) Route(name string) *Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.routes[name]
	if !ok {
		r = m.newRoute(name)
		m.routes[name] = r
	}
	return r
}

func (m *Metrics) newRoute(name string) *Route {
	r := &Route{
		inFlight:  m.inFlight,
		totals:    m.requestDuration.vec(name),
		upstreams: m.upstreamDuration.vec(name),
		requests:  requestCounters{vec: m.requests.vec(name)},
		replays:   m.replays.vec(name),
		noTokens:  m.unavailable.vec(name),
		limited:   m.limited.vec(name),
	}
	r.total, r.upstream = r.totals.WithLabelValues(), r.upstreams.WithLabelValues()
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
// no status of three digits counts as other. If there is a trace it becomes an
// exemplar.
func (r *Route) Done(method string, code int, d time.Duration, trace exchange.Trace) {
	r.inFlight.Dec()
	if code >= http.StatusInternalServerError {
		r.errors.Add(1)
	}
	r.requests.counter(method, code).Inc()
	observe(r.total, d, trace)
}

// Upstream says that the head of an upstream's answer came d after the request
// was sent. If there is a trace it becomes an exemplar.
func (r *Route) Upstream(d time.Duration, trace exchange.Trace) { observe(r.upstream, d, trace) }

// observe counts d, with the trace that an example of it is part of, if any.
func observe(o prometheus.Observer, d time.Duration, trace exchange.Trace) {
	if id := trace.String(); id != "" {
		if with, ok := o.(prometheus.ExemplarObserver); ok {
			// An exemplar may stay for days; it must not keep the head of its request.
			with.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": strings.Clone(id)})
			return
		}
	}
	o.Observe(d.Seconds())
}

// Replay says what became of a request whose token was refused, in a word of
// the list in the reference.
func (r *Route) Replay(outcome string) {
	switch outcome {
	case "ok", "error", "refused": // of the others nothing was sent
		r.sentAgain.Add(1)
	}
	r.replays.WithLabelValues(outcome).Inc()
}

// Unavailable says that a token of credential did not come in time; class is
// that of its last failed login.
func (r *Route) Unavailable(credential, class string) {
	r.without.Add(1)
	r.noTokens.WithLabelValues(credential, class).Inc()
}

// Limited says that credential had no token for a request because it is at a
// limit, in a word of the list in the reference.
func (r *Route) Limited(credential, limit string) {
	r.limited.WithLabelValues(credential, limit).Inc()
}

func (r *Route) collectors() []prometheus.Collector {
	return []prometheus.Collector{r.totals, r.upstreams, r.requests.vec, r.replays, r.noTokens, r.limited}
}

// keep lets go of the series of all other credentials.
func (r *Route) keep(credentials []string) {
	for _, vec := range []*prometheus.CounterVec{r.noTokens, r.limited} {
		for _, name := range labelValues(vec, "credential") {
			if !slices.Contains(credentials, name) {
				vec.DeletePartialMatch(prometheus.Labels{"credential": name})
			}
		}
	}
}

// labelValues returns the values that a label of c's series has, some of them
// repeatedly.
func labelValues(c prometheus.Collector, name string) []string {
	ch := make(chan prometheus.Metric)
	go func() {
		defer close(ch)
		c.Collect(ch)
	}()
	var values []string
	for metric := range ch {
		var out dto.Metric
		if metric.Write(&out) != nil {
			continue // it cannot be shown either
		}
		for _, l := range out.GetLabel() {
			if l.GetName() == name {
				values = append(values, l.GetValue())
			}
		}
	}
	return values
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

// methodCode is the number of a method, times 1000, and a status: a number is
// cheaper to find than a text.
type methodCode uint32

// counter bounds the code: what is no status of three digits counts as 0.
func (c *requestCounters) counter(method string, code int) prometheus.Counter {
	if code < 100 || code > 999 {
		code = 0
	}
	number := methodNumber(method)
	key := methodCode(number*1000 + code)
	known := c.known.Load()
	if counter, ok := (*known)[key]; ok {
		return counter
	}
	larger := maps.Clone(*known)
	larger[key] = c.vec.WithLabelValues(methods()[number], codeLabel(code))
	c.known.Store(&larger)
	return larger[key]
}

const other = "other"

// methods lists the values of the label, the one for all others last.
func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, http.MethodPatch, other,
	}
}

// methodNumber bounds the label, as an index into methods: a client may send any
// token as its method.
func methodNumber(method string) int {
	switch method {
	case http.MethodGet:
		return 0
	case http.MethodHead:
		return 1
	case http.MethodPost:
		return 2
	case http.MethodPut:
		return 3
	case http.MethodDelete:
		return 4
	case http.MethodConnect:
		return 5
	case http.MethodOptions:
		return 6
	case http.MethodTrace:
		return 7
	case http.MethodPatch:
		return 8
	}
	return 9
}

func codeLabel(code int) string {
	if code == 0 {
		return other
	}
	return strconv.Itoa(code)
}
