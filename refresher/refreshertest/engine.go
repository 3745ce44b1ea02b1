// Package refreshertest helps to test what uses a token engine: a scripted
// [Source], an engine that ends with its test, a wall clock that can be set,
// and a record of events.
//
// It is made for bubbles of testing/synctest, where time is virtual:
//
//	synctest.Test(t, func(t *testing.T) {
//		src := refreshertest.Script(t, refreshertest.OK("a", time.Hour), refreshertest.OK("b", time.Hour))
//		in := refreshertest.Single(t, refreshertest.Start(t, refresher.Config{}), refresher.Definition{Source: src})
//		refreshertest.WantToken(t, in, "a")
//		time.Sleep(50 * time.Minute)
//		refreshertest.WantToken(t, in, "b")
//		src.WantCalls(2)
//	})
//
// The tests' random numbers are 0.5 unless they say otherwise: delays then have
// no spread. Definitions without a Jitter get none.
package refreshertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// patience is how long [Token] waits: longer than any back-off.
const patience = 2 * time.Hour

// Start runs an engine until the test ends, and then waits for its goroutines.
func Start(t testing.TB, cfg refresher.Config) *refresher.Engine {
	t.Helper()
	e, _ := StartStoppable(t, cfg)
	return e
}

// StartStoppable is [Start] for tests that end the engine themselves, with
// stop, which waits for its goroutines. The test's end stops it as well.
func StartStoppable(t testing.TB, cfg refresher.Config) (e *refresher.Engine, stop func()) {
	t.Helper()
	if cfg.Rand == nil {
		cfg.Rand = func() float64 { return 0.5 }
	}
	e = refresher.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return e, stop
}

// Adder is a [refresher.Engine], or a [refresher.Change] of one.
type Adder interface {
	Add(refresher.Definition) (*refresher.Pool, error)
}

// Define adds d to an engine or a change. Names, Key and Jitter that are not
// given get values that suit a test; the key is then the names of credential and
// token, and all parameters that count.
func Define(t testing.TB, to Adder, d refresher.Definition) *refresher.Pool {
	t.Helper()
	if d.Credential == "" {
		d.Credential = "cred"
	}
	if d.Token == "" {
		d.Token = "token"
	}
	if d.Key == nil {
		d.Key = []refresher.KeyPart{{Name: "token", Value: secret.New(d.Credential + "." + d.Token)}}
		for i, p := range d.Params {
			if p.Identity {
				d.Key = append(d.Key, refresher.KeyPart{Name: p.Name, FromRequest: true, Param: i})
			}
		}
	}
	if d.Policy.Jitter == 0 {
		d.Policy.Jitter = -1
	}
	pool, err := to.Add(d)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	return pool
}

// Reload puts these definitions, and no others, into service and returns their
// pools.
func Reload(t testing.TB, e *refresher.Engine, all ...refresher.Definition) []*refresher.Pool {
	t.Helper()
	change := e.Change()
	var pools []*refresher.Pool
	for _, d := range all {
		pools = append(pools, Define(t, change, d))
	}
	if err := change.Commit(); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return pools
}

// Single adds d, which takes no parameters, and returns its only instance.
func Single(t testing.TB, e *refresher.Engine, d refresher.Definition) *refresher.Instance {
	t.Helper()
	return Instance(t, Define(t, e, d))
}

// Instance returns the pool's instance of these values and releases it at the
// test's end.
func Instance(t testing.TB, p *refresher.Pool, params ...string) *refresher.Instance {
	t.Helper()
	in, err := p.Instance(params)
	if err != nil {
		t.Fatalf("instance of %q: %v", params, err)
	}
	t.Cleanup(in.Release)
	return in
}

// Token returns a usable token. It waits for hours of virtual time if need be.
func Token(t testing.TB, in *refresher.Instance) refresher.Token {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tok, err := in.Token(ctx)
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	return tok
}

// WantToken fails the test unless the token that is usable next has that value.
func WantToken(t testing.TB, in *refresher.Instance, value string) refresher.Token {
	t.Helper()
	tok := Token(t, in)
	if got := tok.Value.Reveal(); got != value {
		t.Errorf("token %q of generation %d, want %q", got, tok.Generation, value)
	}
	return tok
}

// WantNone fails the test if a token is usable now.
func WantNone(t testing.TB, in *refresher.Instance) {
	t.Helper()
	if tok, ok := in.Peek(); ok {
		t.Errorf("token %q of generation %d is usable, want none", tok.Value.Reveal(), tok.Generation)
	}
}

// Clock is a wall clock that can be set while waits go on by another one: its
// Now is one for [refresher.Config]. The zero value agrees with time.Now.
type Clock struct{ offset atomic.Int64 }

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time {
	// Without monotonic reading, as after a step of a real clock.
	return time.Now().Round(0).Add(time.Duration(c.offset.Load()))
}

// Step sets the clock forward, or back by a negative d.
func (c *Clock) Step(d time.Duration) { c.offset.Add(int64(d)) }

// Events records what an engine emits: its Observe is one for
// [refresher.Config]. The zero value is ready.
type Events struct {
	mu  sync.Mutex
	all []refresher.Event
}

// Observe records e.
func (r *Events) Observe(e refresher.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
}

// Of returns the events of that kind, in their order.
func (r *Events) Of(kind refresher.EventKind) []refresher.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var some []refresher.Event
	for _, e := range r.all {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// String lists the kinds of all events with token and generation, one per line.
func (r *Events) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := ""
	for _, e := range r.all {
		text += fmt.Sprintf("%s %s.%s %d\n", e.Kind, e.Credential, e.Token, e.Generation)
	}
	return text
}

// Rand returns a source of jitter for [refresher.Config] that gives the same
// numbers for the same seed.
func Rand(seed uint64) func() float64 {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 0))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64()
	}
}
