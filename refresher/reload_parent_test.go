package refresher_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// lineage is a child whose parent, and name, a reload may change.
type lineage struct {
	t       *testing.T
	engine  *refresher.Engine
	parents map[string]*rt.Source // by their names, all in service
	child   *rt.Source
}

// reload defines all parents, and the child under that name with that parent;
// without a parent, no child.
func (l *lineage) reload(name, parent string) *refresher.Pool {
	l.t.Helper()
	c := l.engine.Change()
	var pool *refresher.Pool
	for _, key := range []string{"p1", "p2"} {
		p := rt.Define(l.t, c, refresher.Definition{Token: key, Source: l.parents[key]})
		if key == parent {
			pool = p
		}
	}
	if pool != nil {
		pool = rt.Define(l.t, c, refresher.Definition{
			Credential: name, Token: "child", Key: fixed("child"), Source: l.child, Parents: []refresher.Parent{{Pool: pool}}})
	}
	if err := c.Commit(); err != nil {
		l.t.Fatal(err)
	}
	synctest.Wait()
	return pool
}

// A child that waits for its parent stops waiting when it goes, and waits for
// the new one when it gets another.
func TestReloadWhileWaitingForParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lineage{t, rt.Start(t, refresher.Config{}),
			map[string]*rt.Source{"p1": rt.Script(t, rt.Fail(refresher.Permanent)), "p2": rt.Script(t, rt.OK("p2", time.Hour))}, rt.Script(t, rt.OK("c", time.Hour))}
		l.reload("child", "p1")
		wantSizes(t, l.engine, refresher.Sizes{Pools: 3, Table: 3, Heap: 2, Children: 1})
		l.reload("", "")
		wantSizes(t, l.engine, refresher.Sizes{Pools: 2, Table: 3, Heap: 3, Orphans: 1})
		l.reload("child", "p1")
		wantSizes(t, l.engine, refresher.Sizes{Pools: 3, Table: 3, Heap: 2, Children: 1})
		wantUse(t, l.reload("child", "p2"), "c")
		wantSizes(t, l.engine, refresher.Sizes{Pools: 3, Table: 3, Heap: 3})
	})
}

// A login that fails after its parents have changed waits for none of the old.
func TestReloadParentOfFailingLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lineage{t, rt.Start(t, refresher.Config{}),
			map[string]*rt.Source{"p1": rt.Script(t, rt.Forever("p1")), "p2": rt.Script(t, rt.Forever("p2"))},
			rt.Script(t, rt.Fail(refresher.Transient).After(5*time.Second), rt.OK("c", time.Hour))}
		l.reload("child", "p1")
		l.reload("child", "p2")
		time.Sleep(5500 * time.Millisecond)
		wantSizes(t, l.engine, refresher.Sizes{Pools: 3, Table: 3, Heap: 1})
		wantUse(t, l.reload("child", "p2"), "c")
		l.child.WantTimes(seconds(0, 6)...)
	})
}

// What failed under its old name is tried again when its parent has a new
// token.
func TestReloadWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lineage{t, rt.Start(t, refresher.Config{}),
			map[string]*rt.Source{"p1": numbered(t, time.Hour), "p2": numbered(t, time.Hour)}, rt.Script(t, rt.Fail(refresher.Permanent), rt.OK("c", time.Hour))}
		l.reload("old", "p1")
		pool := l.reload("new", "p1")
		time.Sleep(10 * time.Second)
		l.child.WantCalls(1)
		for _, p := range l.engine.Status() {
			if p.Token == "child" && p.Phases[refresher.Blocked] != 1 {
				t.Errorf("status %+v", p)
			}
		}
		refuse(t, rt.Instance(t, rt.Define(t, l.engine, refresher.Definition{Token: "p1", Source: l.parents["p1"]})), "r", refresher.Renewing)
		wantUse(t, pool, "c")
		l.child.WantTimes(seconds(0, 10)...)
	})
}

// While a login runs it may get parents that are new. What it was refused with
// is for the old ones.
func TestReloadParentDuringLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		parents := map[string]*rt.Source{"old": rt.Script(t, rt.OK("old", time.Hour)), "new": rt.Script(t, rt.OK("new", time.Hour))}
		child := rt.Func(t, func(call int, in refresher.Input) rt.Answer {
			if in.Parents[0].Value.Reveal() == "old" {
				return rt.Refuse(0).After(5 * time.Second)
			}
			return rt.OK("c", time.Hour)
		})
		reload := func(parent string) *refresher.Pool {
			c := e.Change()
			up := rt.Define(t, c, refresher.Definition{Token: "parent", Key: fixed(parent), Source: parents[parent]})
			p := rt.Define(t, c, refresher.Definition{Token: "child", Key: fixed("child"), Source: child, Parents: []refresher.Parent{{Pool: up}}})
			if err := c.Commit(); err != nil {
				t.Fatal(err)
			}
			return p
		}
		reload("old")
		time.Sleep(time.Second)
		wantUse(t, reload("new"), "c")
		child.WantTimes(seconds(0, 5)...)
		for range 3 {
			time.Sleep(time.Hour)
			rt.Reload(t, e)
		}
		wantSizes(t, e, refresher.Sizes{})
	})
}

// The same definition twice makes two pools, as always, of one instance.
func TestReloadTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		src := numbered(t, time.Hour)
		d := refresher.Definition{Key: fixed("k"), Source: src}
		before := rt.Reload(t, e, d, d)
		after := rt.Reload(t, e, d, d)
		if before[0] == before[1] || before[0] != after[0] || before[1] != after[1] {
			t.Error("twins are mixed up")
		}
		for range 2 { // whichever made it
			after = rt.Reload(t, e, d, d)[1:]
			rt.Reload(t, e, d)
			time.Sleep(time.Minute)
			wantUse(t, after[0], "v1")
		}
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 1, Heap: 1})
		src.WantCalls(1)
	})
}

// The first configuration is a change as well, made before the engine runs.
func TestCommitBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := numbered(t, time.Hour)
		e := refresher.New(refresher.Config{})
		pool := rt.Reload(t, e, refresher.Definition{Key: fixed("k"), Source: src})[0]
		time.Sleep(time.Hour)
		src.WantCalls(0)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		wantUse(t, pool, "v1")
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
