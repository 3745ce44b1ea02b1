package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Which faults excuse what, and for how long after their end. Times are made of
// the engine's own: a login's time-out of 10 s, a lease of 5 s, operations of at
// most 1 s, back-offs of 60 s (15 min if permanent, the vendor's Retry-After if
// longer), all with 20 % of spread.
var (
	// Nothing but the store and live processes keep logins apart.
	storeFaults = shadow{
		StoreDown: 20 * time.Second, StoreHangs: 20 * time.Second, StoreLoses: 20 * time.Second, StoreSlow: 20 * time.Second,
		LeaseLost: 20 * time.Second, StoreForgets: 20 * time.Second, Paused: 20 * time.Second,
	}
	storeForgot = shadow{StoreForgets: 0}
	// What keeps a process from hearing what another one told the store.
	newsFaults = shadow{
		StoreDown: 0, StoreHangs: 0, StoreLoses: 0, StoreSlow: 0, StoreForgets: 0, NewsLost: 0, NewsSlow: 0, Paused: 0,
	}
	// After these the next login is later than it would be.
	vendorFaults = shadow{
		VendorDown: 90 * time.Second, VendorHangs: 100 * time.Second, VendorFails: 90 * time.Second, VendorSlow: 100 * time.Second,
		VendorLoses: 90 * time.Second, VendorDenies: 20 * time.Minute, VendorBusy: maxRetryAfter + 90*time.Second,
	}
	ownFaults = shadow{Paused: time.Minute, Crashed: time.Minute, ClockStep: time.Minute}
	allFaults = func() shadow {
		all := shadow{}
		for f := range faults {
			all[f] = 0
		}
		return all
	}()
)

// inspect is done each virtual minute.
func (w *World) inspect() {
	for _, r := range w.replicas {
		l := r.running()
		if l == nil {
			continue
		}
		t, usable := l.tokens.Peek()
		if usable {
			w.judge.handedOut(l, t, nil)
		}
		w.judge.available(l, usable)
	}
	w.judge.storeClashes()
	if w.settled() && !w.agree() {
		time.Sleep(agreeSoon)
		if w.settled() && !w.agree() {
			w.judge.disagree(w.tokensNow())
		}
	}
}

// agreeSoon is how long a renewal takes to reach every replica at most.
const agreeSoon = 15 * time.Second

// settled reports whether the faults are so long over that the replicas have to
// agree. Without announcements, and where logins were made without the store, a
// replica keeps its token until that is due.
func (w *World) settled() bool {
	return !w.profile.Alone && w.calm(allFaults.plus(w.profile.Lifetime).and(vendorFaults.plus(w.profile.Lifetime)), everybody) &&
		time.Since(w.begin) > time.Minute
}

// calmForAll reports whether nothing is left that excuses anything.
func (w *World) calmForAll() bool {
	long := w.profile.Lifetime
	if w.profile.Policy.MaxPerHour > 0 {
		long = max(long, time.Hour)
	}
	return w.calm(allFaults.and(vendorFaults).plus(long), everybody)
}

// agree reports whether all replicas have the same token, one that the vendor
// accepts. Without announcements a replica has the one before until that is due or
// refused.
func (w *World) agree() bool {
	values := map[string]bool{}
	for _, r := range w.replicas {
		if l := r.running(); l != nil {
			t, ok := l.tokens.Peek()
			if !ok || w.profile.News && !w.vendor.accepts(t.Value.Reveal()) {
				return false
			}
			values[t.Value.Reveal()] = true
		}
	}
	return len(values) == 1 || !w.profile.News && len(values) <= 2
}

// tokensNow says who has which token.
func (w *World) tokensNow() string {
	var all []string
	for _, r := range w.replicas {
		if l := r.running(); l != nil {
			t, ok := l.tokens.Peek()
			value := t.Value.Reveal()
			all = append(all, fmt.Sprintf("replica %d: %q generation %d usable %v accepted %v", r.id, value, t.Generation, ok, w.vendor.accepts(value)))
		}
	}
	return strings.Join(all, "; ")
}

// available checks that a process has a token if nothing keeps it from one.
func (j *judge) available(l *life, usable bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	gap := l.record.without(usable)
	j.report.LongestGap = max(j.report.LongestGap, gap)
	w := j.world
	if usable || gap < w.profile.Policy.MinInterval+w.profile.Policy.Timeout+5*time.Second {
		return // after a refusal the login takes its time
	}
	excuses := vendorFaults.and(ownFaults)
	excuses[Revoked] = time.Minute
	if w.profile.Policy.HoldsOnOutage {
		excuses = excuses.and(storeFaults.plus(time.Minute))
	}
	if w.profile.Policy.MaxPerHour > 0 {
		excuses = excuses.plus(time.Hour)
	}
	if w.calm(excuses, everybody) {
		j.violated(NoToken, "replica %d has none for %v", l.id, gap)
	}
}

// storeClashes notes generations that the store was given two values of.
func (j *judge) storeClashes() {
	for _, c := range j.world.ledger.takeClashes() {
		j.mu.Lock()
		j.violated(TwoTokens, "the store took %s as generation %d, which was %s", c.next, c.generation, c.first)
		j.mu.Unlock()
	}
}

func (j *judge) disagree(tokens string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.violated(Disagree, "%s", tokens)
}

func (j *judge) leaked(l *life) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.violated(Remains, "the engine of replica %d has not ended", l.id)
}

// result closes the books.
func (w *World) result() *Result {
	j := w.judge
	j.mu.Lock()
	defer j.mu.Unlock()
	w.mu.Lock() // what has not ended may still write
	defer w.mu.Unlock()
	j.report.Virtual = w.length
	j.report.Logins, j.report.Issued, j.report.Busiest = w.vendor.count()
	j.report.Ideal = ideal(w.profile, w.length)
	j.report.Operations = maps.Clone(w.ledger.ops)
	return &Result{
		Seed: w.seed, Profile: w.profile, Report: j.report, Violations: slices.Clone(j.broken), Silenced: j.silenced,
		Kinds: maps.Clone(j.kinds), Timeline: w.frozen, Last: slices.Clone(w.timeline),
	}
}
