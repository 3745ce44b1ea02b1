package refresher_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

func startStored(t *testing.T, s refresher.Store, src *rt.Source) (*refresher.Instance, *rt.Events) {
	t.Helper()
	events := &rt.Events{}
	e := rt.Start(t, refresher.Config{Store: s, Observe: events.Observe})
	return rt.Single(t, e, refresher.Definition{Source: src}), events
}

func TestRestartFindsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		first := rt.Script(t, rt.OK("a", time.Hour).With("push_token", "p"))
		e, stop := rt.StartStoppable(t, refresher.Config{Store: store})
		rt.WantToken(t, rt.Single(t, e, refresher.Definition{Source: first}), "a").SetMemo("key", "rendered there")
		stop()
		time.Sleep(10 * time.Minute)

		second := rt.Script(t, rt.OK("b", time.Hour))
		in, events := startStored(t, store, second)
		tok := rt.WantToken(t, in, "a")
		if tok.Generation != 1 || tok.Lifetime() != time.Hour || tok.Outputs["push_token"].Reveal() != "p" {
			t.Errorf("token %+v", tok)
		}
		if text, ok := tok.Memo("key"); ok {
			t.Errorf("the other instance's memo %q came along", text)
		}
		synctest.Wait()
		if n := len(events.Of(refresher.Adopted)); n != 1 {
			t.Errorf("%d adoptions in\n%swant 1", n, events)
		}
		second.WantCalls(0)
		rt.WantToken(t, in, "a")
		time.Sleep(38 * time.Minute) // due by its own age, not since the restart
		synctest.Wait()
		if tok := rt.WantToken(t, in, "b"); tok.Generation != 2 {
			t.Errorf("generation %d, want 2", tok.Generation)
		}
		second.WantTimes(38 * time.Minute)
		store.want(t, "b", 2)
	})
}

func TestStoredTokensThatAreNotAdopted(t *testing.T) {
	tests := []struct {
		name       string
		value      string
		generation uint64
		lifetime   time.Duration
	}{
		{"older", "old", 1, 10 * time.Hour},
		{"as old", "peer", 2, 10 * time.Hour},
		{"expired", "expired", 9, -time.Second},
		{"empty", "", 9, 10 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFaultyStore(t)
				in, events := startStored(t, store, numbered(t, 100*time.Minute))
				wantRejection(t, in, rt.Token(t, in), "r", refresher.Renewing)
				rt.WantToken(t, in, "v2")
				store.put(t, test.value, test.generation, test.lifetime)
				time.Sleep(81 * time.Minute)
				tok := rt.WantToken(t, in, "v3")
				if want := max(test.generation, 2) + 1; tok.Generation != want {
					t.Errorf("generation %d, want %d", tok.Generation, want)
				}
				store.want(t, "v3", tok.Generation)
				if n := len(events.Of(refresher.Adopted)); n != 0 {
					t.Errorf("%d adoptions, want none", n)
				}
			})
		})
	}
}

func TestNewerTokenIsAdopted(t *testing.T) {
	tests := []struct {
		name string
		when string // the operation before which another replica saves
		told bool   // and the store has told of it before the operation goes on
		runs int    // logins in all
	}{
		{"before the login", "load", false, 1},
		{"before the lease", "acquire", false, 1},
		{"before the save", "save", false, 2}, // the conflict shows it
		{"before the login, and known", "load", true, 1},
		{"before the lease, and known", "acquire", true, 1},
		{"before the save, and known", "save", true, 2}, // the conflict is about what serves already
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFaultyStore(t)
				src := numbered(t, time.Hour)
				in, events := startStored(t, store, src)
				rt.WantToken(t, in, "v1")
				synctest.Wait() // for the look at what was announced
				store.once(test.when, func() {
					if store.put(t, "peer", 7, time.Hour); test.told {
						synctest.Wait()
					}
				})
				time.Sleep(48*time.Minute + time.Second) // not at once with the login, which may wait as well
				synctest.Wait()
				if tok := rt.WantToken(t, in, "peer"); tok.Generation != 7 {
					t.Errorf("generation %d, want 7", tok.Generation)
				}
				src.WantCalls(test.runs)
				store.want(t, "peer", 7)
				if n := len(events.Of(refresher.Adopted)); n != 1 {
					t.Errorf("%d adoptions, want 1", n)
				}
				if ops := storeFailures(events); ops != nil {
					t.Errorf("store failures %q, want none", ops)
				}
				time.Sleep(48*time.Minute + time.Second)
				synctest.Wait()
				if tok := rt.Token(t, in); tok.Generation != 8 {
					t.Errorf("generation %d, want 8", tok.Generation)
				}
			})
		})
	}
}

func TestHeldLeaseIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		src := rt.Script(t, rt.OK("own", time.Hour))
		store.set(refresher.ErrHeld, "acquire")
		in, events := startStored(t, store, src)
		time.Sleep(10*time.Second + 100*time.Millisecond)
		src.WantCalls(0)
		if s := in.Status(); s.Failures != 0 || s.LastError != "" || len(events.Of(refresher.LoginFailed)) != 0 {
			t.Errorf("waiting for another process counts as a failure: %+v", s)
		}
		if n, _ := store.counts(); n > 2*2*11 {
			t.Errorf("%d operations of the store in 10 s", n)
		}
		begin := time.Now()
		go func() {
			time.Sleep(time.Second)
			store.put(t, "peer", 1, time.Hour)
		}()
		rt.WantToken(t, in, "peer")
		if took := time.Since(begin); took > 1500*time.Millisecond {
			t.Errorf("the other process's token was seen after %v", took)
		}
		src.WantCalls(0)
	})
}

// The repeat of a login is exempt from MinInterval, not from waiting for the
// lease.
func TestHeldLeaseDuringRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		e := rt.Start(t, refresher.Config{Store: store})
		parent := rt.Define(t, e, refresher.Definition{Token: "parent", Source: numbered(t, 100*time.Hour)})
		child := rt.Script(t, rt.OK("c", 100*time.Second), rt.Refuse(0).After(100*time.Millisecond), rt.OK("d", time.Hour))
		in := rt.Single(t, e, refresher.Definition{Token: "child", Source: child, Parents: []refresher.Parent{{Pool: parent}}})
		rt.WantToken(t, in, "c")
		store.failOnly() // the child's, which was last
		time.Sleep(80*time.Second + 50*time.Millisecond)
		store.set(refresher.ErrHeld, "acquire") // before the repeat, at 80.1 s
		before, _ := store.counts()
		time.Sleep(5 * time.Second)
		child.WantCalls(2)
		if after, _ := store.counts(); after-before > 2*2*12 {
			t.Errorf("%d operations of the store in 5 s", after-before)
		}
		store.set(nil)
		time.Sleep(6 * time.Second)
		rt.WantToken(t, in, "d")
	})
}

func TestStoreIsNeverInTheWay(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		fails []string
		ready time.Duration // when the first token is there
		told  []string
	}{
		{"down", errDown, []string{"load", "acquire", "save"}, 0, []string{"load", "save"}},
		{"hangs", errHang, []string{"load", "acquire", "save"}, 2 * time.Second, []string{"load", "save"}},
		{"save hangs", errHang, []string{"save"}, time.Second, []string{"save"}},
		{"always a conflict", refresher.ErrConflict, []string{"save"}, 0, []string{"save"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFaultyStore(t)
				store.set(test.err, test.fails...)
				begin := time.Now()
				src := numbered(t, time.Hour)
				in, events := startStored(t, store, src)
				rt.WantToken(t, in, "v1")
				if took := time.Since(begin); took != test.ready {
					t.Errorf("the token was there after %v, want %v", took, test.ready)
				}
				synctest.Wait()
				if got := storeFailures(events); !slices.Equal(got, test.told) {
					t.Errorf("told store failures %q, want %q", got, test.told)
				}
				if s := in.Status(); s.Failures != 0 {
					t.Errorf("a failing store counts as %d failed logins", s.Failures)
				}
				for range 3 * 60 {
					time.Sleep(time.Minute)
					if _, ok := in.Peek(); !ok {
						t.Fatal("no token")
					}
				}
				if n := src.Calls(); n != 4 {
					t.Errorf("%d logins in 3 hours, want 4", n)
				}
			})
		})
	}
}

// A save that failed is tried again, ever less often, until the store has the
// token that is in service.
func TestSaveIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		store.set(errDown, "save")
		in, _ := startStored(t, store, numbered(t, 10*time.Hour))
		begin := time.Now()
		tok := rt.WantToken(t, in, "v1")
		time.Sleep(40 * time.Second)
		var at []time.Duration
		_, saves := store.counts()
		for _, s := range saves {
			at = append(at, s.Sub(begin))
		}
		if want := seconds(0, 1, 3, 7, 15, 31); !slices.Equal(at, want) {
			t.Errorf("saves at %v, want %v", at, want)
		}
		in.Offer(tok, offered("x", 10*time.Hour)) // a newer one meanwhile
		synctest.Wait()                           // for its first save, which fails as well
		store.set(nil)
		time.Sleep(65 * time.Second)
		store.want(t, "x", 2)
		_, saves = store.counts()
		time.Sleep(time.Hour) // and that is it
		if _, more := store.counts(); len(more) != len(saves) {
			t.Errorf("%d more saves", len(more)-len(saves))
		}
	})
}

func TestOffersAreSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, events := startStored(t, store, numbered(t, 10*time.Hour))
		for _, value := range []string{"a", "b", "c"} {
			in.Offer(rt.Token(t, in), offered(value, 10*time.Hour))
		}
		synctest.Wait()
		store.want(t, "c", 4)
		in.Offer(rt.Token(t, in), offered("c", 20*time.Hour)) // a longer life is worth saving as well
		synctest.Wait()
		if got, _ := store.MemoryStore.Load(t.Context(), store.key()); got.Token.Lifetime() != 20*time.Hour {
			t.Errorf("stored lifetime %v, want 20h", got.Token.Lifetime())
		}
		// A replica was first: what it saved is not overwritten, and adopted.
		store.put(t, "peer", 9, 10*time.Hour)
		in.Offer(rt.Token(t, in), offered("d", 10*time.Hour))
		synctest.Wait()
		if tok := rt.WantToken(t, in, "peer"); tok.Generation != 9 {
			t.Errorf("generation %d, want 9", tok.Generation)
		}
		store.put(t, "equal", 10, 10*time.Hour)
		in.Offer(rt.Token(t, in), offered("e", 10*time.Hour))
		time.Sleep(10 * time.Minute)
		store.want(t, "equal", 10)
		rt.WantToken(t, in, "e")
		if got := storeFailures(events); got != nil {
			t.Errorf("told store failures %q, want none", got)
		}
	})
}

// What happens while a login's result is being saved came before that result.
func TestDuringSave(t *testing.T) {
	tests := []struct {
		name   string
		value  string // of the second login
		during func(t *testing.T, in *refresher.Instance, first refresher.Token)
		want   uint64 // its generation
	}{
		{"offer", "b", func(t *testing.T, in *refresher.Instance, first refresher.Token) {
			wantOffer(t, in, first, "x", time.Hour, true)
		}, 3},
		{"two offers, the last of the login's value", "b", func(t *testing.T, in *refresher.Instance, first refresher.Token) {
			wantOffer(t, in, first, "x", time.Hour, true)
			wantOffer(t, in, rt.WantToken(t, in, "x"), "b", time.Hour, true)
		}, 3},
		// It is the refused value, so it has to count as a new one.
		{"refusal of the login's value", "a", func(t *testing.T, in *refresher.Instance, first refresher.Token) {
			wantRejection(t, in, first, "r", refresher.Renewing)
		}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFaultyStore(t)
				in, _ := startStored(t, store, rt.Script(t, rt.OK("a", 100*time.Minute), rt.OK(test.value, 100*time.Minute)))
				first := rt.WantToken(t, in, "a")
				synctest.Wait()
				store.once("save", func() { test.during(t, in, first) })
				time.Sleep(80 * time.Minute)
				synctest.Wait()
				if tok := rt.WantToken(t, in, test.value); tok.Generation != test.want {
					t.Errorf("generation %d, want %d", tok.Generation, test.want)
				}
				store.want(t, test.value, test.want)
			})
		})
	}
}

// slowRelease takes a second to give a lease back.
type slowRelease struct{ refresher.Store }

type slowLease struct{ refresher.Lease }

func (s slowRelease) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (refresher.Lease, error) {
	l, err := s.Store.Acquire(ctx, key, ttl)
	return slowLease{l}, err
}

func (l slowLease) Release() {
	time.Sleep(time.Second)
	l.Lease.Release()
}

// Nobody waits for a lease to be given back, but for the next login, which
// would find it held by its own process.
func TestSlowRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, time.Hour)
		e := rt.Start(t, refresher.Config{Store: slowRelease{refresher.NewMemoryStore()}})
		in := rt.Single(t, e, refresher.Definition{Source: src, Policy: refresher.Policy{MinInterval: 100 * time.Millisecond}})
		begin := time.Now()
		tok := rt.WantToken(t, in, "v1")
		if took := time.Since(begin); took != 0 {
			t.Errorf("the token was there after %v", took)
		}
		wantRejection(t, in, tok, "r", refresher.Renewing)
		rt.WantToken(t, in, "v2")
		src.WantTimes(seconds(0, 1)...)
	})
}

// Whoever waits while that goes on learns then that it is in vain.
func TestSlowReleaseAndFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{Store: slowRelease{refresher.NewMemoryStore()}})
		in := rt.Single(t, e, refresher.Definition{Source: numbered(t, time.Hour), Policy: refresher.Policy{MinInterval: time.Minute}})
		wantRejection(t, in, rt.WantToken(t, in, "v1"), "r", refresher.Renewing)
		wantUnavailable(t, in, 10*time.Second, time.Second, refresher.Transient)
	})
}

// A token that was issued is saved although the engine ends.
func TestSaveAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		var events rt.Events
		e, stop := rt.StartStoppable(t, refresher.Config{Store: store, Observe: events.Observe})
		rt.Single(t, e, refresher.Definition{Source: unstoppable{rt.Script(t, rt.OK("a", time.Hour).After(5*time.Second))}})
		time.Sleep(4 * time.Second)
		stop()
		store.want(t, "a", 1)
		if got := storeFailures(&events); got != nil {
			t.Errorf("told store failures %q, want none", got)
		}
	})
}

// unstoppable does not hear that its context ended: the answer is on its way.
type unstoppable struct{ *rt.Source }

func (u unstoppable) Fetch(ctx context.Context, in refresher.Input) (refresher.Token, error) {
	return u.Source.Fetch(context.WithoutCancel(ctx), in)
}
