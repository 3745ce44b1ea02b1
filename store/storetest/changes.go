package storetest

import (
	"context"
	"sync"
	"testing"

	"attache/refresher"
)

func changeTests() map[string]func(*testing.T, *Subject) {
	return map[string]func(*testing.T, *Subject){"Watch": watch, "WatchAfterInterruption": watchAfterInterruption, "Interruption": interruption}
}

// watched counts what a handle is told.
type watched struct {
	mu   sync.Mutex
	told map[refresher.StoreKey]int
}

func (w *watched) count(k refresher.StoreKey) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told[k]
}

// watchKeys watches on a handle, which has loaded the keys, until the test ends.
func watchKeys(t *testing.T, s refresher.Store, keys ...refresher.StoreKey) *watched {
	t.Helper()
	watcher, ok := s.(refresher.Watcher)
	if !ok {
		t.Skip("the store is no Watcher")
	}
	w := &watched{told: map[refresher.StoreKey]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watcher.Watch(ctx, func(k refresher.StoreKey) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told[k]++
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended // a Watch that does not end hangs here
	})
	for _, k := range keys {
		_, _ = s.Load(t.Context(), k)
	}
	return w
}

// watch: whoever has loaded a key is told when another saves or rejects it.
func watch(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	w := watchKeys(t, b, key(1), key(2))
	generation := uint64(0)
	eventually(t, "a save is told", func() bool { // Watch may not have begun at the first
		generation++
		save(t, a, key(1), generation)
		return w.count(key(1)) > 0
	})
	settle(t, a, w)
	before := w.count(key(1))
	save(t, a, key(1), generation+1)
	eventually(t, "the next save is told", func() bool { return w.count(key(1)) > before })
	settle(t, a, w)
	before = w.count(key(1))
	wantError(t, "rejecting", a.Reject(t.Context(), key(1), generation+1), nil)
	eventually(t, "a rejection is told", func() bool { return w.count(key(1)) > before })
	wantGeneration(t, b, key(1), generation+1)
	if n := w.count(key(3)); n != 0 {
		t.Errorf("told %d times of a key that nobody loaded", n)
	}
}

// settle waits until what was saved before has been told: what is told comes in
// order.
func settle(t *testing.T, s refresher.Store, w *watched) {
	t.Helper()
	before := w.count(key(2))
	found, _ := s.Load(t.Context(), key(2))
	save(t, s, key(2), found.Token.Generation+1)
	eventually(t, "a later save is told", func() bool { return w.count(key(2)) > before })
}

// watchAfterInterruption: what may have been missed meanwhile is told once the
// store is back, and so is what happens after.
func watchAfterInterruption(t *testing.T, s *Subject) {
	if s.Interrupt == nil {
		t.Skip("nothing interrupts the store")
	}
	a, b := s.pair(t)
	w := watchKeys(t, b, key(1), key(2))
	generation := uint64(0)
	eventually(t, "a save is told", func() bool {
		generation++
		save(t, a, key(1), generation)
		return w.count(key(1)) > 0
	})
	settle(t, a, w)
	one, two := w.count(key(1)), w.count(key(2))
	s.Interrupt(t)
	eventually(t, "whoever comes back is told of all keys", func() bool { return w.count(key(1)) > one && w.count(key(2)) > two })
	eventually(t, "a save after that is told", func() bool {
		before := w.count(key(1))
		found, err := a.Load(t.Context(), key(1))
		if err != nil {
			return false // it comes back by itself
		}
		err = a.Save(t.Context(), key(1), refresher.Guard{Generation: found.Token.Generation}, token(found.Token.Generation+1))
		return err == nil && w.count(key(1)) > before
	})
}

// interruption: what was saved is there after it, and the store is of use again
// without being told.
func interruption(t *testing.T, s *Subject) {
	if s.Interrupt == nil {
		t.Skip("nothing interrupts the store")
	}
	a, b := s.pair(t)
	save(t, a, key(1), 1)
	s.Interrupt(t)
	for _, store := range []refresher.Store{a, b} {
		eventually(t, "the store is back", func() bool {
			found, err := store.Load(t.Context(), key(1))
			return err == nil && found.Token.Generation == 1
		})
	}
	eventually(t, "a save succeeds", func() bool {
		err := b.Save(t.Context(), key(2), refresher.Guard{}, token(1))
		found, _ := a.Load(t.Context(), key(2)) // a save that failed may have happened
		return err == nil || found.Token.Generation == 1
	})
}
