package refresher_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// fails returns n answers of that class, and then the others.
func fails(n int, class refresher.Class, then ...rt.Answer) []rt.Answer {
	var all []rt.Answer
	for range n {
		all = append(all, rt.Fail(class))
	}
	return append(all, then...)
}

func TestBackOff(t *testing.T) {
	ok := rt.OK("a", 100*time.Hour)
	tests := []struct {
		name    string
		answers []rt.Answer
		gaps    []time.Duration
	}{
		{"transient", fails(9, refresher.Transient, ok), seconds(1, 2, 4, 8, 16, 32, 60, 60, 60)},
		{"throttled without a hint", fails(3, refresher.Throttled, ok), seconds(1, 2, 4)},
		{"permanent", fails(7, refresher.Permanent, ok), seconds(60, 120, 240, 480, 900, 900, 900)},
		{"retry after", []rt.Answer{rt.Busy(90 * time.Second), ok}, seconds(90)},
		{"retry after, shorter than the back-off", append(fails(3, refresher.Transient), rt.Busy(time.Second), ok), seconds(1, 2, 4, 8)},
		{"retry after, capped", []rt.Answer{rt.Busy(50 * time.Hour), ok}, seconds(3600)},
		{"an error of another type", []rt.Answer{rt.Error(errors.New("plain")), ok}, seconds(1)},
		{"an error without a cause", []rt.Answer{rt.Error(&refresher.FetchError{Class: refresher.Permanent}), ok}, seconds(60)},
		{"a nil error", []rt.Answer{rt.Error((*refresher.FetchError)(nil)), ok}, seconds(1)},
		{"an unknown class", []rt.Answer{rt.Fail(200), ok}, seconds(1)},
		{"no value", []rt.Answer{rt.OK("", time.Hour), ok}, seconds(1)},
		{"a panic", []rt.Answer{rt.Panic("CANARY"), ok}, seconds(1)},
		// Each class has its table: a glitch at the end of a long outage must
		// not block the token for a quarter of an hour.
		{"transient, then permanent", append(fails(6, refresher.Transient), fails(2, refresher.Permanent, ok)...),
			seconds(1, 2, 4, 8, 16, 32, 60, 120)},
		{"permanent, then transient", append(fails(3, refresher.Permanent), fails(2, refresher.Transient, ok)...),
			seconds(60, 120, 240, 1, 2)},
		{"slower than the time-out", []rt.Answer{rt.OK("late", time.Hour).After(time.Hour), ok}, seconds(11)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := rt.Script(t, test.answers...)
				in := start(t, src, refresher.Policy{})
				rt.WantToken(t, in, "a")
				src.WantGaps(test.gaps...)
				if s := in.Status(); s.Failures != 0 || s.LastError != "" {
					t.Errorf("status after success: %d failures, %q", s.Failures, s.LastError)
				}
				time.Sleep(time.Hour) // nothing is left over
				src.WantCalls(len(test.gaps) + 1)
			})
		})
	}
}

// Successes start the tables anew.
func TestBackOffStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := rt.Fail(refresher.Transient)
		src := rt.Script(t, bad, bad, rt.OK("a", 100*time.Second), bad, bad, rt.OK("b", time.Hour))
		in := start(t, src, refresher.Policy{})
		time.Sleep(2 * time.Minute)
		rt.WantToken(t, in, "b")
		src.WantGaps(seconds(1, 2, 80, 1, 2)...)
	})
}

func TestVendorDownFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, fails(4, refresher.Transient, rt.OK("a", time.Hour))...) // at 0 1 3 7 15
		in := start(t, src, refresher.Policy{})
		time.Sleep(2 * time.Second)
		// Who can wait until the next attempt does, also if that fails …
		wantUnavailable(t, in, 4*time.Second, time.Second, refresher.Transient)
		// … and who cannot is told at once.
		if e := wantUnavailable(t, in, 3900*time.Millisecond, 0, refresher.Transient); e.RetryAfter != 4*time.Second {
			t.Errorf("retry after %v, want 4s", e.RetryAfter)
		}
		if s := in.Status(); s.Phase != refresher.Empty || s.Failures != 3 || s.LastError != "scripted: transient" {
			t.Errorf("status %+v", s)
		}
		rt.WantToken(t, in, "a")
		src.WantTimes(seconds(0, 1, 3, 7, 15)...)
	})
}

func TestVendorDownFromMidLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := append([]rt.Answer{rt.OK("a", 100*time.Second)}, fails(5, refresher.Transient, rt.OK("b", time.Hour))...)
		src := rt.Script(t, answers...)
		in := start(t, src, refresher.Policy{})
		rt.WantToken(t, in, "a")
		begin := time.Now()
		for time.Since(begin) < 100*time.Second { // served until it expires
			if tok, ok := in.Peek(); !ok || tok.Value.Reveal() != "a" {
				t.Fatalf("no token after %v", time.Since(begin))
			}
			time.Sleep(time.Second)
		}
		rt.WantNone(t, in)
		if p := in.Status().Phase; p != refresher.Expired {
			t.Errorf("phase %v, want expired", p)
		}
		if e := wantUnavailable(t, in, 5*time.Second, 0, refresher.Transient); e.RetryAfter != 11*time.Second {
			t.Errorf("retry after %v, want 11s", e.RetryAfter)
		}
		rt.WantToken(t, in, "b")
		src.WantTimes(seconds(0, 80, 81, 83, 87, 95, 111)...)
	})
}

// A vendor that blocks the account does not take the token out of service.
func TestBlockedTokenIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, append([]rt.Answer{rt.OK("a", 100*time.Second)}, fails(1, refresher.Permanent, rt.OK("b", time.Hour))...)...)
		in := start(t, src, refresher.Policy{})
		time.Sleep(90 * time.Second)
		if p := in.Status().Phase; p != refresher.Blocked {
			t.Errorf("phase %v, want blocked", p)
		}
		rt.WantToken(t, in, "a")
		time.Sleep(10 * time.Second)
		wantUnavailable(t, in, 5*time.Second, 0, refresher.Permanent)
		rt.WantToken(t, in, "b")
		src.WantTimes(seconds(0, 80, 140)...)
	})
}

// Whatever a vendor says about a token's life, there are never more logins a
// minute than the floors allow.
func TestLifetimes(t *testing.T) {
	tests := []struct {
		name     string
		answer   rt.Answer
		replaced bool
		perHour  int // logins within the first hour
		minute   int // most within a minute
	}{
		{"zero", rt.OK("a", 0), true, 75, 2},
		{"past", rt.OK("a", -time.Hour), true, 75, 2},
		{"far past", rt.OK("a", math.MinInt64), true, 75, 2},
		{"far future", rt.OK("a", math.MaxInt64), true, 75, 2},
		{"10 years", rt.OK("a", refresher.MaxLifetime), false, 1, 1},
		{"none", rt.Forever("a"), false, 1, 1},
		{"a minute", rt.OK("a", time.Minute), false, 75, 2},
		{"10 s", rt.OK("a", 10*time.Second), false, 450, 8},
		{"a second", rt.OK("a", time.Second), false, 3600, 60},
		{"a nanosecond", rt.OK("a", 1), false, 3600, 60},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events rt.Events
				src := rt.Script(t, test.answer)
				in := rt.Single(t, rt.Start(t, refresher.Config{Observe: events.Observe}), refresher.Definition{Source: src})
				tok := rt.WantToken(t, in, "a")
				synctest.Wait()
				if got := events.Of(refresher.LoggedIn)[0].ExpiryReplaced; got != test.replaced {
					t.Errorf("ExpiryReplaced is %v, want %v", got, test.replaced)
				}
				if test.replaced && tok.Lifetime() != refresher.FallbackLifetime {
					t.Errorf("lifetime %v, want %v", tok.Lifetime(), refresher.FallbackLifetime)
				}
				time.Sleep(time.Hour - 1)
				src.WantCalls(test.perHour)
				src.WantAtMost(test.minute, time.Minute)
			})
		})
	}
}

func TestRefreshAhead(t *testing.T) {
	tests := []struct {
		name   string
		policy refresher.Policy
		rand   float64
		second time.Duration // when the second login starts
	}{
		{"default", refresher.Policy{}, 0.5, 80 * time.Minute},
		{"spread", refresher.Policy{Jitter: 0.1}, 0.5, 75 * time.Minute},
		{"margin", refresher.Policy{Margin: 30 * time.Minute}, 0, 70 * time.Minute},
		{"large margin", refresher.Policy{Margin: 10 * time.Hour}, 0, 50 * time.Minute},
		{"useless before", refresher.Policy{UselessBefore: 10 * time.Minute}, 0, 90 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := rt.Script(t, rt.OK("a", 100*time.Minute), rt.OK("b", 100*time.Minute).After(5*time.Second))
				e := rt.Start(t, refresher.Config{Rand: func() float64 { return test.rand }})
				in := rt.Single(t, e, refresher.Definition{Source: src, Policy: test.policy})
				time.Sleep(test.second - 1)
				src.WantCalls(1)
				time.Sleep(1 + 4*time.Second)
				rt.WantToken(t, in, "a") // served while the login runs
				src.WantTimes(0, test.second)
				time.Sleep(time.Second)
				synctest.Wait()
				rt.WantToken(t, in, "b")
			})
		})
	}
}
