package metrics

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"attache/refresher"
)

// noRejects is a store of which one operation fails.
type noRejects struct{ refresher.Store }

func (noRejects) Reject(context.Context, refresher.StoreKey, uint64) error {
	return errors.New("CANARY")
}

// useStore has each outcome of a store's operations counted, and keeps a lease.
func useStore(t *testing.T, m *Metrics) {
	t.Helper()
	s := m.Store(noRejects{refresher.NewMemoryStore()})
	ctx, key := t.Context(), refresher.StoreKey{1}
	_, _ = s.Load(ctx, key)
	_ = s.Save(ctx, key, refresher.Guard{}, refresher.Token{Generation: 1})
	_ = s.Save(ctx, key, refresher.Guard{}, refresher.Token{Generation: 2})
	_, _ = s.Load(ctx, key)
	_ = s.Reject(ctx, key, 1)
	old, err := s.Acquire(ctx, key, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Acquire(ctx, key, time.Hour)
	_ = old.Extend(ctx, time.Hour)
	old.Release()
	old.Release()
	if _, err := s.Acquire(ctx, key, time.Hour); err != nil {
		t.Fatal(err)
	}
	_ = old.Extend(ctx, time.Hour)
	_ = s.Save(ctx, key, refresher.Guard{Generation: 1, Epoch: old.Epoch()}, refresher.Token{Generation: 2})
}

// A counted store is a [refresher.Watcher] if the store is one, and only then.
func TestCountedStoreWatches(t *testing.T) {
	m, _ := newMetrics(t)
	if _, ok := m.Store(noRejects{refresher.NewMemoryStore()}).(refresher.Watcher); ok {
		t.Error("a store that tells nothing is a watcher")
	}
	if _, ok := m.Store(refresher.NewMemoryStore()).(refresher.Watcher); !ok {
		t.Error("a watcher is none any more")
	}
}

// moody is a store whose operations fail as they are told.
type moody struct {
	refresher.Store
	load, save error
}

func (s *moody) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	if s.load != nil {
		return refresher.Stored{}, s.load
	}
	return s.Store.Load(ctx, key)
}

func (s *moody) Save(ctx context.Context, key refresher.StoreKey, g refresher.Guard, t refresher.Token) error {
	if s.save != nil {
		return s.save
	}
	return s.Store.Save(ctx, key, g, t)
}

// The end of an outage is told once, and by what proves it: a load that works says
// nothing of a store that cannot be written.
func TestStoreWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []time.Duration
		m, err := New(Config{Registerer: prometheus.NewRegistry(), StoreWorks: func(down time.Duration) { told = append(told, down) }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, key, bad := t.Context(), refresher.StoreKey{1}, errors.New("down")
		inner := &moody{Store: refresher.NewMemoryStore()}
		s := m.Store(inner)
		generation := uint64(0)
		save := func() {
			err := s.Save(ctx, key, refresher.Guard{Generation: generation}, refresher.Token{Generation: generation + 1})
			if err == nil {
				generation++
			}
		}
		want := func(what string, times ...time.Duration) {
			t.Helper()
			if !slices.Equal(told, times) {
				t.Errorf("%s: told %v, want %v", what, told, times)
			}
			told = nil
		}
		_, _ = s.Load(ctx, key)
		save()
		want("a store that works")
		inner.load = bad
		_, _ = s.Load(ctx, key)
		time.Sleep(time.Second)
		_, _ = s.Load(ctx, key)
		inner.load = context.Canceled
		_, _ = s.Load(ctx, key)
		want("a store that does not")
		inner.load = nil
		_, _ = s.Load(ctx, key)
		_, _ = s.Load(ctx, key)
		want("loads work again", time.Second)
		inner.save = bad
		save()
		time.Sleep(time.Minute)
		_, _ = s.Load(ctx, key)
		inner.save = refresher.ErrConflict
		save()
		want("saves fail")
		inner.save = nil
		save()
		want("saves work again", time.Minute)
	})
}
