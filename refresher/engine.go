// Package refresher is the token engine: it logs in, keeps tokens fresh in the
// background, and renews them when an upstream refuses them.
//
// # Words
//
// A [Definition] describes one token of one credential. Its instances live in a
// [Pool]: one, or one for each value of the parameters that come from requests.
// An [Instance] holds the current [Token], an immutable value with a generation
// number. A [Source] makes one login attempt; a [Policy] says when the next one
// is due.
//
// # How it works
//
// Readers take the current token with one atomic load. Everything else of an
// instance's state has one owner, its lock, which is never held across I/O.
// One scheduler (a heap and a timer) wakes instances; a goroutine exists only
// while a login runs. Logins run on the engine's own context, so a client that
// leaves harms nobody.
//
// A refusal names the generation that was refused. Only the first one of the
// current generation starts a login ([Instance.Reject]); all others wait for
// its result. A login that needs other tokens (its parents) waits for them
// first; when the upstream refuses a parent, that very generation of the parent
// is rejected and the login repeated once, at once.
//
// A [Change] puts a new set of definitions into service. What it leaves as it
// was goes on undisturbed; instances of tokens that are gone are kept for a
// while, so that a token that comes back under any name is still there.
//
// A [Store] that several processes share makes one login of theirs: whoever gets
// the lease logs in, the others adopt what it saves, at once if the store is a
// [Watcher]. They also share refusals. Tokens there are named by what identifies
// issuer and account by value, so that a changed secret adopts no other account's.
// What a store loses, it gets back from whoever has it.
//
// The wall clock decides expiry. Waits are measured by the monotonic clock, and
// a step of the wall clock makes the scheduler look at every instance anew.
//
// The package imports neither net/http nor any metrics or store library.
package refresher

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// heartbeat is how often the scheduler goes round when there is nothing to do.
const heartbeat = 10 * time.Second

// Config configures an [Engine]. The zero value is usable.
type Config struct {
	// Store keeps tokens beyond the instances; nil: [NewMemoryStore].
	Store Store
	// Observe is told what happens; nil: nobody. It is called without any lock
	// held, from several goroutines, and must not block.
	Observe func(Event)
	// Rand returns numbers in [0, 1) for jitter; nil: math/rand/v2. It must be
	// safe for concurrent use and must not block.
	Rand func() float64
	// Now is the wall clock; nil: time.Now. Waits do not use it. As Rand, it is
	// called concurrently.
	Now func() time.Time
}

// Engine keeps tokens fresh. Make one with [New]; its methods may be called
// concurrently.
type Engine struct {
	store   Store
	local   *MemoryStore // of tokens that stay in the process
	observe func(Event)
	rand    func() float64
	now     func() time.Time

	epoch  time.Time       // Instance.used and beat count from here
	ctx    context.Context // of logins
	cancel context.CancelFunc
	logins sync.WaitGroup
	sched  *scheduler
	beat   atomic.Int64 // the last round, nanoseconds since epoch
	table  sync.Map     // identity → *Instance; lookups are lock-free
	news   *news        // of the store; nil: it tells none

	// rooms guards which instances may be evicted, in which order, and who
	// owns them. It is held for that alone, when an instance is made, evicted or
	// gets another owner.
	rooms   sync.Mutex
	orphans ranking // of retired pools; see [Instance.orphan]

	pools atomic.Pointer[[]*Pool] // in service; written with mu and rooms held

	mu      sync.Mutex // held while a Change is committed, which may take long
	commits int

	ending sync.Mutex
	closed bool // no login starts any more; under ending
}

