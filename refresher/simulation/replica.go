package simulation

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// replica is one place where attache runs, with a clock of its own. What runs
// there, until it crashes, is a [life].
type replica struct {
	id    int
	world *World

	mu      sync.Mutex
	skew    time.Duration // of its wall clock
	pauses  int
	resumed chan struct{} // closed at the end of the pause; nil: none
	frozen  time.Time     // what the clock shows in it
	life    *life         // nil: crashed
	lives   int
	downs   int // crashes that are not over
}

// now is the replica's wall clock.
func (r *replica) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resumed != nil {
		return r.frozen
	}
	return time.Now().Round(0).Add(r.skew)
}

func (r *replica) step(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skew += by
	r.frozen = r.frozen.Add(by)
}

func (r *replica) pause() {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pauses++
	if r.resumed == nil {
		r.resumed, r.frozen = make(chan struct{}), now
	}
}

func (r *replica) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pauses--
	if r.pauses == 0 {
		close(r.resumed)
		r.resumed = nil
	}
}

// running returns the life that is there and not paused, or nil.
func (r *replica) running() *life {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resumed != nil {
		return nil
	}
	return r.life
}

// current returns the life that is there, or nil.
func (r *replica) current() *life {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.life
}

// crash ends the process without any goodbye.
func (r *replica) crash() {
	r.mu.Lock()
	l := r.life
	r.life = nil
	r.downs++
	r.mu.Unlock()
	if l != nil {
		l.kill()
	}
}

// restart starts a process, unless another crash is not over.
func (r *replica) restart() {
	r.mu.Lock()
	r.downs--
	up := r.downs == 0
	r.mu.Unlock()
	if up {
		r.start()
	}
}

func (r *replica) start() {
	r.mu.Lock()
	r.lives++
	l := &life{replica: r, number: uint64(r.lives), dead: make(chan struct{}), ended: make(chan struct{}), begin: time.Now()}
	r.mu.Unlock()
	l.run()
	r.mu.Lock()
	r.life = l
	r.mu.Unlock()
}

// Tokens is what a process takes its tokens from: an instance of its engine.
type Tokens interface {
	Token(ctx context.Context) (refresher.Token, error)
	Peek() (refresher.Token, bool)
	Reject(t refresher.Token, c refresher.Cause) refresher.Rejection
	Accepted(refused refresher.Token, by string)
}

// life is one process, from its start to its crash. It is the source of its own
// engine.
type life struct {
	*replica
	number uint64
	begin  time.Time
	dead   chan struct{} // closed by the crash
	ended  chan struct{} // closed when the engine's Run has returned
	cancel context.CancelFunc
	tokens Tokens
	logins atomic.Uint64
	asked  atomic.Uint64
	dry    atomic.Bool    // the last request got no token
	loads  sync.WaitGroup // what asks for tokens

	hearing atomic.Pointer[func(refresher.StoreKey)]

	record record // the judge's notes
}

// run starts the engine and what uses it.
func (l *life) run() {
	w := l.world
	base := refresher.Store(w.ledger)
	if w.breaks.Store != nil {
		base = w.breaks.Store(base)
	}
	v := &view{life: l, base: base, dice: newDice(w.seed, streamStore, uint64(l.id), l.number)}
	var store refresher.Store
	switch {
	case w.profile.Alone:
	case w.profile.News && !w.breaks.Deaf:
		store = &telling{v}
	default:
		store = v
	}
	source, policy := refresher.Source(l), w.profile.Policy
	if w.breaks.Source != nil {
		source = w.breaks.Source(l)
	}
	if w.breaks.Policy != nil {
		policy = w.breaks.Policy(policy)
	}
	e := refresher.New(refresher.Config{
		Store: store, Now: l.now, Rand: newDice(w.seed, streamEngine, uint64(l.id), l.number).float, Observe: l.observe,
	})
	pool, err := e.Add(refresher.Definition{
		Credential: "vendor", Token: "access", Source: source, Policy: policy,
		Key: []refresher.KeyPart{{Name: "account", Value: secret.New("simulated")}},
	})
	if err != nil {
		panic(err) // the definition is right
	}
	in, err := pool.Instance(nil)
	if err != nil {
		panic(err)
	}
	l.tokens = in
	if w.breaks.Tokens != nil {
		l.tokens = w.breaks.Tokens(in)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go func() {
		defer close(l.ended)
		e.Run(ctx)
		in.Release()
	}()
	l.loads.Go(l.load)
}

// kill cuts the process off. Its goroutines have to end as well.
func (l *life) kill() {
	close(l.dead)
	l.cancel()
	l.world.crashes.Go(func() {
		l.world.mustEnd(l)
		l.loads.Wait()
	})
}

func (l *life) gone() bool {
	select {
	case <-l.dead:
		return true
	default:
		return false
	}
}

// deaf reports whether announcements do not reach the process.
func (l *life) deaf() bool {
	w := l.world.weather
	return w.is(NewsLost, l.id) || w.is(StoreDown, l.id) || w.is(StoreHangs, l.id)
}

// hears has f called for what the process may have missed.
func (l *life) hears(f func(refresher.StoreKey)) { l.hearing.Store(&f) }

// catchUp tells of everything.
func (l *life) catchUp() {
	l.world.ledger.mu.Lock()
	key := l.world.ledger.key
	l.world.ledger.mu.Unlock()
	if f := l.hearing.Load(); f != nil && !l.gone() && !l.deaf() {
		(*f)(key)
	}
}

// gate holds whoever comes by while the process is paused.
func (l *life) gate() {
	for {
		l.mu.Lock()
		resumed := l.resumed
		l.mu.Unlock()
		if resumed == nil {
			return
		}
		select {
		case <-resumed:
		case <-l.dead:
			return
		}
	}
}

// sleep takes time outside the process: an answer that comes while it is paused
// is seen afterwards.
func (l *life) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var err error
	select {
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	case <-l.dead:
	}
	l.gate()
	if l.gone() {
		return errCrashed
	}
	return err
}

