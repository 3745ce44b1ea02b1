package refresher_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// family is a child whose login needs a parent's token.
type family struct {
	engine        *refresher.Engine
	pool          *refresher.Pool // the parent's
	parent, child *refresher.Instance
	events        rt.Events
}

func startFamily(t *testing.T, parent, child *rt.Source, p refresher.Policy) *family {
	t.Helper()
	f := &family{}
	f.engine = rt.Start(t, refresher.Config{Observe: f.events.Observe})
	f.pool = rt.Define(t, f.engine, refresher.Definition{Token: "parent", Source: parent})
	f.parent = rt.Instance(t, f.pool)
	f.child = rt.Single(t, f.engine, refresher.Definition{
		Token: "child", Source: child, Policy: p, Parents: []refresher.Parent{{Pool: f.pool}},
	})
	return f
}

// derived gives values made of the parent's: p1/1, p1/2 … It refuses parents
// for which bad says so.
func derived(t *testing.T, lifetime time.Duration, bad func(call int, parent string) bool) *rt.Source {
	return rt.Func(t, func(call int, in refresher.Input) rt.Answer {
		parent := in.Parents[0].Value.Reveal()
		if bad != nil && bad(call, parent) {
			return rt.Refuse(0)
		}
		return rt.OK(fmt.Sprintf("%s/%d", parent, call), lifetime)
	})
}

// The wait for a parent is no part of the login's time-out.
func TestParentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := rt.Script(t, rt.Fail(refresher.Transient), rt.Fail(refresher.Transient), rt.OK("p", time.Hour).After(8*time.Second))
		child := rt.Script(t, rt.OK("c", time.Hour).After(3*time.Second))
		f := startFamily(t, parent, child, refresher.Policy{Timeout: 4 * time.Second})
		rt.WantToken(t, f.child, "c")
		parent.WantTimes(seconds(0, 1, 3)...)
		child.WantTimes(seconds(11)...)
		if got := child.Inputs()[0].Parents[0].Value.Reveal(); got != "p" {
			t.Errorf("the login got %q, want p", got)
		}
		if n := f.child.Status().Failures; n != 0 {
			t.Errorf("waiting for a parent counts as %d failures", n)
		}
	})
}

func TestParentRefusedByLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := rt.Script(t, rt.OK("p1", 100*time.Hour), rt.OK("p2", 100*time.Hour).After(2*time.Second))
		child := derived(t, 100*time.Second, func(call int, parent string) bool { return call > 1 && parent == "p1" })
		// A floor far above the time of the repeat, which it does not hold up.
		f := startFamily(t, parent, child, refresher.Policy{MinInterval: 20 * time.Second})
		rt.WantToken(t, f.child, "p1/1")
		time.Sleep(83 * time.Second)
		synctest.Wait()
		rt.WantToken(t, f.child, "p2/3")
		child.WantTimes(seconds(0, 80, 82)...)
		parent.WantTimes(seconds(0, 80)...)
		if s := f.child.Status(); s.Failures != 0 || s.Generation != 2 {
			t.Errorf("child: %+v", s)
		}
		refused := f.events.Of(refresher.Refused)
		if len(refused) != 1 || refused[0].Token != "parent" || refused[0].Generation != 1 ||
			refused[0].Signal.String() != "login" || refused[0].By != "login cred.child" {
			t.Errorf("refusals: %+v", refused)
		}
		time.Sleep(81 * time.Second) // the next login is no repeat
		synctest.Wait()
		child.WantTimes(seconds(0, 80, 82, 162)...)
		parent.WantCalls(2)
	})
}

// While the login ran with the old parent, the parent was renewed for another
// reason: the refusal is about exactly the old generation.
func TestParentRefusedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := numbered(t, 100*time.Hour)
		child := rt.Func(t, func(call int, in refresher.Input) rt.Answer {
			if in.Parents[0].Value.Reveal() == "v1" {
				return rt.Refuse(0).After(5 * time.Second)
			}
			return rt.OK("c", time.Hour)
		})
		f := startFamily(t, parent, child, refresher.Policy{})
		time.Sleep(2 * time.Second)
		wantRejection(t, f.parent, rt.WantToken(t, f.parent, "v1"), "r", refresher.Renewing)
		rt.WantToken(t, f.child, "c")
		parent.WantCalls(2)
		child.WantTimes(seconds(0, 5)...)
	})
}

