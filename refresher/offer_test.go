package refresher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

func wantOffer(t *testing.T, in *refresher.Instance, used refresher.Token, value string, lifetime time.Duration, want bool) {
	t.Helper()
	if got := in.Offer(used, offered(value, lifetime)); got != want {
		t.Errorf("offer of %q for generation %d changed something: %v, want %v", value, used.Generation, got, want)
	}
}

func TestOffersOfOneGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, time.Hour)
		in := start(t, src, refresher.Policy{})
		first := rt.WantToken(t, in, "v1")
		wantOffer(t, in, first, "", time.Hour, false)
		wantOffer(t, in, refresher.Token{}, "stranger", time.Hour, false)
		wantOffer(t, in, first, "x", 2*time.Hour, true)
		wantOffer(t, in, first, "y", time.Hour, false) // came second
		second := rt.WantToken(t, in, "x")
		if second.Generation != 2 || second.Lifetime() != 2*time.Hour {
			t.Errorf("offered token: %+v", second)
		}
		wantOffer(t, in, second, "z", time.Hour, true)
		wantOffer(t, in, first, "late", time.Hour, false)
		wantOffer(t, in, second, "late", time.Hour, false)
		wantRejection(t, in, second, "r", refresher.Stale)
		rt.WantToken(t, in, "z")
		time.Sleep(47 * time.Minute) // the offers' lifetimes count
		src.WantCalls(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		src.WantTimes(0, 48*time.Minute)
	})
}

func TestNoOfferBeforeTheFirstToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, rt.Script(t, rt.Fail(refresher.Permanent)), refresher.Policy{})
		synctest.Wait()
		wantOffer(t, in, refresher.Token{}, "x", time.Hour, false)
		rt.WantNone(t, in)
	})
}

func TestOfferDuringLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", 100*time.Second), rt.OK("b", 100*time.Second).After(5*time.Second))
		in := start(t, src, refresher.Policy{})
		first := rt.WantToken(t, in, "a")
		time.Sleep(82 * time.Second)
		wantOffer(t, in, first, "x", time.Hour, true)
		if got := rt.WantToken(t, in, "x"); got.Generation != 2 {
			t.Errorf("generation %d, want 2", got.Generation)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := rt.WantToken(t, in, "b"); got.Generation != 3 {
			t.Errorf("generation %d, want 3: the login's result is the later one", got.Generation)
		}
	})
}

// Login and offer bring the same value: one generation, not two, and never a
// step back.
func TestOfferOfTheLoginsValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", 100*time.Second), rt.OK("c", 100*time.Second).After(5*time.Second))
		in := start(t, src, refresher.Policy{})
		first := rt.WantToken(t, in, "a")
		time.Sleep(82 * time.Second)
		wantOffer(t, in, first, "b", time.Hour, true)
		wantOffer(t, in, rt.WantToken(t, in, "b"), "c", time.Hour, true)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := rt.WantToken(t, in, "c"); got.Generation != 3 {
			t.Errorf("generation %d, want 3", got.Generation)
		}
	})
}

func TestOfferRevivesRefusedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour), rt.Fail(refresher.Permanent))
		in := start(t, src, refresher.Policy{})
		first := rt.WantToken(t, in, "a")
		time.Sleep(time.Minute)
		wantRejection(t, in, first, "r", refresher.Renewing)
		synctest.Wait()
		go func() {
			time.Sleep(30 * time.Second)
			wantOffer(t, in, first, "a", 2*time.Hour, false) // the refused value is no renewal
			wantOffer(t, in, first, "x", time.Hour, true)
		}()
		begin := time.Now()
		rt.WantToken(t, in, "x")
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("the waiter got it after %v, want 30s", took)
		}
		if s := in.Status(); s.Phase != refresher.Fresh || s.Failures != 0 {
			t.Errorf("status %+v", s)
		}
		time.Sleep(40 * time.Minute)
		src.WantCalls(2)
	})
}

// A renewal in traffic does not undo the patience that the login's upstream
// asked for.
func TestOfferKeepsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", 100*time.Second), rt.Busy(time.Hour), rt.OK("b", time.Hour))
		in := start(t, src, refresher.Policy{})
		first := rt.WantToken(t, in, "a")
		time.Sleep(90 * time.Second)
		wantOffer(t, in, first, "x", time.Minute, true)
		time.Sleep(2 * time.Hour)
		src.WantTimes(seconds(0, 80, 80+3600, 80+3600+48*60)...)
	})
}