// shift moves a token's times from one clock to another.
func (l *life) shift(t refresher.Token, by time.Duration) refresher.Token {
	if !t.IssuedAt.IsZero() {
		t.IssuedAt = t.IssuedAt.Add(by)
	}
	if !t.ExpiresAt.IsZero() {
		t.ExpiresAt = t.ExpiresAt.Add(by)
	}
	return t
}

// Fetch implements [refresher.Source]: one login at the vendor.
func (l *life) Fetch(ctx context.Context, _ refresher.Input) (refresher.Token, error) {
	w := l.world
	if err := ctx.Err(); err != nil {
		return refresher.Token{}, err // the engine ends; nothing is sent
	}
	w.judge.loginStarts(l)
	t, err := l.fetch(ctx, newDice(w.seed, streamLogin, uint64(l.id), l.number, l.logins.Add(1)))
	w.judge.loginEnds(l, t, err)
	return t, err
}

func (l *life) fetch(ctx context.Context, d *dice) (refresher.Token, error) {
	w := l.world
	there, back := between(d.float(), 10*time.Millisecond, 200*time.Millisecond), between(d.float(), 10*time.Millisecond, 200*time.Millisecond)
	if w.weather.is(VendorSlow, everybody) {
		back = between(d.float(), time.Second, 15*time.Second)
	}
	if err := l.sleep(ctx, there); err != nil {
		return refresher.Token{}, err
	}
	switch {
	case w.weather.is(VendorDown, everybody):
		return refresher.Token{}, errors.New("connection refused")
	case w.weather.is(VendorHangs, everybody):
		return refresher.Token{}, l.sleep(ctx, forever)
	}
	got, err := w.vendor.login(d.r)
	if err != nil {
		return refresher.Token{}, errors.Join(l.sleep(ctx, back), err)
	}
	w.note("replica %d: the vendor issues %s", l.id, got.value)
	if w.weather.is(VendorLoses, everybody) && d.float() < 0.5 {
		return refresher.Token{}, errors.Join(l.sleep(ctx, back), errors.New("connection reset"))
	}
	if err := l.sleep(ctx, back); err != nil {
		return refresher.Token{}, err
	}
	return refresher.Token{Value: secret.New(got.value), ExpiresAt: l.now().Add(w.profile.Lifetime)}, nil
}

// observe keeps what the engine tells for the timeline.
func (l *life) observe(e refresher.Event) {
	what := [...]string{"logged in", "adopted", "login failed", "refused", "renewed", "evicted", "store failed", "revoked"}[e.Kind]
	switch e.Kind {
	case refresher.LoginFailed:
		l.world.note("replica %d: %s: %v", l.id, what, e.Err)
	case refresher.StoreFailed:
		l.world.note("replica %d: %s at %s: %v", l.id, what, e.Op, e.Err)
	case refresher.Refused:
		l.world.note("replica %d: %s generation %d: %v", l.id, what, e.Generation, e.Rejection)
	default:
		l.world.note("replica %d: %s generation %d", l.id, what, e.Generation)
	}
}
