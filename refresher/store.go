package refresher

import (
	"context"
	"errors"
	"sync"
	"time"
)

// StoreKey names an instance in a [Store]: a hash of everything that
// identifies issuer and account.
type StoreKey [32]byte

// Errors of a [Store].
var (
	ErrNoToken  = errors.New("the store holds no token of this key")
	ErrConflict = errors.New("the store holds another generation")
	ErrHeld     = errors.New("another process is logging in")
)

// Store keeps tokens beyond one instance's memory: for a restart, or for
// replicas that share one login. Implementations are safe for concurrent use.
//
// The engine looks before it logs in: Load, adopt what is newer, else Acquire,
// Load again (somebody may have logged in just before), log in, Save, Release.
// The compare-and-set in Save, not the lease, is what keeps replicas
// consistent: leases expire while a process is paused.
//
// A store is never in the way: when a method fails for other reasons than the
// errors above, the engine works on without it. Tokens that rotate are the
// exception: see [Policy].Rotates.
type Store interface {
	// Load returns the token of key, or [ErrNoToken].
	Load(ctx context.Context, key StoreKey) (Token, error)
	// Save stores t if the stored generation is still previous (0: no token),
	// else returns [ErrConflict]. When it returns nil the token outlives the
	// process, as far as the store outlives it at all: one on a disk has
	// flushed it there. A token past its expiry may be dropped at any time,
	// unless it is [Token].Lasting.
	Save(ctx context.Context, key StoreKey, previous uint64, t Token) error
	// Acquire returns the right to log in, for at most ttl, or [ErrHeld].
	Acquire(ctx context.Context, key StoreKey, ttl time.Duration) (Lease, error)
}

// Lease is the right to log in for one key.
type Lease interface {
	// Release gives the right back. It may be called after the lease ran out.
	Release()
}

// Extender is a [Lease] that can be kept for longer. Tokens that rotate profit
// from it while their store takes no token: see [Policy].Rotates.
type Extender interface {
	// Extend makes the lease end ttl from now, or returns [ErrHeld] if it is
	// lost.
	Extend(ctx context.Context, ttl time.Duration) error
}

// MemoryStore is a [Store] within one process. Several engines may share one.
type MemoryStore struct {
	mu     sync.Mutex
	tokens map[StoreKey]Token
	leases map[StoreKey]*memoryLease
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{tokens: map[StoreKey]Token{}, leases: map[StoreKey]*memoryLease{}}
}

// Load implements [Store].
func (s *MemoryStore) Load(_ context.Context, key StoreKey) (Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[key]
	if !ok {
		return Token{}, ErrNoToken
	}
	return t, nil
}

// Save implements [Store].
func (s *MemoryStore) Save(_ context.Context, key StoreKey, previous uint64, t Token) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[key].Generation != previous {
		return ErrConflict
	}
	t.memo = nil // texts rendered for one instance are no part of the token
	s.tokens[key] = t
	return nil
}

// Forget drops the token of key. The engine calls it for instances that it
// evicts, so that a store in memory does not outgrow them.
func (s *MemoryStore) Forget(key StoreKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, key)
}

// Acquire implements [Store].
func (s *MemoryStore) Acquire(_ context.Context, key StoreKey, ttl time.Duration) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if held, ok := s.leases[key]; ok && now.Before(held.until) {
		return nil, ErrHeld
	}
	l := &memoryLease{store: s, key: key, until: now.Add(ttl)}
	s.leases[key] = l
	return l, nil
}

type memoryLease struct {
	store *MemoryStore
	key   StoreKey
	until time.Time
}

// Extend implements [Extender].
func (l *memoryLease) Extend(_ context.Context, ttl time.Duration) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.store.leases[l.key] != l {
		return ErrHeld
	}
	l.until = time.Now().Add(ttl)
	return nil
}

func (l *memoryLease) Release() {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.store.leases[l.key] == l {
		delete(l.store.leases, l.key)
	}
}