func TestOfferOfTheCurrentValueExtends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events rt.Events
		src := numbered(t, time.Hour)
		in := rt.Single(t, rt.Start(t, refresher.Config{Observe: events.Observe}), refresher.Definition{Source: src})
		tok := rt.WantToken(t, in, "v1")
		wantOffer(t, in, tok, "v1", 30*time.Minute, false) // shorter
		begin := time.Now()
		for time.Since(begin) < 5*time.Hour { // in use all the time
			time.Sleep(10 * time.Second)
			in.Offer(tok, offered("v1", time.Hour))
		}
		if got := rt.WantToken(t, in, "v1"); got.Generation != 1 || time.Until(got.ExpiresAt) < 59*time.Minute {
			t.Errorf("generation %d expires in %v", got.Generation, time.Until(got.ExpiresAt))
		}
		src.WantCalls(1)
		if n := len(events.Of(refresher.Renewed)); n > 5*60 || n < 5*60-1 {
			t.Errorf("%d extensions in 300 minutes, want one a minute", n)
		}
		time.Sleep(59 * time.Minute)
		src.WantCalls(2) // then it is due like any other
	})
}

func TestOfferDoesNotExtendForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, rt.Script(t, rt.Forever("a")), refresher.Policy{})
		tok := rt.WantToken(t, in, "a")
		wantOffer(t, in, tok, "a", time.Hour, false) // would shorten its life
		if got := rt.WantToken(t, in, "a"); !got.ExpiresAt.IsZero() {
			t.Errorf("expires at %v, want never", got.ExpiresAt)
		}
	})
}

func TestOfferWithNonsenseExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events rt.Events
		in := rt.Single(t, rt.Start(t, refresher.Config{Observe: events.Observe}), refresher.Definition{Source: numbered(t, time.Hour)})
		wantOffer(t, in, rt.WantToken(t, in, "v1"), "x", -time.Hour, true)
		if got := rt.WantToken(t, in, "x").Lifetime(); got != refresher.FallbackLifetime {
			t.Errorf("lifetime %v, want %v", got, refresher.FallbackLifetime)
		}
		if e := events.Of(refresher.Renewed)[0]; !e.ExpiryReplaced || e.Generation != 2 {
			t.Errorf("event %+v", e)
		}
	})
}

func TestOfferKeepsOutputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, rt.Script(t, rt.OK("a", time.Hour).With("push_token", "p")), refresher.Policy{})
		wantOffer(t, in, rt.WantToken(t, in, "a"), "b", time.Hour, true)
		tok := rt.WantToken(t, in, "b")
		if got := tok.Outputs["push_token"].Reveal(); got != "p" {
			t.Errorf("output %q, want p", got)
		}
		in.Offer(tok, refresher.Token{Value: secret.New("c"), Outputs: map[string]secret.String{"push_token": secret.New("q")}})
		if got := rt.WantToken(t, in, "c").Outputs["push_token"].Reveal(); got != "q" {
			t.Errorf("output %q, want q", got)
		}
	})
}

// The refusals that are passed on are those of the value that came back.
func TestOfferEndsPassingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour), rt.OK("a", time.Hour), rt.OK("b", time.Hour))
		in := start(t, src, refresher.Policy{SameValueBacksOff: true})
		tok := rt.WantToken(t, in, "a")
		wantRejection(t, in, tok, "r", refresher.Renewing)
		rt.WantToken(t, in, "a")
		wantRejection(t, in, tok, "r", refresher.OverBudget)
		wantOffer(t, in, tok, "x", time.Hour, true)
		wantRejection(t, in, rt.WantToken(t, in, "x"), "r", refresher.Renewing)
		rt.WantToken(t, in, "b")
	})
}

func TestMemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := start(t, numbered(t, time.Hour), refresher.Policy{})
		tok := rt.WantToken(t, in, "v1")
		k1, k2 := new(int), new(int)
		tok.SetMemo(k1, "Bearer v1")
		tok.SetMemo(k2, "other")
		again := rt.WantToken(t, in, "v1")
		if got, ok := again.Memo(k1); !ok || got != "Bearer v1" {
			t.Errorf("memo %q, %v", got, ok)
		}
		if got, ok := again.Memo(k2); !ok || got != "other" {
			t.Errorf("memo %q, %v", got, ok)
		}
		wantRejection(t, in, tok, "r", refresher.Renewing)
		if got, ok := rt.WantToken(t, in, "v2").Memo(k1); ok {
			t.Errorf("the next generation has the memo %q of the one before", got)
		}
		var none refresher.Token
		none.SetMemo(k1, "x")
		if _, ok := none.Memo(k1); ok {
			t.Error("the zero Token keeps memos")
		}
	})
}
