package refresher_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

var (
	modelSeed  = flag.Uint64("model.seed", 0, "run TestModel with this seed alone")
	modelSeeds = flag.Uint64("model.seeds", 8, "run TestModel with so many seeds")
)

// TestModel drives two replicas that share a store through days of random
// requests, revocations, outages, nonsense, clock steps, store failures and
// reloads, and checks every virtual minute what must hold whatever happens. A failure names
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
	replica  *replica
	token    string
	params   refresher.Params
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
	floors []func()

	replicas []*replica
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), store: newFaultyStore(t)}
	m.vendor = newVendor(rand.New(rand.NewPCG(seed, 1)))
	for _, name := range []string{"r1", "r2"} {
		m.startReplica(name)
	}
	return m
}

func (m *model) startReplica(name string) {
	// The engine calls it from several goroutines.
	jitter := rt.Rand(m.seed)
	r := &replica{engine: rt.Start(m.t, refresher.Config{Store: m.store, Now: m.clock.Now, Rand: jitter})}
	define := func(d refresher.Definition, perMinute, perHour int) {
		name := d.Token
		src := rt.Func(m.t, func(_ int, in refresher.Input) rt.Answer { return m.vendor.login(name, in) }).Clock(&m.clock).Budget(40)
		d.Key, d.Source = fixed(name), src
		if d.Params != nil {
			d.Key = byUser(name)
		}
		m.floors = append(m.floors, func() {
			src.WantAtMost(perMinute, time.Minute)
			if perHour > 0 {
				src.WantAtMost(perHour, time.Hour)
			}
		})
		r.definitions = append(r.definitions, d)
	}
	define(refresher.Definition{Token: "access"}, 60, 0)
	define(refresher.Definition{Token: "scarce", Policy: refresher.Policy{MaxPerHour: 6, MinInterval: 10 * time.Second}}, 6, 6)
	define(refresher.Definition{Token: "lazy", Policy: refresher.Policy{SameValueBacksOff: true}}, 60, 0)
	define(refresher.Definition{
		Token: "messaging", Params: []refresher.Param{userID, userName}, Limits: refresher.Limits{LoginsPerMinute: 30},
	}, 60, 0)
	m.replicas = append(m.replicas, r)
	r.reload(m.t, r.definitions)
	hold := func(token string, params ...string) {
		m.held = append(m.held, &held{
			name: fmt.Sprint(name, ".", token, params), replica: r, token: token, params: params,
			in: rt.Instance(m.t, r.pools[token], params...), rejected: map[uint64]bool{},
		})
	}
	hold("access")
	hold("scarce")
	hold("lazy")
	for _, user := range []string{"ann", "bob", "cid"} {
		hold("messaging", user, "name")
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
	case n < 80:
		m.reload(m.replicas[m.rand.IntN(len(m.replicas))])
	case n < 84:
		m.store.set(errDown, [][]string{nil, nil, nil, nil, {"load"}, {"save"}, {"load", "acquire", "save"}}[m.rand.IntN(7)]...)
	case n < 92 && len(h.old) > 0: // a slow answer to an old request
		tok := h.old[m.rand.IntN(len(h.old))]
		if tok.Generation < h.last {
			cur, _ := h.in.Peek()
			newest := h.old[len(h.old)-1] // perhaps expired, and then no Peek shows it
			// By a store that failed: it is the same token.
			renumbered := cur.Value.Equal(tok.Value) || newest.Value.Equal(tok.Value)
			if r := h.in.Reject(tok, route("slow")); r != refresher.Stale && !renumbered {
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
	for _, r := range m.replicas {
		r.reload(m.t, r.definitions)
		m.find(r)
	}
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
