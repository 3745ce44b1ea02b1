package refresher

import (
	"context"
	"sync"
	"time"
)

// MemoryStore is a [Store] within one process. Several engines may share one.
type MemoryStore struct {
	mu       sync.Mutex
	entries  map[StoreKey]*memoryEntry
	watchers map[*memoryWatcher]struct{}
	epoch    uint64 // of the last lease
}

type memoryEntry struct {
	stored Stored
	lease  *memoryLease // nil: nobody has it
	epoch  uint64       // of the last lease; 0: none yet
}

type memoryWatcher struct{ changed func(StoreKey) }

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{entries: map[StoreKey]*memoryEntry{}, watchers: map[*memoryWatcher]struct{}{}}
}

// entry returns the entry of key. It is called with s.mu held.
func (s *MemoryStore) entry(key StoreKey) *memoryEntry {
	e := s.entries[key]
	if e == nil {
		e = &memoryEntry{}
		s.entries[key] = e
	}
	return e
}

// Load implements [Store].
func (s *MemoryStore) Load(_ context.Context, key StoreKey) (Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok || e.stored.Token.Generation == 0 {
		return Stored{}, ErrNoToken
	}
	return e.stored, nil
}

// Save implements [Store].
func (s *MemoryStore) Save(_ context.Context, key StoreKey, guard Guard, t Token) error {
	s.mu.Lock()
	e := s.entry(key)
	switch {
	case guard.Epoch != 0 && e.epoch != 0 && e.epoch != guard.Epoch:
		s.mu.Unlock()
		return ErrHeld
	case e.stored.Token.Generation != guard.Generation:
		s.mu.Unlock()
		return ErrConflict
	}
	t.memo = nil // texts rendered for one instance are no part of the token
	e.stored = Stored{Token: t}
	s.tell(key)
	return nil
}

// Reject implements [Store].
func (s *MemoryStore) Reject(_ context.Context, key StoreKey, generation uint64) error {
	s.mu.Lock()
	e, ok := s.entries[key]
	if !ok || generation == 0 || e.stored.Token.Generation != generation || e.stored.Rejected {
		s.mu.Unlock()
		return nil
	}
	e.stored.Rejected = true
	s.tell(key)
	return nil
}

// tell tells the watchers of a change. It is called with s.mu held, and gives it
// back.
func (s *MemoryStore) tell(key StoreKey) {
	var list []*memoryWatcher
	for w := range s.watchers {
		list = append(list, w)
	}
	s.mu.Unlock()
	for _, w := range list {
		w.changed(key)
	}
}

// Watch implements [Watcher].
func (s *MemoryStore) Watch(ctx context.Context, changed func(StoreKey)) {
	w := &memoryWatcher{changed}
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	delete(s.watchers, w)
	s.mu.Unlock()
}

// Forget implements [Forgetter]. It drops the token, so that a store in memory
// does not outgrow the instances.
func (s *MemoryStore) Forget(key StoreKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
}

// Acquire implements [Store].
func (s *MemoryStore) Acquire(_ context.Context, key StoreKey, ttl time.Duration) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	e := s.entry(key)
	if e.lease != nil && now.Before(e.lease.until) {
		return nil, ErrHeld
	}
	s.epoch++
	e.epoch = s.epoch
	e.lease = &memoryLease{store: s, key: key, epoch: s.epoch, until: now.Add(ttl)}
	return e.lease, nil
}

// memoryLease is a [Lease]; one that is the last of its key is in its entry.
type memoryLease struct {
	store *MemoryStore
	key   StoreKey
	epoch uint64
	until time.Time // under the store's lock
}

// Epoch implements [Lease].
func (l *memoryLease) Epoch() uint64 { return l.epoch }

// Extend implements [Lease].
func (l *memoryLease) Extend(_ context.Context, ttl time.Duration) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if e := l.store.entries[l.key]; e == nil || e.lease != l {
		return ErrHeld
	}
	l.until = time.Now().Add(ttl)
	return nil
}

// Release implements [Lease].
func (l *memoryLease) Release() {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if e := l.store.entries[l.key]; e != nil && e.lease == l {
		e.lease = nil
	}
}
