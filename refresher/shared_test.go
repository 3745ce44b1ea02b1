package refresher_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// quiet is a store that tells nobody of changes.
type quiet struct{ refresher.Store }

// sharing starts one more process with a token of its own script.
func sharing(t *testing.T, s refresher.Store, src *rt.Source, p refresher.Policy) (*refresher.Instance, func()) {
	t.Helper()
	e, stop := rt.StartStoppable(t, refresher.Config{Store: s})
	return rt.Single(t, e, refresher.Definition{Source: src, Policy: p}), stop
}

func TestReplicasAdoptAtOnce(t *testing.T) {
	tests := []struct {
		name  string
		store func(refresher.Store) refresher.Store
		want  string // at the other one, just after the login
	}{
		{"told", func(s refresher.Store) refresher.Store { return s }, "b"},
		{"not told", func(s refresher.Store) refresher.Store { return quiet{s} }, "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := test.store(refresher.NewMemoryStore())
				src := rt.Script(t, rt.OK("a", time.Hour), rt.OK("b", time.Hour))
				one, _ := sharing(t, store, src, refresher.Policy{})
				rt.WantToken(t, one, "a")
				other, _ := sharing(t, store, src, refresher.Policy{})
				rt.WantToken(t, other, "a")
				time.Sleep(time.Minute)
				wantRejection(t, one, rt.Token(t, one), "r", refresher.Renewing)
				rt.WantToken(t, one, "b")
				synctest.Wait()
				rt.WantToken(t, other, test.want)
				src.WantCalls(2)
			})
		})
	}
}

// A token that one process was refused with is used by no other one, also while
// nobody can log in.
func TestRejectionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := refresher.NewMemoryStore()
		src := rt.Script(t, rt.OK("a", time.Hour), rt.Busy(10*time.Minute), rt.OK("b", time.Hour))
		one, stop := sharing(t, store, src, refresher.Policy{})
		rt.WantToken(t, one, "a")
		other, _ := sharing(t, store, rt.Script(t, rt.Busy(time.Hour)), refresher.Policy{})
		rt.WantToken(t, other, "a")
		time.Sleep(time.Minute)
		wantRejection(t, one, rt.Token(t, one), "r", refresher.Renewing)
		synctest.Wait()
		rt.WantNone(t, other)
		stop()

		// Nor by one that starts now.
		third, _ := sharing(t, store, rt.Script(t, rt.Busy(10*time.Minute), rt.OK("b", time.Hour)), refresher.Policy{})
		synctest.Wait()
		rt.WantNone(t, third)
		time.Sleep(11 * time.Minute)
		if tok := rt.WantToken(t, third, "b"); tok.Generation != 2 {
			t.Errorf("generation %d, want 2", tok.Generation)
		}
		rt.WantToken(t, other, "b")
	})
}

// A process that takes a lease which has run out ends what its holder gets.
func TestFencedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		slow := rt.Script(t, rt.OK("late", time.Hour).After(9*time.Second))
		paused, _ := sharing(t, store, slow, refresher.Policy{PreviousDies: true})
		time.Sleep(time.Second)
		store.set(errDown, "extend") // the others see no sign of life
		fast := rt.Script(t, rt.OK("new", time.Hour).After(8*time.Second))
		other, _ := sharing(t, store.MemoryStore, fast, refresher.Policy{PreviousDies: true})
		rt.WantToken(t, other, "new")
		rt.WantToken(t, paused, "new")
		slow.WantCalls(1)
		store.want(t, "new", 1)
	})
}

// While a login runs its lease is kept; once its process is killed, it is soon
// free.
func TestLeaseIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := refresher.NewMemoryStore()
		killed := &faultyStore{MemoryStore: store, t: t}
		one, _ := sharing(t, killed, rt.Script(t, rt.OK("a", time.Hour).After(25*time.Second)), refresher.Policy{Timeout: time.Minute})
		synctest.Wait()
		src := rt.Script(t, rt.OK("b", time.Hour))
		other, _ := sharing(t, store, src, refresher.Policy{})
		time.Sleep(20 * time.Second)
		src.WantCalls(0)
		killed.set(errDown, "load", "save", "acquire", "extend", "reject")
		begin := time.Now()
		rt.WantToken(t, other, "b")
		if took := time.Since(begin); took > 5500*time.Millisecond { // it was extended just before, for 5 s
			t.Errorf("the other one waited %v", took)
		}
		rt.WantToken(t, one, "a") // what it got is of use to itself alone
	})
}

