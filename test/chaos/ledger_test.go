package main

import (
	"testing"
	"time"
)

const tokenLife = 10 * time.Second

func TestLoginsHaveReasons(t *testing.T) {
	a := newLedger().open("chat/shop", tokenLife, true)
	surprise := func(*issue) string { return "surprise" }
	first := a.grant(0, time.Second, "one", surprise)
	early := a.grant(1, 3*time.Second, "two", surprise)
	late := a.grant(1, 3*time.Second+8*tokenLife/10, "three", surprise)
	if !a.revoke(12*time.Second) || a.revoke(12*time.Second) {
		t.Error("one token was to be revoked, once")
	}
	again := a.grant(1, 12*time.Second, "four", surprise)
	for want, i := range map[string]*issue{firstLogin: first, "surprise": early, lifetimeOver: late, wasRevoked: again} {
		if i.reason != want || a.tally[want] != 1 {
			t.Errorf("%s has the reason %q, want %q, of which there are %d", i.value, i.reason, want, a.tally[want])
		}
	}
}

func TestNewTokensKillOldOnesWhereTheyDo(t *testing.T) {
	for _, dies := range []bool{false, true} {
		a := newLedger().open("x", tokenLife, dies)
		old := a.grant(0, time.Second, "one", nil)
		a.grant(0, 9*time.Second, "two", nil)
		if !old.goodAt(9*time.Second-1) || old.goodAt(9*time.Second) == dies || old.goodAt(time.Second+tokenLife) {
			t.Errorf("dies: %t: the old token is good at the wrong times", dies)
		}
	}
}

func TestTokensAroundATime(t *testing.T) {
	a := newLedger().open("x", tokenLife, true)
	a.grant(0, time.Second, "one", nil)
	a.grant(0, 9*time.Second, "two", nil)
	for at, want := range map[time.Duration]string{500 * time.Millisecond: "", 2 * time.Second: "one", 10 * time.Second: "two", 20 * time.Second: ""} {
		got := ""
		for _, i := range a.around(at, at) {
			got += i.value
		}
		if got != want {
			t.Errorf("at %s there are %q, want %q", at, got, want)
		}
	}
	if both := a.around(2*time.Second, 9*time.Second); len(both) != 2 {
		t.Errorf("there are %d tokens around the change", len(both))
	}
}

func TestRefreshTokensAreUsedUp(t *testing.T) {
	l := newLedger()
	a := l.open("session/app", tokenLife, false)
	use := func(token string, want bool) string {
		t.Helper()
		next, ok := a.rotate(token, l)
		if ok != want {
			t.Errorf("%q is taken: %t", token, ok)
		}
		return next
	}
	one := use(firstRefresh+"app", true)
	two := use(one, true)
	lostAnswer := use(one, true) // its successor was not used
	use(two, false)              // and is not good any more
	three := use(lostAnswer, true)
	use(one, false)
	use(firstRefresh+"app", false)
	use(three, true)
	if a.reused != 3 {
		t.Errorf("%d refresh tokens were used twice", a.reused)
	}
}

// A process could have had a token if nothing was between it and the store.
func TestWhatCouldHaveBeen(t *testing.T) {
	for name, c := range map[string]struct {
		faults []fault
		used   time.Duration
		want   bool
	}{
		"nothing is broken":            {nil, 0, true},
		"Redis was down":               {[]fault{{Kind: redisKilled, Began: 2 * time.Second, Ended: 3 * time.Second}}, 0, false},
		"Redis was down, long before":  {[]fault{{Kind: redisKilled, Began: 1, Ended: 2}}, 0, true},
		"it had it itself":             {[]fault{{Kind: redisKilled, Began: 2 * time.Second}}, 12 * time.Second, true},
		"it had it before it was dead": {[]fault{{Kind: killed, Whom: []int{1}, Began: 13 * time.Second}}, 12 * time.Second, false},
		"it was cut off":               {[]fault{{Kind: onLink(blackHole, toRedis), Whom: []int{1}, Began: 2 * time.Second}}, 0, false},
		"who logged in was cut off":    {[]fault{{Kind: onLink(blackHole, toRedis), Whom: []int{0}, Began: 2 * time.Second}}, 0, false},
		"a third one was cut off":      {[]fault{{Kind: onLink(blackHole, toRedis), Whom: []int{2}, Began: 2 * time.Second}}, 0, true},
	} {
		w := &world{part: &part{crew: crew{shared: 3}}, vendor: &vendor{ledger: newLedger()}, faults: &faultLog{}}
		i := w.vendor.ledger.open("x", tokenLife, true).grant(0, 11*time.Second, "one", nil)
		i.used[1].Store(int64(c.used))
		for n := range c.faults {
			w.faults.begun = append(w.faults.begun, &c.faults[n])
		}
		if got := w.token("x", 1, 14*time.Second, 15*time.Second) != nil; got != c.want {
			t.Errorf("%s: there was a token: %t", name, got)
		}
		if w.token("x", 1, 14*time.Second, 30*time.Second) != nil || w.token("x", 1, time.Second, 12*time.Second) != nil {
			t.Errorf("%s: a token counts beyond its life", name)
		}
	}
}
