package emulator

import (
	"fmt"
	"testing"
	"time"
)

func TestLedgerForgets(t *testing.T) {
	l, now := newLedger(), time.Unix(1_700_000_000, 0)
	who := owner{"k", "a"}
	issue := func(value string, life time.Duration) {
		l.obtain(order{fresh: &grant{value: value, owner: who, expires: now.Add(life)}}, now)
	}
	check := func(value string, want condition) {
		t.Helper()
		if g, k := l.check(value, now); k != want || (g == nil) != (want == unknown) {
			t.Errorf("%s: condition %d, want %d", value, k, want)
		}
	}
	issue("a1", time.Minute)
	issue("a2", time.Hour)
	now = now.Add(time.Minute + remembered)
	issue("a3", time.Minute)
	check("a1", expired) // ended exactly so long ago
	now = now.Add(time.Second)
	issue("a4", time.Minute)
	check("a1", unknown)
	check("a2", live)
	// a2 is good and first in the queue: what came after it is remembered too.
	now = now.Add(2 * remembered)
	issue("a5", time.Minute)
	check("a3", expired)
	now = now.Add(time.Hour)
	issue("b1", time.Minute)
	check("a2", unknown)
	check("a5", unknown)
	if len(l.byText) != 1 || len(l.newest) != 1 || len(l.queue)-l.head != 1 {
		t.Errorf("%d values, %d owners, %d queued, want 1 each", len(l.byText), len(l.newest), len(l.queue)-l.head)
	}
}

func TestLedgerIsBounded(t *testing.T) {
	l, now := newLedger(), time.Unix(1_700_000_000, 0)
	const extra, most = 5000, 4000 // so that the queue is compacted as well
	l.max = most
	for i := range most + extra {
		g := &grant{value: fmt.Sprint(i), owner: owner{"k", fmt.Sprint(i % 7)}}
		l.obtain(order{fresh: g}, now)
	}
	if len(l.byText) != most || len(l.queue)-l.head != most || len(l.queue) > 3*most {
		t.Errorf("%d values, %d queued, want %d", len(l.byText), len(l.queue)-l.head, most)
	}
	if _, k := l.check(fmt.Sprint(extra-1), now); k != unknown {
		t.Error("the oldest token is not forgotten")
	}
	if _, k := l.check(fmt.Sprint(extra), now); k != live {
		t.Error("a token that fits is forgotten")
	}
	// No chain leads to a forgotten token.
	for _, g := range l.newest {
		for ; g != nil; g = g.older {
			if l.byText[g.value] != g {
				t.Fatalf("token %s is in a chain but forgotten", g.value)
			}
		}
	}
}

// TestLedgerSupersede checks that a login ends all good tokens of the owner,
// those behind a bad one too, and keeps as many as it is told.
func TestLedgerSupersede(t *testing.T) {
	e, err := New(UMS, Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	c := &call{e: e, now: now, set: &Settings{}}
	who := owner{"wechatoa", "a"}
	issue := func(value string, retire func(l *ledger)) *grant {
		return c.obtain(order{fresh: &grant{value: value, owner: who, expires: now.Add(time.Hour)}, retire: retire})
	}
	one, two, three := issue("1", nil), issue("2", nil), issue("3", nil)
	if n := e.ledger.selectTokens("", "a", 2, func(g *grant) bool { return g != three && g.end(kicked, now, now) }); n != 2 {
		t.Fatalf("ended %d, want 2", n)
	}
	four := issue("4", nil)
	issue("5", c.supersede(who, rotated, now, 1))
	for g, want := range map[*grant]condition{one: kicked, two: kicked, three: rotated, four: live} {
		if got := g.at(now); got != want {
			t.Errorf("token %s: condition %d, want %d", g.value, got, want)
		}
	}
	if three.older != nil || one.newer != nil {
		t.Error("bad tokens are still in the chain")
	}
	// Superseding again with a later end does not revive anything.
	issue("6", c.supersede(who, rotated, now.Add(time.Minute), 0))
	if three.at(now) != rotated || four.at(now) != grace || four.at(now.Add(time.Minute)) != rotated {
		t.Error("an overlap is wrong")
	}
	issue("7", c.supersede(who, rotated, now.Add(2*time.Minute), 0))
	if four.at(now.Add(time.Minute)) != rotated {
		t.Error("a second overlap prolonged the first")
	}
	if got := e.Stats().Superseded; got != 4 {
		t.Errorf("superseded %d, want 4 (3, 4, 5, 6)", got)
	}
}

func TestOwnerMatches(t *testing.T) {
	o := owner{"messaging", "u1/web"}
	for _, tc := range []struct {
		kind, name string
		want       bool
	}{
		{"", "", true}, {"messaging", "", true}, {"access", "", false},
		{"", "u1/web", true}, {"", "u1", true}, {"", "u", false}, {"", "web", false}, {"access", "u1", false},
	} {
		if got := o.matches(tc.kind, tc.name); got != tc.want {
			t.Errorf("matches(%q, %q) = %v", tc.kind, tc.name, got)
		}
	}
}
