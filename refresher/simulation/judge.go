package simulation

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"attache/refresher"
)

// judge holds a run to the invariants, which the package's documentation lists,
// and counts.
type judge struct {
	world *World

	mu       sync.Mutex
	broken   []string
	silenced int
	kinds    map[string]int // violations by invariant
	report   Report
	inFlight map[*life]bool
	believed map[string]time.Time // by value: when its replica takes it to expire, by the true clock
	got      map[string]time.Time // by value: when its login ended
	last     string               // value of the last login that succeeded
	lastWho  *life
	steps    []stepped
}

type stepped struct {
	at time.Time
	by time.Duration
}

// record is what the judge notes of one process.
type record struct {
	starts   []time.Time // of logins, within the last hour
	floor    time.Time   // no login starts before
	why      string
	rejected map[string]bool
	none     time.Time // since when no token is known to be usable; zero: there was one
	values   map[uint64]string
}

// without returns for how long there has been no token, given whether there is one
// now.
func (r *record) without(usable bool) time.Duration {
	switch {
	case r.none.IsZero() && !usable:
		r.none = time.Now()
	case r.none.IsZero():
		return 0
	}
	gap := time.Since(r.none)
	if usable {
		r.none = time.Time{}
	}
	return gap
}

// The names of the invariants, as violations begin. See the package's
// documentation.
const (
	ExpiredServed  = "expired token served"
	TwoTokens      = "two tokens of one generation"
	LoginRate      = "login rate"
	Overlap        = "two logins at a time"
	RejectedServed = "rejected token served"
	Disagree       = "replicas disagree"
	NoToken        = "no token though vendor and store are well"
	Remains        = "goroutines remain"
	FailedInCalm   = "request failed in calm weather"
)

func newJudge(w *World) *judge {
	return &judge{
		world: w, kinds: map[string]int{}, inFlight: map[*life]bool{}, believed: map[string]time.Time{}, got: map[string]time.Time{},
		report: Report{Failed: map[string]int{}},
	}
}

// violated notes that an invariant is broken. It is called with j.mu held.
func (j *judge) violated(invariant, format string, args ...any) {
	j.kinds[invariant]++
	text := fmt.Sprintf("%s at %v: %s", invariant, j.world.since(), fmt.Sprintf(format, args...))
	if j.kinds[invariant] > 3 {
		j.silenced++
		return
	}
	j.broken = append(j.broken, text)
	j.world.note("VIOLATION %s", text)
	if len(j.broken) == 1 {
		j.world.freeze()
	}
}

// tolerance is how far the replicas' clocks were set since a token's issue.
func (j *judge) tolerance(since time.Time) (sum time.Duration) {
	for _, s := range j.steps {
		if s.at.After(since.Add(-time.Minute)) {
			sum += s.by.Abs()
		}
	}
	return sum
}

func (j *judge) clockStepped(by time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.steps = append(j.steps, stepped{time.Now(), by})
}

// handedOut is told of every token that a process uses, or of why there is none.
func (j *judge) handedOut(l *life, t refresher.Token, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if l.gone() {
		return
	}
	j.report.LongestGap = max(j.report.LongestGap, l.record.without(err == nil))
	if err != nil {
		return
	}
	now, value := time.Now(), t.Value.Reveal()
	known := j.world.vendor.find(value)
	if known == nil {
		j.violated(TwoTokens, "replica %d uses %q, which nobody issued", l.id, value)
		return
	}
	if late := now.Sub(j.believed[value]); late > j.tolerance(known.at) {
		j.violated(ExpiredServed, "replica %d uses %s %v after its end", l.id, value, late)
	}
	j.checkGeneration(l, t)
	j.checkRejected(l, value)
}

// checkGeneration is about the value that a generation stands for: in one
// process it is one, and among processes it is what the store has, unless the
// login was made without the store.
func (j *judge) checkGeneration(l *life, t refresher.Token) {
	value := t.Value.Reveal()
	if l.record.values == nil {
		l.record.values = map[uint64]string{}
	}
	if first, ok := l.record.values[t.Generation]; ok && first != value {
		j.violated(TwoTokens, "replica %d used %s as generation %d and now uses %s", l.id, first, t.Generation, value)
	}
	l.record.values[t.Generation] = value
	if j.world.profile.Alone {
		return
	}
	stored, ok := j.world.ledger.saved(t.Generation)
	if !ok && j.world.ledger.knows(value) {
		return // the store counts anew, and the token is being saved under a higher number
	}
	if stored != value && !j.alone(value) {
		j.violated(TwoTokens, "replica %d uses %s as generation %d, and the store has %q", l.id, value, t.Generation, stored)
	}
}

