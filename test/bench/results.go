package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"attache/internal/machine"
)

// results is all that a run found, as it is kept in build/bench/results.json.
// Tables and picture are made of it and of nothing else.
type results struct {
	Started  time.Time
	Took     float64 // seconds
	Machine  machine.Machine
	Settings settings
	Versions []version
	Cases    []caseResult
}

// settings are those that a reader needs to judge the figures.
type settings struct {
	Rounds  int
	Seconds float64 // measured in each round
	Warm    float64 // seconds before that
}

type version struct{ Name, Version string }

type caseResult struct {
	Name    string
	Proxies []proxyResult
}

// proxyResult is what one proxy did in one case.
type proxyResult struct {
	Name      string
	StartMS   float64 // from its start to its first answer
	IdleBytes int64   // resident memory after it
	Failure   string  // why there are no samples, or too few
	Samples   []sample
}

// sample is one round.
type sample struct {
	Seconds       float64
	Answers       int
	Errors        int
	FirstError    string `json:",omitempty"`
	UserMicros    float64
	SystemMicros  float64 // CPU time of the whole process tree
	P50, P99      float64 // µs from the moment when a request was meant to be sent
	ResidentBytes int64
	// Shares of a core: the proxy on its own; load and upstream on theirs; what
	// others, the kernel included, used of the proxy's core; what the
	// hypervisor took of it.
	ProxyBusy, LoadBusy, Others, Steal float64
}

// cost is CPU µs for each answer.
func (s sample) cost() float64 { return (s.UserMicros + s.SystemMicros) / float64(max(s.Answers, 1)) }

// limit says what kept a closed loop from being faster.
func (s sample) limit() string {
	const full = 0.93
	switch {
	case s.ProxyBusy+s.Others >= full:
		return "proxy"
	case s.LoadBusy >= full:
		return "load"
	}
	return ""
}

// valid reports whether a proxy's figures in a case can be used, and why not.
func (p proxyResult) valid() (reason string, ok bool) {
	if p.Failure != "" {
		return p.Failure, false
	}
	for _, s := range p.Samples {
		if s.Errors > 0 {
			return fmt.Sprintf("%d errors, the first: %s", s.Errors, s.FirstError), false
		}
		if s.Answers == 0 {
			return "no answers", false
		}
	}
	return "", len(p.Samples) > 0
}

// of returns the median of a figure over the rounds.
func (p proxyResult) of(figure func(sample) float64) float64 {
	var all []float64
	for _, s := range p.Samples {
		all = append(all, figure(s))
	}
	return median(all)
}

// proxy returns the result of a proxy; nil if it did not run.
func (c caseResult) proxy(name string) *proxyResult {
	i := slices.IndexFunc(c.Proxies, func(p proxyResult) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Proxies[i]
}

// interval is a median with the least and the greatest of the rounds.
type interval struct{ Median, Min, Max float64 }

// ratio compares the cost of a proxy with the baseline's, round by round: what
// disturbs one round disturbs both. It is not ok without valid figures of both.
func (c caseResult) ratio(name string) (interval, bool) {
	p, base := c.proxy(name), c.proxy(baseline)
	if p == nil || base == nil || len(p.Samples) != len(base.Samples) {
		return interval{}, false
	}
	_, ok1 := p.valid()
	_, ok2 := base.valid()
	if !ok1 || !ok2 {
		return interval{}, false
	}
	var all []float64
	for i := range p.Samples {
		all = append(all, p.Samples[i].cost()/base.Samples[i].cost())
	}
	return interval{median(all), slices.Min(all), slices.Max(all)}, true
}

// median returns the middle value, of an even number the mean of the two in
// the middle, and of none 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread returns how far values are apart: (greatest − least) / median.
func spread(values []float64) float64 {
	m := median(values)
	if m == 0 {
		return 0
	}
	return (slices.Max(values) - slices.Min(values)) / m
}

func (r *results) save(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func loadResults(path string) (*results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(results)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read results: %s: %w", path, err)
	}
	return r, nil
}
