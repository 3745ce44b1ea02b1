package refresher_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// byUser is the key of a token for each user that has this text for the rest.
func byUser(text string) []refresher.KeyPart {
	return append(fixed(text), refresher.KeyPart{Name: "user_id", FromRequest: true})
}

// forUser is the key of the same token where the configuration names the user.
func forUser(text, user string) []refresher.KeyPart {
	return append(fixed(text), refresher.KeyPart{Name: "user_id", Value: secret.New(user)})
}

// An instance that two tokens share goes on for the other when the one that made
// it goes, with the other's way to log in.
func TestReloadSharedInstance(t *testing.T) {
	limits := refresher.Limits{Idle: 2 * time.Hour}
	single := refresher.Definition{Key: forUser("k", "ann"), Limits: limits}
	keyed := refresher.Definition{Key: byUser("k"), Params: []refresher.Param{userID}, Limits: limits}
	tests := []struct {
		name         string
		maker, other refresher.Definition
	}{
		{"two named in the configuration", single, single},
		{"made by a request", keyed, single},
		{"named in the configuration", single, keyed},
		{"two made by requests", keyed, keyed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := rt.Start(t, refresher.Config{})
				first, second := numbered(t, time.Hour), rt.Script(t, rt.OK("second", time.Hour))
				maker, other := test.maker, test.other
				maker.Credential, maker.Source = "maker", first
				other.Credential, other.Source = "other", second
				ann := func(d refresher.Definition) []string { return []string{"ann"}[:len(d.Params)] }

				wantUse(t, rt.Reload(t, e, maker)[0], "v1", ann(maker)...)
				both := rt.Reload(t, e, maker, other)
				wantUse(t, both[1], "v1", ann(other)...)
				left := rt.Reload(t, e, other)
				if left[0] != both[1] {
					t.Fatal("the other is not the same pool")
				}
				time.Sleep(time.Second)
				wantUse(t, left[0], "v1", ann(other)...)
				if s := e.Status(); s[0].Instances != 1 || s[0].Phases[refresher.Fresh] != 1 {
					t.Errorf("status %+v", s[0])
				}
				time.Sleep(50 * time.Minute) // past the other's due time, and used since it was issued
				wantUse(t, left[0], "second", ann(other)...)
				first.WantCalls(1)
				second.WantCalls(1)
				rt.Reload(t, e)
				time.Sleep(3 * time.Hour)
				wantSizes(t, e, refresher.Sizes{})
			})
		})
	}
}

// A parent that another credential's pool made goes on for the child whose
// parent it is too: nobody asks for it by the child's pool again.
func TestReloadSharedParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		limits := refresher.Limits{Idle: 10 * time.Hour}
		first, second, src := numbered(t, time.Hour), rt.Script(t, rt.OK("second", time.Hour)), perUser(t, time.Hour)
		reload := func(both bool) (maker, users *refresher.Pool) {
			c := e.Change()
			d := refresher.Definition{Token: "parent", Key: byUser("p"), Params: []refresher.Param{userID}, Source: first, Limits: limits}
			if both {
				d.Credential = "maker"
				maker = rt.Define(t, c, d)
			}
			d.Credential, d.Source = "other", second
			parent := rt.Define(t, c, d)
			users = rt.Define(t, c, refresher.Definition{
				Token: "users", Source: src, Params: []refresher.Param{userID}, Parents: []refresher.Parent{{Pool: parent, Params: []int{0}}}, Limits: limits})
			if err := c.Commit(); err != nil {
				t.Fatal(err)
			}
			return maker, users
		}
		maker, users := reload(true)
		wantUse(t, maker, "v1", "ann")
		wantUse(t, users, "ann#1", "ann")
		reload(false)
		for range 3 {
			use(t, users, "ann")
			time.Sleep(50 * time.Minute)
		}
		wantUse(t, users, "ann#4", "ann")
		first.WantCalls(1)
		if got := src.Inputs()[3].Parents[0].Value.Reveal(); got != "second" {
			t.Errorf("the login got the parent %q, want second", got)
		}
	})
}

