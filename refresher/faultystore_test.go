package refresher_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// faultyStore is a memory store whose operations fail, hang, or are watched.
type faultyStore struct {
	*refresher.MemoryStore
	t *testing.T

	mu       sync.Mutex
	fails    map[string]error   // by operation; errHang: until the context ends
	only     refresher.StoreKey // whose operations fail; zero: all
	before   func(op string)    // called before each operation, without the lock
	last     refresher.StoreKey // the key asked for last
	ops      int
	saves    []time.Time
	now      time.Time // of the operations counted by within
	watchers []func(refresher.StoreKey)
	within   map[refresher.StoreKey]int // one instant of virtual time
}

var (
	errDown = errors.New("the store is down")
	errHang = errors.New("hang")
)

func newFaultyStore(t *testing.T) *faultyStore {
	return &faultyStore{MemoryStore: refresher.NewMemoryStore(), t: t}
}

// set makes these operations fail, and no others.
func (s *faultyStore) set(err error, ops ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = map[string]error{}
	for _, op := range ops {
		s.fails[op] = err
	}
}

// once has f called before the next operation of that name.
func (s *faultyStore) once(op string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = func(is string) {
		if is == op {
			s.mu.Lock()
			s.before = nil
			s.mu.Unlock()
			f()
		}
	}
}

// Watch keeps what is to be told of changes, for tell.
func (s *faultyStore) Watch(ctx context.Context, changed func(refresher.StoreKey)) {
	s.mu.Lock()
	s.watchers = append(s.watchers, changed)
	s.mu.Unlock()
	s.MemoryStore.Watch(ctx, changed)
}

// tell has all processes look at key.
func (s *faultyStore) tell(key refresher.StoreKey) {
	s.mu.Lock()
	watchers := slices.Clone(s.watchers)
	s.mu.Unlock()
	for _, changed := range watchers {
		changed(key)
	}
}

// failOnly makes only the operations fail that have the key asked for last.
func (s *faultyStore) failOnly() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.only = s.last
}

func (s *faultyStore) key() refresher.StoreKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// counts returns how many operations there were, and when saves began.
func (s *faultyStore) counts() (ops int, saves []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops, slices.Clone(s.saves)
}

func (s *faultyStore) enter(ctx context.Context, op string, key refresher.StoreKey) error {
	before, hot, err := s.note(op, key)
	if hot { // as in refreshertest.Source: a hot loop spins, it does not fail
		s.t.Errorf("%s: a hot loop over the store", op)
		time.Sleep(time.Second)
	}
	if before != nil {
		before(op)
	}
	if errors.Is(err, errHang) {
		<-ctx.Done()
		return ctx.Err()
	}
	if err == nil {
		err = ctx.Err() // as one that asks a server
	}
	return err
}

func (s *faultyStore) note(op string, key refresher.StoreKey) (before func(string), hot bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops++
	s.last = key
	if op == "save" {
		s.saves = append(s.saves, time.Now())
	}
	if now := time.Now(); !now.Equal(s.now) {
		s.now, s.within = now, map[refresher.StoreKey]int{}
	}
	s.within[key]++
	if s.only == (refresher.StoreKey{}) || key == s.only {
		err = s.fails[op]
	}
	return s.before, s.within[key] > 24, err
}

func (s *faultyStore) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	if err := s.enter(ctx, "load", key); err != nil {
		return refresher.Stored{}, err
	}
	return s.MemoryStore.Load(ctx, key)
}

func (s *faultyStore) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	if err := s.enter(ctx, "save", key); err != nil {
		return err
	}
	return s.MemoryStore.Save(ctx, key, guard, t)
}

func (s *faultyStore) Reject(ctx context.Context, key refresher.StoreKey, generation uint64) error {
	if err := s.enter(ctx, "reject", key); err != nil {
		return err
	}
	return s.MemoryStore.Reject(ctx, key, generation)
}

func (s *faultyStore) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (refresher.Lease, error) {
	if err := s.enter(ctx, "acquire", key); err != nil {
		return nil, err
	}
	l, err := s.MemoryStore.Acquire(ctx, key, ttl)
	if err != nil {
		return nil, err
	}
	return faultyLease{l, s, key}, nil
}

type faultyLease struct {
	refresher.Lease
	store *faultyStore
	key   refresher.StoreKey
}

func (l faultyLease) Extend(ctx context.Context, ttl time.Duration) error {
	if err := l.store.enter(ctx, "extend", l.key); err != nil {
		return err
	}
	return l.Lease.Extend(ctx, ttl)
}

// put saves a token of another replica, over what is there.
func (s *faultyStore) put(t *testing.T, value string, generation uint64, lifetime time.Duration) {
	t.Helper()
	old, _ := s.MemoryStore.Load(t.Context(), s.key())
	tok := refresher.Token{
		Value: secret.New(value), Generation: generation, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(lifetime),
	}
	if err := s.MemoryStore.Save(t.Context(), s.key(), refresher.Guard{Generation: old.Token.Generation}, tok); err != nil {
		t.Fatal(err)
	}
}

// want fails the test unless the store holds that token.
func (s *faultyStore) want(t *testing.T, value string, generation uint64) {
	t.Helper()
	found, err := s.MemoryStore.Load(t.Context(), s.key())
	got := found.Token
	if err != nil || got.Value.Reveal() != value || got.Generation != generation {
		t.Errorf("the store holds %q of generation %d (%v), want %q of %d", got.Value.Reveal(), got.Generation, err, value, generation)
	}
}

func storeFailures(events *rt.Events) []string {
	var ops []string
	for _, e := range events.Of(refresher.StoreFailed) {
		ops = append(ops, e.Op)
	}
	return ops
}
