package refresher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// What a store tells of while a login runs counts at once, whatever becomes of
// the login.
func TestNewsDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, store, rt.Script(t, rt.OK("a", time.Hour), rt.Fail(refresher.Permanent).After(9*time.Second)), refresher.Policy{})
		rt.WantToken(t, in, "a")
		time.Sleep(48*time.Minute + time.Second) // the second login runs
		if err := store.MemoryStore.Reject(t.Context(), store.key(), 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		rt.WantNone(t, in)
		time.Sleep(time.Second)
		store.put(t, "peer", 2, time.Hour)
		synctest.Wait()
		rt.WantToken(t, in, "peer")
		time.Sleep(10 * time.Second)
		rt.WantToken(t, in, "peer")
	})
}

// What a process was refused with is marked by its value: during an outage two
// processes may have given one number to two tokens.
func TestRefusalOfAnUnsavedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		src := numbered(t, time.Hour)
		in, _ := sharing(t, quiet{store}, src, refresher.Policy{})
		rt.WantToken(t, in, "v1")
		store.set(errDown, "load", "save")
		time.Sleep(48*time.Minute + time.Second)
		rt.WantToken(t, in, "v2") // generation 2, which the store did not take
		store.put(t, "peer", 2, time.Hour)
		store.set(nil)
		store.once("reject", func() { t.Error("another process's token is marked") })
		wantRejection(t, in, rt.Token(t, in), "r", refresher.Renewing)
		time.Sleep(2 * time.Second)
		synctest.Wait()
	})
}

// A save that is due for one token is none for the token that was adopted since:
// it would lift a rejection.
func TestSaveIsForgottenByAnAdoption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, store, numbered(t, time.Hour), refresher.Policy{})
		rt.WantToken(t, in, "v1")
		store.set(errDown, "save")
		in.Offer(rt.Token(t, in), offered("renewed", time.Hour))
		synctest.Wait()
		store.put(t, "peer", 5, time.Hour)
		synctest.Wait()
		rt.WantToken(t, in, "peer")
		_, before := store.counts()
		store.set(nil)
		time.Sleep(10 * time.Minute)
		if _, saves := store.counts(); len(saves) != len(before) {
			t.Errorf("%d saves after the adoption", len(saves)-len(before))
		}
	})
}

// A value that was refused here is not taken for another one because somebody
// numbered it anew; the store is told. The same value from a later login is.
func TestRefusedValueUnderAnotherNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, quiet{store}, rt.Script(t, rt.OK("a", time.Hour), rt.Busy(time.Minute), rt.Busy(time.Hour)), refresher.Policy{})
		tok := rt.WantToken(t, in, "a")
		issued := time.Now()
		time.Sleep(time.Minute)
		renumbered := refresher.Token{Value: tok.Value, Generation: 4, IssuedAt: issued, ExpiresAt: tok.ExpiresAt}
		if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{Generation: 1}, renumbered); err != nil {
			t.Fatal(err)
		}
		wantRejection(t, in, tok, "r", refresher.Renewing)
		synctest.Wait()
		rt.WantNone(t, in)
		if found, err := store.MemoryStore.Load(t.Context(), store.key()); err != nil || !found.Rejected {
			t.Errorf("the store holds %+v, %v", found, err)
		}
		store.put(t, "a", 5, time.Hour)
		time.Sleep(2 * time.Minute)
		rt.WantToken(t, in, "a")
	})
}

// A store that lost its data gets back what its processes have.
func TestTokenIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		src := numbered(t, time.Hour)
		one, _ := sharing(t, store, src, refresher.Policy{})
		rt.WantToken(t, one, "v1")
		other, _ := sharing(t, store, src, refresher.Policy{})
		rt.WantToken(t, other, "v1")
		time.Sleep(time.Minute)
		store.Forget(store.key())
		store.tell(store.key())
		synctest.Wait()
		store.want(t, "v1", 1)
		third, _ := sharing(t, store, src, refresher.Policy{})
		rt.WantToken(t, third, "v1")
		src.WantCalls(1)
	})
}

