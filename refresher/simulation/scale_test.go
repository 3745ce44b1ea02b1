package simulation_test

import (
	"flag"
	"math"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"attache/refresher"
	"attache/refresher/simulation"
)

var update = flag.Bool("update", false, "write docs/scaling.md's tables and its pictures")

// undisturbed is a fleet as the engine runs it, without faults.
func undisturbed(t *testing.T, f simulation.Fleet, alone bool, length time.Duration, plan ...simulation.Window) simulation.Report {
	t.Helper()
	p := simulation.Profile{
		Replicas: f.Replicas, Lifetime: f.Lifetime, News: true, Alone: alone, Every: 1000 * time.Hour,
		Policy: refresher.Policy{Jitter: f.Jitter, MinInterval: time.Second, Timeout: 10 * time.Second},
	}
	if plan == nil {
		plan = []simulation.Window{}
	}
	return sound(t, simulation.Config{Seed: 1, Length: length, Profile: &p, Plan: plan}).Report
}

// The model of large fleets counts what the engine does in small ones.
func TestModelAgrees(t *testing.T) {
	const length = 12 * time.Hour
	for _, n := range []int{1, 3, 10, 30} {
		for _, jitter := range []float64{0.05, 0.2} {
			f := simulation.Fleet{Replicas: n, Lifetime: time.Hour, Jitter: jitter}
			logins := 0
			for _, each := range f.Alone(1, length) {
				logins += each
			}
			near(t, f, "logins alone", float64(logins), float64(undisturbed(t, f, true, length).Logins), 0.05)
			// The start, when all come at once, is none of the model's: count from a
			// later hour.
			late, early := undisturbed(t, f, false, length), undisturbed(t, f, false, 2*time.Hour)
			hours := (length - 2*time.Hour).Hours()
			shared := f.Shared(1, 1000*time.Hour)
			near(t, f, "logins with a store", shared.Logins*hours, float64(late.Logins-early.Logins), 0.1)
			near(t, f, "operations", shared.Operations*hours, float64(operations(late)-operations(early)), 0.15)
			near(t, f, "announcements", shared.Announcements*hours, float64(late.Operations["announcement"]-early.Operations["announcement"]), 0.1)
		}
	}
}

func near(t *testing.T, f simulation.Fleet, what string, model, engine, within float64) {
	t.Helper()
	if off := math.Abs(model-engine) - 1.5; off > within*engine {
		t.Errorf("%d replicas, jitter %v: %s: the model says %.1f, the engine %.1f", f.Replicas, f.Jitter, what, model, engine)
	}
}

// operations counts requests to the store.
func operations(r simulation.Report) int {
	n := 0
	for op, count := range r.Operations {
		if op != "announcement" {
			n += count
		}
	}
	return n
}

// outage runs a fleet over an hour in which the vendor is away.
func outage(t *testing.T, replicas int, fault simulation.Fault) simulation.Outage {
	f := simulation.Fleet{Replicas: replicas, Lifetime: time.Hour, Jitter: 0.05}
	const from, to = 30 * time.Minute, 90 * time.Minute
	until := func(length time.Duration) simulation.Report {
		return undisturbed(t, f, false, length, simulation.Window{Fault: fault, Replica: -1, From: from, To: to})
	}
	// All tokens are due by now, and none was got since.
	const due = 50 * time.Minute
	before, after, busy := until(due), until(to), to-due
	return simulation.Outage{
		Replicas: replicas, Attempts: float64(after.Attempts-before.Attempts) / busy.Minutes(),
		Operations: float64(operations(after)-operations(before)) / busy.Seconds(),
	}
}

// The tables of docs/scaling.md and its pictures are what the model computes.
// Write them with: go test ./refresher/simulation -run TestScaling -update
func TestScaling(t *testing.T) {
	const page, pictures = "../../docs/scaling.md", "../../docs/pictures/"
	var outages []simulation.Outage
	for _, n := range []int{3, 10, 30} {
		outages = append(outages, outage(t, n, simulation.VendorDown), outage(t, n, simulation.VendorHangs))
	}
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text, err := simulation.FillPage(string(old), outages)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{page: text, pictures + "jitter.svg": simulation.Jitters(), pictures + "logins.svg": simulation.Logins()} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is stale; go test ./refresher/simulation -run TestScaling -update writes it (-want +got):\n%s", path, diff)
		}
	}
}
