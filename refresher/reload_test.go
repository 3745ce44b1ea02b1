package refresher_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// fixed is the key of a token that has this text for its identity.
func fixed(text string) []refresher.KeyPart {
	return []refresher.KeyPart{{Name: "account", Value: secret.New(text)}}
}

func wantSizes(t *testing.T, e *refresher.Engine, want refresher.Sizes) {
	t.Helper()
	synctest.Wait()
	if got := e.Sizes(); got != want {
		t.Errorf("the engine holds %+v, want %+v", got, want)
	}
}

// What stays the same goes on undisturbed: its token, its waiters, and a login
// that runs. The next login is made as the new definition says.
func TestReloadKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		first := rt.Script(t, rt.OK("a", time.Hour).After(5*time.Second))
		d := refresher.Definition{Source: first, Recipe: "old"}
		pool := rt.Reload(t, e, d)[0]
		in := rt.Instance(t, pool)
		waited := make(chan string)
		go func() { waited <- rt.Token(t, in).Value.Reveal() }()
		time.Sleep(time.Second)
		second := rt.Script(t, rt.OK("b", time.Hour))
		d.Source, d.Recipe = second, "new"
		if again := rt.Reload(t, e, d)[0]; again != pool {
			t.Fatal("the same token has another pool")
		}
		if rt.Instance(t, pool) != in {
			t.Error("the same token has another instance")
		}
		if got := <-waited; got != "a" {
			t.Errorf("who waited got %q, want a", got)
		}
		time.Sleep(40 * time.Minute)
		rt.WantToken(t, in, "a")
		second.WantCalls(0)
		time.Sleep(10 * time.Minute)
		if tok := rt.WantToken(t, in, "b"); tok.Generation != 2 {
			t.Errorf("generation %d, want 2", tok.Generation)
		}
		first.WantCalls(1)
		if s := e.Status(); len(s) != 1 || s[0].Recipe != "new" {
			t.Errorf("status %+v", s)
		}
	})
}

// sameness is a change of one definition, and what comes of it.
type sameness struct {
	name      string
	change    func(d *refresher.Definition)
	same      bool // the pool goes on
	nextValue string
}

func samenessTests() []sameness {
	set := func(f func(*refresher.Definition)) func(*refresher.Definition) { return f }
	return []sameness{
		{"nothing", set(func(*refresher.Definition) {}), true, "v1"},
		{"recipe's name", set(func(d *refresher.Definition) { d.Recipe = "other" }), true, "v1"},
		{"policy", set(func(d *refresher.Definition) { d.Policy.MinInterval = time.Minute }), true, "v1"},
		{"limits", set(func(d *refresher.Definition) { d.Limits.Max = 3 }), true, "v1"},
		{"credential's name", set(func(d *refresher.Definition) { d.Credential = "renamed" }), false, "v1"},
		{"token's name", set(func(d *refresher.Definition) { d.Token = "renamed" }), false, "v1"},
		{"key's value", set(func(d *refresher.Definition) { d.Key = fixed("bob") }), false, "v2"},
		{"key's part", set(func(d *refresher.Definition) { d.Key[0].Name = "other" }), false, "v2"},
		{"more key", set(func(d *refresher.Definition) { d.Key = append(d.Key, fixed("x")...) }), false, "v2"},
		{"a parameter", set(func(d *refresher.Definition) { d.Params = []refresher.Param{userName} }), false, "v1"},
		{"without the parent", set(func(d *refresher.Definition) { d.Parents = nil }), false, "v1"},
	}
}

