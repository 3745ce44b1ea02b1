package top

import (
	"slices"
	"time"
)

// windowLength is how many answers lie between the two whose difference is shown:
// of a single interval a quiet route would show nothing.
const windowLength = 10

// window keeps the last answers, oldest first.
type window struct{ answers []*status }

// add takes the next answer, and of the one before, which must not be shown any
// more, all but its tokens. After a restart of attache what came before counts
// no longer.
func (w *window) add(s *status) {
	if n := len(w.answers); n > 0 && (!w.answers[n-1].Started.Equal(s.Started) || !s.Now.After(w.answers[n-1].Now)) {
		w.answers = nil
	}
	if n := len(w.answers); n > 0 {
		w.answers[n-1].Tokens = nil // only routes are compared with what they were
	}
	w.answers = append(w.answers, s)
	if len(w.answers) > windowLength+1 {
		w.answers = slices.Delete(w.answers, 0, 1)
	}
}

// first returns the oldest answer; nil if there is but one.
func (w *window) first() *status {
	if len(w.answers) < 2 {
		return nil
	}
	return w.answers[0]
}

// traffic is what happened on a route between two answers.
type traffic struct {
	route
	// Errors, replays and so on that came between the two; 0 without a first.
	newErrors, newReplays, newUnavailable uint64
	rate                                  float64 // requests a second
	p50, p95                              quantile
}

// flow compares a route with what it was in an answer before; nil: with its start.
func flow(now *status, r route, before *status) traffic {
	since := now.Started
	var old route
	if before != nil {
		since = before.Now
		if i := slices.IndexFunc(before.Routes, func(o route) bool { return o.Name == r.Name }); i >= 0 {
			old = before.Routes[i]
		}
	}
	if old.Requests > r.Requests { // the route is another one of that name
		old = route{}
	}
	t := traffic{route: r}
	if before != nil {
		t.newErrors, t.newReplays, t.newUnavailable = less(r.Errors, old.Errors), less(r.Replays, old.Replays), less(r.Unavailable, old.Unavailable)
	}
	if seconds := now.Now.Sub(since).Seconds(); seconds > 0 {
		t.rate = float64(r.Requests-old.Requests) / seconds
	}
	between := r.Duration.since(old.Duration)
	t.p50, t.p95 = between.quantile(0.5), between.quantile(0.95)
	return t
}

// trouble is as that of a token.
func (t *traffic) trouble() int {
	switch {
	case t.newUnavailable > 0:
		return 2
	case t.newErrors > 0:
		return 1
	}
	return 0
}

// less is a - b, and 0 where that would be less.
func less(a, b uint64) uint64 { return a - min(a, b) }

// since returns what was counted between old and h.
func (h histogram) since(old histogram) histogram {
	d := histogram{Count: less(h.Count, old.Count), Buckets: slices.Clone(h.Buckets)}
	if len(old.Buckets) != len(h.Buckets) {
		return d
	}
	for i := range d.Buckets {
		d.Buckets[i].Count = less(h.Buckets[i].Count, old.Buckets[i].Count)
	}
	return d
}

// quantile is a duration below which a part of the requests stayed.
type quantile struct {
	d     time.Duration
	known bool // there were requests
	above bool // it is more than d, which no bucket tells more exactly
}

// quantile estimates one as Prometheus does: requests lie evenly in their bucket.
func (h histogram) quantile(q float64) quantile {
	if h.Count == 0 {
		return quantile{}
	}
	rank := q * float64(h.Count)
	low, below := 0.0, 0.0
	for _, b := range h.Buckets {
		if n := float64(b.Count); n >= rank && n > below {
			return quantile{d: seconds(low + (b.LE-low)*(rank-below)/(n-below)), known: true}
		}
		low, below = b.LE, float64(b.Count)
	}
	return quantile{d: seconds(low), known: true, above: true}
}

// seconds is a duration that does not overflow.
func seconds(s float64) time.Duration {
	return time.Duration(min(max(s, 0), 1e9) * float64(time.Second))
}
