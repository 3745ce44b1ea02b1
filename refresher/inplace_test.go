package refresher_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// A renewal in place returns the same value with a longer life. That makes no
// generation and is no login in vain, whatever same_value says.
func TestRenewalInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Func(t, func(_ int, in refresher.Input) rt.Answer {
			if in.Refused || in.Previous.Value.IsEmpty() {
				return rt.OK("new", 100*time.Minute)
			}
			return rt.OK(in.Previous.Value.Reveal(), 100*time.Minute)
		})
		in := start(t, src, refresher.Policy{RenewsInPlace: true, SameValueBacksOff: true})
		first := rt.WantToken(t, in, "new")
		time.Sleep(480*time.Minute + 10*time.Second)
		src.WantGaps(80*time.Minute, 80*time.Minute, 80*time.Minute, 80*time.Minute, 80*time.Minute, 80*time.Minute)
		if tok := rt.WantToken(t, in, "new"); tok.Generation != first.Generation {
			t.Errorf("generation %d, want %d", tok.Generation, first.Generation)
		}
		// A refusal starts a login at once, that is told of it.
		wantRejection(t, in, first, "r", refresher.Renewing)
		begin := time.Now()
		rt.WantToken(t, in, "new")
		if took := time.Since(begin); took != 0 {
			t.Errorf("the login came after %v, want at once", took)
		}
		inputs := src.Inputs()
		if last := inputs[len(inputs)-1]; !last.Refused || inputs[len(inputs)-2].Refused {
			t.Error("the login after the refusal, and it alone, is to be told of it")
		}
	})
}

// What one replica renewed in place the others take from the store.
func TestRenewalInPlaceIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		in, events := startStored(t, store, numbered(t, time.Hour))
		rt.WantToken(t, in, "v1")
		synctest.Wait()
		found, _ := store.MemoryStore.Load(t.Context(), store.key())
		longer := found.Token
		time.Sleep(30 * time.Minute)
		longer.IssuedAt, longer.ExpiresAt = time.Now(), time.Now().Add(time.Hour)
		if err := store.MemoryStore.Save(t.Context(), store.key(), refresher.Guard{Generation: 1}, longer); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		if tok := rt.WantToken(t, in, "v1"); tok.Generation != 1 || !tok.ExpiresAt.Equal(longer.ExpiresAt.Round(0)) {
			t.Errorf("generation %d until %v, want 1 until %v", tok.Generation, tok.ExpiresAt, longer.ExpiresAt)
		}
		if n := len(events.Of(refresher.Adopted)); n != 1 {
			t.Errorf("%d adoptions, want 1", n)
		}
		time.Sleep(30 * time.Minute)
		rt.WantToken(t, in, "v2")
	})
}

// An offered value keeps what renews the token.
func TestOfferKeepsLasting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startProcess(t, &session{}, refresher.NewMemoryStore(), "", 0)
		p.in.Offer(rt.WantToken(t, p.in, "a1"), refresher.Token{Value: secret.New("x"), ExpiresAt: time.Now().Add(time.Hour)})
		tok := rt.WantToken(t, p.in, "x")
		if !tok.Lasting || tok.Outputs["refresh_token"].Reveal() != "r1" {
			t.Errorf("token %+v", tok)
		}
		wantSession(t, p, true)
	})
}

// A login after a change of what it reads is told, also when it is tried again.
func TestAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", 100*time.Minute), rt.OK("b", 100*time.Minute), rt.Fail(refresher.Transient), rt.OK("c", 100*time.Minute), rt.OK("d", time.Hour))
		pool := rt.Define(t, rt.Start(t, refresher.Config{}), refresher.Definition{Source: src})
		time.Sleep(90 * time.Minute)
		pool.Renew()
		time.Sleep(90 * time.Minute)
		var got []bool
		for _, in := range src.Inputs() {
			got = append(got, in.Anew)
		}
		if want := []bool{false, false, true, true, false}; !slices.Equal(got, want) {
			t.Errorf("anew %v, want %v", got, want)
		}
	})
}
