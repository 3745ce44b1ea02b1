package simulation

import (
	"context"
	"sync"
	"time"

	"attache/refresher"
)

// ledger is the store that the replicas share, with notes of what it was told.
// Times in it are those of the true clock.
type ledger struct {
	*refresher.MemoryStore

	mu       sync.Mutex
	key      refresher.StoreKey
	lease    refresher.Lease      // the last one
	values   map[uint64]string    // saved, by generation, since the store was last emptied
	rejected map[string]time.Time // values that the store was told to be refused
	ever     map[string]bool      // values saved
	clashes  []clash
	ops      map[string]int
	note     func(format string, args ...any)
}

// clash is a second value that was saved as one generation.
type clash struct {
	generation  uint64
	first, next string
}

func newLedger(note func(string, ...any)) *ledger {
	return &ledger{
		MemoryStore: refresher.NewMemoryStore(), values: map[uint64]string{}, rejected: map[string]time.Time{}, ops: map[string]int{}, ever: map[string]bool{}, note: note,
	}
}

func (l *ledger) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	if err := l.MemoryStore.Save(ctx, key, guard, t); err != nil {
		return err
	}
	l.note("store: saved %s as generation %d", t.Value.Reveal(), t.Generation)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.key = key
	if first, ok := l.values[t.Generation]; ok && first != t.Value.Reveal() {
		l.clashes = append(l.clashes, clash{t.Generation, first, t.Value.Reveal()})
	}
	l.values[t.Generation], l.ever[t.Value.Reveal()] = t.Value.Reveal(), true
	return nil
}

func (l *ledger) Reject(ctx context.Context, key refresher.StoreKey, generation uint64) error {
	if err := l.MemoryStore.Reject(ctx, key, generation); err != nil {
		return err
	}
	found, err := l.MemoryStore.Load(ctx, key)
	if err != nil || !found.Rejected || found.Token.Generation != generation {
		return nil
	}
	l.note("store: %s is rejected, generation %d", found.Token.Value.Reveal(), generation)
	l.mu.Lock()
	defer l.mu.Unlock()
	if value := found.Token.Value.Reveal(); l.rejected[value].IsZero() {
		l.rejected[value] = time.Now()
	}
	return nil
}

func (l *ledger) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (refresher.Lease, error) {
	got, err := l.MemoryStore.Acquire(ctx, key, ttl)
	if err == nil {
		l.mu.Lock()
		l.lease = got
		l.mu.Unlock()
	}
	return got, err
}

// loseLease lets anybody have the lease.
func (l *ledger) loseLease() {
	l.mu.Lock()
	lease := l.lease
	l.mu.Unlock()
	if lease != nil {
		lease.Release()
	}
}

// forget empties the store.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.MemoryStore.Forget(l.key)
	l.values, l.rejected = map[uint64]string{}, map[string]time.Time{}
}

func (l *ledger) count(op string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops[op]++
}

// saved returns the value that was saved as that generation.
func (l *ledger) saved(generation uint64) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.values[generation]
	return v, ok
}

// knows reports whether the value was ever saved, whatever its number.
func (l *ledger) knows(value string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ever[value]
}

// rejectedAt returns when the store was told that the value was refused.
func (l *ledger) rejectedAt(value string) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.rejected[value]
	return at, ok
}

// takeClashes returns the clashes since the last call.
func (l *ledger) takeClashes() []clash {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clashes
	l.clashes = nil
	return c
}
