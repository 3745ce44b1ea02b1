package refresher_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

func TestLeastRecentlyUsedIsEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events rt.Events
		src := perUser(t, 10*time.Hour)
		pool := keyed(t, rt.Start(t, refresher.Config{Observe: events.Observe}), src, refresher.Limits{Max: 3, Idle: 5 * time.Hour})
		tick := func(user string) string {
			time.Sleep(time.Minute)
			return use(t, pool, user)
		}
		for _, user := range []string{"a", "b", "c", "c", "a", "b"} { // c is the oldest use
			tick(user)
		}
		tick("d")
		if got := tick("a") + tick("b") + tick("d"); got != "a#1b#1d#1" {
			t.Errorf("tokens %s: the wrong one was evicted", got)
		}
		if got := tick("c"); got != "c#2" { // evicts a
			t.Errorf("token %s, want a new one", got)
		}
		if got := tick("b") + tick("d") + tick("a"); got != "b#1d#1a#2" {
			t.Errorf("tokens %s: the wrong one was evicted", got)
		}
		if n := len(events.Of(refresher.Evicted)); n != 3 {
			t.Errorf("%d evictions were told, want 3", n)
		}
		if n := pool.Status().Instances; n != 3 {
			t.Errorf("%d instances, want 3", n)
		}
	})
}

func TestPinnedIsNotEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := perUser(t, 10*time.Hour)
		pool := keyed(t, rt.Start(t, refresher.Config{}), src, refresher.Limits{Max: 2})
		a, err := pool.Instance(refresher.Params{"a"})
		if err != nil {
			t.Fatal(err)
		}
		b := rt.Instance(t, pool, "b")
		rt.WantToken(t, b, "b#1")
		rt.WantToken(t, a, "a#1")
		_, err = pool.Instance(refresher.Params{"c"})
		wantLimit(t, err, "instances")
		time.Sleep(3 * time.Hour) // a stream that is open for hours
		rt.WantToken(t, b, "b#1")
		_, err = pool.Instance(refresher.Params{"c"})
		wantLimit(t, err, "instances")
		a.Release()
		wantUse(t, pool, "c#1", "c")
		rt.WantToken(t, b, "b#1")
	})
}

func TestIdleInstancesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events rt.Events
		store := refresher.NewMemoryStore()
		src := perUser(t, 24*time.Hour)
		pool := keyed(t, rt.Start(t, refresher.Config{Observe: events.Observe, Store: store}), src, refresher.Limits{Idle: 10 * time.Minute})
		wantUse(t, pool, "a#1", "a")
		wantUse(t, pool, "b#1", "b")
		time.Sleep(9 * time.Minute)
		wantUse(t, pool, "b#1", "b")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := pool.Status().Instances; n != 1 || len(events.Of(refresher.Evicted)) != 1 {
			t.Errorf("%d instances after\n%swant 1", n, &events)
		}
		wantUse(t, pool, "b#1", "b")
		wantUse(t, pool, "a#2", "a") // the store forgot it as well
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := pool.Status().Instances; n != 0 {
			t.Errorf("%d instances, want 0", n)
		}
	})
}

// While somebody waits, an instance is not idle, however short idle is.
func TestWaiterIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, fails(6, refresher.Transient, rt.OK("a", time.Hour))...)
		pool := keyed(t, rt.Start(t, refresher.Config{}), src, refresher.Limits{Idle: time.Second})
		wantUse(t, pool, "a", "u")
		src.WantGaps(seconds(1, 2, 4, 8, 16, 32)...)
	})
}

func TestLoginsPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := perUser(t, time.Hour)
		pool := keyed(t, rt.Start(t, refresher.Config{}), src, refresher.Limits{LoginsPerMinute: 10})
		for i := range 10 {
			wantUse(t, pool, fmt.Sprint(i, "#1"), fmt.Sprint(i))
		}
		_, err := pool.Instance(refresher.Params{"late"})
		if e := wantLimit(t, err, "logins_per_minute"); e.RetryAfter != 6*time.Second {
			t.Errorf("retry after %v, want 6s", e.RetryAfter)
		}
		wantUse(t, pool, "3#1", "3") // who has a token is served
		time.Sleep(6 * time.Second)
		wantUse(t, pool, "late#1", "late")
		src.WantAtMost(11, time.Minute)
	})
}

