package refresher

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"attache/internal/secret"
)

// evictedPins is the pin count of an instance that is gone: so low that no
// number of late pins brings it to the half of that.
const evictedPins = -1 << 30

// current is what readers see of an instance: one immutable record.
type current struct {
	token  Token
	usable bool // false once the token was refused
}

// Instance is one live token for one set of parameter values. Get one from
// [Pool.Instance]. Its methods may be called concurrently.
//
// There may be a hundred thousand of them: what few instances need at a time is in
// rarities, and the sizes are held by a test.
//
// Locks are taken in this order: Engine.mu, Engine.rooms, a child's, its
// parents', then those of scheduler and login rate.
type Instance struct {
	engine *Engine
	key    identity

	owner  atomic.Pointer[owner]   // never nil; written with Engine.rooms and mu held
	cur    atomic.Pointer[current] // nil: no token yet; written with mu held
	pins   atomic.Int64
	used   atomic.Int64 // last use, nanoseconds since Engine.epoch; not kept while always is set
	always atomic.Bool  // refreshed though nobody uses it, and never evicted
	asleep atomic.Bool  // due, but nobody wants it: the next use wakes it

	places [rankings]int32 // each under the lock of its ranking
	room   *ranking        // by recency, of those that may be evicted; nil: it is in no danger. Under Engine.rooms

	mu         sync.Mutex
	changed    chan struct{} // closed at the next change; nil while nobody waits
	waiters    int32
	keepers    int32 // pools in service that take no Params and have this instance
	unsaved    int32 // saves that failed in a row
	failures   int32 // since the last success
	series     int32 // of them, those in a row that back off alike
	holds      int32 // looks in a row that found another process logging in
	sameness   int32 // logins in a row that returned the value that was there
	asked      bool  // a child wants the next token
	running    bool  // a login runs
	admitted   bool  // the next login's unit of the login rate was taken
	queued     bool  // waits for such a unit in the background
	outdated   bool  // Renew was called: the next login does not wait until the token is due
	renewing   bool  // the running login is the one that Renew asked for
	saving     bool  // a save runs
	superseded bool  // it is about a token that was in service before
	rare       *rarities
	lastLogin  moment        // when it started
	due        moment        // 0: never
	dueAfter   time.Duration // the same by the wall clock, from the token's issue; see dueWall
	notUntil   moment        // back-off: no login starts before
	lastErr    *FetchError
	success    int64         // of the last login, by the wall clock in nanoseconds of Unix; 0: none
	storeKey   *StoreKey     // the instance is listed for; nil: not yet
	tokenKey   *StoreKey     // of the token in service; nil: it is not to be stored
	stored     uint64        // generation that the store was last seen to hold for tokenKey
	ownValue   secret.String // what a login of this process saved last
	saveAt     moment        // the token in service is to be saved then; 0: it is saved
	wantedFrom int64         // a use since then, on used's clock, is a reason to log in
}

// refusedParent is a token of a parent that a login was refused with.
type refusedParent struct {
	parent *Instance
	token  Token
}

func newInstance(e *Engine, key identity, o *owner) *Instance {
	in := &Instance{engine: e, key: key}
	in.owner.Store(o)
	in.pins.Store(1)
	in.used.Store(int64(time.Since(e.epoch)))
	return in
}

// pin keeps the instance from being evicted until Release, unless it is gone
// already.
func (in *Instance) pin() bool { return in.pins.Add(1) > evictedPins/2 }

// Release takes back the pin of [Pool.Instance].
func (in *Instance) Release() { in.pins.Add(-1) }

// Peek returns the token if it is usable right now. It takes no lock and
// allocates nothing.
func (in *Instance) Peek() (Token, bool) {
	if !in.always.Load() {
		in.markUsed()
	}
	return in.peek()
}

// peek is Peek without counting as a use.
func (in *Instance) peek() (Token, bool) {
	cur := in.cur.Load()
	if cur == nil || !cur.usable || cur.token.ExpiredAt(in.engine.now()) {
		return Token{}, false
	}
	return cur.token, true
}

func (in *Instance) markUsed() {
	in.used.Store(int64(time.Since(in.engine.epoch)))
	if in.asleep.Load() && in.asleep.CompareAndSwap(true, false) {
		in.mu.Lock()
		in.plan()
		in.mu.Unlock()
	}
}

// Token returns a usable token. It blocks only while there is none, at most
// until ctx ends, and fails at once when the next login lies beyond ctx's
// deadline. Errors are *[UnavailableError], *[LimitError] and [ErrClosed].
//
// When the login after a refusal returned the refused value again, the token
// may have the generation that was refused: pass the refusal on then.
func (in *Instance) Token(ctx context.Context) (Token, error) {
	if t, ok := in.Peek(); ok {
		return t, nil
	}
	return in.wait(ctx)
}

func (in *Instance) wait(ctx context.Context) (Token, error) {
	for {
		changed, err := in.await(ctx)
		if err != nil {
			return Token{}, err
		}
		if changed != nil {
			select {
			case <-changed:
			case <-ctx.Done():
			case <-in.engine.ctx.Done():
			}
			in.leave()
		}
		if t, ok := in.Peek(); ok {
			return t, nil
		}
	}
}

// leave ends what await began.
func (in *Instance) leave() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.waiters--
	if in.waiters == 0 {
		in.plan() // from now on it may become idle
	}
}

