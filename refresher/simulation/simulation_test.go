package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"attache/refresher/simulation"
)

var (
	seedFlag = flag.Uint64("sim.seed", 0, "simulate this seed alone")
	runsFlag = flag.Int("sim.runs", 6, "how many seeds to simulate")
	daysFlag = flag.Float64("sim.days", 1.5, "virtual days of each run")
)

func run(t *testing.T, cfg simulation.Config) (r *simulation.Result) {
	synctest.Test(t, func(t *testing.T) { r = simulation.Run(cfg) })
	return r
}

// A seed passes, or its violations are printed with what led to them.
func TestSimulation(t *testing.T) {
	first, runs := uint64(1), *runsFlag
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	var total simulation.Report
	for seed := first; seed < first+uint64(runs); seed++ {
		total.Add(sound(t, simulation.Config{Seed: seed, Length: days(*daysFlag)}).Report)
	}
	t.Logf("%d seeds from %d on, and in all:\n\n%s", runs, first, total.Table())
}

// sound runs and fails the test if an invariant is broken.
func sound(t *testing.T, cfg simulation.Config) *simulation.Result {
	t.Helper()
	r := run(t, cfg)
	if len(r.Violations) > 0 {
		t.Errorf("%vto see it again: go test ./refresher/simulation -run 'TestSimulation$' -sim.seed %d -sim.days %v; to keep it, add the seed to testdata/seeds",
			r, cfg.Seed, cfg.Length.Hours()/24)
	}
	return r
}

func days(n float64) time.Duration { return time.Duration(n * float64(24*time.Hour)) }

// Seeds that have found something once are run for ever.
func TestSeeds(t *testing.T) {
	data, err := os.ReadFile("testdata/seeds")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		line, why, _ := strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		var seed uint64
		var long float64
		if _, err := fmt.Sscan(line, &seed, &long); err != nil {
			t.Fatalf("testdata/seeds: %q: %v", line, err)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("found:%s", strings.TrimRight(why, "\n"))
			sound(t, simulation.Config{Seed: seed, Length: days(long)})
		})
	}
}

// Two runs of a seed are one and the same, to the last line of their timelines.
func TestSeedDecides(t *testing.T) {
	for seed := range uint64(2) {
		cfg := simulation.Config{Seed: seed + 1, Length: days(1)}
		a, b := run(t, cfg), run(t, cfg)
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("seed %d: %s", seed+1, diff)
		}
	}
}
