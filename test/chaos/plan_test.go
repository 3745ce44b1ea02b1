package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPlansAreKeptTo(t *testing.T) {
	c := crew{shared: 20, filed: 2, clocks: 4, settled: 10 * time.Second}
	const length, times = 330 * time.Second, 11
	for seed := range uint64(50) {
		plan := makePlan(seed, families(), c, length, times)
		if !reflect.DeepEqual(plan, makePlan(seed, families(), c, length, times)) {
			t.Fatal("the same seed gives two plans")
		}
		counts := countKinds(plan)
		for _, f := range families() {
			last := time.Duration(0)
			for _, p := range plan {
				if !slices.Contains(f.kinds, p.Kind) {
					continue
				}
				if p.At < last {
					t.Fatalf("seed %d: %s begins before another of its family ends", seed, p)
				}
				if last = p.At + p.For; last > length-c.settled {
					t.Fatalf("seed %d: %s is too late", seed, p)
				}
			}
			for _, k := range f.kinds {
				if counts[k] != times {
					t.Errorf("seed %d: %s happens %d times", seed, k, counts[k])
				}
				if k.tail() == 0 {
					t.Errorf("%s explains nothing after its end", k)
				}
			}
		}
	}
}

func TestWhoIsKilledIsNotPaused(t *testing.T) {
	for _, shared := range []int{2, 3, 8, 20} {
		c := crew{shared: shared}
		met := map[int]kind{}
		for _, f := range makePlan(1, []family{{kinds: []kind{killed, paused}}}, c, time.Hour, 200) {
			p := f.Whom[0]
			if p < 0 || p >= shared || met[p] != "" && met[p] != f.Kind {
				t.Fatalf("of %d processes %d is met by %s", shared, p, f.Kind)
			}
			met[p] = f.Kind
		}
	}
}

func TestEveryKindIsInThePicture(t *testing.T) {
	r := &result{Title: "x", Requests: 12345, Timeline: make([]second, 330), Plan: makePlan(1, families(), crew{shared: 20, filed: 2, clocks: 4}, 330*time.Second, 1)}
	drawn := picture(r)
	if got := strings.Count(drawn, `class="fault"`); got != len(r.Plan) {
		t.Errorf("%d faults are drawn, and there were %d", got, len(r.Plan))
	}
	if drawn != picture(r) {
		t.Error("the same result gives two pictures")
	}
}

func TestPage(t *testing.T) {
	const page = "above\n" + resultsBegin + "\nold\n" + resultsEnd + "\nbelow\n"
	got, err := replaceResults(page, "new\n")
	if want := "above\n" + resultsBegin + "\nnew\n" + resultsEnd + "\nbelow\n"; got != want || err != nil {
		t.Errorf("the page is %q, %v", got, err)
	}
	if _, err := replaceResults("nothing", "new"); err == nil {
		t.Error("a page without a place for results is taken")
	}
}

func TestTheTerminalIs80Wide(t *testing.T) {
	r := &result{Title: "x", Requests: 1_000_000, Causes: map[cause]int64{}, Reasons: map[string]int64{}, Faults: map[kind]int{redisKilled: 3}}
	for _, k := range reasonsForNoToken() {
		r.Causes[without(k)] = 1
		r.Reasons[string(k)] = 1
	}
	for _, c := range []cause{causeLost, cause502, cause504, causeCut, causeCould, causeUnexplained, causeWrong} {
		r.Causes[c] = 123456
	}
	for line := range strings.Lines(r.text()) {
		if len([]rune(line)) > 81 {
			t.Errorf("too wide: %q", line)
		}
	}
}

func TestChecksFindWhatIsMissing(t *testing.T) {
	p := &part{noFailure: true, ideal: true, requests: 100, families: []family{{kinds: []kind{redisKilled}}}, times: 10}
	good := func() *result {
		return &result{Requests: 100, Good: 100, Logins: 3, Causes: map[cause]int64{}, Reasons: map[string]int64{firstLogin: 1, lifetimeOver: 1, wasRevoked: 1},
			Faults: map[kind]int{redisKilled: 10}}
	}
	r := good()
	if r.check(p); len(r.Wrong) > 0 {
		t.Errorf("all is well, and is said to be wrong: %q", r.Wrong)
	}
	for name, spoil := range map[string]func(*result){
		"a failure":       func(r *result) { r.Good-- },
		"a login":         func(r *result) { r.Logins++ },
		"too few":         func(r *result) { r.Requests, r.Good = 99, 99 },
		"a missing fault": func(r *result) { r.Faults[redisKilled]-- },
		"could have been": func(r *result) { r.Causes[causeCould]++ },
		"unexplained":     func(r *result) { r.Causes[causeUnexplained]++ },
		"wrong":           func(r *result) { r.Causes[causeWrong]++ },
		"a reuse":         func(r *result) { r.Reused++ },
		"a strange login": func(r *result) { r.Reasons[unexplained+"why"]++ },
	} {
		r := good()
		if spoil(r); true {
			r.check(p)
		}
		if len(r.Wrong) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