// Refused again right after its renewal, a parent is not to blame.
func TestParentRefusedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := numbered(t, 100*time.Hour)
		// The class is what the answer looked like; the refusal says more.
		bad := rt.Error(&refresher.FetchError{Class: refresher.Permanent, Refused: []int{0}, Err: context.Canceled})
		child := rt.Script(t, bad)
		f := startFamily(t, parent, child, refresher.Policy{})
		synctest.Wait()
		parent.WantCalls(1)             // it has its floor …
		time.Sleep(time.Second)         // … and after that is renewed,
		synctest.Wait()                 //
		rt.WantToken(t, f.parent, "v2") // but not rejected again
		child.WantTimes(seconds(0, 1)...)
		parent.WantTimes(seconds(0, 1)...)
		s := f.child.Status()
		if s.Failures != 1 || s.Class != refresher.Transient || s.Phase != refresher.Empty {
			t.Errorf("child: %+v", s)
		}
		// Later attempts are logins of their own: each may have the parent
		// renewed and is repeated, by the back-off's table …
		time.Sleep(2 * time.Second)
		child.WantTimes(seconds(0, 1, 2, 2)...)
		// … as long as the budget lasts.
		time.Sleep(24 * time.Hour)
		if n, most := parent.Calls(), 1+5+24*120; n > most {
			t.Errorf("%d logins of the parent, more than the budget's %d", n, most)
		}
		parent.WantAtMost(7, time.Minute)
		child.WantAtMost(14, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := f.parent.Token(ctx); err != nil {
			t.Errorf("the parent is out of service: %v", err)
		}
	})
}

// Each child token has its own budget at the parent, apart from the routes'.
// When it is empty, the parent stays in service and the login backs off.
func TestParentBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := numbered(t, 1000*time.Hour)
		second := func(call int, _ string) bool { return call == 2 }
		child := derived(t, 110*time.Second, second)
		f := startFamily(t, parent, child, refresher.Policy{})
		otherSource := derived(t, 100*time.Second, second)
		other := rt.Single(t, f.engine, refresher.Definition{
			Token: "other", Source: otherSource, Parents: []refresher.Parent{{Pool: f.pool}},
		})
		time.Sleep(70 * time.Second)
		for range 5 {
			refuse(t, f.parent, "login cred.child", refresher.Renewing)
		}
		parent.WantCalls(6)
		time.Sleep(11 * time.Second)
		rt.WantToken(t, other, "v7/3")
		otherSource.WantTimes(seconds(0, 80, 80)...)
		time.Sleep(5 * time.Second)
		rt.WantToken(t, f.child, "v7/3")
		child.WantTimes(seconds(0, 88, 89)...)
		parent.WantCalls(7)
		refuse(t, f.parent, "r", refresher.Renewing)
	})
}

// Renewals that helped do not use the budget up.
func TestParentBudgetIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := ""
		parent := numbered(t, 1000*time.Hour)
		// Every login with a parent's token that was used before is refused.
		child := rt.Func(t, func(call int, in refresher.Input) rt.Answer {
			p := in.Parents[0].Value.Reveal()
			if p == last {
				return rt.Refuse(0)
			}
			last = p
			return rt.OK(fmt.Sprint("c", call), 5*time.Second)
		})
		f := startFamily(t, parent, child, refresher.Policy{})
		time.Sleep(4 * time.Minute)
		if n := f.child.Status().Generation; n < 50 {
			t.Errorf("%d generations in 4 minutes, want one every 4 s", n)
		}
		for _, e := range f.events.Of(refresher.Refused) {
			if e.Rejection != refresher.Renewing {
				t.Fatalf("a refusal is %v", e.Rejection)
			}
		}
	})
}

func TestTwoParentsRefusedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		var parents []refresher.Parent
		var sources []*rt.Source
		for i := range 2 {
			sources = append(sources, numbered(t, 100*time.Hour))
			parents = append(parents, refresher.Parent{Pool: rt.Define(t, e, refresher.Definition{Token: fmt.Sprint("p", i), Source: sources[i]})})
		}
		child := rt.Script(t, rt.OK("c1", 100*time.Second), rt.Refuse(0), rt.Refuse(1), rt.OK("c2", time.Hour))
		in := rt.Single(t, e, refresher.Definition{Token: "child", Source: child, Parents: parents})
		time.Sleep(80 * time.Second)
		synctest.Wait()
		rt.WantToken(t, in, "c2")
		child.WantTimes(seconds(0, 80, 80, 80)...)
		sources[0].WantCalls(2)
		sources[1].WantCalls(2)
	})
}

