package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// part is one run of the bench with processes of its own.
type part struct {
	crew
	Key   string
	Title string
	// what it has to show
	noFailure bool // not one request may fail
	ideal     bool // not one login more than the ideal

	seed     uint64
	rate     float64
	length   time.Duration
	requests int64 // it lasts until so many were sent; 0: until length is over
	life     lifetimes
	families []family
	times    int
	always   []kind // faults for the whole part
	memory   bool   // no shared store; for tests of the bench
	debug    bool   // the processes log everything
	breakage string
}

// Mistakes that the bench can be told to make, to see that it finds them.
const (
	breakRefusing  = "refusing"  // the vendor refuses good tokens
	breakMixed     = "mixed"     // the vendor answers another request
	breakStrangers = "strangers" // each process has a store of its own
	breakTight     = "tight"     // faults happen that the judge is not told of
)

func breakages() []string { return []string{breakRefusing, breakMixed, breakStrangers, breakTight} }

// parts returns what the bench runs.
func parts(o options) []*part {
	scale := func(full, quick time.Duration) time.Duration {
		if o.quick {
			return quick
		}
		return full
	}
	times := func(full, quick int) int {
		if o.quick {
			return quick
		}
		return full
	}
	settled := scale(12*time.Second, 2*time.Second)
	short := lifetimes{user: 6 * time.Second, admin: 16 * time.Second, corp: 6 * time.Second, session: 6 * time.Second}
	long := lifetimes{user: 30 * time.Second, admin: 60 * time.Second, corp: 30 * time.Second, session: 30 * time.Second}
	middle := lifetimes{user: 12 * time.Second, admin: 24 * time.Second, corp: 12 * time.Second, session: 12 * time.Second}
	outages := []family{
		{kinds: []kind{revoked}},
		{kinds: []kind{redisKilled}, shortest: time.Second, longest: 4 * time.Second},
		{kinds: []kind{onLink(blackHole, toRedis)}, shortest: time.Second, longest: 5 * time.Second},
	}
	files := []family{{kinds: []kind{diskFull, fileKilled, fileDamaged}, shortest: time.Second, longest: 4 * time.Second}}
	all := []*part{
		{Key: "steady", Title: "Steady, with revocations", crew: crew{shared: o.processes, settled: settled}, noFailure: true, ideal: true,
			rate: o.rate / 3, length: scale(60*time.Second, 10*time.Second), life: short, families: []family{{kinds: []kind{revoked}}}, times: times(30, 6)},
		{Key: "outage", Title: "Redis killed, black-holed, a third of the logins failing", crew: crew{shared: o.processes, settled: settled},
			rate: o.rate / 3, length: scale(75*time.Second, 16*time.Second), life: middle, families: outages, times: times(6, 2), always: []kind{thirdFails}},
		{Key: "soak", Title: "Soak, everything", crew: crew{shared: o.processes, filed: 2, clocks: min(4, o.processes), settled: settled},
			rate: o.rate, length: scale(330*time.Second, 34*time.Second), requests: o.requests, life: long, families: families(), times: times(11, 1)},
		{Key: "file", Title: "One process, its tokens in a file", crew: crew{filed: 1, settled: settled},
			rate: min(200, o.rate), length: scale(50*time.Second, 9*time.Second), life: short, families: files, times: times(3, 1)},
	}
	for i, p := range all {
		p.seed, p.breakage, p.memory, p.debug = o.seed+uint64(i), o.breakage, o.memory, o.debug
	}
	return all
}

// run runs the part and returns what came of it.
func (p *part) run(dir string, b binaries, ports *ports, out io.Writer) (*result, error) {
	dir = filepath.Join(dir, p.Key)
	w, err := newWorld(p, dir, b, ports)
	if err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	r := w.play(out)
	if err := w.close(); err != nil {
		r.Wrong = append(r.Wrong, err.Error())
	}
	r.check(p)
	return r, nil
}

// abandon ends what of a world there is.
func (w *world) abandon() error {
	if w == nil {
		return nil
	}
	return w.close()
}

