package refresher_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

func TestOneLoginForAThousandRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour), rt.OK("b", time.Hour).After(300*time.Millisecond), rt.OK("c", time.Hour))
		in := start(t, src, refresher.Policy{})
		old := rt.WantToken(t, in, "a")
		time.Sleep(10 * time.Minute)

		var wg sync.WaitGroup
		var renewing atomic.Int32
		for i := range 1000 {
			wg.Go(func() {
				time.Sleep(time.Duration(i%7) * 10 * time.Millisecond) // some refusals come while the login runs
				if r := in.Reject(old, route("r")); r == refresher.Renewing {
					renewing.Add(1)
				} else if r != refresher.Stale {
					t.Errorf("refusal is %v", r)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				tok, err := in.Token(ctx)
				if err != nil || tok.Value.Reveal() != "b" || tok.Generation != 2 {
					t.Errorf("Token = %q of generation %d, %v; want b of generation 2", tok.Value.Reveal(), tok.Generation, err)
				}
			})
		}
		wg.Wait()
		if n := renewing.Load(); n != 1 {
			t.Errorf("%d refusals started a login, want 1", n)
		}
		src.WantCalls(2)

		for range 100 { // answers to slow requests that were sent with the old token
			wantRejection(t, in, old, "r", refresher.Stale)
		}
		time.Sleep(10 * time.Minute)
		src.WantCalls(2)
		rt.WantToken(t, in, "b")
	})
}

func TestWaitersLeaveWithoutHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour).After(3*time.Second))
		in := start(t, src, refresher.Policy{})
		var wg sync.WaitGroup
		wg.Go(func() { // the first one: the login started for its sake
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			begin := time.Now()
			_, err := in.Token(ctx)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that of the caller's context", err)
			}
			if took := time.Since(begin); took != time.Second {
				t.Errorf("left after %v, want 1s", took)
			}
		})
		synctest.Wait()
		for range 10 {
			wg.Go(func() { rt.WantToken(t, in, "a") })
		}
		time.Sleep(2 * time.Second)
		if n := in.Status().Waiters; n != 10 {
			t.Errorf("%d waiters, want 10", n)
		}
		wg.Wait()
		src.WantCalls(1)
		if n := in.Status().Waiters; n != 0 {
			t.Errorf("%d waiters at the end, want 0", n)
		}
	})
}

func TestLoginGoesOnWhenAllWaitersLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour).After(3*time.Second))
		in := start(t, src, refresher.Policy{})
		wantUnavailable(t, in, time.Second, time.Second, refresher.Transient)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, ok := in.Peek(); !ok {
			t.Error("no token after the login's end")
		}
		src.WantCalls(1)
	})
}

// numbered gives the values v1, v2 ….
func numbered(t *testing.T, lifetime time.Duration) *rt.Source {
	return rt.Func(t, func(call int, _ refresher.Input) rt.Answer {
		return rt.OK(fmt.Sprint("v", call), lifetime)
	})
}

// refuse has by refuse the current token and waits for the next one.
func refuse(t *testing.T, in *refresher.Instance, by string, want refresher.Rejection) (refused refresher.Token) {
	t.Helper()
	refused = rt.Token(t, in)
	wantRejection(t, in, refused, by, want)
	if next := rt.Token(t, in); want == refresher.Renewing && next.Generation != refused.Generation+1 {
		t.Errorf("generation %d after %d", next.Generation, refused.Generation)
	} else if want == refresher.OverBudget && next.Generation != refused.Generation {
		t.Errorf("generation %d instead of %d although the refusal was to be passed on", next.Generation, refused.Generation)
	}
	return refused
}

func TestRefusalBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, 24*time.Hour)
		in := start(t, src, refresher.Policy{})
		rt.Token(t, in)
		time.Sleep(time.Minute)
		begin := time.Now()
		first := refuse(t, in, "r", refresher.Renewing) // at 0s
		for range 4 {
			refuse(t, in, "r", refresher.Renewing) // at 1s … 4s, by MinInterval
		}
		for range 20 { // the token stays in service
			refuse(t, in, "r", refresher.OverBudget)
		}
		wantRejection(t, in, first, "r", refresher.Stale) // generations are compared before budgets
		src.WantCalls(6)

		refuse(t, in, "other", refresher.Renewing) // a budget of its own
		src.WantCalls(7)

		time.Sleep(30*time.Second - time.Since(begin) - time.Millisecond)
		refuse(t, in, "r", refresher.OverBudget)
		time.Sleep(time.Millisecond)
		refuse(t, in, "r", refresher.Renewing)
		refuse(t, in, "r", refresher.OverBudget)
		time.Sleep(time.Hour)
		for range 5 { // never more than that many
			refuse(t, in, "r", refresher.Renewing)
		}
		refuse(t, in, "r", refresher.OverBudget)
	})
}

func TestRefusalBudgetIsReturnedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, 24*time.Hour)
		in := start(t, src, refresher.Policy{})
		var refused refresher.Token
		for range 20 { // each renewal was worth it
			refused = refuse(t, in, "r", refresher.Renewing)
			in.Accepted(refused, "r")
		}
		for range 3 { // for all requests that were refused together
			in.Accepted(refused, "r")
		}
		var all []refresher.Token
		for range 5 {
			all = append(all, refuse(t, in, "r", refresher.Renewing))
		}
		refuse(t, in, "r", refresher.OverBudget)
		in.Accepted(refused, "r")             // was returned before
		in.Accepted(all[0], "other")          // took nothing there
		in.Accepted(rt.Token(t, in), "r")     // was not refused
		in.Accepted(refresher.Token{}, "new") // an unknown route
		refuse(t, in, "r", refresher.OverBudget)
		in.Accepted(all[2], "r")
		in.Accepted(all[2], "r")
		refuse(t, in, "r", refresher.Renewing)
		refuse(t, in, "r", refresher.OverBudget)
	})
}

func TestMinInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, time.Hour)
		in := start(t, src, refresher.Policy{MinInterval: 20 * time.Second})
		refuse(t, in, "r", refresher.Renewing)
		refuse(t, in, "r", refresher.Renewing)
		src.WantTimes(seconds(0, 20, 40)...)
		// Who cannot wait for that is told at once.
		wantRejection(t, in, rt.Token(t, in), "r", refresher.Renewing)
		if e := wantUnavailable(t, in, 5*time.Second, 0, refresher.Transient); e.RetryAfter != 20*time.Second {
			t.Errorf("retry after %v, want 20s", e.RetryAfter)
		}
	})
}

func TestMaxPerHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, 10*time.Minute)
		in := start(t, src, refresher.Policy{MaxPerHour: 3})
		time.Sleep(26 * time.Minute)
		src.WantTimes(seconds(0, 8*60, 16*60)...)
		if e := wantUnavailable(t, in, time.Minute, 0, refresher.Transient); e.RetryAfter != 34*time.Minute {
			t.Errorf("retry after %v, want 34m", e.RetryAfter)
		}
		rt.WantToken(t, in, "v4")
		time.Sleep(24 * time.Hour)
		src.WantAtMost(3, time.Hour)
	})
}

// A refusal that no login can follow for an hour leaves the token to those
// whom it serves.
func TestMaxPerHourAndRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, 24*time.Hour)
		in := start(t, src, refresher.Policy{MaxPerHour: 3})
		refuse(t, in, "r", refresher.Renewing)
		refuse(t, in, "r", refresher.Renewing)
		refuse(t, in, "r", refresher.OverBudget)
		time.Sleep(time.Hour)
		refuse(t, in, "r", refresher.Renewing)
		src.WantAtMost(3, time.Hour)
	})
}

func TestSameValueAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour))
		in := start(t, src, refresher.Policy{})
		refused := refuse(t, in, "r", refresher.Renewing)
		if got := rt.WantToken(t, in, "a"); got.Generation != refused.Generation+1 {
			t.Errorf("generation %d, want %d", got.Generation, refused.Generation+1)
		}
	})
}

func TestSameValueBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Func(t, func(call int, _ refresher.Input) rt.Answer {
			if call < 5 {
				return rt.OK("a", 24*time.Hour)
			}
			return rt.OK("b", 24*time.Hour)
		})
		in := start(t, src, refresher.Policy{SameValueBacksOff: true})
		tok := rt.WantToken(t, in, "a")
		time.Sleep(time.Minute)
		for _, wait := range seconds(1, 2, 4) { // the table of Policy.Delay
			wantRejection(t, in, tok, "r", refresher.Renewing)
			if again := rt.WantToken(t, in, "a"); again.Generation != tok.Generation {
				t.Errorf("generation %d, want %d as before", again.Generation, tok.Generation)
			}
			calls := src.Calls()
			for range 10 {
				wantRejection(t, in, tok, "r", refresher.OverBudget)
				wantRejection(t, in, tok, "another", refresher.OverBudget)
			}
			time.Sleep(wait - time.Nanosecond)
			wantRejection(t, in, tok, "r", refresher.OverBudget)
			src.WantCalls(calls)
			time.Sleep(time.Nanosecond)
		}
		wantRejection(t, in, tok, "r", refresher.Renewing)
		next := rt.WantToken(t, in, "b")
		if next.Generation != tok.Generation+1 {
			t.Errorf("generation %d, want %d", next.Generation, tok.Generation+1)
		}
		wantRejection(t, in, next, "r", refresher.Renewing) // a new value's refusals count at once
	})
}

// A token that the login returns again and again, with the same expiry, must
// not be asked for ever faster as that expiry comes near.
func TestSameValueInTheBackground(t *testing.T) {
	for _, backsOff := range []bool{false, true} {
		t.Run(fmt.Sprint("backoff ", backsOff), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				expiry := time.Now().Add(time.Hour)
				src := rt.Func(t, func(int, refresher.Input) rt.Answer {
					if left := time.Until(expiry); left > 0 {
						return rt.OK("a", left)
					}
					return rt.OK("b", 10*time.Hour)
				})
				in := start(t, src, refresher.Policy{SameValueBacksOff: backsOff})
				first := rt.Token(t, in)
				time.Sleep(time.Hour - time.Second)
				if tok := rt.WantToken(t, in, "a"); tok.Generation != first.Generation {
					t.Errorf("generation %d for the value that never left the service, want %d", tok.Generation, first.Generation)
				}
				time.Sleep(time.Minute)
				rt.WantToken(t, in, "b")
				if n := src.Calls(); n > 9 {
					t.Errorf("%d logins at %v, want at most 9", n, src.Times())
				}
			})
		})
	}
}
