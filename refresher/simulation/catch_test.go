package simulation_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"attache/refresher"
	"attache/refresher/simulation"
)

// careless is a store without compare-and-set: the last one to save wins.
type careless struct{ refresher.Store }

func (s careless) Save(ctx context.Context, key refresher.StoreKey, _ refresher.Guard, t refresher.Token) error {
	found, err := s.Store.Load(ctx, key)
	if err != nil && !errors.Is(err, refresher.ErrNoToken) {
		return err
	}
	return s.Store.Save(ctx, key, refresher.Guard{Generation: found.Token.Generation}, t)
}

// generous is a store that gives the lease to anybody.
type generous struct{ refresher.Store }

func (generous) Acquire(context.Context, refresher.StoreKey, time.Duration) (refresher.Lease, error) {
	return anybodys{}, nil
}

type anybodys struct{}

func (anybodys) Epoch() uint64                               { return 0 }
func (anybodys) Extend(context.Context, time.Duration) error { return nil }
func (anybodys) Release()                                    {}

// silent is a store that keeps refusals to itself.
type silent struct{ refresher.Store }

func (s silent) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	found, err := s.Store.Load(ctx, key)
	found.Rejected = false
	return found, err
}

// stubborn hands out a token again that was refused.
type stubborn struct {
	simulation.Tokens
	mu   sync.Mutex
	last refresher.Token
}

func (s *stubborn) Reject(t refresher.Token, c refresher.Cause) refresher.Rejection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = t
	return s.Tokens.Reject(t, c)
}

func (s *stubborn) Token(ctx context.Context) (refresher.Token, error) {
	s.mu.Lock()
	t := s.last
	s.last = refresher.Token{}
	s.mu.Unlock()
	if t.Generation > 0 {
		return t, nil
	}
	return s.Tokens.Token(ctx)
}

// hopeful hands out its last token when there is no other.
type hopeful struct {
	simulation.Tokens
	mu   sync.Mutex
	last refresher.Token
}

func (h *hopeful) Token(ctx context.Context) (refresher.Token, error) {
	t, err := h.Tokens.Token(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && h.last.Generation > 0 {
		return h.last, nil
	}
	h.last = t
	return t, err
}

// flaky fails now and then for no reason.
type flaky struct {
	simulation.Tokens
	calls atomic.Int64
}

func (f *flaky) Token(ctx context.Context) (refresher.Token, error) {
	if f.calls.Add(1)%100 == 0 {
		return refresher.Token{}, errors.New("no reason")
	}
	return f.Tokens.Token(ctx)
}

type sourceFunc func(context.Context, refresher.Input) (refresher.Token, error)

func (f sourceFunc) Fetch(ctx context.Context, in refresher.Input) (refresher.Token, error) {
	return f(ctx, in)
}

// hasty tries a login again at once.
func hasty(s refresher.Source) refresher.Source {
	return sourceFunc(func(ctx context.Context, in refresher.Input) (refresher.Token, error) {
		if t, err := s.Fetch(ctx, in); err == nil {
			return t, nil
		}
		return s.Fetch(ctx, in)
	})
}

// weary logs in once and never again.
func weary(s refresher.Source) refresher.Source {
	return sourceFunc(func(ctx context.Context, in refresher.Input) (refresher.Token, error) {
		if in.Previous.Generation == 0 {
			return s.Fetch(ctx, in)
		}
		return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("weary")}
	})
}

// deadlocked never comes back from a login that fails, whatever the context
// says, for two hours.
func deadlocked(s refresher.Source) refresher.Source {
	return sourceFunc(func(ctx context.Context, in refresher.Input) (refresher.Token, error) {
		t, err := s.Fetch(ctx, in)
		if err != nil {
			time.Sleep(2 * time.Hour)
		}
		return t, err
	})
}

// Each invariant notices an engine, or a store, that is wrong in the way that it
// is about. The engine as it is passes all of them: see TestSimulation.
func TestSimulationCatches(t *testing.T) {
	calm := simulation.NewProfile(1)
	calm.Replicas, calm.News, calm.Lifetime, calm.Every = 4, true, 20*time.Minute, time.Minute
	calm.Policy.MaxPerHour, calm.Policy.MinInterval = 0, 5*time.Second
	limited := calm
	limited.Policy.MaxPerHour, limited.Lifetime = 12, 5*time.Minute
	patient := calm
	patient.Policy.MinInterval = 30 * time.Second
	deadly := calm
	deadly.Previous = simulation.Dies
	wrapStore := func(wrap func(refresher.Store) refresher.Store) simulation.Breaks {
		return simulation.Breaks{Store: wrap}
	}
	wrapTokens := func(wrap func(simulation.Tokens) simulation.Tokens) simulation.Breaks {
		return simulation.Breaks{Tokens: wrap}
	}
	for name, c := range map[string]struct {
		profile simulation.Profile
		breaks  simulation.Breaks
		want    string
	}{
		"a store without compare-and-set": {calm, wrapStore(func(s refresher.Store) refresher.Store { return careless{s} }), simulation.TwoTokens},
		"a store that ignores leases":     {calm, wrapStore(func(s refresher.Store) refresher.Store { return generous{s} }), simulation.Overlap},
		"a store of each replica's own":   {calm, wrapStore(func(refresher.Store) refresher.Store { return refresher.NewMemoryStore() }), simulation.Disagree},
		"a store that hides refusals":     {deadly, wrapStore(func(s refresher.Store) refresher.Store { return silent{s} }), simulation.RejectedServed},
		"announcements that nobody hears": {calm, simulation.Breaks{Deaf: true}, simulation.Disagree},
		"refusals that nobody hears":      {deadly, simulation.Breaks{Deaf: true}, simulation.RejectedServed},
		"a replica that ignores refusals": {calm, wrapTokens(func(t simulation.Tokens) simulation.Tokens { return &stubborn{Tokens: t} }), simulation.RejectedServed},
		"a replica that ignores expiry":   {calm, wrapTokens(func(t simulation.Tokens) simulation.Tokens { return &hopeful{Tokens: t} }), simulation.ExpiredServed},
		"a replica that fails at random":  {calm, wrapTokens(func(t simulation.Tokens) simulation.Tokens { return &flaky{Tokens: t} }), simulation.FailedInCalm},
		"logins without back-off":         {calm, simulation.Breaks{Source: hasty}, simulation.LoginRate},
		"logins that stop":                {calm, simulation.Breaks{Source: weary}, simulation.NoToken},
		"logins that never end":           {calm, simulation.Breaks{Source: deadlocked}, simulation.Remains},
		"logins closer than min_interval": {patient, simulation.Breaks{Policy: func(p refresher.Policy) refresher.Policy { p.MinInterval = 0; return p }}, simulation.LoginRate},
		"more logins than max_per_hour":   {limited, simulation.Breaks{Policy: func(p refresher.Policy) refresher.Policy { p.MaxPerHour = 0; return p }}, simulation.LoginRate},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				r := run(t, simulation.Config{Seed: seed + 1, Length: 30 * time.Hour, Profile: &c.profile, Breaks: c.breaks})
				if r.Kinds[c.want] > 0 {
					return
				}
				t.Logf("seed %d: %v", seed+1, r.Kinds)
			}
			t.Errorf("no seed finds %q", c.want)
		})
	}
	// Nothing is wrong with the profiles.
	for _, p := range []simulation.Profile{calm, limited, patient, deadly} {
		sound(t, simulation.Config{Seed: 1, Length: 30 * time.Hour, Profile: &p})
	}
}
