package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Totals are what a route has counted since it came into service. Numbers that
// are less than they were say that it was taken out and came back.
type Totals struct {
	// Requests were answered, Errors of them with 500 or above.
	Requests, Errors uint64
	// Replays were sent again with a new token, whatever came of it.
	Replays uint64
	// Unavailable counts tokens that did not come in time for a request.
	Unavailable uint64
	// Seconds is how long all requests took together.
	Seconds float64
	// Bounds are those of the buckets of their durations, in seconds and without
	// the infinite one; Within says how many took no longer than each.
	Bounds []float64
	Within []uint64
}

// Totals returns what the route has counted. It reads the histogram of this
// route alone, and may be called at any time.
func (r *Route) Totals() Totals {
	t := Totals{Errors: r.errors.Load(), Replays: r.sentAgain.Load(), Unavailable: r.without.Load()}
	var out dto.Metric
	metric, ok := r.total.(prometheus.Metric)
	if !ok || metric.Write(&out) != nil {
		return t // it cannot be scraped either
	}
	h := out.GetHistogram()
	t.Requests, t.Seconds = h.GetSampleCount(), h.GetSampleSum()
	for _, b := range h.GetBucket() {
		t.Bounds = append(t.Bounds, b.GetUpperBound())
		t.Within = append(t.Within, b.GetCumulativeCount())
	}
	return t
}
