package refresher

import "time"

// history is the starts of an instance's logins within the last hour. It is kept
// only for MaxPerHour.
type history []time.Time

func (h history) recent(now time.Time) history {
	i := 0
	for i < len(h) && now.Sub(h[i]) >= time.Hour {
		i++
	}
	return h[i:]
}

// noteLogin notes the start of a login, as far as the policy asks. It is called
// with in.mu held.
func (in *Instance) noteLogin(now time.Time, maxPerHour int) {
	in.lastLogin = in.engine.moment(now)
	if maxPerHour > 0 {
		in.rarely().starts = append(in.starts().recent(now), now)
	}
}

// free returns the earliest start that MaxPerHour allows.
func (h history) free(now time.Time, maxPerHour int) time.Time {
	recent := h.recent(now)
	if maxPerHour <= 0 || len(recent) < maxPerHour {
		return time.Time{}
	}
	return recent[len(recent)-maxPerHour].Add(time.Hour)
}

// nextLogin returns when the next login may start, not before now; the zero
// time: never, because the token lives until it is refused. It is called with
// in.mu held.
func (in *Instance) nextLogin(now time.Time) time.Time {
	at := now
	if _, usable := in.peek(); usable && !in.outdated {
		if in.due == 0 {
			return time.Time{}
		}
		// Whichever clock comes first: the wall clock may have been set.
		if in.engine.now().Before(in.dueWall()) {
			at = in.engine.time(in.due)
		}
	}
	return later(at, in.held(now))
}