// A request whose token expired counts as well.
func TestLoginsPerMinuteOfExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := perUser(t, 10*time.Minute)
		pool := keyed(t, rt.Start(t, refresher.Config{}), src, refresher.Limits{LoginsPerMinute: 4, Idle: 24 * time.Hour})
		a, b := rt.Instance(t, pool, "a"), rt.Instance(t, pool, "b")
		rt.WantToken(t, a, "a#1")
		rt.WantToken(t, b, "b#1")
		time.Sleep(time.Hour) // refreshed once, expired since
		for i := range 4 {
			use(t, pool, fmt.Sprint(i))
		}
		rt.WantNone(t, a) // this look wakes it: its login waits in the background
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Token(ctx); err == nil {
			t.Error("b got a token beyond the rate")
		} else {
			wantLimit(t, err, "logins_per_minute")
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		rt.WantToken(t, a, "a#3")
		time.Sleep(15 * time.Second)
		synctest.Wait()
		rt.WantToken(t, b, "b#3")
	})
}

// Background logins over the rate wait for their turn. They neither fail nor
// all wake for each unit, and requests that need no login are served meanwhile.
func TestBackgroundLoginsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users, rate = 300, 60
		var looks atomic.Int64
		now := func() time.Time {
			looks.Add(1) // whoever looks at an instance looks at the clock
			return time.Now()
		}
		src := perUser(t, 24*time.Hour)
		pool := keyed(t, rt.Start(t, refresher.Config{Now: now}), src, refresher.Limits{LoginsPerMinute: rate, Idle: 12 * time.Hour})
		for i := range users {
			use(t, pool, fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		src.WantCalls(users)
		looks.Store(0)
		pool.Renew()
		time.Sleep(time.Second / 2)
		src.WantCalls(users + rate)
		for i := range users {
			if in := rt.Instance(t, pool, fmt.Sprint(i)); in.Status().Phase != refresher.Fresh {
				t.Fatalf("user %d: %+v", i, in.Status())
			}
		}
		time.Sleep((users - rate) * time.Second)
		src.WantCalls(2 * users)
		times := src.Times()
		for i := users + rate + 1; i < 2*users; i++ {
			if gap := times[i] - times[i-1]; gap != time.Second {
				t.Fatalf("login %d came %v after the one before, want 1s", i, gap)
			}
		}
		if n := looks.Load(); n > 40*users {
			t.Errorf("%d looks for %d logins: instances wake each other", n, users)
		}
	})
}

// Waiting for another process, and finding what it got, is no login.
func TestLoginRateCountsLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore(t)
		src := perUser(t, time.Hour)
		pool := keyed(t, rt.Start(t, refresher.Config{Store: store}), src, refresher.Limits{LoginsPerMinute: 2})
		store.set(refresher.ErrHeld, "acquire")
		a := rt.Instance(t, pool, "a")
		synctest.Wait()
		store.failOnly()
		go func() {
			time.Sleep(10 * time.Second)
			store.put(t, "peer", 1, time.Hour)
		}()
		rt.WantToken(t, a, "peer")
		synctest.Wait()
		wantUse(t, pool, "b#1", "b")
		wantUse(t, pool, "c#1", "c")
		_, err := pool.Instance(refresher.Params{"d"})
		wantLimit(t, err, "logins_per_minute")
	})
}

// Whoever finds no room for an instance takes no login from others.
func TestNoRoomCostsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := keyed(t, rt.Start(t, refresher.Config{}), perUser(t, time.Hour), refresher.Limits{Max: 1, LoginsPerMinute: 2})
		a, err := pool.Instance(refresher.Params{"a"})
		if err != nil {
			t.Fatal(err)
		}
		rt.WantToken(t, a, "a#1")
		for range 5 {
			_, err := pool.Instance(refresher.Params{"b"})
			wantLimit(t, err, "instances")
		}
		a.Release()
		wantUse(t, pool, "b#1", "b")
	})
}
