package top

import (
	"math"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// TestWindow: the difference spans the last ten answers, and never a restart.
func TestWindow(t *testing.T) {
	var w window
	at := func(n int) *status {
		return &status{Started: noon, Now: noon.Add(time.Duration(n) * time.Second), Tokens: []token{{}}, Routes: []route{{}}}
	}
	for n := 1; n <= 30; n++ {
		w.add(at(n))
		want := max(1, n-windowLength)
		switch first := w.first(); {
		case n == 1 && first != nil, n > 1 && (first == nil || !first.Now.Equal(at(want).Now)):
			t.Errorf("after %d answers the first is %v", n, first)
		case n > 1 && (first.Tokens != nil || first.Routes == nil):
			t.Errorf("after %d answers %v is kept of the first", n, first)
		}
	}
	w.add(at(30)) // the clock stands still
	if w.first() != nil {
		t.Error("two answers of one moment are compared")
	}
	w.add(at(31))
	restarted := at(40)
	restarted.Started = noon.Add(35 * time.Second)
	if w.add(restarted); w.first() != nil {
		t.Error("answers before a restart still count")
	}
}

func TestFlow(t *testing.T) {
	buckets := func(a, b, c uint64) histogram {
		return histogram{Count: c, Buckets: []bucket{{0.01, a}, {0.1, b}}}
	}
	old := &status{Started: noon, Now: noon.Add(100 * time.Second), Routes: []route{
		{Name: "a", Requests: 1000, Errors: 5, Replays: 7, Unavailable: 9, Duration: buckets(1000, 1000, 1000)},
		{Name: "again", Requests: 1000, Duration: buckets(1000, 1000, 1000)},
	}}
	now := &status{Started: noon, Now: noon.Add(110 * time.Second)}
	a := route{Name: "a", Requests: 1100, Errors: 6, Replays: 7, Unavailable: 12, Duration: buckets(1000, 1080, 1100)}
	f := flow(now, a, old)
	if f.rate != 10 || f.newErrors != 1 || f.newReplays != 0 || f.newUnavailable != 3 || f.trouble() != 2 {
		t.Errorf("got %+v", f)
	}
	// 80 of 100 lie evenly between 10 and 100 ms, and the rest above.
	if want := 10*time.Millisecond + 90*time.Millisecond*50/80; f.p50.d.Round(time.Microsecond) != want || f.p50.above {
		t.Errorf("p50 is %v, want %v", f.p50, want)
	}
	if f.p95.String() != ">100ms" {
		t.Errorf("p95 is %v", f.p95)
	}
	// Without an answer before it is since the start, and nothing is new.
	f = flow(now, a, nil)
	if f.rate != 10 || f.newErrors != 0 || f.newUnavailable != 0 || f.trouble() != 0 || f.p50.d > 10*time.Millisecond {
		t.Errorf("got %+v", f)
	}
	// A route that is new, and another one of the same name.
	for _, name := range []text{"new", "again"} {
		f = flow(now, route{Name: name, Requests: 20, Errors: 1, Duration: buckets(20, 20, 20)}, old)
		if f.rate != 2 || f.newErrors != 1 || f.trouble() != 1 {
			t.Errorf("%s: got %+v", name, f)
		}
	}
	// Other buckets than before cannot be compared.
	old.Routes[0].Duration.Buckets = nil
	if f = flow(now, a, old); f.p50.d > 10*time.Millisecond {
		t.Errorf("p50 is %v", f.p50)
	}
}

// TestQuantilesOfNonsense: no answer makes a duration that is none.
func TestQuantilesOfNonsense(t *testing.T) {
	for _, h := range []histogram{
		{},
		{Count: 5},
		{Count: math.MaxUint64, Buckets: []bucket{{math.MaxFloat64, 1}, {-1, math.MaxUint64}}},
		{Count: 1, Buckets: []bucket{{-5, 0}, {-1, 9}}},
		{Count: 1, Buckets: []bucket{{1, 9}, {0.5, 3}}},
	} {
		for _, q := range []float64{0.5, 0.95} {
			if got := h.quantile(q); got.d < 0 || len(got.String()) > 8 {
				t.Errorf("%+v: %v", h, got)
			}
		}
	}
}

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0.0s", 3400 * time.Millisecond: "3.4s", 10 * time.Second: "10s", 59900 * time.Millisecond: "59s",
		time.Minute: "1m", 61 * time.Second: "1m1s", 59*time.Minute + 59*time.Second: "59m59s", time.Hour: "1h",
		25 * time.Hour: "1d1h", 99*24*time.Hour + 23*time.Hour: "99d23h", 100 * 24 * time.Hour: "100d", math.MaxInt64: "106751d",
	} {
		if got := span(d); got != want || len(got) > wideColumns {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 99999: "99999", 100000: "100k", 999999: "1000k", 1234567: "1.2M", 12345678: "12M", math.MaxUint64: "18E"} {
		if got := number(n); got != want || len(got) > fewColumns {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for f, want := range map[float64]string{0: "0/s", 0.01: "<0.1/s", 0.1: "0.1/s", 99.9: "99.9/s", 100.4: "100/s", 123456: "123k/s"} {
		if got := perSecond(f); got != want || len(got) > wideColumns {
			t.Errorf("%v is %q, want %q", f, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.0ms", 1500 * time.Microsecond: "1.5ms", 10 * time.Millisecond: "10ms", 999 * time.Millisecond: "999ms", 2500 * time.Millisecond: "2.5s",
	} {
		if got := (quantile{d: d, known: true}).String(); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestLife(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	var none time.Time
	for _, c := range []struct {
		now, issued, due, expires time.Time
		want                      string
	}{
		{at(0), at(0), at(48), at(60), ">-------|--"},
		{at(30), at(0), at(48), at(60), "=====>--|--"},
		{at(54), at(0), at(48), at(60), "========|>-"},
		{at(60), at(0), at(48), at(60), "========|=="},
		{at(99), at(0), at(48), at(60), "========|=="},
		{at(-5), at(0), at(48), at(60), ">-------|--"}, // issued by a clock that is ahead
		{at(30), at(0), none, at(60), "=====>-----"},
		{at(30), at(0), at(-9), at(60), "|====>-----"},
		{at(30), at(0), at(99), at(60), "=====>----|"},
		{at(30), none, at(48), at(60), ""},
		{at(30), at(0), at(48), none, ""},
		{at(30), at(60), at(48), at(60), ""},
		{at(30), at(0), at(30), at(60), "=====>-----"},
	} {
		if got := life(11, c.now, c.issued, c.due, c.expires); got != c.want {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}
	if got := life(1, at(0), at(0), at(1), at(2)); got != "" {
		t.Errorf("in one column: %q", got)
	}
}
