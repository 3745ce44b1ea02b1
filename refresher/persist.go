package refresher

import (
	"context"
	"errors"
	"time"

	"attache/internal/secret"
)

const (
	// storeTimeout bounds one operation of the store: a store is never in the
	// way.
	storeTimeout = time.Second
	// leaseMargin is how much longer than a login the lease lasts that nobody
	// keeps alive.
	leaseMargin = 5 * time.Second
	// leaseTime is how long a lease lasts that is kept alive while the login runs:
	// as long as others wait for a process that was killed.
	leaseTime = 5 * time.Second
	// heldRetry is how soon to look again when another process logs in. While
	// nobody waits, each look comes twice as late as the one before, until a lease
	// that nobody keeps alive would have run out.
	heldRetry    = 500 * time.Millisecond
	maxHeldRetry = leaseTime
)

// backing returns where the tokens of the instance are kept.
func (in *Instance) backing() Store {
	if in.pool().def.Local {
		return in.engine.local
	}
	return in.engine.store
}

// load puts the stored token into got if it is newer than the instance's and
// good for something, or the same with a longer life, and reports whether it
// did. got.stored says what the store holds in any case. It ends with parent.
func (in *Instance) load(parent context.Context, got *outcome) bool {
	ctx, cancel := in.forStore(parent)
	defer cancel()
	found, err := in.backing().Load(ctx, got.key)
	t := found.Token
	got.stored, got.issued, got.value, got.rejected, got.broken = t.Generation, t.IssuedAt, t.Value, found.Rejected, nil
	if err != nil {
		if !errors.Is(err, ErrNoToken) {
			in.storeFailed("load", err)
			got.broken = err
		} else {
			in.putBack(Stored{}, got.key)
		}
		got.stored = 0
		return false
	}
	in.putBack(found, got.key)
	if found.Rejected {
		in.refusedElsewhere(t)
	}
	in.mu.Lock()
	newer := t.Generation > in.generation() || in.replaces(found, got.key)
	refused := in.refused(t)
	in.mu.Unlock()
	got.unmarked = refused && !found.Rejected
	switch {
	case refused: // the store is to be told
		return false
	case t.Value.IsEmpty() || !newer && (found.Rejected || !in.lengthens(t)):
		return false
	case found.Rejected || t.ExpiredAt(in.engine.now()):
		if newer && t.Lasting {
			got.previous, got.refused = t, found.Rejected
		}
		return false
	}
	t.IssuedAt, t.ExpiresAt = t.IssuedAt.Round(0), t.ExpiresAt.Round(0) // the wall clock alone decides
	got.token, got.adopted, got.replaced, got.unsaved = t, true, false, false
	return true
}

// putBack has the token in service saved once more if the store had it and has
// nothing now, or what was there before: whoever starts next would log in, or use a
// refresh token that is used up.
func (in *Instance) putBack(found Stored, key StoreKey) {
	in.mu.Lock()
	defer in.mu.Unlock()
	cur := in.cur.Load()
	_, usable := in.peek()
	switch {
	case in.tokenKey.orZero() != key || found.Token.Generation >= in.stored || in.running || in.saving || in.saveAt != 0:
		return // the store has not lost it, or it is about to be saved
	case !usable && !cur.token.Lasting:
		return
	case found.Token.Generation > 0 && !found.Token.IssuedAt.Before(cur.token.IssuedAt):
		return // somebody has logged in since; see replaces
	}
	in.stored = found.Token.Generation
	in.planSave(time.Now(), false)
	in.plan()
}

// replaces reports whether the stored token is to be adopted though its number is
// not higher: the store lost its data and counts anew, and the stored token is
// from a later login, or the one in service good for nothing. It is called with
// in.mu held.
func (in *Instance) replaces(found Stored, key StoreKey) bool {
	cur := in.cur.Load()
	if cur == nil || found.Rejected || in.tokenKey.orZero() != key || found.Token.Value.Equal(cur.token.Value) {
		return false
	}
	if found.Token.IssuedAt.After(cur.token.IssuedAt) {
		return found.Token.Generation <= in.stored
	}
	_, usable := in.peek()
	saved := in.saveAt == 0 && !in.saving // else the store holds less because it lacks this one
	return !usable && saved && found.Token.Generation < in.stored
}

// knows reports whether t came into service since it was loaded, and was perhaps
// refused since: the store may be yet to know that.
func (in *Instance) knows(t Token) bool {
	cur := in.cur.Load()
	return cur != nil && cur.token.Generation >= t.Generation && cur.token.Value.Equal(t.Value) && !in.lengthens(t)
}