func TestReloadSameToken(t *testing.T) {
	for _, test := range samenessTests() {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := rt.Start(t, refresher.Config{})
				src := numbered(t, time.Hour)
				var childBefore, childAfter *refresher.Pool
				reload := func(d refresher.Definition) *refresher.Pool {
					c := e.Change()
					parent := rt.Define(t, c, refresher.Definition{Token: "parent", Source: rt.Script(t, rt.OK("p", time.Hour))})
					if d.Parents != nil {
						d.Parents[0].Pool = parent
					}
					p := rt.Define(t, c, d)
					params := make([]int, len(d.Params))
					childAfter = rt.Define(t, c, refresher.Definition{
						Token: "child", Source: rt.Script(t, rt.OK("c", time.Hour)), Params: d.Params, Parents: []refresher.Parent{{Pool: p, Params: params}},
					})
					if err := c.Commit(); err != nil {
						t.Fatal(err)
					}
					return p
				}
				before := refresher.Definition{Token: "t", Key: fixed("ann"), Source: src, Parents: []refresher.Parent{{}}}
				pool := reload(before)
				rt.WantToken(t, rt.Instance(t, pool), "v1")
				childBefore = childAfter
				after := before
				after.Key, after.Parents = fixed("ann"), []refresher.Parent{{}}
				test.change(&after)
				next := reload(after)
				if (next == pool) != test.same || (childAfter == childBefore) != test.same {
					t.Errorf("the same pool: %v, its child's: %v, want %v", next == pool, childAfter == childBefore, test.same)
				}
				time.Sleep(time.Second)
				rt.WantToken(t, rt.Instance(t, next, make([]string, len(after.Params))...), test.nextValue)
			})
		})
	}
}

// A new policy counts for the token that is there. Nothing logs in for that
// alone, only what is due by the new one.
func TestReloadPolicy(t *testing.T) {
	tests := []struct {
		name string
		at   time.Duration // of the reload
		to   refresher.Policy
		want time.Duration // of the second login
	}{
		{"earlier", 10 * time.Minute, refresher.Policy{At: 0.5}, 50 * time.Minute},
		{"later", 10 * time.Minute, refresher.Policy{At: 0.9}, 90 * time.Minute},
		{"due already", 60 * time.Minute, refresher.Policy{At: 0.5}, 60 * time.Minute},
		{"not about when", 10 * time.Minute, refresher.Policy{MaxPerHour: 1, Timeout: time.Minute}, 80 * time.Minute},
	}
	for _, test := range tests {
		for _, name := range []string{"cred", "renamed"} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					src := numbered(t, 100*time.Minute)
					e := rt.Start(t, refresher.Config{})
					rt.Reload(t, e, refresher.Definition{Key: fixed("k"), Source: src})
					time.Sleep(test.at)
					rt.Reload(t, e, refresher.Definition{Credential: name, Key: fixed("k"), Source: src, Policy: test.to})
					time.Sleep(95*time.Minute - test.at)
					src.WantTimes(0, test.want)
				})
			})
		}
	}
}

// A token that gets another name is the same token, and who still has it by the
// old name has the same instance.
func TestReloadRenames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		first, second := numbered(t, time.Hour), rt.Script(t, rt.OK("new", time.Hour))
		old := rt.Reload(t, e, refresher.Definition{Credential: "old", Key: fixed("k"), Source: first})[0]
		in, err := old.Instance(nil)
		if err != nil {
			t.Fatal(err)
		}
		tok := rt.WantToken(t, in, "v1")
		pool := rt.Reload(t, e, refresher.Definition{Credential: "new", Key: fixed("k"), Source: second})[0]
		now, ok := rt.Instance(t, pool).Peek()
		if !ok || now.Value.Reveal() != "v1" || now.Generation != 1 {
			t.Errorf("token %+v after the reload", now)
		}
		if s := e.Status(); len(s) != 1 || s[0].Credential != "new" || s[0].Instances != 1 || s[0].Single.Generation != 1 {
			t.Errorf("status %+v", s)
		}
		wantRejection(t, in, tok, "r", refresher.Renewing)
		rt.WantToken(t, in, "new")
		in.Release()
		first.WantCalls(1)
		second.WantCalls(1)
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 1, Heap: 1})
	})
}

