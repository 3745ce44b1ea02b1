package refresher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
)

// job is one login to be made: for whom and with what. A reload may change both
// while it runs, and does not change the job.
type job struct {
	owner   *owner // its parents are pinned once more until the job is done
	work    *work
	input   Input
	repeats bool // a login that failed because a parent was refused
}

// done gives the job's pins back.
func (j *job) done() { release(j.owner.parents) }

// outcome is what one login attempt came to. Exactly one of err, held and
// token is set.
type outcome struct {
	key      StoreKey // where it is stored; zero: nowhere, because a secret changed
	token    Token
	adopted  bool          // from the store
	replaced bool          // its expiry made no sense
	unsaved  bool          // the store does not have it
	held     bool          // another process is logging in, or did just now
	wait     time.Duration // of held: at least; 0: see heldRetry
	err      error         // the source's
	stored   uint64        // the generation in the store; 0: none
	value    secret.String // the value in the store
	rejected bool          // it is marked so there
	unmarked bool          // it is not, and was refused here
	issued   time.Time     // when it was issued
	lease    Lease         // to be released at the end; nil: none
	took     time.Duration
	broken   error // the store's, if it could not say what it holds
	previous Token // a stored token that is newer than the instance's and of use for a login alone
	refused  bool  // previous was
}

// login makes one attempt. It runs in a goroutine of its own, without a lock.
func (in *Instance) login(j job) {
	defer j.done()
	start := time.Now()
	got := in.obtain(j)
	got.took = time.Since(start)
	if got.err != nil || got.held {
		got.release()
	}
	switch {
	case got.err != nil && in.engine.ctx.Err() != nil:
		in.abandon()
	case got.err != nil:
		in.fail(j, got)
	case got.held:
		in.hold(got.wait)
	case !in.succeed(got):
		got.release()
		in.hold(0)
	default:
		in.keepLease(&got)
		got.release() // I/O perhaps: nobody waits for it
		in.finish()
	}
}

// release gives the lease back. The next login must not start before, or it
// would take this process for another one.
func (o *outcome) release() {
	if o.lease != nil {
		o.lease.Release()
	}
}

// fetch calls the source under its time-out. A panic in a source must not take
// the other tokens down with it.
func (in *Instance) fetch(j job) (t Token, err error) {
	in.mu.Lock()
	in.noteLogin(time.Now(), j.work.policy.MaxPerHour)
	in.mu.Unlock()
	parent, err := in.engine.loginContext(j.work.policy)
	if err != nil {
		return Token{}, err
	}
	ctx, cancel := context.WithTimeout(parent, j.work.policy.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			// The panic's text may hold anything, so it is not shown.
			err = &FetchError{Class: Transient, Err: fmt.Errorf("the source panicked with a %T", p)}
		}
	}()
	t, err = j.work.source.Fetch(ctx, j.input)
	if err == nil && t.Value.IsEmpty() {
		err = &FetchError{Class: Transient, Err: errors.New("the login returned an empty token")}
	}
	return t, err
}

// succeed publishes the token of a login or of the store; finish must follow. It
// reports false, and does nothing, if the token of the store is known already: the
// store told of it.
func (in *Instance) succeed(got outcome) bool {
	in.mu.Lock()
	if got.adopted && in.knows(got.token) {
		in.mu.Unlock()
		return false
	}
	now := time.Now()
	repeated := in.repeated()
	in.repeatWith(nil)
	in.tokenKey, in.stored = in.keepKey(got.key), got.stored
	in.success = in.engine.now().UnixNano()
	if got.adopted && !in.always.Load() {
		in.pool().logins.give()
	}
	// A renewal in traffic or a refusal may have come in while the login ran;
	// the login's result is the later one.
	saved := got.token.Generation
	got.token.Generation = max(saved, in.number(got.token, 0))
	notUntil := in.noteSame(got.token, now)
	formerly := in.formerNumber(got)
	children := in.publish(got.token)
	in.notUntil = notUntil
	in.setFormerly(formerly)
	in.forgetSave()
	if got.unsaved || got.token.Generation != saved {
		in.planSave(now, got.unsaved)
	}
	ev := in.event(LoggedIn)
	if got.adopted {
		ev.Kind = Adopted
	}
	ev.Duration, ev.ExpiryReplaced = got.took, got.replaced
	in.mu.Unlock()
	in.engine.observe(ev)
	tell(children)
	for _, r := range repeated {
		r.parent.Accepted(r.token, in.asCause())
	}
	return true
}

// finish lets the next login start.
func (in *Instance) finish() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running = false
	in.notify() // whoever waits already, for the one after, can now see how long
	in.plan()
}

// noteSame deals with a login that returned the value that is there already:
// when the policy says so, it backs off, and refusals of a value that is back
// in service are passed on meanwhile. It is called with in.mu held, and returns
// when the next login may start.
func (in *Instance) noteSame(t Token, now time.Time) moment {
	policy, cur := in.policy(), in.cur.Load()
	if !policy.SameValueBacksOff || cur == nil || !cur.token.Value.Equal(t.Value) || policy.RenewsInPlace && cur.usable {
		in.forgetSame()
		return 0
	}
	in.sameness++
	until := in.engine.moment(now.Add(policy.Delay(int(in.sameness), nil, in.engine.rand())))
	if !cur.usable {
		in.rarely().passing = until
	}
	return until
}

// publish makes t the current token. It is called with in.mu held and returns
// the children to be told once it is not.
func (in *Instance) publish(t Token) []*Instance {
	e := in.engine
	t.memo = newMemo()
	in.setFormerly(0)
	in.cur.Store(&current{token: t, usable: true})
	in.setDue()
	in.wantedFrom = int64(time.Since(e.epoch))
	in.failures, in.series, in.holds, in.lastErr = 0, 0, 0, nil
	in.asked = false
	in.notify()
	return in.takeChildren()
}

