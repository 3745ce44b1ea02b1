package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what a run counted.
type Report struct {
	Virtual  time.Duration
	Attempts int // logins that were begun
	Logins   int // of them, those that reached the vendor
	Issued   int // tokens
	Busiest  int // the most logins within an hour
	Ideal    int // logins that one replica without faults would have made
	Requests int
	Refused  int            // requests whose token the vendor did not accept
	Repaired int            // of them, those answered after a renewal
	Failed   map[string]int // requests, by cause
	// LongestGap is the longest time that a running replica was without a token,
	// to the minute.
	LongestGap time.Duration
	Operations map[string]int // of the store, and announcements
}

// Result is what came of a run.
type Result struct {
	Seed       uint64
	Profile    Profile
	Report     Report
	Violations []string       // the first of each invariant
	Silenced   int            // further ones
	Kinds      map[string]int // violations by invariant
	Timeline   []string       // what led to the first violation
	Last       []string       // what happened last
}

// String tells of the violations, so that the run can be repeated.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %v\n", r.Seed, r.Profile)
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "  %s\n", v)
	}
	if r.Silenced > 0 {
		fmt.Fprintf(&b, "  and %d more\n", r.Silenced)
	}
	if len(r.Timeline) > 0 {
		fmt.Fprintf(&b, "before the first:\n  %s\n", strings.Join(r.Timeline, "\n  "))
	}
	return b.String()
}

// ideal is how many logins a single replica makes when nothing fails: each token
// is due, on average, half the jitter before 80 % of its life.
func ideal(p Profile, length time.Duration) int {
	mean := (0.8 - max(p.Policy.Jitter, 0)/2) * float64(p.Lifetime)
	return int(float64(length)/mean) + 1
}

// Add adds the counts of another run.
func (r *Report) Add(o Report) {
	r.Virtual += o.Virtual
	r.Attempts += o.Attempts
	r.Logins += o.Logins
	r.Issued += o.Issued
	r.Busiest = max(r.Busiest, o.Busiest)
	r.Ideal += o.Ideal
	r.Requests += o.Requests
	r.Refused += o.Refused
	r.Repaired += o.Repaired
	r.LongestGap = max(r.LongestGap, o.LongestGap)
	if r.Failed == nil {
		r.Failed, r.Operations = map[string]int{}, map[string]int{}
	}
	for cause, n := range o.Failed {
		r.Failed[cause] += n
	}
	for op, n := range o.Operations {
		r.Operations[op] += n
	}
}

// Table is the report as a Markdown table of two columns.
func (r *Report) Table() string {
	var b strings.Builder
	row := func(name string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", name, value) }
	b.WriteString("| | |\n|---|---:|\n")
	row("virtual days", fmt.Sprintf("%.0f", r.Virtual.Hours()/24))
	row("logins begun", r.Attempts)
	row("logins at the vendor", r.Logins)
	row("the most logins within an hour", r.Busiest)
	row("tokens issued", r.Issued)
	row("logins of one replica without faults", r.Ideal)
	row("requests", r.Requests)
	row("refused by the vendor", r.Refused)
	row("repaired", r.Repaired)
	for _, cause := range slices.Sorted(maps.Keys(r.Failed)) {
		row("failed: "+cause, r.Failed[cause])
	}
	row("longest time without a token", r.LongestGap.Round(time.Minute))
	return b.String()
}