// await registers a waiter and returns the channel that is closed at the next
// change, or nil when a token came meanwhile, or an error when waiting is in
// vain.
func (in *Instance) await(ctx context.Context) (<-chan struct{}, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, ok := in.peek(); ok {
		return nil, nil
	}
	if in.engine.ctx.Err() != nil {
		return nil, ErrClosed
	}
	now := time.Now()
	if soon := now.Add(heldRetry); in.holds > 0 && in.waiters == 0 && in.notUntil > in.engine.moment(soon) {
		in.notUntil = in.engine.moment(soon) // the looks are rare while nobody waits
	}
	at := in.nextAttempt(now)
	if err := ctx.Err(); err != nil {
		return nil, in.unavailable(at.Sub(now), err)
	}
	if deadline, ok := ctx.Deadline(); ok && at.After(deadline) {
		return nil, in.unavailable(at.Sub(now), nil)
	}
	if err := in.admit(); err != nil {
		return nil, err
	}
	if in.changed == nil {
		in.changed = make(chan struct{})
	}
	in.waiters++
	in.plan()
	return in.changed, nil
}

// unavailable says why there is no token: by the instance's own last failure,
// else by that of the parent it waits for, else by cause.
func (in *Instance) unavailable(wait time.Duration, cause error) error {
	e := &UnavailableError{Credential: in.pool().def.Credential, Token: in.pool().def.Token, RetryAfter: max(wait, 0), Err: cause}
	if last := in.lastFailure(); last != nil {
		e.Class, e.Err = last.Class, last
	}
	if e.Err == nil && in.mustSave() && in.unsaved > 0 {
		e.Err = errUnsaved
	}
	if e.Err == nil {
		e.Err = context.DeadlineExceeded
	}
	return e
}

func (in *Instance) lastFailure() *FetchError {
	if in.lastErr != nil {
		return in.lastErr
	}
	for _, parent := range in.owner.Load().parents {
		if _, ok := parent.peek(); ok {
			continue
		}
		parent.mu.Lock()
		last := parent.lastFailure()
		parent.mu.Unlock()
		if last != nil {
			return last
		}
	}
	return nil
}

// nextAttempt returns when the next login starts as far as is known, its
// parents' included. A parent without a token will tell of its next token or
// failure. It is called with in.mu held.
func (in *Instance) nextAttempt(now time.Time) time.Time {
	if _, usable := in.peek(); usable || in.running {
		return now // a token came meanwhile, or comes; nextLogin is about the one after
	}
	at := in.nextLogin(now)
	for _, parent := range in.owner.Load().parents {
		if _, ok := parent.peek(); ok {
			continue
		}
		parent.mu.Lock()
		parent.adopt(in)
		at = later(at, parent.nextAttempt(now))
		parent.mu.Unlock()
	}
	return at
}

// notify wakes all waiters, who then look for themselves. It is called with
// in.mu held.
func (in *Instance) notify() {
	if in.changed != nil {
		close(in.changed)
		in.changed = nil
	}
}

// Status returns what may be shown of the instance.
func (in *Instance) Status() InstanceStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := in.engine.now()
	s := InstanceStatus{
		Phase:       in.phase(now),
		LastSuccess: in.lastSuccess(),
		Failures:    int(in.failures),
		Waiters:     int(in.waiters),
		DueAt:       in.dueWall(),
	}
	if cur := in.cur.Load(); cur != nil {
		s.Generation, s.IssuedAt, s.ExpiresAt = cur.token.Generation, cur.token.IssuedAt, cur.token.ExpiresAt
	}
	if in.lastErr != nil {
		s.Class, s.LastError = in.lastErr.Class, in.lastErr.Error()
	}
	if at := in.nextLogin(time.Now()); !at.IsZero() && !in.asleep.Load() {
		s.NextAttempt = now.Add(time.Until(at)).Round(0)
	}
	return s
}

// phase derives the state from the record and the time.
func (in *Instance) phase(now time.Time) Phase {
	cur := in.cur.Load()
	switch {
	case in.lastErr != nil && in.lastErr.Class == Permanent:
		return Blocked
	case cur == nil || !cur.usable:
		return Empty
	case cur.token.ExpiredAt(now):
		return Expired
	case in.dueAfter > 0 && !now.Before(in.dueWall()):
		return Due
	}
	return Fresh
}

// setParams keeps the latest values for the next login of the owner, and for
// those of the tokens that it needs. They are inputs of the login: one that failed for good
// is tried again. (One that is throttled or cannot reach its upstream is not:
// clients could undo the back-off by alternating values.)
func (in *Instance) setParams(o *owner, params Params) {
	old := o.params.Load()
	if slices.Equal(*old, params) {
		return
	}
	latest := params // so that params itself need not live on the heap
	o.params.Store(&latest)
	for i, parent := range o.parents {
		p, of := o.pool.def.Parents[i], parent.owner.Load()
		if of.pool == p.Pool && p.Pool.volatile {
			parent.setParams(of, p.pick(params))
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lastErr != nil && in.lastErr.Class == Permanent {
		in.unblock()
	}
}

// renew is [Pool.Renew] of one instance.
func (in *Instance) renew() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.outdated = true
	in.unblock()
}

// byHand is the By of the budget of [Pool.RenewNow].
const byHand = "renewal by hand"

// renewNow is [Pool.RenewNow] of one instance.
func (in *Instance) renewNow() (asked bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := time.Now()
	// With or without a number: an upstream that throttles asked for patience.
	patient := in.lastErr != nil && (in.lastErr.Class == Throttled || in.lastErr.RetryAfter > 0)
	switch {
	case in.running, in.outdated && (patient || in.notUntil <= in.engine.moment(now)):
		return false, nil // there is nothing to be had that does not come by itself
	case !in.budget(byHand).bucket.take(now):
		return false, ErrTooOften
	}
	asked = !in.outdated
	in.outdated = true
	if patient {
		in.plan()
	} else {
		in.unblock()
	}
	return asked, nil
}
