package store

import (
	"context"
	"time"

	"attache/refresher"
)

// fileLease is a [refresher.Lease] within this process: no other one has the
// file.
type fileLease struct {
	store *File
	key   refresher.StoreKey
	epoch uint64
	until time.Time // under the store's lock
}

// Acquire implements [refresher.Store].
func (s *File) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (refresher.Lease, error) {
	if err := s.opened(ctx); err != nil {
		return nil, err
	}
	// A save that is being flushed is not to be seen yet. Whoever gets the lease
	// meanwhile would load the token before, and log in with that.
	for {
		s.mu.Lock()
		if s.saving[key] == 0 {
			break
		}
		s.mu.Unlock()
		if err := s.do(&operation{ctx: ctx}); err != nil {
			return nil, err
		}
	}
	defer s.mu.Unlock()
	now := time.Now()
	if l := s.leases[key]; l != nil && now.Before(l.until) {
		return nil, refresher.ErrHeld
	}
	s.epoch++
	l := &fileLease{store: s, key: key, epoch: s.epoch, until: now.Add(ttl)}
	s.leases[key] = l
	return l, nil
}

// Epoch implements [refresher.Lease].
func (l *fileLease) Epoch() uint64 { return l.epoch }

// Extend implements [refresher.Lease].
func (l *fileLease) Extend(_ context.Context, ttl time.Duration) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.store.leases[l.key] != l {
		return refresher.ErrHeld
	}
	l.until = time.Now().Add(ttl)
	return nil
}

// Release implements [refresher.Lease].
func (l *fileLease) Release() {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.until = time.Time{} // nobody else's: every lease has its own
}

// Forget implements [refresher.Forgetter]. The token stays in the file; of the
// leases of those who are gone nothing is left.
func (s *File) Forget(key refresher.StoreKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases[key]; l != nil && !time.Now().Before(l.until) && s.saving[key] == 0 {
		delete(s.leases, key)
	}
}
