package refresher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Tokens that rotate ([Policy].Rotates) are got with what came with the token
// before, most often a refresh token that is good for one use, and many vendors
// end the whole session when one is used twice. Whoever loses the last one loses
// the session, and no program can get another without the user. So here, and
// only here, the store is in the way:
//
//   - A login starts only when the store has said what it holds and who logs
//     in: a refresh token that another process has used is not used again.
//   - The new token is saved before it is published. If that fails it is
//     published all the same, so that requests are served, but no login starts
//     until it is saved: its refresh token is not used before. Many vendors
//     accept the old one until then, so that a crash meanwhile loses nothing.
//   - The end of the engine does not cut off a login that has begun, and tries
//     once more to save what is not saved. Such an instance is not evicted.
//
//   - Meanwhile the lease is kept, so that no other process uses the old one.
//
// What is left is the time from when the vendor replaces the refresh token to
// when the store has the new one. A process that is killed in it loses the
// session, unless the vendor still takes the old one.

// errUnsaved is why there is no token when the last one could not be saved.
var errUnsaved = errors.New("the store does not take the new refresh token, which is not used before it is saved")

// stuck makes the failure of a login that cannot go on without the store, and
// reports whether there is one.
func (o *outcome) stuck(j job) bool {
	var without string
	switch p := j.work.policy; {
	case o.broken == nil:
		return false
	case p.Rotates:
		without = "a refresh token that is good for one use might be used twice"
	case p.HoldsOnOutage:
		without = "a login might end the token that other processes use"
	default:
		return false
	}
	o.err = &FetchError{Class: Transient, outage: true, Err: fmt.Errorf("the store does not answer, and without it %s: %w", without, o.broken)}
	return true
}

// loginContext returns the context for a login, or why none may start.
func (e *Engine) loginContext(p Policy) (context.Context, error) {
	if !p.Rotates {
		return e.ctx, nil
	}
	return context.WithoutCancel(e.ctx), e.ctx.Err()
}

// mustSave reports whether the token in service must be saved before anything
// else happens. It is called with in.mu held.
func (in *Instance) mustSave() bool {
	return (in.saving || in.saveAt != 0) && in.policy().Rotates
}

// unsavedUntil returns until when no login starts because the token in service
// is to be saved first; the zero time: that holds up nothing. The end of the save
// plans anew. It is called with in.mu held.
func (in *Instance) unsavedUntil(now time.Time) time.Time {
	switch {
	case !in.mustSave():
		return time.Time{}
	case in.saving:
		return now.Add(storeTimeout)
	}
	return in.engine.time(in.saveAt + 1) // the look at saveAt saves
}

// saveDelay returns the wait before the next attempt to save a token, after so
// many in a row that failed. One that rotates is saved soon after the store is
// back, before the lease runs out and another process uses what the store has.
func (p Policy) saveDelay(failures int, r float64) time.Duration {
	if p.Rotates {
		failures = min(failures, 3)
	}
	return p.Delay(failures, nil, r)
}

// leaseTime returns how long the lease for a login lasts. One that rotates leaves
// time for several attempts to save.
func (p Policy) leaseTime() time.Duration {
	if p.Rotates {
		return p.Timeout + 3*leaseMargin
	}
	return leaseTime
}

// keepLease takes the lease out of got if the token is to be saved under it.
func (in *Instance) keepLease(got *outcome) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if got.unsaved && in.mustSave() {
		in.rarely().lease, got.lease = got.lease, nil
	}
}

// extendLease keeps the kept lease for longer, if the store can do that. A lease
// that is lost changes nothing: the token has to be saved all the same.
func (in *Instance) extendLease() {
	in.mu.Lock()
	kept, ttl := in.lease(), in.policy().leaseTime()
	in.mu.Unlock()
	if kept != nil {
		in.extend(context.WithoutCancel(in.engine.ctx), kept, ttl)
	}
}

// keepAlive extends the lease until stop is called. Others wait for a process
// that was killed no longer than the lease lasts.
func (in *Instance) keepAlive(l Lease, p Policy) (stop func()) {
	if l == nil || p.Rotates || in.backing() == in.engine.local {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(in.engine.ctx))
	var kept sync.WaitGroup
	kept.Go(func() {
		tick := time.NewTicker(leaseTime / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if !in.extend(ctx, l, leaseTime) {
				return
			}
		}
	})
	return func() {
		cancel()
		kept.Wait()
	}
}

// extend makes one attempt, and reports false when the lease is lost.
func (in *Instance) extend(parent context.Context, l Lease, ttl time.Duration) bool {
	ctx, cancel := context.WithTimeout(parent, storeTimeout)
	defer cancel()
	err := l.Extend(ctx, ttl)
	if err != nil && !errors.Is(err, ErrHeld) && parent.Err() == nil {
		in.storeFailed("extend", err)
	}
	return !errors.Is(err, ErrHeld)
}

// releaseKept gives the kept lease back.
func (in *Instance) releaseKept() {
	in.mu.Lock()
	kept := in.lease()
	if kept != nil {
		in.rare.lease = nil
	}
	in.mu.Unlock()
	if kept != nil {
		kept.Release()
	}
}

// saveRotated saves what rotated and could not be saved. It is called once
// nothing else happens any more.
func (e *Engine) saveRotated() {
	var all sync.WaitGroup
	slots := make(chan struct{}, revocations)
	e.table.Range(func(_, v any) bool {
		in := v.(*Instance)
		in.mu.Lock()
		must := in.mustSave()
		in.saveAt = 0
		in.mu.Unlock()
		if must {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				in.save()
			})
		}
		return true
	})
	all.Wait()
}
