package metrics

import (
	"context"
	"errors"
	"testing"
	"time"

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
