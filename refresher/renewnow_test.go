package refresher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// Somebody presses a button, again and again: the vendor sees no more logins
// than the policy allows, nor more than refusals could cause.
func TestRenewNowFloodsNobody(t *testing.T) {
	tests := []struct {
		name   string
		answer rt.Answer
		policy refresher.Policy
		calls  int // in a minute and a half of presses, the first login included
		gap    time.Duration
	}{
		{"a quick vendor", rt.OK("a", 100*time.Hour), refresher.Policy{}, 7, time.Second},
		{"a longer interval", rt.OK("a", 100*time.Hour), refresher.Policy{MinInterval: 20 * time.Second}, 5, 20 * time.Second},
		{"a slow vendor", rt.OK("a", 100*time.Hour).After(5 * time.Second), refresher.Policy{}, 7, 5 * time.Second},
		{"a bound of the hour", rt.OK("a", 100*time.Hour), refresher.Policy{MaxPerHour: 4}, 4, time.Second},
		{"a login that fails", rt.Fail(refresher.Permanent), refresher.Policy{MinInterval: 20 * time.Second}, 5, 20 * time.Second},
		{"a vendor that asks for patience", rt.Busy(40 * time.Second), refresher.Policy{}, 3, 40 * time.Second},
		{"a vendor that asks for patience and not for how much", rt.Fail(refresher.Throttled), refresher.Policy{}, 7, 800 * time.Millisecond},
		{"the same value", rt.OK("a", 100*time.Hour), refresher.Policy{MinInterval: 20 * time.Second, SameValueBacksOff: true}, 5, 20 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := rt.Func(t, func(int, refresher.Input) rt.Answer { return tt.answer }).Budget(2)
				pool := rt.Define(t, rt.Start(t, refresher.Config{}), refresher.Definition{Source: src, Policy: tt.policy})
				for range 9000 {
					pool.RenewNow()
					time.Sleep(10 * time.Millisecond)
				}
				synctest.Wait()
				if got := src.Calls(); got != tt.calls {
					t.Errorf("%d logins, want %d", got, tt.calls)
				}
				for i, gap := range src.Gaps() {
					if gap < tt.gap {
						t.Errorf("login %d came %v after the one before, want %v or more", i+1, gap, tt.gap)
					}
				}
			})
		})
	}
}

// A login that runs is new enough; a press means one more, however often it is
// repeated; and a token that somebody waits for is served meanwhile.
func TestRenewNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour).After(3*time.Second), rt.OK("b", time.Hour).After(2*time.Second),
			rt.Fail(refresher.Transient).After(time.Second), rt.OK("c", time.Hour))
		pool := rt.Define(t, rt.Start(t, refresher.Config{}), refresher.Definition{Source: src})
		in := rt.Instance(t, pool)
		press := func(want bool) {
			t.Helper()
			synctest.Wait()
			if got, err := pool.RenewNow(); got != want || err != nil {
				t.Errorf("after %v: RenewNow = %v, %v, want %v", src.Times(), got, err, want)
			}
		}
		time.Sleep(time.Second)
		press(false) // the first login runs
		rt.WantToken(t, in, "a")
		time.Sleep(time.Minute)
		src.WantCalls(1)

		press(true)
		press(false) // it runs
		time.Sleep(time.Second)
		press(false)
		rt.WantToken(t, in, "a")
		time.Sleep(time.Minute)
		rt.WantToken(t, in, "b")
		src.WantCalls(2)

		press(true)
		time.Sleep(1500 * time.Millisecond) // it failed, and is to come again
		press(false)
		rt.WantToken(t, in, "b")
		time.Sleep(time.Minute)
		rt.WantToken(t, in, "c")
		src.WantCalls(4)
	})
}

// Beyond its budget a press does nothing, and says so; what comes by itself comes.
func TestRenewNowTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Func(t, func(int, refresher.Input) rt.Answer { return rt.OK("a", 100*time.Hour) })
		pool := rt.Define(t, rt.Start(t, refresher.Config{}), refresher.Definition{Source: src})
		press := func(want bool, wantErr error) {
			t.Helper()
			time.Sleep(2 * time.Second)
			if got, err := pool.RenewNow(); got != want || err != wantErr {
				t.Errorf("after %v: RenewNow = %v, %v, want %v, %v", src.Times(), got, err, want, wantErr)
			}
		}
		for range 5 {
			press(true, nil)
		}
		press(false, refresher.ErrTooOften)
		press(false, refresher.ErrTooOften)
		src.WantCalls(6)
		time.Sleep(30 * time.Second)
		press(true, nil)
		press(false, refresher.ErrTooOften)
		src.WantCalls(7)
	})
}

// What a reload took out of service is left alone.
func TestRenewNowOfATokenThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		src := rt.Func(t, func(int, refresher.Input) rt.Answer { return rt.OK("a", 100*time.Hour) })
		pool := rt.Define(t, e, refresher.Definition{Source: src})
		time.Sleep(time.Minute)
		rt.Reload(t, e)
		if asked, _ := pool.RenewNow(); asked {
			t.Error("a token that is gone is renewed")
		}
		time.Sleep(time.Minute)
		src.WantCalls(1)
	})
}