// An index that names no parent must not be repeated for ever.
func TestUnknownParentRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := numbered(t, time.Hour)
		child := rt.Script(t, rt.Refuse(3), rt.Refuse(-1), rt.OK("c", time.Hour))
		f := startFamily(t, parent, child, refresher.Policy{})
		rt.WantToken(t, f.child, "c")
		child.WantTimes(seconds(0, 1, 3)...)
		parent.WantCalls(1)
	})
}

func TestRenewedParentDoesNotRenewChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := numbered(t, 5*time.Minute)
		child := rt.Script(t, rt.Fail(refresher.Transient), rt.OK("c", 10*time.Hour))
		f := startFamily(t, parent, child, refresher.Policy{})
		time.Sleep(time.Hour + time.Minute)
		for range 3 {
			wantRejection(t, f.parent, rt.Token(t, f.parent), "r", refresher.Renewing)
			rt.Token(t, f.parent)
		}
		child.WantTimes(seconds(0, 1)...)
		rt.WantToken(t, f.child, "c")
	})
}

func TestParentsNewTokenWakesFailedChild(t *testing.T) {
	tests := []struct {
		name   string
		fails  rt.Answer
		second time.Duration // of the child's logins
	}{
		{"permanent", rt.Fail(refresher.Permanent), 20 * time.Second},
		{"permanent, over its floor", rt.Fail(refresher.Permanent).After(5 * time.Second), 20 * time.Second},
		// The upstream's wish is kept.
		{"asked for patience", rt.Busy(10 * time.Minute), 10 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent := numbered(t, 24*time.Hour)
				child := rt.Script(t, test.fails, rt.OK("c", time.Hour))
				f := startFamily(t, parent, child, refresher.Policy{})
				time.Sleep(20 * time.Second)
				wantRejection(t, f.parent, rt.Token(t, f.parent), "r", refresher.Renewing)
				time.Sleep(test.second - 20*time.Second) // nobody asks for the child
				synctest.Wait()
				child.WantTimes(0, test.second)
				rt.WantToken(t, f.child, "c")
			})
		})
	}
}

// The parent was renewed while the child's login was failing.
func TestParentRenewedDuringFailingLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := numbered(t, 24*time.Hour)
		child := rt.Script(t, rt.Fail(refresher.Permanent).After(5*time.Second), rt.OK("c", time.Hour))
		f := startFamily(t, parent, child, refresher.Policy{})
		time.Sleep(2 * time.Second)
		wantRejection(t, f.parent, rt.Token(t, f.parent), "r", refresher.Renewing)
		rt.WantToken(t, f.child, "c")
		child.WantTimes(seconds(0, 5)...)
	})
}

func TestChildOfFailingParentFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := rt.Script(t, rt.Fail(refresher.Permanent).After(2*time.Second), rt.OK("p", time.Hour))
		middle := derived(t, time.Hour, nil)
		grandchild := derived(t, time.Hour, nil)
		f := startFamily(t, parent, middle, refresher.Policy{})
		middlePool := rt.Define(t, f.engine, refresher.Definition{ // the same instance as the family's child
			Token: "child", Source: middle, Parents: []refresher.Parent{{Pool: f.pool}},
		})
		in := rt.Single(t, f.engine, refresher.Definition{Token: "grandchild", Source: grandchild, Parents: []refresher.Parent{{Pool: middlePool}}})
		// Whoever waits learns of the failure when it happens …
		e := wantUnavailable(t, in, 30*time.Second, 2*time.Second, refresher.Permanent)
		if e.RetryAfter != time.Minute || e.Token != "grandchild" || e.Unwrap().Error() != "scripted: permanent" {
			t.Errorf("error %+v", e)
		}
		// … and who comes later at once.
		time.Sleep(10 * time.Second)
		wantUnavailable(t, in, 30*time.Second, 0, refresher.Permanent)
		rt.WantToken(t, in, "p/1/1")
		parent.WantTimes(seconds(0, 62)...)
		middle.WantCalls(1)
		grandchild.WantTimes(seconds(62)...)
	})
}
