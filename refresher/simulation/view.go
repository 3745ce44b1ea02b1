package simulation

import (
	"context"
	"errors"
	"time"

	"attache/refresher"
)

var (
	errDown    = errors.New("the store cannot be reached")
	errLost    = errors.New("the answer of the store is lost")
	errCrashed = errors.New("the process is gone")
)

// forever is longer than any run.
const forever = 1000 * 24 * time.Hour

// view is one process's connection to the store. It takes time, has the faults
// of the plan, translates between the process's clock and the store's as an
// adapter does, and is cut off when the process is gone.
type view struct {
	life *life
	base refresher.Store
	dice *dice
}

// telling is a view of a store that announces changes.
type telling struct{ *view }

// op is one operation: there, do, and back.
func (s *view) op(ctx context.Context, name string, do func() error) error {
	l, w := s.life, s.life.world.weather
	l.world.ledger.count(name)
	least, most := 200*time.Microsecond, 3*time.Millisecond
	if w.is(StoreSlow, l.id) {
		most = 750 * time.Millisecond
	}
	if err := l.sleep(ctx, between(s.dice.float(), least, most)); err != nil {
		return err
	}
	switch {
	case w.is(StoreDown, l.id):
		return errDown
	case w.is(StoreHangs, l.id):
		return l.sleep(ctx, forever)
	}
	err := do()
	if w.is(StoreLoses, l.id) {
		switch luck := s.dice.float(); {
		case luck < 0.25:
			return errLost
		case luck < 0.5:
			return l.sleep(ctx, forever)
		}
	}
	if late := l.sleep(ctx, between(s.dice.float(), least, most)); late != nil {
		return late
	}
	return err
}

// Load implements [refresher.Store].
func (s *view) Load(ctx context.Context, key refresher.StoreKey) (found refresher.Stored, err error) {
	err = s.op(ctx, "load", func() error {
		found, err = s.base.Load(ctx, key)
		return err
	})
	if err != nil {
		return refresher.Stored{}, err
	}
	found.Token = s.life.shift(found.Token, s.life.now().Sub(time.Now().Round(0)))
	return found, nil
}

// Save implements [refresher.Store].
func (s *view) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	t = s.life.shift(t, time.Now().Round(0).Sub(s.life.now()))
	return s.op(ctx, "save", func() error { return s.base.Save(ctx, key, guard, t) })
}

// Reject implements [refresher.Store].
func (s *view) Reject(ctx context.Context, key refresher.StoreKey, generation uint64) error {
	return s.op(ctx, "reject", func() error { return s.base.Reject(ctx, key, generation) })
}

// Acquire implements [refresher.Store].
func (s *view) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (got refresher.Lease, err error) {
	err = s.op(ctx, "acquire", func() error {
		got, err = s.base.Acquire(ctx, key, ttl)
		return err
	})
	if err != nil {
		return nil, err // the lease may be there all the same, until it runs out
	}
	return &viewLease{got, s}, nil
}

type viewLease struct {
	refresher.Lease
	view *view
}

// Extend implements [refresher.Lease].
func (l *viewLease) Extend(ctx context.Context, ttl time.Duration) error {
	return l.view.op(ctx, "extend", func() error { return l.Lease.Extend(ctx, ttl) })
}

// Release implements [refresher.Lease].
func (l *viewLease) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.view.op(ctx, "release", func() error { l.Lease.Release(); return nil }) // else it runs out
}

// Watch implements [refresher.Watcher].
func (s *telling) Watch(ctx context.Context, changed func(refresher.StoreKey)) {
	l := s.life
	l.hears(changed)
	l.world.ledger.Watch(ctx, func(key refresher.StoreKey) {
		most := 50 * time.Millisecond
		if l.world.weather.is(NewsSlow, l.id) {
			most = maxNewsDelay
		}
		time.AfterFunc(between(s.dice.float(), time.Millisecond, most), func() {
			l.gate()
			if !l.gone() && !l.deaf() {
				l.world.ledger.count("announcement")
				changed(key)
			}
		})
	})
}

// maxNewsDelay is how long an announcement takes at most.
const maxNewsDelay = 5 * time.Second