// setDue works out when the current token is due, by the policy in service. It
// is called with in.mu held.
func (in *Instance) setDue() {
	in.due, in.dueAfter = 0, 0
	cur := in.cur.Load()
	if cur == nil {
		return
	}
	if due := in.policy().Due(cur.token, in.engine.rand()); due > 0 {
		in.dueAfter = due
		in.due = in.engine.moment(time.Now().Add(in.dueWall().Sub(in.engine.now().Round(0))))
	}
}

func tell(children []*Instance) {
	for _, child := range children {
		child.parentChanged()
	}
}

// fail notes a failed login and starts the back-off, unless the login failed
// because a parent was refused: then it is repeated once, at once.
func (in *Instance) fail(j job, got outcome) {
	fetch := asFetchError(got.err)
	repeat := in.rejectParents(j, fetch)
	in.mu.Lock()
	in.running = false
	in.outdated = in.outdated || in.renewing
	in.repeatWith(repeat)
	if repeat == nil {
		in.backOff(fetch, time.Now())
	}
	in.notify()
	in.plan()
	ev := in.event(LoginFailed)
	ev.Class, ev.Err, ev.Duration = fetch.Class, fetch, got.took
	children := in.listChildren()
	in.mu.Unlock()

	in.engine.observe(ev)
	for _, child := range children {
		child.parentFailed()
	}
	if repeat == nil {
		in.awaitParents(j)
	}
}

// backOff is called with in.mu held.
func (in *Instance) backOff(fetch *FetchError, now time.Time) {
	if in.lastErr != nil && (in.lastErr.Class == Permanent) != (fetch.Class == Permanent) {
		in.series = 0 // another table of [Policy.Delay]
	}
	in.failures++
	in.series++
	in.lastErr = fetch
	in.asked, in.holds = false, 0
	in.notUntil = in.engine.moment(now.Add(in.policy().Delay(int(in.series), fetch, in.engine.rand())))
	if in.cur.Load() == nil {
		in.wantedFrom = int64(time.Since(in.engine.epoch))
	}
}

// awaitParents has every parent tell of its next token, which may be what the
// failed login needs; when it has one already, the login is tried again.
func (in *Instance) awaitParents(j job) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.owner.Load() != j.owner {
		return // it has other parents by now
	}
	for i, parent := range j.owner.parents {
		parent.mu.Lock()
		changed := parent.generation() != j.input.Parents[i].Generation
		if !changed {
			parent.adopt(in)
		}
		parent.mu.Unlock()
		if changed {
			in.unblock()
		}
	}
}

// rejectParents hands the refusals of a login on to the parents. It returns
// what the repeat of the login has to know, or nil when the login is not to be
// repeated: no parent was refused, not every refused one will be renewed, or
// one is refused again although it was renewed.
func (in *Instance) rejectParents(j job, fetch *FetchError) []refusedParent {
	in.mu.Lock()
	repeated := in.repeated() // it may be used without the lock: its elements are never written again
	in.mu.Unlock()
	repeat := slices.Clone(repeated)
	renewing := len(fetch.Refused) > 0
	for _, i := range fetch.Refused {
		if i < 0 || i >= len(j.owner.parents) {
			renewing = false
			continue
		}
		parent, refused := j.owner.parents[i], j.input.Parents[i]
		if slices.ContainsFunc(repeated, func(r refusedParent) bool { return r.parent == parent }) ||
			parent.Reject(refused, Cause{By: in.asCause(), Signal: exchange.SignalLogin}) == OverBudget {
			renewing = false
			continue
		}
		repeat = append(repeat, refusedParent{parent, refused})
	}
	if !renewing {
		return nil
	}
	return repeat
}

// asCause names the instance's logins as the [Cause] of a parent's refusal.
func (in *Instance) asCause() string {
	p := in.pool()
	return "login " + p.def.Credential + "." + p.def.Token
}

// hold waits for the process that is logging in, for at least so long.
func (in *Instance) hold(wait time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running = false
	switch _, usable := in.peek(); { // the unit of the login rate was not used
	case in.always.Load():
	case usable: // what there was to get came meanwhile
		in.pool().logins.give()
	default:
		in.admitted = true
	}
	in.outdated = in.outdated || in.renewing
	retry := heldRetry
	if in.waiters == 0 {
		retry = min(heldRetry<<min(in.holds, 4), maxHeldRetry)
	}
	if in.holds++; wait > 0 {
		in.holds = 0 // it is MinInterval that is waited for
	}
	spread := 0.8 + 0.4*unit(in.engine.rand())
	in.notUntil = in.engine.moment(time.Now().Add(max(wait, time.Duration(spread*float64(retry)))))
	in.notify()
	in.plan()
}

// abandon ends a login that the engine's end cut short.
func (in *Instance) abandon() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running = false
	in.notify()
}

// event fills in what every event of the instance says. It is called with
// in.mu held; observers are called without.
func (in *Instance) event(kind EventKind) Event {
	p := in.pool()
	ev := Event{
		Kind: kind, Credential: p.def.Credential, Token: p.def.Token,
		Keyed: p.Keyed(), Failures: int(in.failures), DueAt: in.dueWall(),
	}
	if cur := in.cur.Load(); cur != nil {
		ev.Generation, ev.ExpiresAt = cur.token.Generation, cur.token.ExpiresAt
	}
	if at := in.nextLogin(time.Now()); !at.IsZero() {
		ev.NextAttempt = in.engine.now().Add(time.Until(at)).Round(0)
	}
	return ev
}
