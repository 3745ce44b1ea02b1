package simulation_test

import (
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher/simulation"
)

var (
	seedFlag = flag.Uint64("sim.seed", 0, "simulate this seed alone")
	runsFlag = flag.Int("sim.runs", 8, "how many seeds to simulate")
	daysFlag = flag.Float64("sim.days", 2, "virtual days of each run")
)

func run(t *testing.T, cfg simulation.Config) (r *simulation.Result) {
	synctest.Test(t, func(t *testing.T) { r = simulation.Run(cfg) })
	return r
}

func TestSimulation(t *testing.T) {
	length := time.Duration(*daysFlag * float64(24*time.Hour))
	var total simulation.Report
	for seed := range uint64(*runsFlag) {
		seed++
		if *seedFlag != 0 {
			seed = *seedFlag
		}
		r := run(t, simulation.Config{Seed: seed, Length: length})
		if len(r.Violations) > 0 {
			t.Errorf("%v", r)
		}
		total.Add(r.Report)
		if *seedFlag != 0 {
			break
		}
	}
	t.Logf("\n%s", total.Table())
}
