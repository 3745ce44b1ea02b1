package refresher

import (
	"context"
	"errors"
	"time"
)

const (
	// storeTimeout bounds one operation of the store: a store is never in the
	// way.
	storeTimeout = time.Second
	// leaseMargin is how much longer than a login its lease lasts.
	leaseMargin = 5 * time.Second
	// heldRetry is how soon to look again when another process logs in.
	heldRetry = 500 * time.Millisecond
)

// load puts the stored token into got if it is newer than the instance's and
// not expired, or the same with a longer life, and reports whether it did.
// got.stored says what the store holds in any case.
func (in *Instance) load(got *outcome) bool {
	ctx, cancel := context.WithTimeout(in.engine.ctx, storeTimeout)
	defer cancel()
	found, err := in.engine.store.Load(ctx, in.key)
	t := found.Token
	got.stored, got.broken = t.Generation, nil
	if err != nil {
		if !errors.Is(err, ErrNoToken) {
			in.storeFailed("load", err)
			got.broken = err
		}
		got.stored = 0
		return false
	}
	switch newer := t.Generation > in.generation(); {
	case t.Value.IsEmpty() || !newer && !in.lengthens(t):
		return false
	case t.ExpiredAt(in.engine.now()):
		if newer && t.Lasting {
			got.previous = t
		}
		return false
	}
	t.IssuedAt, t.ExpiresAt = t.IssuedAt.Round(0), t.ExpiresAt.Round(0) // the wall clock alone decides
	got.token, got.adopted, got.replaced, got.unsaved = t, true, false, false
	return true
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
// token takes its place; a store that fails is not in the way.
func (in *Instance) persist(got *outcome) {
	for range 3 {
		in.mu.Lock()
		got.token.Generation = in.number(got.token, got.stored)
		in.mu.Unlock()
		err := in.store(got.stored, got.token)
		if err == nil {
			got.stored = got.token.Generation
			return
		}
		if !errors.Is(err, ErrConflict) {
			in.storeFailed("save", err)
			got.unsaved = true
			return
		}
		if in.load(got) {
			return
		}
	}
	in.storeFailed("save", ErrConflict)
	got.unsaved = true
}

// store saves t, also when the engine is ending: a token that was issued is not
// thrown away.
func (in *Instance) store(previous uint64, t Token) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.engine.ctx), storeTimeout)
	defer cancel()
	return in.engine.store.Save(ctx, in.key, Guard{Generation: previous}, t)
}

// planSave has the token in service saved: soon, or after a back-off when a
// save just failed. It is called with in.mu held; in.plan must follow.
func (in *Instance) planSave(now time.Time, failed bool) {
	in.saveAt = now
	if failed {
		in.unsaved++
		in.saveAt = now.Add(in.policy().saveDelay(in.unsaved, in.engine.rand()))
	}
}

// claimSave reports whether the caller is to save the token in service now. It
// is called with in.mu held.
func (in *Instance) claimSave(now time.Time) bool {
	if in.saving || in.saveAt.IsZero() || in.saveAt.After(now) {
		return false
	}
	in.saveAt, in.saving = time.Time{}, true
	return true
}

// save saves the token that is in service already. It runs in a goroutine of
// its own, without a lock.
func (in *Instance) save() {
	in.mu.Lock()
	t, previous := in.cur.Load().token, in.stored
	in.mu.Unlock()
	in.extendLease()
	err := in.store(previous, t)
	if err == nil {
		in.endSave(&outcome{stored: t.Generation})
		return
	}
	got := outcome{unsaved: true, stored: previous}
	if errors.Is(err, ErrConflict) {
		if in.load(&got) {
			in.adoptStored(got)
		}
		// What is as new as this token stays: the next login finds it.
		got.unsaved = got.stored < t.Generation
	} else {
		in.storeFailed("save", err)
	}
	in.endSave(&got)
}

// adoptStored publishes a token that the store was found to hold, unless a
// newer one is in service by now.
func (in *Instance) adoptStored(got outcome) {
	in.mu.Lock()
	if got.token.Generation <= in.generation() {
		in.mu.Unlock()
		return
	}
	in.success = in.engine.now().Round(0)
	children := in.publish(got.token)
	ev := in.event(Adopted)
	in.mu.Unlock()
	in.engine.observe(ev)
	tell(children)
}

// endSave notes what became of a save; nil: nothing.
func (in *Instance) endSave(got *outcome) {
	if got != nil && !got.unsaved {
		in.releaseKept()
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.saving = false
	switch {
	case got == nil:
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
