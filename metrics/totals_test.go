package metrics

import (
	"testing"
	"time"

	"attache/internal/exchange"

	"github.com/google/go-cmp/cmp"
)

func TestTotals(t *testing.T) {
	m, _ := newMetrics(t)
	r := m.Route("r")
	none := r.Totals()
	if none.Requests != 0 || len(none.Bounds) != 16 || len(none.Within) != 16 {
		t.Errorf("at the start: %+v", none)
	}
	for code, d := range map[int]time.Duration{
		200: 2 * time.Millisecond, 404: 30 * time.Millisecond, 499: time.Second, 500: 2 * time.Minute, 503: 60 * time.Second, 599: 400 * time.Microsecond,
	} {
		r.Started()
		r.Done("GET", code, d, exchange.Trace{})
	}
	for _, o := range replayOutcomes() {
		r.Replay(o)
	}
	r.Unavailable("a", "transient")
	r.Unavailable("b", "permanent")
	m.Route("other").Done("GET", 500, time.Second, exchange.Trace{})

	// The series of credentials that are gone go, and totals never shrink.
	m.Keep([]string{"r", "other"}, []string{"a"})
	want := Totals{
		Requests: 6, Errors: 3, Replays: 3, Unavailable: 2, Seconds: 181.0324,
		Bounds: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		Within: []uint64{1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5},
	}
	got := m.Route("r").Totals()
	if d := got.Seconds - want.Seconds; d > 1e-9 || d < -1e-9 {
		t.Errorf("%v seconds, want %v", got.Seconds, want.Seconds)
	}
	got.Seconds = want.Seconds
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(- want, + got)\n%s", diff)
	}
	// A route that goes and comes back counts anew.
	m.Keep([]string{"other"}, nil)
	if again := m.Route("r").Totals(); again.Requests != 0 || again.Errors != 0 {
		t.Errorf("after it was gone: %+v", again)
	}
}

// What a request counts is seen at once, also while a trace makes exemplars.
func TestTotalsWithTraces(t *testing.T) {
	m, _ := newMetrics(t)
	r := m.Route("r")
	trace := exchange.SampledTrace([]string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	r.Done("GET", 200, time.Second, trace)
	if got := r.Totals(); got.Requests != 1 || len(got.Within) != 16 || got.Within[15] != 1 {
		t.Errorf("%+v", got)
	}
}