// New returns an engine without any token. Nothing happens before [Engine.Run].
func New(cfg Config) *Engine {
	e := &Engine{store: cfg.Store, local: NewMemoryStore(), observe: cfg.Observe, rand: cfg.Rand, now: cfg.Now, sched: newScheduler(), orphans: ranking{kind: byRecent}}
	if e.store == nil {
		e.store = e.local
	}
	if e.observe == nil {
		e.observe = func(Event) {}
	}
	if e.rand == nil {
		e.rand = rand.Float64
	}
	if e.now == nil {
		e.now = time.Now
	}
	if _, tells := e.store.(Watcher); tells && e.store != e.local {
		e.news = newNews()
	}
	e.epoch = time.Now()
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Run refreshes tokens until ctx ends, then stops the logins under way and
// waits for them. It returns nil. Afterwards waiting callers get [ErrClosed].
// It is called once.
func (e *Engine) Run(ctx context.Context) error {
	defer e.close()
	e.watch()
	timer := time.NewTimer(0)
	defer timer.Stop()
	clock := e.readClocks()
	for {
		e.beat.Store(int64(time.Since(e.epoch)))
		if next := e.readClocks(); next.stepped(clock) {
			e.lookAtAll()
			clock = next
		}
		wait := e.round()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-e.sched.kick:
		case <-timer.C:
		}
	}
}

// round looks at every instance whose time has come and returns how long the
// scheduler may sleep.
func (e *Engine) round() time.Duration {
	for {
		in, wait := e.sched.pop(e.moment(time.Now()), heartbeat)
		if in == nil {
			return wait
		}
		in.look()
	}
}

func (e *Engine) close() {
	e.ending.Lock()
	e.closed = true
	e.ending.Unlock()
	e.cancel()
	e.logins.Wait()
	e.saveRotated()
}

// start runs f in a goroutine that close waits for, unless the engine has
// ended.
func (e *Engine) start(f func()) bool {
	e.ending.Lock()
	defer e.ending.Unlock()
	if e.closed {
		return false
	}
	e.logins.Go(f)
	return true
}

func (e *Engine) ended() bool {
	e.ending.Lock()
	defer e.ending.Unlock()
	return e.closed
}

// inService returns the pools in service, in the order in which they were defined.
func (e *Engine) inService() []*Pool {
	if pools := e.pools.Load(); pools != nil {
		return *pools
	}
	return nil
}

// clocks is one reading of the wall clock and the monotonic clock.
type clocks struct{ wall, monotonic time.Time }

func (e *Engine) readClocks() clocks { return clocks{wall: e.now().Round(0), monotonic: time.Now()} }

// stepped reports whether the wall clock moved differently from the monotonic
// one since before: it was set, or the machine slept.
func (c clocks) stepped(before clocks) bool {
	drift := c.wall.Sub(before.wall) - c.monotonic.Sub(before.monotonic)
	return drift > time.Second || drift < -time.Second
}

func (e *Engine) lookAtAll() {
	e.table.Range(func(_, v any) bool {
		in := v.(*Instance)
		in.mu.Lock()
		in.plan()
		in.mu.Unlock()
		return true
	})
}

// Heartbeat returns when the scheduler last went round, or before Run when the
// engine was made. While Run runs it goes round at least every 10 seconds;
// measure with [time.Since], which a step of the wall clock does not disturb.
func (e *Engine) Heartbeat() time.Time { return e.epoch.Add(time.Duration(e.beat.Load())) }

// Status returns the status of all pools in service, in the order in which they
// were defined.
func (e *Engine) Status() []PoolStatus {
	pools := e.inService()
	status := make([]PoolStatus, len(pools))
	for i, p := range pools {
		status[i] = p.Status()
	}
	return status
}

// asFetchError makes any error one that says what to do.
func asFetchError(err error) *FetchError {
	fetch, ok := errors.AsType[*FetchError](err)
	if !ok {
		return &FetchError{Class: Transient, Err: err}
	}
	if fetch == nil { // a nil pointer in the interface; its methods would panic
		return &FetchError{Class: Transient, Err: errors.New("the login failed and does not say why")}
	}
	normal := *fetch
	if len(fetch.Refused) > 0 {
		normal.Class = Transient // until that parent is renewed
	}
	return &normal
}
