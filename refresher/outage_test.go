package refresher_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
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

// The wall clock is set, or the machine slept, while requests go on.
func TestWallClockSteps(t *testing.T) {
	tests := []struct {
		name     string
		lifetime time.Duration
		step     time.Duration
		want     []time.Duration // logins within two hours; the step comes after 605 s
	}{
		{"past expiry", time.Hour, 3 * time.Hour, seconds(0, 605, 605+48*60, 605+96*60)},
		{"long token", 48 * time.Hour, 3 * time.Hour, seconds(0)},
		{"past due", 200 * time.Minute, 3 * time.Hour, seconds(0, 610)}, // seen at the next heartbeat
		// The waits go on by the other clock: nothing is refreshed an hour late.
		{"back", time.Hour, -time.Hour, seconds(0, 48*60, 96*60)},
		{"far back", time.Hour, -1000 * time.Hour, seconds(0, 48*60, 96*60)},
		{"a little", time.Hour, 500 * time.Millisecond, seconds(0, 48*60, 96*60)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock rt.Clock
				src := numbered(t, test.lifetime).Clock(&clock)
				in := rt.Single(t, rt.Start(t, refresher.Config{Now: clock.Now}), refresher.Definition{Source: src})
				for second := range 2 * 3600 {
					if second == 605 {
						clock.Step(test.step)
					}
					if tok := rt.Token(t, in); tok.ExpiredAt(clock.Now()) {
						t.Fatalf("after %d s: a token that expired at %v at %v", second, tok.ExpiresAt, clock.Now())
					}
					time.Sleep(time.Second)
				}
				src.WantTimes(test.want...)
			})
		})
	}
}

// Nobody has to ask: the scheduler sees a step by itself within its heartbeat.
func TestWallClockStepInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock rt.Clock
		src := numbered(t, time.Hour).Clock(&clock)
		rt.Single(t, rt.Start(t, refresher.Config{Now: clock.Now}), refresher.Definition{Source: src})
		time.Sleep(10 * time.Minute)
		clock.Step(3 * time.Hour)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		src.WantCalls(2)
	})
}

func TestStepsWhileTheVendorIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock rt.Clock
		src := rt.Script(t, append([]rt.Answer{rt.OK("a", time.Hour)}, fails(100, refresher.Transient)...)...).Clock(&clock)
		in := rt.Single(t, rt.Start(t, refresher.Config{Now: clock.Now}), refresher.Definition{Source: src})
		time.Sleep(time.Minute)
		for i := range 60 { // a clock that cannot make up its mind
			clock.Step([]time.Duration{3 * time.Hour, -3 * time.Hour}[i%2])
			if tok, ok := in.Peek(); ok && tok.ExpiredAt(clock.Now()) {
				t.Fatal("an expired token is usable")
			}
			time.Sleep(15 * time.Second)
		}
		src.WantAtMost(7, time.Minute) // 1 2 4 8 16 32 s are the first waits
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour).After(time.Hour))
		e, stop := rt.StartStoppable(t, refresher.Config{})
		pool := rt.Define(t, e, refresher.Definition{Source: src, Policy: refresher.Policy{Timeout: 2 * time.Hour}})
		in := rt.Instance(t, pool)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := in.Token(t.Context()); !errors.Is(err, refresher.ErrClosed) {
					t.Errorf("error %v, want ErrClosed", err)
				}
			})
		}
		time.Sleep(time.Minute)
		begin := time.Now()
		stop() // waits for the login
		wg.Wait()
		if took := time.Since(begin); took != 0 {
			t.Errorf("the end took %v", took)
		}
		if _, err := in.Token(t.Context()); !errors.Is(err, refresher.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		time.Sleep(24 * time.Hour)
		src.WantCalls(1)
	})
}

