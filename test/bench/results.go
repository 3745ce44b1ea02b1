package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"attache/internal/machine"
)

// resultsFormat is the number of the file's format: results of another one
// would be shown as something that they are not.
const resultsFormat = 2

// results is all that a run found, as it is kept in build/bench/results.json.
// Tables and picture are made of it and of nothing else.
type results struct {
	Format   int // resultsFormat of the program that wrote them
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
	LateP99       float64 // µs from there to the moment when it was sent; open loop alone
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

// caseResult returns the result of a case; nil if it did not run.
func (r *results) caseResult(name string) *caseResult {
	i := slices.IndexFunc(r.Cases, func(c caseResult) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Cases[i]
}

// starts returns how long a proxy took to its first answer, in ms, and its
// memory in bytes after it, of each case in which it started.
func (r *results) starts(name string) (ms, idle []float64) {
	for _, c := range r.Cases {
		if p := c.proxy(name); p != nil && p.IdleBytes > 0 {
			ms, idle = append(ms, p.StartMS), append(idle, float64(p.IdleBytes))
		}
	}
	return ms, idle
}

// proxy returns the result of a proxy; nil if it did not run.
func (c caseResult) proxy(name string) *proxyResult {
	i := slices.IndexFunc(c.Proxies, func(p proxyResult) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Proxies[i]
}

// ratios compares the cost of a proxy with another's, round by round: what
// disturbs one round disturbs both. It is not ok without valid figures of both.
func (c caseResult) ratios(name, base string) ([]float64, bool) {
	p, other := c.proxy(name), c.proxy(base)
	if p == nil || other == nil || len(p.Samples) != len(other.Samples) {
		return nil, false
	}
	_, ok1 := p.valid()
	_, ok2 := other.valid()
	if !ok1 || !ok2 {
		return nil, false
	}
	var all []float64
	for i := range p.Samples {
		all = append(all, p.Samples[i].cost()/other.Samples[i].cost())
	}
	return all, true
}

// ratio is the median of the ratios to the baseline. A partner has none: it gets
// other requests than the baseline in the same table.
func (c caseResult) ratio(name string) (interval, bool) {
	if name == baseline || isPartner(name) {
		return interval{}, false
	}
	all, ok := c.ratios(name, baseline)
	return estimate(all), ok
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
	if r.Format != resultsFormat {
		return nil, fmt.Errorf("read results: %s has format %d and this program reads %d: measure anew, or show it with the version that wrote it", path, r.Format, resultsFormat)
	}
	return r, nil
}
