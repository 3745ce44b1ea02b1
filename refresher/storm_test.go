package refresher_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// storm is a pool whose users all have tokens, which the upstream is about to
// refuse all at once.
type storm struct {
	pool   *refresher.Pool
	src    *rt.Source
	users  int
	down   atomic.Bool // the vendor answers no login
	before int         // logins before the storm
}

const stormRate = 600 // logins a minute; the bucket is as large

// newStorm has all users log in within a few moments and then lowers the rate to
// what the storm is to be held by.
func newStorm(t *testing.T, users int) *storm {
	t.Helper()
	s := &storm{users: users}
	s.src = rt.Func(t, func(_ int, in refresher.Input) rt.Answer {
		if s.down.Load() {
			return rt.Fail(refresher.Transient)
		}
		return rt.OK(in.Params[0], 24*time.Hour)
	}).Budget(0)
	e := rt.Start(t, refresher.Config{})
	definition := refresher.Definition{
		Source: s.src, Params: []refresher.Param{userID},
		Limits: refresher.Limits{Max: 2 * users, LoginsPerMinute: 1 << 20, Idle: 12 * time.Hour},
	}
	s.pool = rt.Reload(t, e, definition)[0]
	for i := range users {
		s.instance(t, i).Release()
	}
	synctest.Wait()
	definition.Limits.LoginsPerMinute = stormRate
	rt.Reload(t, e, definition)
	time.Sleep(time.Minute)
	return s
}

// begin has each user make a request, which is refused.
func (s *storm) begin(t *testing.T) {
	t.Helper()
	s.before = s.src.Calls()
	refused := 0
	for i := range s.users {
		in := s.instance(t, i)
		tok, ok := in.Peek()
		if !ok {
			t.Fatalf("user %d has no token", i)
		}
		if in.Reject(tok, route("r")) == refresher.Renewing {
			refused++
		}
		in.Release()
	}
	if refused != s.users {
		t.Fatalf("%d tokens were taken out of service, want %d", refused, s.users)
	}
}

func (s *storm) instance(t *testing.T, user int) *refresher.Instance {
	t.Helper()
	in, err := s.pool.Instance(refresher.Params{fmt.Sprint("user-", user)})
	if err != nil {
		t.Fatalf("user %d: %v", user, err)
	}
	return in
}

func (s *storm) logins() int { return s.src.Calls() - s.before }

// wantRate fails the test if any time since the storm began saw more logins than
// the bucket and what came back to it.
func (s *storm) wantRate(t *testing.T) {
	t.Helper()
	times := s.src.Times()[s.before:]
	for _, span := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute} {
		most := stormRate + int(span*stormRate/time.Minute) + 1
		for i := most; i < len(times); i++ {
			if times[i]-times[i-most] < span {
				t.Errorf("%d logins within %v, from %v on; at most %d may be", most+1, span, times[i-most], most)
				break
			}
		}
	}
}

// All tokens are refused at once, and nobody asks again: the logins keep to the
// declared rate, none of them is wasted, and the last token is back as early as
// the rate allows.
func TestStormKeepsToLoginRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 3000
		s := newStorm(t, users)
		s.begin(t)
		const moment = 550 * time.Millisecond // a unit comes back every 100
		time.Sleep(moment)
		if n := s.logins(); n != stormRate+5 {
			t.Errorf("%d logins in the first moment, want the bucket and what came back: %d", n, stormRate+5)
		}
		time.Sleep((users-stormRate)*time.Minute/stormRate - moment)
		synctest.Wait()
		if st := s.pool.Status(); st.Phases[refresher.Fresh] != users || s.logins() != users {
			t.Errorf("after as long as the rate asks for: %d logins, %+v", s.logins(), st)
		}
		s.wantRate(t)
	})
}

// The vendor does not even answer: tries and repeats together keep to the rate,
// and once it is back everybody recovers.
func TestStormWhileVendorIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 2000
		s := newStorm(t, users)
		s.down.Store(true)
		s.begin(t)
		time.Sleep(5 * time.Minute)
		s.down.Store(false)
		for range 20 {
			time.Sleep(time.Minute)
			if synctest.Wait(); s.pool.Status().Phases[refresher.Fresh] == users {
				s.wantRate(t)
				return
			}
		}
		t.Errorf("20 minutes after the vendor came back: %+v", s.pool.Status())
	})
}

// Everybody whose token was refused asks again when told to, while new users come
// at five times the rate of logins. Each request is answered soon: with a
// token or with how long to stay away. Nobody of old is left without one.
func TestStormAnswersRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 1500
		s := newStorm(t, users)
		s.begin(t)
		start := time.Now()
		var served, told atomic.Int64
		for i := range users {
			go func() {
				for {
					wait := s.request(t, fmt.Sprint("user-", i))
					if wait == 0 {
						break
					}
					told.Add(1)
					time.Sleep((wait + time.Second - 1).Truncate(time.Second)) // as Retry-After says it
				}
				served.Add(1)
			}()
		}
		newcomers := 0
		for ; served.Load() < users && time.Since(start) < time.Hour; newcomers++ {
			go s.request(t, fmt.Sprint("newcomer-", newcomers))
			time.Sleep(time.Minute / stormRate / 5)
		}
		if n := served.Load(); n != users {
			t.Errorf("%d of %d users were served after an hour", n, users)
		}
		t.Logf("%d users of old and %d new ones: %d logins in %v; %d requests were told to come again", users, newcomers, s.logins(), time.Since(start), told.Load())
		s.wantRate(t)
	})
}

// request makes one, and returns how long to stay away, or 0 if it got a token.
func (s *storm) request(t *testing.T, user string) time.Duration {
	begin := time.Now()
	defer func() {
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a request was answered after %v", took)
		}
	}()
	in, err := s.pool.Instance(refresher.Params{user})
	if err == nil {
		defer in.Release()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err = in.Token(ctx)
	}
	limit, limited := errors.AsType[*refresher.LimitError](err)
	switch {
	case err == nil:
		return 0
	case !limited || limit.RetryAfter <= 0 || limit.RetryAfter > time.Minute:
		t.Errorf("%s: %v", user, err)
		return time.Second
	}
	return limit.RetryAfter
}