// refusedElsewhere takes the token in service out of it if t is that one:
// another process was refused with it.
func (in *Instance) refusedElsewhere(t Token) {
	in.mu.Lock()
	defer in.mu.Unlock()
	cur := in.cur.Load()
	if cur == nil || !cur.usable || !cur.token.Value.Equal(t.Value) {
		return
	}
	if cur.token.Generation == t.Generation || cur.token.sameAs(t) {
		in.takeOut(cur)
	}
}

// lengthens reports whether t is the token in service, with a longer life:
// another process renewed it in place.
func (in *Instance) lengthens(t Token) bool {
	cur := in.cur.Load()
	if cur == nil || !cur.usable || cur.token.Generation != t.Generation || !cur.token.Value.Equal(t.Value) {
		return false
	}
	return !cur.token.ExpiresAt.IsZero() && (t.ExpiresAt.IsZero() || t.ExpiresAt.After(cur.token.ExpiresAt))
}

func (in *Instance) generation() uint64 {
	if cur := in.cur.Load(); cur != nil {
		return cur.token.Generation
	}
	return 0
}

// number returns the generation of a value that a login gave: the value that
// is in service keeps its number, so that refusals of it stay exact; anything
// else gets the next one. stored is the number that the store holds. It is
// called with in.mu held.
func (in *Instance) number(t Token, stored uint64) uint64 {
	cur := in.cur.Load()
	if cur == nil {
		return stored + 1
	}
	n := max(cur.token.Generation, stored)
	if cur.token.Value.Equal(t.Value) && (cur.usable || in.policy().SameValueBacksOff) {
		return n
	}
	return n + 1
}

// persist gives the token its generation and saves it. Another process's newer
// token takes its place; a store that fails is not in the way. Where another
// process has taken over the lease, its token is to come: this one is given up,
// because the later login may have ended it. The login started at that time of the
// wall clock.
func (in *Instance) persist(got *outcome, started time.Time, rotates bool) {
	guard := Guard{}
	if got.lease != nil && !rotates { // what rotates is saved whoever has the lease: the next one needs it
		guard.Epoch = got.lease.Epoch()
	}
	for range 3 {
		in.mu.Lock()
		got.token.Generation = in.number(got.token, got.stored)
		in.ownValue = got.token.Value // before it is announced
		in.mu.Unlock()
		guard.Generation = got.stored
		switch err := in.store(got.key, guard, got.token); {
		case err == nil:
			got.stored = got.token.Generation
			return
		case errors.Is(err, ErrHeld):
			if !in.load(context.WithoutCancel(in.engine.ctx), got) {
				got.token, got.held = Token{}, true
			}
			return
		case !errors.Is(err, ErrConflict):
			in.storeFailed("save", err)
			got.unsaved = true
			return
		}
		mine := *got
		if in.load(context.WithoutCancel(in.engine.ctx), got) && (rotates || !got.token.IssuedAt.Before(started)) {
			return
		}
		if !rotates && in.adoptedSince(started, got.value) {
			got.token, got.held = Token{}, true
			return
		}
		// What is stored is older, though it has a higher number.
		got.token, got.adopted, got.replaced = mine.token, false, mine.replaced
	}
	in.mu.Lock()
	got.token.Generation = in.number(got.token, got.stored)
	in.mu.Unlock()
	in.storeFailed("save", ErrConflict)
	got.unsaved = true
}

// adoptedSince reports whether the stored value came into service while the login
// ran that started then: the store told of it. To load it is no news any more.
func (in *Instance) adoptedSince(started time.Time, value secret.String) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	t, usable := in.peek()
	return usable && t.Value.Equal(value) && !t.IssuedAt.Before(started)
}

// store saves t, also when the engine is ending: a token that was issued is not
// thrown away.
func (in *Instance) store(key StoreKey, guard Guard, t Token) error {
	ctx, cancel := in.forStore(context.WithoutCancel(in.engine.ctx))
	defer cancel()
	return in.backing().Save(ctx, key, guard, t)
}

// tellRefused has the store know that the token that it holds was refused, so that
// no other process uses it.
func (in *Instance) tellRefused(key StoreKey, generation uint64) {
	ctx, cancel := in.forStore(in.engine.ctx)
	defer cancel()
	if err := in.backing().Reject(ctx, key, generation); err != nil {
		in.storeFailed("reject", err)
	}
}

// planSave has the token in service saved: soon, or after a back-off when a
// save just failed. It is called with in.mu held; in.plan must follow.
func (in *Instance) planSave(now time.Time, failed bool) {
	if in.tokenKey == nil {
		return // it belongs to a secret that has changed
	}
	in.saveAt = in.engine.moment(now)
	if failed {
		in.unsaved++
		in.saveAt = in.engine.moment(now.Add(in.policy().saveDelay(int(in.unsaved), in.engine.rand())))
	}
}

