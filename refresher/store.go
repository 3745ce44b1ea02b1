package refresher

import (
	"context"
	"errors"
	"time"
)

// StoreKey names an instance in a [Store]: a hash of everything that
// identifies issuer and account, secrets by their values included. It stays in
// the process: from the hash of a secret that can be guessed the secret could be
// found. What is written elsewhere is an HMAC of it.
type StoreKey [32]byte

// Errors of a [Store].
var (
	ErrNoToken  = errors.New("the store holds no token of this key")
	ErrConflict = errors.New("the store holds another generation")
	ErrHeld     = errors.New("another process is logging in")
)

// Stored is what a [Store] holds for one key.
type Stored struct {
	Token Token
	// Rejected: an upstream refused this generation, and no newer one is there
	// yet. It is not to be injected.
	Rejected bool
}

// Guard is what must still be so for a [Store] to take a token.
type Guard struct {
	// Generation is the stored one; 0: there is no token.
	Generation uint64
	// Epoch is that of the [Lease] that the token was got under: nobody must
	// have got the lease since. 0: the generation alone counts.
	Epoch uint64
}

// Store keeps tokens beyond one instance's memory: for a restart, or for
// replicas that share one login. Implementations are safe for concurrent use,
// and every method returns soon after ctx ends. The contract is tested by the
// package store/storetest.
//
// The engine looks before it logs in: Load, adopt what is newer, else Acquire,
// Load again (somebody may have logged in just before), log in, Save, Release.
// The compare-and-set in Save, not the lease, is what keeps replicas
// consistent: leases expire while a process is paused.
//
// A store is never in the way: when a method fails for other reasons than the
// errors above, the engine works on without it. Tokens that rotate, and those
// whose policy says so, are the exception: see [Policy].
//
// A store may also be a [Watcher] and a [Forgetter].
type Store interface {
	// Load returns what is stored for key, or [ErrNoToken].
	Load(ctx context.Context, key StoreKey) (Stored, error)
	// Save stores t if the guard holds; [ErrConflict] if the generation is
	// another one, [ErrHeld] if another process got the lease since. When it
	// returns nil the token outlives the process, as far as the store outlives
	// it at all: one on a disk has flushed it there. A token past its expiry may
	// be dropped at any time, unless it is [Token].Lasting. One that is saved is
	// not rejected.
	Save(ctx context.Context, key StoreKey, guard Guard, t Token) error
	// Reject marks the stored token as rejected if it is of this generation, and
	// else does nothing.
	Reject(ctx context.Context, key StoreKey, generation uint64) error
	// Acquire returns the right to log in, for at most ttl, or [ErrHeld].
	Acquire(ctx context.Context, key StoreKey, ttl time.Duration) (Lease, error)
}

// Lease is the right to log in for one key. One goroutine uses it at a time.
type Lease interface {
	// Epoch numbers the leases of a key: a later one has a higher number, which
	// is never 0. It may be called at any time.
	Epoch() uint64
	// Extend makes the lease end ttl from now, or returns [ErrHeld] if somebody
	// else has got it since.
	Extend(ctx context.Context, ttl time.Duration) error
	// Release gives the right back. It may be called after the lease ran out, by
	// itself or because another process took it, and takes it from nobody then.
	Release()
}

// Watcher is a [Store] that tells when what it holds changes.
type Watcher interface {
	// Watch calls changed, until ctx ends, for keys that this process has loaded
	// and that somebody saved or rejected. It may be called without need, and
	// what happens while the store cannot be reached may be missed: whoever
	// comes back calls it for all. changed does not block. Watch is called once.
	Watch(ctx context.Context, changed func(StoreKey))
}

// Forgetter is a [Store] that is told of keys that this process has no use for
// any more. Their tokens may stay for others.
type Forgetter interface {
	// Forget does no I/O.
	Forget(key StoreKey)
}