func TestLoginsDuringAnOutage(t *testing.T) {
	tests := []struct {
		name   string
		policy refresher.Policy
		logins int // during the outage
	}{
		{"login", refresher.Policy{}, 1},
		{"hold", refresher.Policy{HoldsOnOutage: true}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFaultyStore(t)
				src := numbered(t, time.Hour)
				in, _ := sharing(t, store, src, test.policy)
				rt.WantToken(t, in, "v1")
				store.set(errDown, "load", "save", "acquire")
				time.Sleep(50 * time.Minute) // due at 48
				rt.Token(t, in)
				src.WantCalls(1 + test.logins)
				if test.logins > 0 {
					return
				}
				time.Sleep(11 * time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := in.Token(ctx)
				var none *refresher.UnavailableError
				if !errors.As(err, &none) || !strings.Contains(err.Error(), "the store does not answer") {
					t.Errorf("without a token: %v", err)
				}
				store.set(nil)
				begin := time.Now()
				rt.WantToken(t, in, "v2")
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("the login came %v after the end of the outage", took)
				}
			})
		})
	}
}

// Processes that share a store keep MinInterval together.
func TestMinIntervalOfReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := refresher.NewMemoryStore()
		src := rt.Script(t, rt.OK("a", time.Hour), rt.OK("b", time.Hour))
		policy := refresher.Policy{MinInterval: 5 * time.Second}
		one, _ := sharing(t, store, src, policy)
		rt.WantToken(t, one, "a")
		time.Sleep(2 * time.Second)
		other, _ := sharing(t, store, src, policy)
		wantRejection(t, other, rt.WantToken(t, other, "a"), "r", refresher.Renewing)
		rt.WantToken(t, other, "b")
		rt.WantToken(t, one, "b")
		src.WantTimes(0, 5*time.Second)
	})
}

func TestLocalTokensStayInTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		store.set(errDown, "load", "save", "acquire", "reject")
		var events rt.Events
		e := rt.Start(t, refresher.Config{Store: store, Observe: events.Observe})
		in := rt.Single(t, e, refresher.Definition{Source: rt.Script(t, rt.OK("a", time.Hour), rt.OK("b", time.Hour)), Local: true, Policy: refresher.Policy{Rotates: true}})
		wantRejection(t, in, rt.WantToken(t, in, "a"), "r", refresher.Renewing)
		rt.WantToken(t, in, "b")
		if ops, _ := store.counts(); ops != 0 {
			t.Errorf("%d operations of the store, failures %q", ops, storeFailures(&events))
		}
	})
}

// Instances for which a reload leaves no room are revoked as others are that
// nobody uses any more, also when the engine ends meanwhile.
func TestRevokeWhatHasNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &revoker{takes: time.Second}
		e, stop := rt.StartStoppable(t, refresher.Config{})
		users := func(token string, n int) {
			d := refresher.Definition{
				Token: token, Params: []refresher.Param{{Name: "user", Identity: true}}, Revoker: r,
				Source: perUser(t, 10*time.Hour).Budget(0), Limits: refresher.Limits{Max: 10000, LoginsPerMinute: 10000},
			}
			pool := rt.Reload(t, e, d)[0]
			for i := range n {
				in, err := pool.Instance(refresher.Params{fmt.Sprint(i)})
				if err != nil {
					t.Fatal(err)
				}
				rt.Token(t, in)
				in.Release()
			}
		}
		users("a", 1)
		users("b", 10000)
		rt.Reload(t, e)
		stop()
		if n := len(r.revoked); n != 1 {
			t.Errorf("%d revoked: %q", n, r.revoked[:min(n, 3)])
		}
	})
}

// An announcement of thousands of tokens makes few look at a time.
func TestNewsAreReadInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{MemoryStore: refresher.NewMemoryStore()}
		e := rt.Start(t, refresher.Config{Store: store})
		pool := keyed(t, e, perUser(t, time.Hour).Budget(0), refresher.Limits{LoginsPerMinute: 10000})
		for i := range 100 {
			rt.Token(t, rt.Instance(t, pool, fmt.Sprint(i)))
		}
		synctest.Wait()
		store.mu.Lock()
		store.takes, store.loads, store.highest = 100*time.Millisecond, 0, 0
		keys, changed := slices.Collect(maps.Keys(store.known)), store.changed
		store.mu.Unlock()
		for _, key := range keys {
			changed(key)
		}
		time.Sleep(10 * time.Second)
		store.mu.Lock()
		defer store.mu.Unlock()
		if store.loads != 100 || store.highest != 8 {
			t.Errorf("%d looks, %d at a time", store.loads, store.highest)
		}
	})
}

// slowStore measures the loads that run at a time.
type slowStore struct {
	*refresher.MemoryStore
	changed func(refresher.StoreKey)

	mu                  sync.Mutex
	known               map[refresher.StoreKey]bool
	takes               time.Duration
	loads, now, highest int
}

func (s *slowStore) Watch(ctx context.Context, changed func(refresher.StoreKey)) {
	s.mu.Lock()
	s.changed = changed
	s.mu.Unlock()
	<-ctx.Done()
}

func (s *slowStore) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	s.mu.Lock()
	if s.known == nil {
		s.known = map[refresher.StoreKey]bool{}
	}
	s.known[key] = true
	s.loads++
	s.now++
	s.highest = max(s.highest, s.now)
	takes := s.takes
	s.mu.Unlock()
	time.Sleep(takes)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	return s.MemoryStore.Load(ctx, key)
}