// Users of a token that is renamed keep theirs; the order of their parameters
// may be another. The pool that they move to has to have room.
func TestReloadRenamesUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		src, second := perUser(t, time.Hour), perUser(t, time.Hour)
		old := rt.Reload(t, e, refresher.Definition{
			Credential: "old", Key: byUser("k"), Params: []refresher.Param{userID, userName}, Source: src})[0]
		wantUse(t, old, "ann,Ann#1", "ann", "Ann")
		wantUse(t, old, "bob,Bob#1", "bob", "Bob")
		key := byUser("k")
		key[1].Param = 1
		pool := rt.Reload(t, e, refresher.Definition{
			Key: key, Params: []refresher.Param{userName, userID}, Source: second, Limits: refresher.Limits{Max: 1, Idle: time.Hour}})[0]
		if s := e.Status()[0]; s.Instances != 0 {
			t.Errorf("%d instances before anybody came", s.Instances)
		}
		wantUse(t, pool, "ann,Ann#1", "Annie", "ann")
		in := rt.Instance(t, pool, "Annie", "ann")
		rt.WantToken(t, in, "ann,Ann#1")
		_, err := pool.Instance(refresher.Params{"Bob", "bob"})
		wantLimit(t, err, "instances")
		time.Sleep(50 * time.Minute)
		rt.WantToken(t, in, "Annie,ann#1")
		src.WantCalls(2)
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 1, Heap: 1, Listed: 1})
	})
}

// New limits count from the next time that they are asked for, and no number of
// reloads allows more logins than the rate.
func TestReloadLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		src := perUser(t, 24*time.Hour)
		d := refresher.Definition{Source: src, Key: byUser("k"), Params: []refresher.Param{userID}, Limits: refresher.Limits{LoginsPerMinute: 6}}
		for i := range 6 {
			wantUse(t, rt.Reload(t, e, d)[0], fmt.Sprint("u", i, "#1"), fmt.Sprint("u", i))
		}
		for i := range 100 {
			d.Limits.LoginsPerMinute = 6 + i%2
			d.Credential = []string{"cred", "other"}[i/10%2]
			_, err := rt.Reload(t, e, d)[0].Instance(refresher.Params{"more"})
			if limit, ok := errors.AsType[*refresher.LimitError](err); !ok || limit.RetryAfter > 11*time.Second {
				t.Fatalf("reload %d: error %v", i, err)
			}
		}
		d.Credential, d.Limits = "", refresher.Limits{Max: 2, Idle: time.Minute}
		pool := rt.Reload(t, e, d)[0]
		for i := range 6 {
			wantUse(t, pool, fmt.Sprint("u", i, "#1"), fmt.Sprint("u", i))
		}
		if n := pool.Status().Instances; n != 2 {
			t.Errorf("%d instances, want 2", n)
		}
		d.Limits.Max = 1
		rt.Reload(t, e, d)
		time.Sleep(10 * time.Second)
		use(t, pool, "more")
		if n := pool.Status().Instances; n != 1 {
			t.Errorf("%d instances, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		if n := pool.Status().Instances; n != 0 {
			t.Errorf("%d instances after the new idle time", n)
		}
	})
}

// Users whose renewal waits for the login rate take their place in the queue with
// them.
func TestReloadQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		src := perUser(t, time.Hour)
		d := refresher.Definition{Source: src, Key: byUser("k"), Params: []refresher.Param{userID}, Limits: refresher.Limits{Idle: time.Hour}}
		pool := rt.Reload(t, e, d)[0]
		users := []string{"ann", "bob", "cid"}
		for _, user := range users {
			use(t, pool, user)
		}
		d.Limits.LoginsPerMinute = 1
		rt.Reload(t, e, d)
		time.Sleep(48*time.Minute + 10*time.Second)
		src.WantCalls(4)
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 3, Heap: 3, Listed: 3, Queue: 2})
		d.Credential = "renamed"
		pool = rt.Reload(t, e, d)[0]
		for _, user := range users {
			use(t, pool, user)
		}
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 3, Heap: 3, Listed: 3, Queue: 2})
		time.Sleep(5 * time.Minute)
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 3, Heap: 3, Listed: 3})
		src.WantCalls(6)
		src.WantTimes(0, 0, 0, 48*time.Minute, 49*time.Minute, 50*time.Minute)
	})
}

// A back-off outlasts the time for which what is not used is kept.
func TestBackOffOutlastsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		src := rt.Script(t, rt.Busy(30*time.Minute))
		d := refresher.Definition{Source: src, Key: fixed("k"), Limits: refresher.Limits{Idle: time.Second}}
		for range 10 {
			rt.Reload(t, e, d)
			time.Sleep(time.Minute)
			rt.Reload(t, e)
			time.Sleep(time.Minute)
		}
		src.WantCalls(1)
		time.Sleep(time.Hour)
		wantSizes(t, e, refresher.Sizes{})
	})
}

