package refresher

import (
	"context"
	"errors"
)

// obtain looks in the store before and after it gets the lease, and only then
// logs in.
func (in *Instance) obtain(j job) (got outcome) {
	ctx, pool := in.engine.ctx, j.owner.pool
	got.key = pool.storeKey(j.input.Params)
	in.listAs(got.key)
	if in.load(ctx, &got) || got.stuck(j) || in.overtaken(j, &got) {
		return got
	}
	if got.unmarked {
		in.tellRefused(got.key, got.stored)
	}
	if got.broken == nil && (!in.acquire(ctx, j, &got) || in.load(ctx, &got) || got.stuck(j) || in.overtaken(j, &got) || in.tooSoon(j, &got)) {
		return got
	}
	if got.previous.Generation > j.input.Previous.Generation {
		j.input.Previous, j.input.Refused = got.previous, got.refused
	}
	if err := ctx.Err(); err != nil && !j.work.policy.Rotates {
		got.err = err
		return got
	}
	stop := in.keepAlive(got.lease, j.work.policy)
	defer stop()
	started := in.engine.now().Round(0)
	got.token, got.err = in.fetch(j)
	if got.err != nil {
		return got
	}
	got.token, got.replaced = believable(got.token, in.engine.now())
	if pool.storeKey(j.input.Params) != got.key && !j.work.policy.Rotates {
		got.key = StoreKey{} // a secret changed meanwhile, and whose token this is nobody knows
		in.mu.Lock()
		got.token.Generation = in.number(got.token, 0)
		in.mu.Unlock()
		return got
	}
	in.persist(&got, started, j.work.policy.Rotates)
	return got
}

// acquire puts the lease into got. It reports false when nothing is to be done
// without it.
func (in *Instance) acquire(parent context.Context, j job, got *outcome) bool {
	ctx, cancel := in.forStore(parent)
	defer cancel()
	lease, err := in.backing().Acquire(ctx, got.key, j.work.policy.leaseTime())
	switch {
	case errors.Is(err, ErrHeld):
		got.held = true
		return false
	case err != nil:
		in.storeFailed("acquire", err)
		got.broken = err
		return !got.stuck(j)
	}
	got.lease = lease
	return true
}

// tooSoon holds a login that comes less than MinInterval after that of another
// process, whose token is refused by now.
func (in *Instance) tooSoon(j job, got *outcome) bool {
	in.mu.Lock()
	own := in.ownValue.Equal(got.value)
	in.mu.Unlock()
	if own || got.stored == 0 || j.repeats {
		return false // the instance's own history has been looked at
	}
	interval := j.work.policy.MinInterval
	got.wait = min(interval-in.engine.now().Sub(got.issued), interval) // whatever the other's clock says
	got.held = got.wait > 0
	return got.held
}

// overtaken reports whether a newer token than the one that the login is for has
// come into service since the login began: the store told of it. A load that
// finds that one in the store does not take it for news any more.
func (in *Instance) overtaken(j job, got *outcome) bool {
	if j.input.Anew {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	t, usable := in.peek()
	got.held = usable && t.Generation > j.input.Previous.Generation
	return got.held
}

// forStore returns the context for one operation of the store. The one in the
// process does no I/O, and needs none of the timers that a login would start.
func (in *Instance) forStore(parent context.Context) (context.Context, context.CancelFunc) {
	if in.backing() == in.engine.local {
		return parent, func() {}
	}
	return context.WithTimeout(parent, storeTimeout)
}