// However often a configuration is read again, and under whatever names, a
// token that fails keeps its back-off, and no token logs in more often than its
// policy says.
func TestReloadKeepsBackOff(t *testing.T) {
	definitions := map[string]func(i int) []refresher.Definition{
		"the same": func(int) []refresher.Definition { return []refresher.Definition{{Key: fixed("k")}} },
		"other policies": func(i int) []refresher.Definition {
			return []refresher.Definition{{Key: fixed("k"), Policy: refresher.Policy{At: 0.5 + float64(i%5)/10}}}
		},
		"other names": func(i int) []refresher.Definition {
			return []refresher.Definition{{Credential: fmt.Sprint("c", i), Key: fixed("k")}}
		},
		"with and without": func(i int) []refresher.Definition {
			return []refresher.Definition{{Key: fixed("k")}}[:(i+1)%2]
		},
	}
	answers := map[string]struct {
		answer rt.Answer
		want   []time.Duration
	}{
		"fails":           {rt.Fail(refresher.Transient), seconds(0, 1, 3, 7)},
		"fails for good":  {rt.Fail(refresher.Permanent), seconds(0)},
		"asked to wait":   {rt.Busy(8 * time.Second), seconds(0, 8)},
		"succeeds":        {rt.OK("v", time.Hour), seconds(0)},
		"gone in no time": {rt.OK("v", time.Millisecond), seconds(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)},
	}
	for change, define := range definitions {
		for what, test := range answers {
			t.Run(change+", "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := rt.Start(t, refresher.Config{})
					src := rt.Script(t, test.answer)
					var last []time.Duration
					for i := range 1000 {
						all := define(i)
						for j := range all {
							all[j].Source = src
						}
						rt.Reload(t, e, all...)
						time.Sleep(10 * time.Millisecond)
						last = src.Times()
					}
					if len(last) > len(test.want) {
						t.Fatalf("logins at %v, want no more than at %v", last, test.want)
					}
					for i, at := range last { // where it is gone half of the time it may be late
						if late := at - test.want[i]; late < 0 || late > time.Duration(i)*40*time.Millisecond {
							t.Errorf("logins at %v, want them at %v", last, test.want)
						}
					}
				})
			})
		}
	}
}

// A token that is gone is no longer refreshed, and after a while nothing of it
// is left.
func TestReloadRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		parent, child, user := numbered(t, time.Hour), numbered(t, time.Hour), perUser(t, time.Hour)
		c := e.Change()
		up := rt.Define(t, c, refresher.Definition{Token: "parent", Source: parent})
		rt.Define(t, c, refresher.Definition{Token: "child", Source: child, Parents: []refresher.Parent{{Pool: up}}})
		users := rt.Define(t, c, refresher.Definition{
			Token: "user", Source: user, Params: []refresher.Param{userID}, Parents: []refresher.Parent{{Pool: up}}})
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		use(t, users, "ann")
		use(t, users, "bob")
		wantSizes(t, e, refresher.Sizes{Pools: 3, Table: 4, Heap: 4, Listed: 2})
		rt.Reload(t, e)
		wantSizes(t, e, refresher.Sizes{Table: 4, Heap: 4, Orphans: 4})
		if s := e.Status(); len(s) != 0 {
			t.Errorf("status %+v", s)
		}
		time.Sleep(2 * time.Hour)
		wantSizes(t, e, refresher.Sizes{})
		parent.WantCalls(1)
		child.WantCalls(1)
		user.WantCalls(2)
	})
}

