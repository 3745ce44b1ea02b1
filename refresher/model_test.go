package refresher_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

var (
	modelSeed  = flag.Uint64("model.seed", 0, "run TestModel with this seed alone")
	modelSeeds = flag.Uint64("model.seeds", 8, "run TestModel with so many seeds")
)

// TestModel drives two replicas that share a store through days of random
// requests, revocations, outages, nonsense, clock steps and store failures, and
// checks every virtual minute what must hold whatever happens. A failure names
// its seed: go test ./refresher -run TestModel -model.seed N.
func TestModel(t *testing.T) {
	first, last := uint64(1), *modelSeeds
	if *modelSeed != 0 {
		first, last = *modelSeed, *modelSeed
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, seed)
				begin := time.Now()
				for time.Since(begin) < 24*time.Hour && !t.Failed() {
					m.act()
					m.pass(time.Duration(m.rand.Float64() * float64(4*time.Minute)))
				}
				m.heal()
			})
		})
	}
}

// held is an instance of one replica with what the model knows of it.
type held struct {
	name     string // replica and token
	in       *refresher.Instance
	last     uint64          // generation seen last
	rejected map[uint64]bool // generations that must not be handed out again
	old      []refresher.Token
}

type model struct {
	t      *testing.T
	seed   uint64
	rand   *rand.Rand
	clock  rt.Clock
	store  *faultyStore
	vendor *vendor
	held   []*held
	feeds  []*rt.Source
	floors []func()
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), store: newFaultyStore(t)}
	m.vendor = newVendor(rand.New(rand.NewPCG(seed, 1)))
	for _, replica := range []string{"r1", "r2"} {
		m.startReplica(replica)
	}
	return m
}

func (m *model) startReplica(replica string) {
	// The engine calls it from several goroutines.
	jitter := rt.Rand(m.seed)
	e := rt.Start(m.t, refresher.Config{Store: m.store, Now: m.clock.Now, Rand: jitter})
	define := func(d refresher.Definition, perMinute, perHour int) *refresher.Pool {
		name := d.Token
		src := rt.Func(m.t, func(_ int, in refresher.Input) rt.Answer { return m.vendor.login(name, in) }).Clock(&m.clock).Budget(40)
		d.Source = src
		m.feeds = append(m.feeds, src)
		m.floors = append(m.floors, func() {
			src.WantAtMost(perMinute, time.Minute)
			if perHour > 0 {
				src.WantAtMost(perHour, time.Hour)
			}
		})
		return rt.Define(m.t, e, d)
	}
	hold := func(p *refresher.Pool, params ...string) {
		m.held = append(m.held, &held{
			name: fmt.Sprint(replica, ".", p.Token(), params), in: rt.Instance(m.t, p, params...), rejected: map[uint64]bool{},
		})
	}
	access := define(refresher.Definition{Token: "access"}, 60, 0)
	hold(access)
	hold(define(refresher.Definition{Token: "scarce", Policy: refresher.Policy{MaxPerHour: 6, MinInterval: 10 * time.Second}}, 6, 6))
	hold(define(refresher.Definition{Token: "lazy", Policy: refresher.Policy{SameValueBacksOff: true}}, 60, 0))
	users := define(refresher.Definition{
		Token: "messaging", Params: []refresher.Param{userID, userName},
		Parents: []refresher.Parent{{Pool: access}}, Limits: refresher.Limits{LoginsPerMinute: 30},
	}, 60, 0)
	for _, user := range []string{"ann", "bob", "cid"} {
		hold(users, user, "name")
	}
}