// Orphans are kept for a while, but not any number of them.
func TestOrphansAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		for i := range 12000 {
			rt.Reload(t, e, refresher.Definition{Key: fixed(fmt.Sprint(i)), Source: quick{}})
		}
		if s := e.Sizes(); s.Orphans > 10000 || s.Table != s.Orphans+1 {
			t.Errorf("sizes %+v", s)
		}
		time.Sleep(time.Hour)
		wantSizes(t, e, refresher.Sizes{Pools: 1, Table: 1, Heap: 1})
	})
}

// What a plan remembered with a token goes with the plan.
func TestReloadForgetsMemos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		for _, name := range []string{"one", "one", "two"} {
			in := rt.Instance(t, rt.Reload(t, e, refresher.Definition{Credential: name, Key: fixed("k"), Source: rt.Script(t, rt.Forever("v"))})[0])
			if text, ok := rt.WantToken(t, in, "v").Memo("plan"); ok {
				t.Errorf("the text %q of an old plan", text)
			}
			rt.Token(t, in).SetMemo("plan", "Bearer v")
			if _, ok := rt.Token(t, in).Memo("plan"); !ok {
				t.Error("nothing is remembered")
			}
		}
	})
}

func TestRetiredPoolIsGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		pool, in := func() (weak.Pointer[refresher.Pool], weak.Pointer[refresher.Instance]) {
			p := rt.Reload(t, e, refresher.Definition{Key: fixed("k"), Source: numbered(t, time.Hour)})[0]
			in, _ := p.Instance(nil)
			defer in.Release()
			rt.WantToken(t, in, "v1")
			return weak.Make(p), weak.Make(in)
		}()
		rt.Reload(t, e)
		time.Sleep(time.Hour)
		runtime.GC()
		if pool.Value() != nil || in.Value() != nil {
			t.Errorf("still there: pool %v, instance %v", pool.Value() != nil, in.Value() != nil)
		}
	})
}

// A configuration that is read again and again disturbs nobody.
func TestManyReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		var sources []*rt.Source
		source := func() *rt.Source {
			src := perUser(t, time.Hour).Budget(4)
			sources = append(sources, src)
			return src
		}
		steady, users, parent, a, b, child := source(), source(), source(), source(), source(), source()
		var now atomic.Pointer[[]*refresher.Pool]
		reload := func(i int) {
			c := e.Change()
			at := refresher.Policy{At: 0.8 + float64(i%2)/10}
			up := rt.Define(t, c, refresher.Definition{Token: "parent", Source: parent, Policy: at})
			pools := []*refresher.Pool{
				rt.Define(t, c, refresher.Definition{Token: "steady", Source: steady}),
				rt.Define(t, c, refresher.Definition{
					Token: "users", Source: users, Params: []refresher.Param{userID}, Parents: []refresher.Parent{{Pool: up}}, Limits: refresher.Limits{LoginsPerMinute: 10 + i%3}}),
				rt.Define(t, c, refresher.Definition{Token: "alternates", Key: fixed([]string{"a", "b"}[i%2]), Source: []*rt.Source{a, b}[i%2]}),
				rt.Define(t, c, refresher.Definition{Credential: fmt.Sprint("c", i%7), Key: fixed("child"), Source: child, Parents: []refresher.Parent{{Pool: up}}}),
			}
			if err := c.Commit(); err != nil {
				t.Fatal(err)
			}
			now.Store(&pools)
		}
		reload(0)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for worker := range uint64(8) {
			wg.Go(func() {
				for r := rand.New(rand.NewPCG(worker, 0)); ctx.Err() == nil; time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond) {
					use(t, (*now.Load())[0])
					use(t, (*now.Load())[1], "ann")
					use(t, (*now.Load())[2+r.IntN(2)])
				}
			})
		}
		var most refresher.Sizes
		goroutines := 0
		for i := range 10000 {
			reload(i)
			if i%3 == 0 {
				time.Sleep(time.Millisecond)
			}
			if i%100 == 0 {
				synctest.Wait()
				goroutines = max(goroutines, runtime.NumGoroutine())
				s := e.Sizes()
				most = refresher.Sizes{Pools: max(most.Pools, s.Pools), Table: max(most.Table, s.Table), Heap: max(most.Heap, s.Heap), Orphans: max(most.Orphans, s.Orphans)}
			}
		}
		cancel()
		wg.Wait()
		if want := (refresher.Sizes{Pools: 5, Table: 6, Heap: 6, Orphans: 1}); most != want {
			t.Errorf("at most %+v, want %+v", most, want)
		}
		if goroutines > 30 {
			t.Errorf("%d goroutines", goroutines)
		}
		for _, src := range sources {
			src.WantCalls(1)
		}
		rt.Reload(t, e)
		time.Sleep(time.Hour)
		wantSizes(t, e, refresher.Sizes{})
	})
}