// Requests that began before the reload go on with the pools that they have:
// they find, make, refuse, wait, log in and offer. What they do not wait for
// does not happen, and in the end nothing is left.
func TestRetiredPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		parent, child, user := numbered(t, time.Hour), numbered(t, time.Hour), perUser(t, time.Hour)
		c := e.Change()
		up := rt.Define(t, c, refresher.Definition{Token: "parent", Source: parent, Params: []refresher.Param{userID}})
		single := rt.Define(t, c, refresher.Definition{Token: "single", Source: child})
		users := rt.Define(t, c, refresher.Definition{
			Token: "user", Source: user, Params: []refresher.Param{userID}, Parents: []refresher.Parent{{Pool: up, Params: []int{0}}}})
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		ann, err := users.Instance(refresher.Params{"ann"})
		if err != nil {
			t.Fatal(err)
		}
		tok := rt.WantToken(t, ann, "ann#1")
		rt.Reload(t, e)

		wantRejection(t, ann, tok, "r", refresher.Renewing)
		time.Sleep(time.Minute)
		user.WantCalls(1) // nobody waits
		rt.WantToken(t, ann, "ann#2")
		wantUse(t, users, "bob#1", "bob") // with a parent of his own
		parent.WantCalls(2)
		wantUse(t, single, "v1")
		for range 10 {
			time.Sleep(20 * time.Minute)
			ann.Peek()
		}
		user.WantCalls(3)
		parent.WantCalls(2)
		rt.WantToken(t, ann, "ann#3") // first its parent
		parent.WantCalls(3)
		if !ann.Offer(rt.Token(t, ann), offered("offered", time.Hour)) {
			t.Error("an offer is not taken")
		}
		wantUse(t, users, "offered", "ann")
		time.Sleep(24 * time.Hour)
		wantSizes(t, e, refresher.Sizes{Table: 2, Heap: 2, Orphans: 2}) // ann is held, and so is her parent
		ann.Release()
		time.Sleep(time.Hour)
		wantSizes(t, e, refresher.Sizes{})
		wantUse(t, single, "v2") // whoever comes so late
		wantUse(t, users, "ann#4", "ann")
		time.Sleep(time.Hour)
		wantSizes(t, e, refresher.Sizes{})
	})
}

// A login that runs when its token goes is finished, for those who wait, and for
// who defines the token again meanwhile.
func TestReloadDuringLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		src := rt.Script(t, rt.OK("a", time.Hour).After(5*time.Second))
		old := rt.Reload(t, e, refresher.Definition{Credential: "old", Key: fixed("k"), Source: src})[0]
		waited := make(chan string)
		go func() { waited <- use(t, old) }()
		time.Sleep(time.Second)
		rt.Reload(t, e)
		time.Sleep(time.Second)
		pool := rt.Reload(t, e, refresher.Definition{Credential: "new", Key: fixed("k"), Source: src})[0]
		wantUse(t, pool, "a")
		if got := <-waited; got != "a" {
			t.Errorf("who waited got %q", got)
		}
		src.WantCalls(1)
	})
}

func TestCommitErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, time.Hour)
		d := refresher.Definition{Key: fixed("k"), Source: src}
		e, stop := rt.StartStoppable(t, refresher.Config{})
		first, second, late := e.Change(), e.Change(), e.Change()
		pool := rt.Define(t, first, d)
		rt.Define(t, second, refresher.Definition{Key: fixed("other"), Source: src})
		if _, err := second.Add(refresher.Definition{Key: fixed("x"), Source: src, Parents: []refresher.Parent{{Pool: pool}}}); err == nil {
			t.Error("a parent of another change is taken")
		}
		wantSizes(t, e, refresher.Sizes{}) // nothing happens before the commit
		if err := first.Commit(); err != nil {
			t.Fatal(err)
		}
		for _, stale := range []*refresher.Change{first, second} {
			if err := stale.Commit(); !errors.Is(err, refresher.ErrStale) {
				t.Errorf("error %v, want ErrStale", err)
			}
		}
		wantUse(t, pool, "v1")
		stop()
		if err := e.Change().Commit(); !errors.Is(err, refresher.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		if err := late.Commit(); !errors.Is(err, refresher.ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		wantUse(t, pool, "v1")
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 1, Heap: 1})
	})
}
