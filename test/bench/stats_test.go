package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestMedianIsTheMiddle(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := slices.Clone(test.values)
		if got := median(test.values); got != test.want {
			t.Errorf("median(%v) = %v, want %v", test.values, got, test.want)
		}
		if !slices.Equal(before, test.values) {
			t.Errorf("median reordered %v", before)
		}
	}
}

// The levels are those of tables of the sign test.
func TestIntervalsOfTheMedian(t *testing.T) {
	for n, want := range map[int]struct {
		rank  int
		level float64
	}{
		0: {0, 0}, 1: {1, 0}, 2: {1, 0.5}, 3: {1, 0.75}, 5: {1, 0.9375}, 6: {1, 0.96875}, 8: {1, 0.9921875},
		9: {2, 0.9609375}, 11: {2, 0.98828125}, 12: {3, 0.96142578125}, 20: {6, 0.958610534667}, 1000: {469, 0.9537},
	} {
		rank, level := confidence(n)
		if rank != want.rank || math.Abs(level-want.level) > 1e-4 {
			t.Errorf("%d values: rank %d, level %v; want %v", n, rank, level, want)
		}
	}
	values := []float64{9, 1, 8, 2, 7, 3, 6, 4, 5}
	if got, want := estimate(values), (interval{5, 2, 8, 0.9609375}); got != want {
		t.Errorf("of 9 values: %v, want %v", got, want)
	}
	if got := estimate([]float64{3}); got != (interval{3, 3, 3, 0}) {
		t.Errorf("of one value: %v", got)
	}
	if got := estimate(nil); got != (interval{}) {
		t.Errorf("of none: %v", got)
	}
}

// The interval keeps its promise: of 20,000 series of 9 values of a very skewed
// distribution the share whose interval has the true median is the level.
func TestIntervalsHaveTheTrueMedian(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const series = 20_000
	hits := 0
	for range series {
		values := make([]float64, 9)
		for i := range values {
			values[i] = random.ExpFloat64()
		}
		if estimate(values).includes(math.Ln2) {
			hits++
		}
	}
	_, level := confidence(9)
	if share := float64(hits) / series; math.Abs(share-level) > 0.005 {
		t.Errorf("%.4f of the intervals have the median, want %.4f", share, level)
	}
}

func TestSpreadIsRelativeToTheMedian(t *testing.T) {
	if got := spread([]float64{9, 10, 12}); got != 0.3 {
		t.Errorf("spread = %v, want 0.3", got)
	}
	if got := spread(nil); got != 0 {
		t.Errorf("spread of nothing = %v", got)
	}
}

func TestBucketsKeepOrderAndPrecision(t *testing.T) {
	last := -1
	for _, ns := range []uint64{0, 1, 63, 64, 65, 127, 128, 1000, 12_345, 999_999, 1e9, 60e9, 1 << 39, 1<<40 - 1} {
		bucket := bucketOf(ns)
		if bucket < last {
			t.Errorf("bucket of %d ns comes before that of less", ns)
		}
		last = bucket
		middle := float64(middleOf(bucket))
		if diff := middle - float64(ns); diff > float64(ns)/64+0.5 || -diff > float64(ns)/64+0.5 {
			t.Errorf("%d ns are shown as %v", ns, middle)
		}
	}
	if most := len(histogram{}.counts) - 1; bucketOf(1<<63) != most || last != most {
		t.Errorf("the longest time has bucket %d and %d, want the last, %d", bucketOf(1<<63), last, most)
	}
}