// act does one random thing.
func (m *model) act() {
	h := m.held[m.rand.IntN(len(m.held))]
	switch n := m.rand.IntN(100); {
	case n < 50:
		m.request(h)
	case n < 60:
		m.vendor.revoke(m.rand)
	case n < 65:
		m.vendor.set(m.rand.IntN(modes))
	case n < 75:
		m.vendor.set(healthy)
	case n < 78:
		m.clock.Step([]time.Duration{3 * time.Hour, -time.Hour, time.Minute, -40 * time.Second}[m.rand.IntN(4)])
	case n < 84:
		m.store.set(errDown, [][]string{nil, nil, nil, nil, {"load"}, {"save"}, {"load", "acquire", "save"}}[m.rand.IntN(7)]...)
	case n < 92 && len(h.old) > 0: // a slow answer to an old request
		tok := h.old[m.rand.IntN(len(h.old))]
		if tok.Generation < h.last {
			if r := h.in.Reject(tok, route("slow")); r != refresher.Stale {
				m.errorf("%s: late refusal of generation %d is %v", h.name, tok.Generation, r)
			}
			if h.in.Offer(tok, offered("late", time.Hour)) {
				m.errorf("%s: late offer for generation %d was taken", h.name, tok.Generation)
			}
		}
	default:
		m.storm(h)
	}
}

// request is one request: with a token, refused if the vendor knows better,
// repeated once, its answer perhaps carrying a renewed token.
func (m *model) request(h *held) {
	ctx, cancel := context.WithTimeout(m.t.Context(), 5*time.Second)
	defer cancel()
	tok, err := h.in.Token(ctx)
	if err != nil {
		m.checkError(h, err)
		return
	}
	m.checkToken(h, tok)
	if m.vendor.valid(tok) {
		if m.rand.IntN(4) == 0 {
			h.in.Offer(tok, m.vendor.renew(tok, m.clock.Now()))
		}
		return
	}
	if m.reject(h, tok, "api") == refresher.OverBudget {
		return
	}
	next, err := h.in.Token(ctx)
	if err != nil {
		m.checkError(h, err)
		return
	}
	m.checkToken(h, next)
	if m.vendor.valid(next) {
		h.in.Accepted(tok, "api")
	}
}

// storm is an endpoint that refuses everything, for want of permission.
func (m *model) storm(h *held) {
	for range 20 {
		if tok, ok := h.in.Peek(); ok {
			m.reject(h, tok, "forbidden")
		}
		m.pass(100 * time.Millisecond)
	}
}

func (m *model) reject(h *held, tok refresher.Token, by string) refresher.Rejection {
	r := h.in.Reject(tok, route(by))
	// The lazy token may come back under its number, by its policy; an offer
	// never revives a value.
	if r == refresher.Renewing && h.in.Status().Generation == tok.Generation && !m.lazy(h) {
		h.rejected[tok.Generation] = true
	}
	return r
}

func (m *model) lazy(h *held) bool { return len(h.name) > 7 && h.name[3:7] == "lazy" }

func (m *model) errorf(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf("seed %d, %v: %s", m.seed, time.Now().Format("2 15:04:05.000"), fmt.Sprintf(format, args...))
}

func (m *model) checkError(h *held, err error) {
	_, unavailable := errors.AsType[*refresher.UnavailableError](err)
	_, limited := errors.AsType[*refresher.LimitError](err)
	if !unavailable && !limited {
		m.errorf("%s: error %v", h.name, err)
	}
}

func (m *model) checkToken(h *held, tok refresher.Token) {
	if tok.ExpiredAt(m.clock.Now()) {
		m.errorf("%s: generation %d expired at %v", h.name, tok.Generation, tok.ExpiresAt)
	}
	if h.rejected[tok.Generation] {
		m.errorf("%s: generation %d was rejected and is handed out", h.name, tok.Generation)
	}
	if tok.Generation < h.last {
		m.errorf("%s: generation %d after %d", h.name, tok.Generation, h.last)
	}
	if tok.Value.IsEmpty() {
		m.errorf("%s: an empty token", h.name)
	}
	if tok.Generation > h.last {
		h.last = tok.Generation
		h.old = append(h.old, tok)
	}
}

// pass lets time pass and looks at everything once a minute.
func (m *model) pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		wait := min(time.Until(end), time.Minute)
		if wait <= 0 {
			return
		}
		time.Sleep(wait)
		for _, h := range m.held {
			if tok, ok := h.in.Peek(); ok {
				m.checkToken(h, tok)
			}
		}
	}
}