// After its end an engine still serves what is usable, and starts nothing.
func TestTokenAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, time.Hour)
		e, stop := rt.StartStoppable(t, refresher.Config{})
		in := rt.Single(t, e, refresher.Definition{Source: src})
		tok := rt.WantToken(t, in, "v1")
		stop()
		rt.WantToken(t, in, "v1")
		if !in.Offer(tok, offered("offered", time.Hour)) {
			t.Error("an offer is not taken")
		}
		wantRejection(t, in, rt.WantToken(t, in, "offered"), "r", refresher.Renewing)
		if _, err := in.Token(t.Context()); !errors.Is(err, refresher.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		time.Sleep(2 * time.Hour)
		src.WantCalls(1)
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, stop := rt.StartStoppable(t, refresher.Config{})
		rt.Single(t, e, refresher.Definition{Source: numbered(t, 24*time.Hour)})
		for range 100 {
			time.Sleep(7 * time.Second)
			if age := time.Since(e.Heartbeat()); age > 10*time.Second {
				t.Fatalf("heartbeat is %v old", age)
			}
		}
		stop()
		time.Sleep(time.Minute)
		if age := time.Since(e.Heartbeat()); age < time.Minute {
			t.Errorf("heartbeat is %v old although the engine ended a minute ago", age)
		}
	})
}

func TestPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", 100*time.Second).After(time.Second), rt.Fail(refresher.Permanent),
			rt.OK("b", 100*time.Second).After(30*time.Second), rt.OK("c", time.Hour))
		e := rt.Start(t, refresher.Config{})
		pool := rt.Define(t, e, refresher.Definition{Source: src, Policy: refresher.Policy{Timeout: time.Minute}})
		in := rt.Instance(t, pool)
		begin := time.Now()
		want := func(at float64, phase refresher.Phase) {
			t.Helper()
			time.Sleep(seconds(at)[0] - time.Since(begin))
			synctest.Wait()
			if got := in.Status().Phase; got != phase {
				t.Errorf("at %v s: %v, want %v", at, got, phase)
			}
			status := e.Status()[0]
			if status.Phases[phase] != 1 || status.Instances != 1 || status.Single == nil || status.Single.Phase != phase {
				t.Errorf("at %v s: pool %+v", at, status)
			}
		}
		want(0.5, refresher.Empty)
		want(2, refresher.Fresh)
		want(81.5, refresher.Blocked)
		want(102, refresher.Blocked)
		want(142, refresher.Blocked) // the probe has begun
		want(172, refresher.Fresh)
		wantRejection(t, in, rt.WantToken(t, in, "b"), "r", refresher.Renewing)
		want(172, refresher.Fresh)
		rt.WantToken(t, in, "c")
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		src := rt.Script(t, rt.OK("a", 100*time.Second), rt.Fail(refresher.Throttled), rt.OK("b", 100*time.Second))
		in := start(t, src, refresher.Policy{})
		time.Sleep(50 * time.Second)
		s := in.Status()
		if s.Generation != 1 || !s.IssuedAt.Equal(begin) || !s.ExpiresAt.Equal(begin.Add(100*time.Second)) ||
			!s.DueAt.Equal(begin.Add(80*time.Second)) || !s.NextAttempt.Equal(s.DueAt) || !s.LastSuccess.Equal(begin) {
			t.Errorf("fresh: %+v", s)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		s = in.Status()
		if s.Failures != 1 || s.Class != refresher.Throttled || s.LastError != "scripted: throttled" ||
			!s.NextAttempt.Equal(begin.Add(81*time.Second)) || s.Phase != refresher.Due {
			t.Errorf("failed: %+v", s)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s = in.Status(); s.Generation != 2 || s.Failures != 0 || s.LastError != "" || !s.LastSuccess.Equal(begin.Add(81*time.Second)) {
			t.Errorf("recovered: %+v", s)
		}
	})
}

// What a panic says may be secret.
func TestPanicTextIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events rt.Events
		e := rt.Start(t, refresher.Config{Observe: events.Observe})
		in := rt.Single(t, e, refresher.Definition{Source: rt.Script(t, rt.Panic(errors.New("CANARY")), rt.OK("a", time.Hour))})
		synctest.Wait()
		if got, want := in.Status().LastError, "the source panicked with a *errors.errorString"; got != want {
			t.Errorf("last error %q, want %q", got, want)
		}
		if err := events.Of(refresher.LoginFailed)[0].Err; fmt.Sprint(err) != in.Status().LastError {
			t.Errorf("event's error %q", err)
		}
		rt.WantToken(t, in, "a")
	})
}