// Where somebody was faster, the later login counts.
func TestLaterLoginCountsAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, store, numbered(t, time.Hour), refresher.Policy{})
		rt.WantToken(t, in, "v1")
		time.Sleep(time.Minute)
		store.Forget(store.key())
		store.put(t, "peer", 1, time.Hour)
		synctest.Wait()
		if tok := rt.WantToken(t, in, "peer"); tok.Generation != 2 {
			t.Errorf("generation %d, want 2", tok.Generation)
		}
		store.want(t, "peer", 2)
	})
}

// A lower number means the same, for whoever has no token that is good.
func TestLowerNumberAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		src := numbered(t, time.Hour)
		in, _ := sharing(t, quiet{store}, src, refresher.Policy{})
		wantRejection(t, in, rt.WantToken(t, in, "v1"), "r", refresher.Renewing)
		rt.WantToken(t, in, "v2")
		time.Sleep(time.Minute)
		store.Forget(store.key())
		earlier := refresher.Token{Value: secret.New("peer"), Generation: 1, IssuedAt: time.Now().Add(-2 * time.Minute), ExpiresAt: time.Now().Add(time.Hour)}
		if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{}, earlier); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantRejection(t, in, rt.WantToken(t, in, "v2"), "r", refresher.Renewing)
		if tok := rt.WantToken(t, in, "peer"); tok.Generation != 3 {
			t.Errorf("generation %d, want 3", tok.Generation)
		}
		src.WantCalls(2)
		synctest.Wait()
		store.want(t, "peer", 3)
	})
}

// A refusal that the store could not be told of is not forgotten.
func TestRefusalDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, store, numbered(t, time.Hour), refresher.Policy{})
		first := rt.WantToken(t, in, "v1")
		time.Sleep(time.Minute)
		store.set(errDown, "load", "save", "reject")
		for _, v := range []string{"v2", "v3"} {
			wantRejection(t, in, rt.Token(t, in), "r", refresher.Renewing)
			rt.WantToken(t, in, v)
			time.Sleep(time.Minute)
		}
		first.Generation = 9 // what another process had still to save
		if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{Generation: 1}, first); err != nil {
			t.Fatal(err)
		}
		store.set(nil)
		synctest.Wait()
		rt.WantToken(t, in, "v3")
		time.Sleep(50 * time.Minute) // the next login
		synctest.Wait()
		if tok := rt.Token(t, in); tok.Value.Reveal() == "v1" || tok.Generation < 10 {
			t.Errorf("token %s of generation %d", tok.Value.Reveal(), tok.Generation)
		}
	})
}

// A look for the login of another process does not cut short the patience that
// the vendor asked for.
func TestWaitingKeepsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		store.set(refresher.ErrHeld, "acquire")
		src := rt.Script(t, rt.Busy(10*time.Minute), rt.OK("a", time.Hour))
		in, _ := sharing(t, store, src, refresher.Policy{})
		time.Sleep(20 * time.Second)
		store.set(nil)
		time.Sleep(10 * time.Second)
		src.WantCalls(1)
		for range 5 {
			wantUnavailable(t, in, time.Second, 0, refresher.Throttled)
		}
		time.Sleep(9 * time.Minute)
		src.WantCalls(1)
		time.Sleep(time.Minute)
		rt.WantToken(t, in, "a")
	})
}

// A conflict throws no fresh token away for one that is older, whatever its
// number.
func TestConflictWithAnOlderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		src := rt.Script(t, rt.OK("v1", time.Hour), rt.OK("v2", time.Hour).After(time.Second))
		in, _ := sharing(t, quiet{store}, src, refresher.Policy{})
		rt.WantToken(t, in, "v1")
		store.once("save", func() {
			old := refresher.Token{Value: secret.New("old"), Generation: 5, IssuedAt: time.Now().Add(-time.Minute), ExpiresAt: time.Now().Add(time.Hour)}
			if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{Generation: 1}, old); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(48*time.Minute + 2*time.Second)
		if tok := rt.WantToken(t, in, "v2"); tok.Generation != 6 {
			t.Errorf("generation %d, want 6", tok.Generation)
		}
		store.want(t, "v2", 6)
	})
}