// heal ends all faults; soon after everything must be well, and it must have
// been within the floors all the time.
func (m *model) heal() {
	m.vendor.set(healthy)
	m.store.set(nil)
	m.pass(3 * time.Hour) // the longest Retry-After, twice, for a chain of two
	for _, h := range m.held {
		for try := 0; ; try++ {
			tok := rt.Token(m.t, h.in)
			if m.vendor.valid(tok) {
				break
			}
			if try == 10 {
				m.errorf("%s: the token is not accepted: %+v", h.name, h.in.Status())
				break
			}
			m.reject(h, tok, "end")
			m.pass(time.Minute)
		}
	}
	m.pass(time.Minute)
	for _, h := range m.held {
		if s := h.in.Status(); s.Failures != 0 || s.Waiters != 0 || s.Phase != refresher.Fresh {
			m.errorf("%s at the end: %+v", h.name, s)
		}
	}
	for _, check := range m.floors {
		check()
	}
	if m.t.Failed() {
		m.t.Logf("seed %d", m.seed)
	}
}

const (
	healthy = iota
	down
	busy
	blocking
	slow
	nonsense
	lazyAgain
	panicking
	modes
)

// vendor issues and revokes tokens.
type vendor struct {
	mu     sync.Mutex
	rand   *rand.Rand
	mode   int
	count  int
	good   map[string]bool   // values that are accepted
	latest map[string]string // by token and user
}

func newVendor(r *rand.Rand) *vendor {
	return &vendor{rand: r, good: map[string]bool{}, latest: map[string]string{}}
}

func (v *vendor) lock() (unlock func()) {
	v.mu.Lock()
	return v.mu.Unlock
}

func (v *vendor) set(mode int) {
	defer v.lock()()
	v.mode = mode
}

func (v *vendor) login(token string, in refresher.Input) rt.Answer {
	defer v.lock()()
	for i, p := range in.Parents {
		if !v.good[p.Value.Reveal()] {
			return rt.Refuse(i)
		}
	}
	who := token
	if len(in.Params) > 0 {
		who += "/" + in.Params[0]
	}
	lifetime := time.Duration(5+v.rand.IntN(120)) * time.Minute
	switch v.mode {
	case down:
		return rt.Fail(refresher.Transient)
	case busy:
		return rt.Busy(time.Duration(v.rand.IntN(7200)) * time.Second)
	case blocking:
		return rt.Fail(refresher.Permanent)
	case slow:
		return rt.OK(v.issue(who), lifetime).After(time.Duration(v.rand.IntN(20)) * time.Second)
	case nonsense:
		return rt.OK(v.issue(who), []time.Duration{0, -time.Hour, 1 << 62, time.Millisecond}[v.rand.IntN(4)])
	case lazyAgain:
		if old := v.latest[who]; old != "" {
			return rt.OK(old, lifetime)
		}
	case panicking:
		return rt.Panic("no")
	}
	return rt.OK(v.issue(who), lifetime)
}

func (v *vendor) issue(who string) string {
	v.count++
	value := fmt.Sprintf("%s#%d", who, v.count)
	v.good[value] = true
	v.latest[who] = value
	return value
}

func (v *vendor) valid(t refresher.Token) bool {
	defer v.lock()()
	return v.good[t.Value.Reveal()]
}

// renew is the renewed token in an answer: a new one, or the same with a longer
// life.
func (v *vendor) renew(t refresher.Token, now time.Time) refresher.Token {
	defer v.lock()()
	value := t.Value.Reveal()
	if v.rand.IntN(2) == 0 {
		v.count++
		value = fmt.Sprintf("renewed#%d", v.count)
		v.good[value] = true
	}
	return refresher.Token{Value: secret.New(value), ExpiresAt: now.Add(time.Hour)}
}

// revoke kills every third token.
func (v *vendor) revoke(r *rand.Rand) {
	defer v.lock()()
	for _, value := range slices.Sorted(maps.Keys(v.good)) {
		if r.IntN(3) == 0 {
			delete(v.good, value)
		}
	}
}