func TestQuantiles(t *testing.T) {
	h := new(histogram)
	if h.quantile(0.5) != 0 {
		t.Error("nothing has a quantile")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	h.add(-time.Second) // a clock that went back counts as 0
	for q, want := range map[float64]time.Duration{0: 0, 0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond, 1: time.Millisecond} {
		got := h.quantile(q)
		if diff := (got - want).Abs(); diff > want/50 {
			t.Errorf("quantile %v = %v, want about %v", q, got, want)
		}
	}
	rare := new(histogram)
	for range 99 {
		rare.add(time.Millisecond)
	}
	rare.add(time.Second)
	if got := rare.quantile(0.99); got > 2*time.Millisecond {
		t.Errorf("99 of 100 took 1 ms, and p99 is %v", got)
	}
	if got := rare.quantile(0.991); got < 900*time.Millisecond {
		t.Errorf("one of 100 took 1 s, and the quantile 0.991 is %v", got)
	}
}

// A proxy that stalls does not move the times at which requests are meant to
// be sent: that is what keeps its stalls in the latencies.
func TestScheduleDoesNotWaitForAnswers(t *testing.T) {
	s := &schedule{start: 10 * time.Millisecond, rate: 4000}
	if _, ok := s.due(9 * time.Millisecond); ok {
		t.Error("a request is due before the start")
	}
	if got := s.wait(9 * time.Millisecond); got != time.Millisecond {
		t.Errorf("the wait for the first is %v, want 1ms", got)
	}
	// 3 ms of silence: 13 requests came due meanwhile, each with its own time.
	var times []time.Duration
	for {
		at, ok := s.due(13 * time.Millisecond)
		if !ok {
			break
		}
		times = append(times, at)
	}
	if len(times) != 13 {
		t.Fatalf("%d requests are due, want 13", len(times))
	}
	for i, at := range times {
		if want := 10*time.Millisecond + time.Duration(i)*250*time.Microsecond; at != want {
			t.Errorf("request %d is meant for %v, want %v", i, at, want)
		}
	}
	if got := s.wait(time.Hour); got != 0 {
		t.Errorf("the wait for an overdue request is %v", got)
	}
}

func TestScheduleKeepsItsRateForHours(t *testing.T) {
	s := &schedule{rate: 3} // thirds of a second cannot be written in nanoseconds
	if got := s.intended(3 * 86400); got != 24*time.Hour {
		t.Errorf("after a day's requests it is %v", got)
	}
}

// round makes a sample that cost so many µs for each of 100 answers.
func round(cost float64) sample {
	return sample{Seconds: 1, Answers: 100, UserMicros: cost * 40, SystemMicros: cost * 60, P50: 100, P99: 900, ResidentBytes: 2e6, ProxyBusy: 1}
}

func TestRatioIsTakenWithinEachRound(t *testing.T) {
	// The machine was half as fast in the second round; the ratio is the same.
	c := caseResult{Name: "small", Proxies: []proxyResult{
		{Name: "nginx", Samples: []sample{round(10), round(20), round(10)}},
		{Name: "attache", Samples: []sample{round(20), round(40), round(22)}},
	}}
	got, ok := c.ratio("attache")
	if want := (interval{2, 2, 2.2, 0.75}); !ok || got != want {
		t.Errorf("ratio = %v %v, want %v", got, ok, want)
	}
	for _, name := range []string{baseline, partnerName} {
		c.Proxies[1].Name = name
		if got, ok := c.ratio(name); ok {
			t.Errorf("%s has a ratio to nginx: %v", name, got)
		}
	}
}

func TestNoRatioWithoutValidFigures(t *testing.T) {
	good := proxyResult{Name: "nginx", Samples: []sample{round(10)}}
	wrong := round(5)
	wrong.Errors, wrong.FirstError = 1, "a request was answered 502"
	for name, bad := range map[string]proxyResult{
		"an error":   {Name: "attache", Samples: []sample{wrong}},
		"no answers": {Name: "attache", Samples: []sample{{Seconds: 1}}},
		"failed":     {Name: "attache", Failure: "it ended", Samples: []sample{round(5)}},
		"no samples": {Name: "attache"},
	} {
		if _, ok := bad.valid(); ok {
			t.Errorf("%s: the figures count as valid", name)
		}
		c := caseResult{Proxies: []proxyResult{good, bad}}
		if ratio, ok := c.ratio("attache"); ok {
			t.Errorf("%s: there is a ratio: %v", name, ratio)
		}
		bad.Name, good.Name = "nginx", "attache"
		c = caseResult{Proxies: []proxyResult{bad, good}}
		if ratio, ok := c.ratio("attache"); ok {
			t.Errorf("%s at the baseline: there is a ratio: %v", name, ratio)
		}
		good.Name = "nginx"
	}
}

func TestLimitNamesTheFullCore(t *testing.T) {
	for _, test := range []struct {
		s    sample
		want string
	}{
		{sample{ProxyBusy: 0.99, LoadBusy: 0.97}, "proxy"},
		{sample{ProxyBusy: 0.6, LoadBusy: 0.98}, "load"},
		{sample{ProxyBusy: 0.6, Others: 0.38, LoadBusy: 0.5}, "proxy"},
		{sample{ProxyBusy: 0.6, LoadBusy: 0.5}, ""},
	} {
		if got := test.s.limit(); got != test.want {
			t.Errorf("%+v: limit %q, want %q", test.s, got, test.want)
		}
	}
}
