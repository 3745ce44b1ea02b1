package metrics

import (
	"context"
	"errors"
	"sync"
	"time"

	"attache/refresher"
)

// What came of an operation of the store, beside ok and error.
const (
	outcomeNone     = "none"
	outcomeConflict = "conflict"
	outcomeHeld     = "held"
)

// storeOperations lists what is counted, with the outcomes that each may have.
func storeOperations() map[string][]string {
	return map[string][]string{
		"load":    {outcomeOK, outcomeNone, outcomeError},
		"save":    {outcomeOK, outcomeConflict, outcomeHeld, outcomeError},
		"reject":  {outcomeOK, outcomeError},
		"acquire": {outcomeOK, outcomeHeld, outcomeError},
		"extend":  {outcomeOK, outcomeHeld, outcomeError},
	}
}

// Store returns s with its operations counted. It is a [refresher.Watcher] if s
// is one.
func (m *Metrics) Store(s refresher.Store) refresher.Store {
	c := counted{s, m, &outage{}}
	if w, ok := s.(refresher.Watcher); ok {
		return countedWatcher{c, w}
	}
	return c
}

type counted struct {
	store refresher.Store
	m     *Metrics
	down  *outage
}

// outage is what is known of a store that fails.
type outage struct {
	mu     sync.Mutex
	since  time.Time // of the first failure; zero: it works
	writes bool      // an operation other than load failed: that a load succeeds proves nothing
}

// note enters an outcome, and reports whether the outage is over with it, and how
// long it was.
func (o *outage) note(op, outcome string, now time.Time) (down time.Duration, over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case outcome == outcomeError:
		if o.since.IsZero() {
			o.since = now
		}
		o.writes = o.writes || op != "load"
	case o.since.IsZero(), outcome == outcomeHeld, outcome == outcomeConflict, op == "load" && o.writes:
	default:
		down, over = now.Sub(o.since), true
		o.since, o.writes = time.Time{}, false
	}
	return down, over
}

type countedWatcher struct {
	counted
	refresher.Watcher
}

func (c counted) count(op string, err error) {
	outcome := outcomeOK
	switch {
	case errors.Is(err, refresher.ErrNoToken):
		outcome = outcomeNone
	case errors.Is(err, refresher.ErrConflict):
		outcome = outcomeConflict
	case errors.Is(err, refresher.ErrHeld):
		outcome = outcomeHeld
	case errors.Is(err, context.Canceled): // nobody waits for it any more; that is no fault of the store
		return
	case err != nil:
		outcome = outcomeError
	}
	c.m.storeOperations.WithLabelValues(op, outcome).Inc()
	if down, over := c.down.note(op, outcome, time.Now()); over && c.m.storeWorks != nil {
		c.m.storeWorks(down)
	}
}

// Load implements [refresher.Store].
func (c counted) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	found, err := c.store.Load(ctx, key)
	c.count("load", err)
	return found, err
}

// Save implements [refresher.Store].
func (c counted) Save(ctx context.Context, key refresher.StoreKey, g refresher.Guard, t refresher.Token) error {
	err := c.store.Save(ctx, key, g, t)
	c.count("save", err)
	return err
}

// Reject implements [refresher.Store].
func (c counted) Reject(ctx context.Context, key refresher.StoreKey, generation uint64) error {
	err := c.store.Reject(ctx, key, generation)
	c.count("reject", err)
	return err
}

// Acquire implements [refresher.Store].
func (c counted) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (refresher.Lease, error) {
	l, err := c.store.Acquire(ctx, key, ttl)
	c.count("acquire", err)
	if err != nil {
		return nil, err
	}
	c.m.leaseHeld.Inc()
	return &countedLease{Lease: l, c: c}, nil
}

// Forget implements [refresher.Forgetter].
func (c counted) Forget(key refresher.StoreKey) {
	if f, ok := c.store.(refresher.Forgetter); ok {
		f.Forget(key)
	}
}

type countedLease struct {
	refresher.Lease
	c    counted
	once sync.Once
}

// Extend implements [refresher.Lease].
func (l *countedLease) Extend(ctx context.Context, ttl time.Duration) error {
	err := l.Lease.Extend(ctx, ttl)
	l.c.count("extend", err)
	return err
}

// Release implements [refresher.Lease].
func (l *countedLease) Release() {
	l.Lease.Release()
	l.once.Do(l.c.m.leaseHeld.Dec)
}