// held returns until when no login may start, whatever the reason for one. It
// is called with in.mu held.
func (in *Instance) held(now time.Time) time.Time {
	at, policy := now, in.policy()
	if in.lastLogin != 0 && in.repeated() == nil {
		at = later(at, in.engine.time(in.lastLogin).Add(policy.MinInterval))
	}
	at = later(later(at, in.engine.time(in.notUntil)), in.unsavedUntil(now))
	return later(at, in.starts().free(now, policy.MaxPerHour))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// gone reports whether the instance was evicted.
func (in *Instance) gone() bool { return in.pins.Load() <= evictedPins/2 }

// plan tells the scheduler when to look at the instance again. It is called
// with in.mu held after every change of what nextLogin depends on.
func (in *Instance) plan() {
	if in.running || in.gone() {
		return // the end of the login plans
	}
	at := in.nextLogin(time.Now())
	if idle := in.idleOrNever(); at.IsZero() || !idle.IsZero() && idle.Before(at) {
		at = idle
	}
	in.setLook(at)
}

// setLook has the scheduler look at the instance at at (the zero time: never),
// or when its token is to be saved. It is called with in.mu held.
func (in *Instance) setLook(at time.Time) {
	look := in.engine.moment(at)
	if !in.saving && in.saveAt != 0 && (look == 0 || in.saveAt < look) {
		look = in.saveAt
	}
	in.engine.sched.set(in, look)
}

// idleAt returns when the instance will have been unused for too long.
func (in *Instance) idleAt() time.Time {
	return in.engine.epoch.Add(time.Duration(in.used.Load()) + in.pool().work.Load().limits.Idle)
}

// idleOrNever returns when a look is due to see whether the instance may go;
// the zero time: never, or not before the last waiter leaves, who plans anew.
// It is called with in.mu held.
func (in *Instance) idleOrNever() time.Time {
	if in.always.Load() || in.waiters > 0 {
		return time.Time{}
	}
	at := in.idleAt()
	if in.orphan() {
		at = later(at, in.held(time.Time{})) // or who defines it again could log in at once
	}
	return at
}

// idle reports whether a keyed instance was not used for so long that it may
// go. It is called with in.mu held.
func (in *Instance) idle(now time.Time) bool {
	at := in.idleOrNever()
	return !at.IsZero() && !now.Before(at)
}

// wanted reports whether somebody waits for the token or used it since its
// last issue; as long as there is none, since the last attempt. Only then does
// a keyed instance log in: what nobody asks for any more must not take the
// login rate from those who do. It is called with in.mu held.
func (in *Instance) wanted() bool {
	if in.always.Load() || in.waiters > 0 || in.asked {
		return true
	}
	return !in.orphan() && in.used.Load() >= in.wantedFrom
}

// look is what the scheduler calls when the instance's time has come: it
// starts a login or a save, or finds out what the instance has to wait for.
func (in *Instance) look() {
	in.claimParents()
	in.mu.Lock()
	now := time.Now()
	if in.gone() || in.running {
		in.mu.Unlock()
		return
	}
	in.leaveQueue()
	save := in.claimSave(now)
	idle := in.idle(now)
	var j job
	var login bool
	if !idle {
		j, login = in.prepare(now)
	}
	in.mu.Unlock()

	e := in.engine
	if save && !e.start(in.save) {
		in.endSave(nil)
	}
	if login && !e.start(func() { in.login(j) }) {
		in.abandon()
		j.done()
	}
	if idle {
		e.evictIdle(in)
		in.lookLater()
	}
}

// lookLater plans for an instance that is still there after all: somebody
// holds it, or used it just now.
func (in *Instance) lookLater() {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch now := time.Now(); {
	case in.gone() || in.running:
	case in.idle(now):
		in.setLook(now.Add(time.Minute))
	default:
		in.plan()
	}
}

// prepare claims the next login if it may start now. Otherwise it has arranged
// for the next look. It is called with in.mu held.
func (in *Instance) prepare(now time.Time) (job, bool) {
	if at := in.nextLogin(now); at.IsZero() || at.After(now) {
		in.plan()
		return job{}, false
	}
	if !in.wanted() {
		in.asleep.Store(true)
		if !in.wanted() { // else used just now, by somebody who saw it awake
			in.setLook(in.idleOrNever())
			return job{}, false
		}
	}
	in.asleep.Store(false)
	tokens, ready := in.parentTokens()
	if !ready {
		// A parent's next token wakes this instance.
		in.setLook(in.idleOrNever())
		return job{}, false
	}
	if !in.mayLogIn(now) {
		return job{}, false
	}
	in.admitted = false
	in.running = true
	in.renewing, in.outdated = in.outdated, false
	o := in.owner.Load()
	for _, parent := range o.parents {
		parent.pin() // they are pinned already, so none is gone
	}
	j := job{owner: o, work: o.pool.work.Load(), input: Input{Params: *o.params.Load(), Parents: tokens}, repeats: in.repeated() != nil}
	j.input.Anew = in.renewing
	if cur := in.cur.Load(); cur != nil {
		j.input.Previous, j.input.Refused = cur.token, !cur.usable
	}
	return j, true
}

// parentTokens returns a usable token of each parent. Where there is none, the
// instance is registered to be woken by that parent. It is called with in.mu
// held.
func (in *Instance) parentTokens() (tokens []Token, ready bool) {
	parents := in.owner.Load().parents
	if len(parents) == 0 {
		return nil, true
	}
	ready = true
	tokens = make([]Token, len(parents))
	for i, parent := range parents {
		t, ok := parent.Peek()
		if !ok {
			t, ok = parent.waitAsChild(in)
		}
		// All are asked, so that they log in at the same time.
		ready = ready && ok
		tokens[i] = t
	}
	return tokens, ready
}

// waitAsChild registers child to be told of the next token or failure, unless
// there is a usable token by now.
func (in *Instance) waitAsChild(child *Instance) (Token, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if t, ok := in.peek(); ok {
		return t, true
	}
	in.adopt(child)
	in.asked = true
	in.plan()
	return Token{}, false
}

// adopt registers child. It is called with in.mu held.
func (in *Instance) adopt(child *Instance) {
	r := in.rarely()
	if r.children == nil {
		r.children = map[*Instance]struct{}{}
	}
	r.children[child] = struct{}{}
}

func (in *Instance) forgetChild(child *Instance) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.rare != nil {
		delete(in.rare.children, child)
	}
}

// takeChildren empties the set of children to be told. It is called with in.mu
// held; tell them without.
func (in *Instance) takeChildren() []*Instance {
	children := in.listChildren()
	if children != nil {
		in.rare.children = nil
	}
	return children
}

// parentChanged is told that a parent has a new token: what failed may now
// succeed. It does not cut short the patience that an upstream asked for.
func (in *Instance) parentChanged() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.unblock()
}

// unblock ends a back-off because an input changed. It is called with in.mu
// held.
func (in *Instance) unblock() {
	if in.lastErr == nil || in.lastErr.RetryAfter <= 0 {
		in.notUntil = 0
	}
	in.plan()
}

// parentFailed lets waiters see whether waiting is still worth while.
func (in *Instance) parentFailed() {
	in.mu.Lock()
	in.notify()
	children := in.listChildren()
	in.mu.Unlock()
	for _, child := range children {
		child.parentFailed()
	}
}