// alone reports whether the store could not keep the login of that value apart
// from others, or has been emptied since. It is called with j.mu held.
func (j *judge) alone(value string) bool {
	w := j.world
	at := j.got[value].Sub(w.begin)
	return storeFaults.hit(w.plan, everybody, at-w.profile.Policy.Timeout, at+5*time.Second) ||
		storeForgot.hit(w.plan, everybody, at, time.Since(w.begin))
}

// checkRejected is about refusals: a process never again uses what it was
// refused with, and soon not what another one was.
func (j *judge) checkRejected(l *life, value string) {
	if l.record.rejected[value] {
		j.violated(RejectedServed, "replica %d uses %s, which it gave up after a refusal", l.id, value)
		return
	}
	at, ok := j.world.ledger.rejectedAt(value)
	if !ok {
		return
	}
	heard := later(at, l.begin)
	if !j.world.profile.News && l.begin.Before(at) {
		return // nobody tells it
	}
	age := time.Since(heard)
	if age > newsTakes && j.world.calm(newsFaults.plus(age+newsTakes), l.id) {
		j.violated(RejectedServed, "replica %d uses %s, which the store knows for %v to be refused", l.id, value, age)
	}
}

// newsTakes is how long it takes at most until a process has seen what another
// one told the store.
const newsTakes = 3 * time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rejected is told what became of a refusal.
func (j *judge) rejected(l *life, t refresher.Token, r refresher.Rejection) {
	if r == refresher.OverBudget {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if l.record.rejected == nil {
		l.record.rejected = map[string]bool{}
	}
	l.record.rejected[t.Value.Reveal()] = true
}

func (j *judge) refused() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Refused++
}

func (j *judge) repaired() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Repaired++
}

// answered is told how a request ended.
func (j *judge) answered(l *life, cause string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Requests++
	if cause == "" {
		return
	}
	j.report.Failed[cause]++
	if j.world.calmForAll() {
		j.violated(FailedInCalm, "replica %d: %s", l.id, cause)
	}
}

// loginStarts holds the start of a login against the recipe's limits and those
// that the vendor asked for.
func (j *judge) loginStarts(l *life) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if l.gone() {
		return
	}
	now, p, rec := time.Now(), j.world.profile.Policy, &l.record
	j.inFlight[l] = true
	j.report.Attempts++
	if early := rec.floor.Sub(now); early > 0 {
		j.violated(LoginRate, "replica %d logs in %v too early: %s", l.id, early, rec.why)
	}
	for len(rec.starts) > 0 && now.Sub(rec.starts[0]) >= time.Hour {
		rec.starts = rec.starts[1:]
	}
	if n := len(rec.starts); n > 0 && now.Sub(rec.starts[n-1]) < p.MinInterval {
		j.violated(LoginRate, "replica %d logs in %v after its last login", l.id, now.Sub(rec.starts[n-1]))
	}
	rec.starts = append(rec.starts, now)
	if p.MaxPerHour > 0 && len(rec.starts) > p.MaxPerHour {
		j.violated(LoginRate, "replica %d logs in %d times within an hour", l.id, len(rec.starts))
	}
	if j.world.profile.Alone || !j.world.calm(storeFaults, everybody) {
		return
	}
	last := j.got[j.last]
	if between := now.Sub(last); between < p.MinInterval-j.tolerance(last) && j.lastWho != l && !j.alone(j.last) {
		j.violated(LoginRate, "replica %d logs in %v after another one did", l.id, between)
	}
	for other := range j.inFlight {
		if other != l && !other.gone() {
			j.violated(Overlap, "replica %d logs in while replica %d does", l.id, other.id)
		}
	}
}

// loginEnds notes what the vendor asked for, and the token.
func (j *judge) loginEnds(l *life, t refresher.Token, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.inFlight, l)
	now, rec := time.Now(), &l.record
	if err == nil {
		value := t.Value.Reveal()
		j.got[value], j.believed[value] = now, now.Add(j.world.profile.Lifetime)
		j.last, j.lastWho = value, l
		return
	}
	rec.floor, rec.why = now.Add(800*time.Millisecond), "the last login failed"
	fetch, ok := errors.AsType[*refresher.FetchError](err)
	switch {
	case ok && fetch.Class == refresher.Permanent:
		rec.floor = now.Add(48 * time.Second)
	case ok && fetch.RetryAfter > 0:
		rec.floor, rec.why = now.Add(fetch.RetryAfter), "the vendor asked for patience"
	}
}
