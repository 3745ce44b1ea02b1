package refresher_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

func TestReplicasMakeOneLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := refresher.NewMemoryStore()
		src := rt.Func(t, func(call int, _ refresher.Input) rt.Answer {
			return rt.OK(string(rune('a'+call-1)), time.Hour).After(3 * time.Second)
		})
		var replicas []*refresher.Instance
		for i := range 3 {
			e := rt.Start(t, refresher.Config{Store: store, Rand: func() float64 { return float64(i) / 3 }})
			replicas = append(replicas, rt.Single(t, e, refresher.Definition{Source: src, Policy: refresher.Policy{Jitter: 0.05}}))
		}
		for _, in := range replicas {
			rt.WantToken(t, in, "a")
		}
		src.WantCalls(1)
		for range 20 {
			time.Sleep(time.Hour)
			for _, in := range replicas {
				if tok, ok := in.Peek(); !ok || tok.ExpiredAt(time.Now()) {
					t.Fatal("a replica has no token")
				}
			}
		}
		src.WantAtMost(1, 45*time.Minute)

		// All are refused at once. Some may know it from the others already.
		var wg sync.WaitGroup
		calls := src.Calls()
		var refused []refresher.Token
		for _, in := range replicas {
			refused = append(refused, rt.Token(t, in))
		}
		for i, in := range replicas {
			wg.Go(func() {
				tok := refused[i]
				if r := in.Reject(tok, refresher.Cause{By: "r"}); r == refresher.OverBudget {
					t.Errorf("the refusal was %v", r)
				}
				if next := rt.Token(t, in); next.Generation != tok.Generation+1 {
					t.Errorf("generation %d after %d", next.Generation, tok.Generation)
				}
			})
		}
		wg.Wait()
		src.WantCalls(calls + 1)
	})
}

// A process that died holds its lease no longer than it lasts.
func TestAbandonedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := startStored(t, store, numbered(t, time.Hour))
		rt.WantToken(t, in, "v1")
		synctest.Wait() // the login's own lease is back
		if _, err := store.MemoryStore.Acquire(t.Context(), store.key(), 30*time.Second); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		wantRejection(t, in, rt.Token(t, in), "r", refresher.Renewing)
		rt.WantToken(t, in, "v2")
		if took := time.Since(begin); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("the login came after %v, want 30s", took)
		}
	})
}

func TestMemoryStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := refresher.NewMemoryStore(), t.Context()
		key := refresher.StoreKey{1}
		if _, err := s.Load(ctx, key); !errors.Is(err, refresher.ErrNoToken) {
			t.Errorf("empty: %v", err)
		}
		save := func(previous, generation uint64, want error) {
			t.Helper()
			if err := s.Save(ctx, key, refresher.Guard{Generation: previous}, refresher.Token{Value: secret.New("v"), Generation: generation}); !errors.Is(err, want) {
				t.Errorf("save of %d over %d: %v, want %v", generation, previous, err, want)
			}
		}
		save(1, 2, refresher.ErrConflict)
		save(0, 1, nil)
		save(0, 1, refresher.ErrConflict)
		save(1, 2, nil)
		if got, err := s.Load(ctx, key); err != nil || got.Token.Generation != 2 {
			t.Errorf("loaded %+v, %v", got, err)
		}
		s.Forget(key)
		save(2, 3, refresher.ErrConflict)

		lease, err := s.Acquire(ctx, key, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Acquire(ctx, key, time.Minute); !errors.Is(err, refresher.ErrHeld) {
			t.Errorf("second lease: %v", err)
		}
		if other, err := s.Acquire(ctx, refresher.StoreKey{2}, time.Minute); err != nil {
			t.Errorf("lease of another key: %v", err)
		} else {
			other.Release()
		}
		time.Sleep(time.Minute)
		second, err := s.Acquire(ctx, key, time.Minute)
		if err != nil {
			t.Fatalf("after the lease ran out: %v", err)
		}
		lease.Release() // too late: it is another one's now
		if _, err := s.Acquire(ctx, key, time.Minute); !errors.Is(err, refresher.ErrHeld) {
			t.Errorf("after a late release: %v", err)
		}
		second.Release()
		if _, err := s.Acquire(ctx, key, time.Minute); err != nil {
			t.Errorf("after release: %v", err)
		}
	})
}