// play lets the load and the plan run.
func (w *world) play(out io.Writer) *result {
	p := w.part
	for _, k := range p.always {
		if k == thirdFails {
			w.vendor.fate.set(func(f *fate) { f.failing = 3 })
		}
	}
	plan := makePlan(p.seed, p.families, p.crew, p.length, p.times)
	w.record = newRecord(w.now) // from here on
	started := w.record.start
	load := startLoad(w, p.rate, p.requests)
	stop, whole := make(chan struct{}), make(chan []error, 1)
	go func() { whole <- w.inflict(plan, stop) }()
	end := time.After(p.length)
	if p.requests > 0 {
		end = time.After(2 * p.length) // a machine that is too slow
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	progress := newProgress(out, p)
	for on := true; on; {
		select {
		case <-end:
			on = false
		case text := <-w.events:
			progress.event(text)
		case <-tick.C:
			requests, failed := w.record.figures()
			progress.show(w.now()-started, requests, failed)
			on = p.requests == 0 || requests < p.requests || w.now()-started < p.length
		}
	}
	close(stop)
	wrong := <-whole
	load.stop()
	progress.done()
	r := w.result(plan, w.now()-started)
	for _, err := range wrong {
		r.Wrong = append(r.Wrong, "the bench itself: "+err.Error())
	}
	return r
}

// result is what came of a part.
type result struct {
	Key, Title string
	Shared     int
	Filed      int
	Seed       uint64
	Rate       float64
	Seconds    float64
	Lifetime   float64
	Requests   int64
	Good       int64
	Late       int64
	SlowestMS  float64
	Direct     int64
	Moved      int64
	Causes     map[cause]int64
	Mistakes   []string // requests that must not have failed so
	Wrong      []string // everything else that is wrong
	GapMS      float64
	GapAt      float64
	Logins     int64
	Reasons    map[string]int64
	Attempts   int64
	Spoiled    int64
	Refused    int64
	Reused     int64 // refresh tokens that were used up and used again
	Faults     map[kind]int
	Timeline   []second
	Plan       []fault
}

func (w *world) result(plan []fault, took time.Duration) *result {
	p, rec := w.part, w.record
	r := &result{Key: p.Key, Title: p.Title, Shared: p.shared, Filed: p.filed, Seed: p.seed, Rate: p.rate, Seconds: took.Seconds(), Lifetime: p.life.user.Seconds(),
		Reasons: map[string]int64{}, Faults: map[kind]int{}, Plan: plan,
		Attempts: w.vendor.attempts.Load(), Spoiled: w.vendor.spoiled.Load(), Refused: w.vendor.refused.Load()}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	r.Requests, r.Good, r.Late, r.Direct, r.Moved = rec.requests, rec.good, rec.late, rec.direct, rec.moved
	r.SlowestMS, r.GapMS, r.GapAt = ms(rec.slowest), ms(rec.gap), rec.gapAt.Seconds()
	r.Causes, r.Mistakes, r.Timeline = rec.causes, rec.mistakes, rec.seconds
	for _, f := range plan {
		if f.Began != 0 {
			r.Faults[f.Kind]++
		}
	}
	for _, k := range p.always {
		r.Faults[k]++
	}
	for _, a := range w.vendor.ledger.all() {
		a.mu.Lock()
		for reason, n := range a.tally {
			r.Reasons[reason] += int64(n)
			r.Logins += int64(n)
		}
		r.Reused += int64(a.reused)
		a.mu.Unlock()
	}
	return r
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// failed is how many requests failed.
func (r *result) failed() int64 { return r.Requests - r.Good }

// unexcused is how many of them must not have.
func (r *result) unexcused() (n int64) {
	for _, c := range unexcused() {
		n += r.Causes[c]
	}
	return n
}

// ideal is how many logins there had to be: the first, one for each lifetime and
// one for each revocation.
func (r *result) ideal() int64 {
	return r.Reasons[firstLogin] + r.Reasons[lifetimeOver] + r.Reasons[wasRevoked]
}

// check adds what the part should have shown and did not.
func (r *result) check(p *part) {
	say := func(format string, args ...any) { r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...)) }
	for _, c := range unexcused() {
		if n := r.Causes[c]; n > 0 {
			say("%d requests: %s", n, c)
		}
	}
	if p.noFailure && r.failed() > 0 {
		say("%d requests failed, and none may", r.failed())
	}
	if p.ideal && r.Logins != r.ideal() {
		say("%d logins, and the ideal is %d", r.Logins, r.ideal())
	}
	for reason, n := range r.Reasons {
		if strings.HasPrefix(reason, unexplained) {
			say("%d × login %s", n, reason)
		}
	}
	if r.Requests < p.requests {
		say("%d requests in %.0f s, and %d were wanted: the machine is too slow", r.Requests, r.Seconds, p.requests)
	}
	for _, f := range p.families {
		for _, k := range f.kinds {
			if r.Faults[k] < p.times {
				say("%s happened %d times, and %d were planned", k, r.Faults[k], p.times)
			}
		}
	}
	if r.Reused > 0 && r.Faults[redisEmptied]+r.Faults[fileDamaged] == 0 {
		say("%d refresh tokens were sent that had been used up", r.Reused)
	}
	if r.Good == 0 {
		say("no request succeeded")
	}
}
