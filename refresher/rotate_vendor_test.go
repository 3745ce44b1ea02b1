package refresher_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// session is a vendor whose refresh tokens are good for one use. One that is
// used twice ends the session for good.
type session struct {
	mu      sync.Mutex
	last    int  // number of the refresh token that is good
	calls   int  // that reached the vendor
	revoked bool // a refresh token was used twice
	// lenient: the one before is still good until the last one was used.
	lenient bool
	down    bool
	rand    *rand.Rand    // answers take up to most; nil: most
	most    time.Duration // how long
}

func (s *session) lost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked
}

// refresh answers a request that carries that refresh token.
func (s *session) refresh(token string) (refresher.Token, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := s.most
	if s.rand != nil {
		wait = time.Duration(s.rand.Int64N(int64(s.most)))
	}
	if s.down {
		return refresher.Token{}, wait, &refresher.FetchError{Class: refresher.Transient, Err: errors.New("down")}
	}
	s.calls++
	good := token == fmt.Sprint("r", s.last) || s.lenient && s.last > 0 && token == fmt.Sprint("r", s.last-1)
	if s.revoked = s.revoked || !good; s.revoked {
		return refresher.Token{}, wait, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("invalid_grant")}
	}
	if token == fmt.Sprint("r", s.last) {
		s.last++
	}
	return refresher.Token{
		Value:     secret.New(fmt.Sprint("a", s.last)),
		Outputs:   map[string]secret.String{"refresh_token": secret.New(fmt.Sprint("r", s.last))},
		ExpiresAt: time.Now().Add(time.Hour),
		Lasting:   true,
	}, wait, nil
}

// process is an attache that can be killed at a point: whatever runs there ends,
// and so does whatever comes to another point later. It is its own source and
// store.
type process struct {
	t      *testing.T
	vendor *session
	store  *refresher.MemoryStore // stays when the process is gone

	mu     sync.Mutex
	killAt string
	skip   int // so often the point is passed before
	dead   bool
	saves  int
	faults func(op string) error // asked before each operation of the store; may be nil
	engine *refresher.Engine
	stop   func()
	in     *refresher.Instance
}

func startProcess(t *testing.T, vendor *session, store *refresher.MemoryStore, killAt string, skip int) *process {
	p := &process{t: t, vendor: vendor, store: store, killAt: killAt, skip: skip}
	p.start()
	return p
}

// startFailing starts a process whose store fails from the start.
func startFailing(t *testing.T, vendor *session, store *refresher.MemoryStore, faults func(op string) error) *process {
	p := &process{t: t, vendor: vendor, store: store, faults: faults}
	p.start()
	return p
}

func (p *process) start() {
	p.engine, p.stop = rt.StartStoppable(p.t, refresher.Config{Store: p})
	p.in = rt.Single(p.t, p.engine, refresher.Definition{Source: p, Policy: refresher.Policy{Rotates: true}})
}

// at is a point where the process may be killed.
func (p *process) at(point string) {
	p.mu.Lock()
	if point == p.killAt && !p.dead {
		p.skip--
		p.dead = p.skip < 0
	}
	dead := p.dead
	p.mu.Unlock()
	if dead {
		runtime.Goexit()
	}
}

func (p *process) killed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// fail has operations of the store fail from now on as faults says; nil: none.
func (p *process) fail(faults func(op string) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults
}

// saveCount returns how often the store was asked to save.
func (p *process) saveCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saves
}

// kill ends the process at its next step.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *process) Fetch(ctx context.Context, in refresher.Input) (refresher.Token, error) {
	p.at("before the request")
	token := in.Previous.Outputs["refresh_token"].Reveal()
	if token == "" {
		token = "r0"
	}
	t, wait, err := p.vendor.refresh(token)
	p.at("the answer on its way")
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return refresher.Token{}, ctx.Err()
	}
	p.at("before the save")
	return t, err
}

// fault returns what an operation of the store is to fail with, before it or,
// with late, after it has happened.
func (p *process) fault(ctx context.Context, op string) error {
	p.mu.Lock()
	faults := p.faults
	p.mu.Unlock()
	if faults == nil {
		return ctx.Err()
	}
	err := faults(op)
	if errors.Is(err, errHang) {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// errLate is a fault of an operation that has happened all the same.
var errLate = errors.New("the answer of the store is lost")

func (p *process) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	p.at("before the load")
	if err := p.fault(ctx, "load"); err != nil {
		return refresher.Stored{}, err
	}
	t, err := p.store.Load(ctx, key)
	p.at("after the load")
	return t, err
}

func (p *process) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	p.at("at the save")
	p.mu.Lock()
	p.saves++
	p.mu.Unlock()
	late := p.fault(ctx, "save")
	if late != nil && !errors.Is(late, errLate) {
		return late
	}
	if err := p.store.Save(ctx, key, guard, t); err != nil {
		return err
	}
	p.at("after the save")
	return late
}

func (p *process) Reject(ctx context.Context, key refresher.StoreKey, generation uint64) error {
	if err := p.fault(ctx, "reject"); err != nil {
		return err
	}
	return p.store.Reject(ctx, key, generation)
}

func (p *process) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (refresher.Lease, error) {
	p.at("before the lease")
	if err := p.fault(ctx, "acquire"); err != nil {
		return nil, err
	}
	l, err := p.store.Acquire(ctx, key, ttl)
	p.at("after the lease")
	if err != nil {
		return nil, err
	}
	return processLease{l, p}, nil
}

type processLease struct {
	refresher.Lease
	p *process
}

func (l processLease) Release() {
	l.p.at("before the release")
	l.Lease.Release()
	l.p.at("after the release")
}

func (l processLease) Extend(ctx context.Context, ttl time.Duration) error {
	l.p.at("before the extension")
	if err := l.p.fault(ctx, "extend"); err != nil {
		return err
	}
	return l.Lease.Extend(ctx, ttl)
}