// forgetSave ends the attempts to save the token that was in service. What came
// in its place is in the store already: saving that once more could undo what
// others did to it since. It is called with in.mu held.
func (in *Instance) forgetSave() {
	in.saveAt, in.unsaved, in.superseded = 0, 0, in.saving
}

// claimSave reports whether the caller is to save the token in service now. It
// is called with in.mu held.
func (in *Instance) claimSave(now time.Time) bool {
	if in.saving || in.saveAt == 0 || in.saveAt > in.engine.moment(now) {
		return false
	}
	in.saveAt, in.saving = 0, true
	return true
}

// save saves the token that is in service already. It runs in a goroutine of
// its own, without a lock.
func (in *Instance) save() {
	in.mu.Lock()
	t, previous, key := in.cur.Load().token, in.stored, in.tokenKey.orZero()
	in.mu.Unlock()
	in.extendLease()
	err := in.store(key, Guard{Generation: previous}, t)
	if err == nil {
		in.endSave(&outcome{stored: t.Generation})
		return
	}
	got := outcome{key: key, unsaved: true, stored: previous}
	if errors.Is(err, ErrConflict) {
		if in.load(context.WithoutCancel(in.engine.ctx), &got) {
			in.adoptStored(got)
		}
		// What is as new as this token stays: the next login finds it.
		got.unsaved = got.stored < t.Generation || in.renumber(t, got)
	} else {
		in.storeFailed("save", err)
	}
	in.endSave(&got)
}

// renumber gives the token in service a number above that of the stored one, if
// that is from an earlier login, whose process numbered it alike while neither
// heard of the other: of two logins the later one counts. It reports whether the
// token is to be saved.
func (in *Instance) renumber(t Token, got outcome) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	cur := in.cur.Load()
	if cur == nil || cur.token.Generation != t.Generation || got.broken != nil || got.value.IsEmpty() ||
		got.value.Equal(t.Value) || !got.issued.Before(t.IssuedAt) {
		return false
	}
	in.setFormerly(t.Generation)
	next := cur.token
	next.Generation = got.stored + 1
	in.cur.Store(&current{token: next, usable: cur.usable})
	return true
}

// adoptStored publishes a token that the store was found to hold, unless one
// that is as new came into service meanwhile.
func (in *Instance) adoptStored(got outcome) {
	in.mu.Lock()
	stored := got.token.Generation
	newer := stored > in.generation() || in.lengthens(got.token) || in.replaces(Stored{Token: got.token}, got.key)
	if !newer || in.running && in.ownValue.Equal(got.token.Value) { // what a login under way saved it publishes itself
		in.mu.Unlock()
		return
	}
	got.token.Generation = max(stored, in.number(got.token, 0))
	if in.admitted { // for a login that is not needed any more
		in.admitted = false
		in.pool().logins.give()
	}
	in.tokenKey, in.stored = in.keepKey(got.key), got.stored
	in.forgetSave()
	if got.token.Generation != stored {
		in.planSave(time.Now(), false)
	}
	in.success = in.engine.now().UnixNano()
	formerly := in.formerNumber(got)
	children := in.publish(got.token)
	in.setFormerly(formerly)
	ev := in.event(Adopted)
	in.mu.Unlock()
	in.engine.observe(ev)
	tell(children)
}

// formerNumber returns the number of the token in service if the one that is
// adopted is the same, numbered anew; else 0. It is called with in.mu held.
func (in *Instance) formerNumber(got outcome) uint64 {
	cur := in.cur.Load()
	if !got.adopted || cur == nil || cur.token.Generation == got.token.Generation || !cur.token.sameAs(got.token) {
		return 0
	}
	return cur.token.Generation
}

// endSave notes what became of a save; nil: nothing.
func (in *Instance) endSave(got *outcome) {
	if got != nil && !got.unsaved {
		in.releaseKept()
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.saving = false
	outdated := in.superseded
	in.superseded = false
	switch {
	case got == nil || outdated:
	case !got.unsaved:
		in.stored, in.unsaved = got.stored, 0
	default:
		in.stored = got.stored
		in.planSave(time.Now(), true)
	}
	in.plan()
}

func (in *Instance) storeFailed(op string, err error) {
	if errors.Is(err, context.Canceled) && in.engine.ctx.Err() != nil {
		return // the engine ends; that is no fault of the store
	}
	in.mu.Lock()
	ev := in.event(StoreFailed)
	in.mu.Unlock()
	ev.Op, ev.Err = op, err
	in.engine.observe(ev)
}
