package store

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"attache/refresher"
)

// File is a [refresher.Store] in one encrypted file, which one process at a time
// has. A save returns when it is on the disk; whoever waits at the same time
// shares one flush. Loads come from memory, and leases are those of this process
// alone.
//
// The file is opened and locked by the first operation, and until that succeeds
// every operation fails, at most once a second by trying. So a process that
// starts before another one has ended works without the store until then.
type File struct {
	path      string
	keys      *Keys
	namespace string
	log       *slog.Logger
	disk      *disk // belongs to the goroutine that works
	most      bounds

	mu      sync.Mutex
	entries map[Name]*list.Element // of *entry; nil: the file is not open
	used    *list.List             // the entries; those unused for longest come first
	live    int64                  // how long a file of these would be, less its head
	queue   []*operation
	saving  map[refresher.StoreKey]int // saves that are queued or being flushed
	idle    chan struct{}              // closed when nobody works; nil: nobody does
	closed  bool
	leases  map[refresher.StoreKey]*fileLease // the last ones
	epoch   uint64                            // of the last lease

	// These belong to the goroutine that works.
	failed  error     // why the file could not be opened
	retry   time.Time // when that is tried again
	compact time.Time // before that the file is not made smaller: it failed
	evicted bool      // somebody was told that tokens are dropped
}

// bounds say how much is kept.
type bounds struct {
	entries int
	bytes   int64
	garbage int64 // so much is never a reason to write the file anew
}

const (
	mostEntries = 100_000
	mostBytes   = 64 << 20
	someGarbage = 256 << 10
	// openRetry is how often opening the file is tried.
	openRetry = time.Second
	// compactRetry is how long after a failure the file is made smaller at the
	// soonest.
	compactRetry = time.Minute
	// closeTime bounds the wait for a disk that hangs.
	closeTime = 5 * time.Second
)

var errClosed = errors.New("the store is closed")

// entry is what is known of a name.
type entry struct {
	record
	generation uint64
	expires    time.Time // zero: never, or not before the token is refused
	lasting    bool
	rejected   bool
}

// OpenFile returns the store in the file at path, which need not exist. It does
// nothing yet: see [File]. Entries of another namespace in the same file are left
// alone. Log is told of damage, and must be set.
func OpenFile(path string, keys *Keys, namespace string, log *slog.Logger) *File {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return &File{
		path: path, keys: keys, namespace: namespace, log: log, disk: newDisk(path, log),
		most:   bounds{entries: mostEntries, bytes: mostBytes, garbage: someGarbage},
		used:   list.New(),
		saving: map[refresher.StoreKey]int{}, leases: map[refresher.StoreKey]*fileLease{},
	}
}

// Load implements [refresher.Store].
func (s *File) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	if err := s.opened(ctx); err != nil {
		return refresher.Stored{}, err
	}
	names := s.keys.Names(s.namespace, key)
	s.mu.Lock()
	e := s.newest(names, nil)
	if e == nil {
		s.mu.Unlock()
		return refresher.Stored{}, refresher.ErrNoToken
	}
	s.used.MoveToBack(s.entries[e.name])
	if e.name != names[0] { // an older key's: whether it moves now or later is all the same
		_ = s.enqueue(&operation{ctx: context.WithoutCancel(ctx), key: key, names: names, change: s.move(names[0])})
	}
	s.mu.Unlock()
	return s.unseal(e)
}

// Save implements [refresher.Store].
func (s *File) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	names := s.keys.Names(s.namespace, key)
	next, err := s.seal(names[0], refresher.Stored{Token: t})
	if err != nil {
		return err
	}
	return s.do(&operation{ctx: ctx, key: key, names: names, save: true, change: func(now *entry) (*entry, error) {
		var generation uint64
		if now != nil {
			generation = now.generation
		}
		switch l := s.leases[key]; {
		case guard.Epoch != 0 && l != nil && l.epoch != guard.Epoch:
			return nil, refresher.ErrHeld
		case generation != guard.Generation:
			return nil, refresher.ErrConflict
		}
		return next, nil
	}})
}

// Reject implements [refresher.Store].
func (s *File) Reject(ctx context.Context, key refresher.StoreKey, generation uint64) error {
	names := s.keys.Names(s.namespace, key)
	return s.do(&operation{ctx: ctx, key: key, names: names, change: func(now *entry) (*entry, error) {
		if now == nil || now.generation != generation || now.rejected {
			return nil, nil
		}
		stored, err := s.unseal(now)
		if err != nil {
			return nil, err
		}
		stored.Rejected = true
		return s.seal(names[0], stored)
	}})
}

// move returns the change that puts a token that an older key named under the
// first name.
func (s *File) move(to Name) func(*entry) (*entry, error) {
	return func(now *entry) (*entry, error) {
		if now == nil || now.name == to {
			return nil, nil
		}
		stored, err := s.unseal(now)
		if err != nil {
			return nil, err
		}
		return s.seal(to, stored)
	}
}

// seal makes the entry of a token.
func (s *File) seal(name Name, stored refresher.Stored) (*entry, error) {
	plain, err := encode(stored)
	if err != nil {
		return nil, err
	}
	return newEntry(record{name, s.keys.Seal(name, nil, plain)}, stored), nil
}

func newEntry(r record, stored refresher.Stored) *entry {
	t := stored.Token
	return &entry{record: r, generation: t.Generation, expires: t.ExpiresAt, lasting: t.Lasting, rejected: stored.Rejected}
}

func (s *File) unseal(e *entry) (refresher.Stored, error) { return open(s.keys, e.record) }

// open returns the token of a record.
func open(keys *Keys, r record) (refresher.Stored, error) {
	plain, err := keys.Open(r.name, nil, r.sealed)
	if err != nil {
		return refresher.Stored{}, err
	}
	return decode(plain)
}

// newest returns the entry of one of these names with the highest generation; the
// first of several, nil if there is none. What over says goes first. It is called
// with s.mu held.
func (s *File) newest(names []Name, over map[Name]*entry) *entry {
	var best *entry
	for _, name := range names {
		e, written := over[name]
		if at := s.entries[name]; !written && at != nil {
			e = at.Value.(*entry)
		}
		if e != nil && (best == nil || e.generation > best.generation) {
			best = e
		}
	}
	return best
}

// Close flushes what is being saved and gives the file back. Operations fail
// from then on. A disk that hangs is not waited for for long; the system gives
// the file back when the process ends.
func (s *File) Close() error {
	s.mu.Lock()
	s.closed = true
	idle := s.idle
	s.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-time.After(closeTime):
			return errors.New("the store " + s.path + " does not take what is being saved: the disk hangs")
		}
	}
	s.disk.close()
	return nil
}
