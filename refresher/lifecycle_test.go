package refresher_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

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

// Those who wait for the end of a back-off are told as well.
func TestCloseDuringBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, stop := rt.StartStoppable(t, refresher.Config{})
		in := rt.Single(t, e, refresher.Definition{Source: rt.Script(t, rt.Fail(refresher.Permanent))})
		synctest.Wait()
		time.AfterFunc(10*time.Second, stop)
		begin := time.Now()
		if _, err := in.Token(t.Context()); !errors.Is(err, refresher.ErrClosed) || time.Since(begin) != 10*time.Second {
			t.Errorf("error %v after %v, want ErrClosed after 10s", err, time.Since(begin))
		}
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

// Who watches learns of everything, with what a log line or a metric needs.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var events rt.Events
		src := rt.Script(t, rt.Fail(refresher.Throttled).After(2*time.Second), rt.OK("a", 100*time.Second).After(time.Second), rt.OK("b", time.Hour))
		in := rt.Single(t, rt.Start(t, refresher.Config{Observe: events.Observe}), refresher.Definition{Source: src})
		a := rt.WantToken(t, in, "a")
		synctest.Wait() // the token is there before its event
		in.Reject(a, refresher.Cause{By: "r", Signal: exchange.SignalBody})
		in.Reject(a, refresher.Cause{By: "r", Signal: exchange.SignalGRPC})
		b := rt.WantToken(t, in, "b")
		synctest.Wait()
		in.Offer(b, offered("c", time.Hour))
		synctest.Wait()
		if got, want := events.String(), "login_failed cred.token 0\nlogged_in cred.token 1\nrefused cred.token 1\n"+
			"refused cred.token 1\nlogged_in cred.token 2\nrenewed cred.token 3\n"; got != want {
			t.Fatalf("events\n%swant\n%s", got, want)
		}

		at := func(s float64) time.Time { return begin.Add(seconds(s)[0]) }
		failed := events.Of(refresher.LoginFailed)[0]
		if failed.Class != refresher.Throttled || failed.Duration != 2*time.Second || failed.Failures != 1 ||
			!failed.NextAttempt.Equal(at(3)) || failed.Err.Error() != "scripted: throttled" || failed.Keyed {
			t.Errorf("login failed: %+v", failed)
		}
		in1 := events.Of(refresher.LoggedIn)[0]
		if in1.Duration != time.Second || !in1.ExpiresAt.Equal(at(104)) || !in1.DueAt.Equal(at(84)) || !in1.NextAttempt.Equal(at(84)) ||
			in1.Failures != 0 || in1.ExpiryReplaced {
			t.Errorf("logged in: %+v", in1)
		}
		refused := events.Of(refresher.Refused)
		if refused[0].Rejection != refresher.Renewing || refused[0].Signal != exchange.SignalBody || refused[0].By != "r" ||
			refused[1].Rejection != refresher.Stale || refused[1].Signal != exchange.SignalGRPC {
			t.Errorf("refused: %+v", refused)
		}
	})
}