// A rejection counts for the token that is meant, under whatever number.
func TestRejectionUnderAnotherNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, store, rt.Script(t, rt.OK("v1", time.Hour), rt.Busy(time.Hour)), refresher.Policy{})
		tok := rt.WantToken(t, in, "v1")
		time.Sleep(time.Minute)
		tok.Generation = 7
		if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{Generation: 1}, tok); err != nil {
			t.Fatal(err)
		}
		if err := store.MemoryStore.Reject(t.Context(), store.key(), 7); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		rt.WantNone(t, in)
	})
}

// A job that began before another process's token came into service finds out
// before it logs in, though a look brought that token meanwhile.
func TestLoginIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		src := numbered(t, time.Hour)
		in, _ := sharing(t, store, src, refresher.Policy{MinInterval: time.Millisecond})
		rt.WantToken(t, in, "v1")
		time.Sleep(48*time.Minute - time.Second)
		store.once("load", func() { // the job's
			store.put(t, "peer", 2, time.Hour)
			time.Sleep(100 * time.Millisecond) // the look that the announcement causes is faster
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		rt.WantToken(t, in, "peer")
		src.WantCalls(1)
	})
}

// A store that lost the last save alone, as in a fail-over, gets it back: whoever
// starts next would use what that one replaced.
func TestLastSaveIsPutBack(t *testing.T) {
	for _, rotates := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := newFaultyStore(t)
			in, _ := sharing(t, store, numbered(t, time.Hour), refresher.Policy{Rotates: rotates})
			rt.WantToken(t, in, "v1")
			before, err := store.MemoryStore.Load(t.Context(), store.key())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			wantRejection(t, in, rt.Token(t, in), "r", refresher.Renewing)
			rt.WantToken(t, in, "v2")
			time.Sleep(time.Minute)
			store.Forget(store.key())
			if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{}, before.Token); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			store.want(t, "v2", 2)
			rt.WantToken(t, in, "v2")
		})
	}
}

// A refusal may name a token by a number that it has no more.
func TestRefusalByAnOldNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, store, numbered(t, time.Hour), refresher.Policy{})
		old := rt.WantToken(t, in, "v1")
		time.Sleep(time.Minute)
		renumbered := old
		renumbered.Generation = 3
		if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{Generation: 1}, renumbered); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if tok := rt.WantToken(t, in, "v1"); tok.Generation != 3 {
			t.Fatalf("generation %d", tok.Generation)
		}
		wantRejection(t, in, old, "r", refresher.Renewing)
	})
}

// Two processes that logged in without the store number their tokens alike. The
// later login counts, whichever was saved first.
func TestLaterLoginCountsAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, _ := sharing(t, store, numbered(t, time.Hour), refresher.Policy{})
		rt.WantToken(t, in, "v1")
		store.set(errDown, "load", "save")
		time.Sleep(48*time.Minute + time.Second)
		old := rt.WantToken(t, in, "v2") // generation 2, which the store did not take
		peer := refresher.Token{Value: secret.New("peer"), Generation: 2, IssuedAt: time.Now().Add(-time.Minute), ExpiresAt: time.Now().Add(time.Hour)}
		if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{Generation: 1}, peer); err != nil {
			t.Fatal(err)
		}
		store.set(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		store.want(t, "v2", 3)
		if tok := rt.WantToken(t, in, "v2"); tok.Generation != 3 {
			t.Errorf("generation %d, want 3", tok.Generation)
		}
		wantRejection(t, in, old, "r", refresher.Renewing)
	})
}
