package refresher_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// variant is one way to define the tokens of TestConcurrentReloads.
type variant struct {
	rand   *rand.Rand
	source func(key string, lifetime time.Duration) refresher.Source
}

// exclusive is a source of the instances of one key, of which no two may log in
// at the same time, whatever pools they are of.
type exclusive struct {
	refresher.Source
	t    *testing.T
	key  string
	open *sync.Map
}

func (s exclusive) Fetch(ctx context.Context, in refresher.Input) (refresher.Token, error) {
	who := s.key
	if len(in.Params) > 0 {
		who += "/" + in.Params[0]
	}
	if _, twice := s.open.LoadOrStore(who, true); twice {
		s.t.Errorf("two logins of %s at the same time", who)
	}
	defer s.open.Delete(who)
	return s.Source.Fetch(ctx, in)
}

// define makes a random set: tokens are there or not, under one of two names,
// with one of two parents, with other limits and policies.
func (v variant) define(t *testing.T, e *refresher.Engine) []*refresher.Pool {
	c := e.Change()
	pick := func(words ...string) string { return words[v.rand.IntN(len(words))] }
	limits := refresher.Limits{
		Max: 2 + v.rand.IntN(8), Idle: time.Duration(50+v.rand.IntN(300)) * time.Millisecond, LoginsPerMinute: 1<<20 + v.rand.IntN(2)}
	policy := refresher.Policy{MinInterval: time.Millisecond, At: 0.5 + v.rand.Float64()/2}
	user, both := []refresher.Param{userID}, []refresher.Param{userID, userName}
	key := pick("p1", "p2")
	parent := rt.Define(t, c, refresher.Definition{
		Token: "parent", Key: byUser(key), Params: user, Source: v.source(key, 50*time.Millisecond), Policy: policy, Limits: limits})
	app := rt.Define(t, c, refresher.Definition{
		Token: "app", Credential: pick("c1", "c2"), Key: fixed("app"), Source: v.source("app", 40*time.Millisecond), Policy: policy, Limits: limits})
	pools := []*refresher.Pool{app}
	for i := range v.rand.IntN(4) {
		d := refresher.Definition{
			Token: fmt.Sprint("token", i), Credential: pick("c1", "c2"), Policy: policy, Limits: limits}
		if v.rand.IntN(3) == 0 {
			d.Key, d.Parents = forUser("k", "user1"), []refresher.Parent{{Pool: app}}
			d.Source = v.source("k/user1", 20*time.Millisecond)
		} else {
			d.Key, d.Params, d.Parents = byUser("k"), both, []refresher.Parent{{Pool: parent, Params: []int{0}}}
			d.Source = v.source("k", 20*time.Millisecond)
		}
		pools = append(pools, rt.Define(t, c, d))
	}
	if err := c.Commit(); err != nil {
		t.Errorf("Commit: %v", err)
	}
	return pools
}

// Everything that TestConcurrentUse does, while the configuration changes all
// the time. Some requests are late and use what has retired.
func TestConcurrentReloads(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			e := rt.Start(t, refresher.Config{})
			var open sync.Map
			v := variant{rand.New(rand.NewPCG(seed, 1)), func(key string, lifetime time.Duration) refresher.Source {
				return exclusive{t: t, key: key, open: &open, Source: rt.Func(t, func(call int, in refresher.Input) rt.Answer {
					switch {
					case call%7 == 0:
						return rt.Fail(refresher.Class(call % 3)).After(time.Millisecond)
					case call%11 == 0 && len(in.Parents) > 0:
						return rt.Refuse(0)
					}
					return rt.OK(fmt.Sprint("v", call), lifetime).After(time.Duration(call%5) * time.Millisecond)
				}).Budget(0)}
			}}
			var now atomic.Pointer[[]*refresher.Pool]
			reload := func() {
				pools := v.define(t, e)
				now.Store(&pools)
			}
			reload()
			var wg sync.WaitGroup
			for worker := range uint64(16) {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, 2+worker))
					for range 200 {
						pools := *now.Load()
						time.Sleep(time.Duration(r.IntN(3)*r.IntN(10)) * time.Millisecond)
						misuse(t, r, pools[r.IntN(len(pools))])
					}
				})
			}
			wg.Go(func() {
				for range 300 {
					time.Sleep(time.Duration(v.rand.IntN(8)) * time.Millisecond)
					reload()
					e.Status()
				}
			})
			wg.Wait()
			rt.Reload(t, e)
			time.Sleep(2 * time.Hour)
			wantSizes(t, e, refresher.Sizes{}) // all pins are back
		})
	}
}
