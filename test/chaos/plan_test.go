package main

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
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
	drawn := drawPicture(r)
	if got := strings.Count(drawn, `class="fill-plain" x`); got != len(r.Plan) {
		t.Errorf("%d faults are drawn, and there were %d", got, len(r.Plan))
	}
	if drawn != drawPicture(r) {
		t.Error("the same result gives two pictures")
	}
}

// Page and picture are made of the file with the results alone.
func TestResultsComeBackFromTheFile(t *testing.T) {
	dir := t.TempDir()
	rep := &report{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seed: 7, Results: []*result{{
		Key: "soak", Title: "Soak", Requests: 100, Good: 60, Seconds: 2, Shared: 3, GapMS: 1.5,
		Causes: map[cause]int64{cause502: 40}, Reasons: map[string]int64{firstLogin: 3}, Faults: map[kind]int{redisKilled: 1, killed: 2},
		Timeline: []second{{Good: 60, Failed: 30}, {Failed: 10}}, Plan: []fault{{ID: 1, Kind: killed, At: time.Second, For: time.Second, Whom: []int{1}}},
	}}}
	page, drawn, figures := filepath.Join(dir, "page.md"), filepath.Join(dir, "picture.svg"), filepath.Join(dir, "soak.json")
	if err := os.WriteFile(page, []byte(resultsBegin+resultsEnd), 0o600); err != nil {
		t.Fatal(err)
	}
	docs := []string{"--page", page, "--picture", drawn, "--figures", figures}
	if err := rep.write(options{dir: dir}); err != nil {
		t.Fatal(err)
	}
	if err := run(append(docs, "--render", filepath.Join(dir, "results.json")), io.Discard); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{page: resultsBegin + "\n" + rep.markdown() + resultsEnd, drawn: drawPicture(rep.Results[0])} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v, and not %q", filepath.Base(path), got, err, want)
		}
	}
	if _, err := os.Stat(figures); err != nil {
		t.Error(err)
	}
}

func TestWhatMustNotBeStandsOut(t *testing.T) {
	r := &result{Requests: 100, Good: 60, Causes: map[cause]int64{cause502: 30, causeWrong: 10}}
	drawn := drawPicture(r)
	for _, want := range []string{"explained by the faults above: 30 of 40", "wrong answer, which must not be"} {
		if !strings.Contains(drawn, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
}

var update = flag.Bool("update", false, "draw docs/pictures/reliability.svg anew")

// The picture shows the soak that is kept in testdata, and the page has the same
// figures. With -update it is drawn anew.
func TestDocumentationShowsThePicture(t *testing.T) {
	const path = "../../docs/pictures/reliability.svg"
	text, err := os.ReadFile("testdata/soak.json")
	if err != nil {
		t.Fatal(err)
	}
	r := &result{}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	want := drawPicture(r)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale; run this test with -update", path)
	}
	page, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), r.table()) {
		t.Errorf("docs/reliability.md does not have this table:\n%s", r.table())
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
