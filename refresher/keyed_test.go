package refresher_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

var (
	userID   = refresher.Param{Name: "user_id", Identity: true}
	userName = refresher.Param{Name: "user_name"}
)

// perUser gives each user a token of the name user#1, user#2 …
func perUser(t *testing.T, lifetime time.Duration) *rt.Source {
	var mu sync.Mutex
	calls := map[string]int{}
	return rt.Func(t, func(_ int, in refresher.Input) rt.Answer {
		mu.Lock()
		defer mu.Unlock()
		who := strings.Join(in.Params, ",")
		calls[who]++
		return rt.OK(fmt.Sprintf("%s#%d", who, calls[who]), lifetime)
	}).Budget(0)
}

func keyed(t *testing.T, e *refresher.Engine, src *rt.Source, l refresher.Limits) *refresher.Pool {
	t.Helper()
	return rt.Define(t, e, refresher.Definition{Source: src, Params: []refresher.Param{userID}, Limits: l})
}

// use makes one request of a user: it pins, takes a token, and releases.
func use(t *testing.T, p *refresher.Pool, params ...string) string {
	t.Helper()
	in, err := p.Instance(params)
	if err != nil {
		t.Fatalf("instance of %q: %v", params, err)
	}
	defer in.Release()
	return rt.Token(t, in).Value.Reveal()
}

func wantUse(t *testing.T, p *refresher.Pool, want string, params ...string) {
	t.Helper()
	if got := use(t, p, params...); got != want {
		t.Errorf("%q got the token %q, want %q", params, got, want)
	}
}

func wantLimit(t *testing.T, err error, reason string) *refresher.LimitError {
	t.Helper()
	limit, ok := errors.AsType[*refresher.LimitError](err)
	if !ok {
		t.Fatalf("error %v, want a LimitError", err)
	}
	if limit.Reason != reason || limit.RetryAfter <= 0 || limit.Credential != "cred" {
		t.Errorf("limit %+v, want the reason %s", limit, reason)
	}
	return limit
}

func TestOneTokenForEachUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events rt.Events
		src := perUser(t, time.Hour)
		pool := keyed(t, rt.Start(t, refresher.Config{Observe: events.Observe}), src, refresher.Limits{})
		for range 3 {
			wantUse(t, pool, "ann#1", "ann")
			wantUse(t, pool, "bob#1", "bob")
		}
		src.WantCalls(2)
		synctest.Wait()
		if s := pool.Status(); !s.Keyed || s.Single != nil || s.Instances != 2 || s.Phases[refresher.Fresh] != 2 {
			t.Errorf("status %+v", s)
		}
		if e := events.Of(refresher.LoggedIn)[0]; !e.Keyed {
			t.Errorf("event %+v does not say that it is of a keyed token", e)
		}
	})
}

// An instance that a request made and a configuration then names is kept and
// refreshed from then on.
func TestStaticCredentialKeepsInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Func(t, func(call int, _ refresher.Input) rt.Answer { return rt.OK(fmt.Sprint("v", call), 20*time.Minute) })
		e := rt.Start(t, refresher.Config{})
		pool := keyed(t, e, src, refresher.Limits{Idle: time.Hour, Max: 1})
		wantUse(t, pool, "v1", "ann")
		time.Sleep(18 * time.Minute) // refreshed once, as it was used once
		src.WantCalls(2)
		time.Sleep(15 * time.Minute) // asleep
		src.WantCalls(2)
		in := rt.Single(t, e, refresher.Definition{Source: src, Key: []refresher.KeyPart{
			{Name: "token", Value: secret.New("cred.token")}, {Name: "user_id", Value: secret.New("ann")},
		}})
		time.Sleep(3 * time.Hour)
		if _, ok := in.Peek(); !ok {
			t.Error("it was not refreshed")
		}
		if _, err := pool.Instance(refresher.Params{"bob"}); err == nil {
			t.Error("it was evicted")
		}
	})
}

// A parameter that is no part of the identity makes no second instance; logins
// use its latest value.
func TestParameterWithoutIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		parentSource := perUser(t, 10*time.Minute)
		parent := rt.Define(t, e, refresher.Definition{Token: "parent", Source: parentSource, Params: []refresher.Param{userName}})
		src := perUser(t, 20*time.Minute)
		pool := rt.Define(t, e, refresher.Definition{
			Source: src, Params: []refresher.Param{userID, userName}, Parents: []refresher.Parent{{Pool: parent, Params: []int{1}}},
		})
		wantUse(t, pool, "u,Ann#1", "u", "Ann")
		wantUse(t, pool, "u,Ann#1", "u", "Annie") // a healthy token stays
		src.WantCalls(1)
		time.Sleep(17 * time.Minute)
		wantUse(t, pool, "u,Annie#1", "u", "Annie")
		if got := parentSource.Inputs()[1].Params; !slices.Equal(got, refresher.Params{"Annie"}) {
			t.Errorf("the parent's login saw %q, want the latest value", got)
		}
	})
}

func TestChangedParameterUnblocks(t *testing.T) {
	tests := []struct {
		fails refresher.Class
		want  []time.Duration
	}{
		{refresher.Permanent, seconds(0, 10)},
		// An outage is not the parameter's fault: who alternates between two
		// values must not get around the back-off.
		{refresher.Transient, seconds(0, 1, 3, 7, 15)},
	}
	for _, test := range tests {
		t.Run(test.fails.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				src := rt.Func(t, func(_ int, in refresher.Input) rt.Answer {
					if in.Params[1] == "Ann\n" || test.fails != refresher.Permanent && time.Since(begin) < 12*time.Second {
						return rt.Fail(test.fails)
					}
					return rt.OK(in.Params[1], time.Hour)
				})
				pool := rt.Define(t, rt.Start(t, refresher.Config{}), refresher.Definition{Source: src, Params: []refresher.Param{userID, userName}})
				in := rt.Instance(t, pool, "u", "Ann\n")
				for range 100 { // seen before: no change
					rt.Instance(t, pool, "u", "Ann\n")
					time.Sleep(100 * time.Millisecond)
					in.Peek()
				}
				for i := range 40 {
					rt.Instance(t, pool, "u", fmt.Sprint("Ann", i%2))
				}
				rt.Token(t, in)
				src.WantTimes(test.want...)
			})
		})
	}
}

func TestKeyedRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := perUser(t, 10*time.Minute)
		pool := keyed(t, rt.Start(t, refresher.Config{}), src, refresher.Limits{Idle: 24 * time.Hour})
		wantUse(t, pool, "u#1", "u")
		time.Sleep(8 * time.Minute) // used since its issue: refreshed
		synctest.Wait()
		src.WantTimes(seconds(0, 480)...)
		time.Sleep(9 * time.Minute) // not used since: sleeps past due
		src.WantCalls(2)
		wantUse(t, pool, "u#2", "u") // served, and starts the refresh
		synctest.Wait()
		src.WantTimes(seconds(0, 480, 1020)...)
		wantUse(t, pool, "u#3", "u")
		time.Sleep(8 * time.Minute)
		synctest.Wait()
		src.WantCalls(4)
		time.Sleep(5 * time.Hour) // sleeps past its expiry
		src.WantCalls(4)
		wantUse(t, pool, "u#5", "u") // waits
		time.Sleep(time.Second)
		src.WantCalls(5)
	})
}

// A user whom the vendor does not know costs one attempt for each request, not
// one after the other until the instance is idle.
func TestUnknownUserIsNotRetriedForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.Fail(refresher.Transient))
		pool := keyed(t, rt.Start(t, refresher.Config{}), src, refresher.Limits{})
		in := rt.Instance(t, pool, "nobody")
		wantUnavailable(t, in, 2*time.Second, time.Second, refresher.Transient)
		time.Sleep(20 * time.Minute)
		src.WantTimes(seconds(0, 1, 3)...)                            // the last because it was asked for after the second
		wantUnavailable(t, in, 2*time.Second, 0, refresher.Transient) // one attempt; the next one is too far
		time.Sleep(20 * time.Minute)
		src.WantCalls(5)
	})
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Hour).After(3*time.Second), rt.OK("b", time.Hour).After(2*time.Second),
			rt.Fail(refresher.Transient), rt.OK("c", time.Hour), rt.Fail(refresher.Permanent), rt.OK("d", time.Hour))
		pool := rt.Define(t, rt.Start(t, refresher.Config{}), refresher.Definition{Source: src})
		in := rt.Instance(t, pool)
		time.Sleep(time.Second)
		pool.Renew() // the secret changed while the login runs: it is finished and published
		rt.WantToken(t, in, "a")
		synctest.Wait()
		src.WantTimes(seconds(0, 3)...)
		time.Sleep(time.Second)
		rt.WantToken(t, in, "a") // served meanwhile
		time.Sleep(time.Second)
		synctest.Wait()
		rt.WantToken(t, in, "b")
		time.Sleep(time.Minute) // nothing is left over
		src.WantCalls(2)

		for range 10 {
			pool.Renew()
		}
		synctest.Wait()
		rt.WantToken(t, in, "b")
		time.Sleep(time.Second) // what failed is tried again
		synctest.Wait()
		rt.WantToken(t, in, "c")
		src.WantTimes(seconds(0, 3, 65, 66)...)

		time.Sleep(48*time.Minute + 10*time.Second) // due, and blocked
		pool.Renew()
		synctest.Wait()
		rt.WantToken(t, in, "d")
	})
}

// A keyed pool's parent is pinned by its children.
func TestParentOutlivesItsChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		parentSource, src := perUser(t, 100*time.Hour), perUser(t, time.Hour)
		limits := refresher.Limits{Idle: 30 * time.Minute, Max: 1}
		parent := rt.Define(t, e, refresher.Definition{Token: "parent", Source: parentSource, Params: []refresher.Param{userID}, Limits: limits})
		pool := rt.Define(t, e, refresher.Definition{
			Source: src, Params: []refresher.Param{userID}, Parents: []refresher.Parent{{Pool: parent, Params: []int{0}}}, Limits: limits,
		})
		child := rt.Instance(t, pool, "a")
		rt.WantToken(t, child, "a#1")
		time.Sleep(5 * time.Hour)
		_, err := pool.Instance(refresher.Params{"b"})
		wantLimit(t, err, "instances")
		rt.WantToken(t, child, "a#2")
		parentSource.WantCalls(1)
	})
}

// Parents that have to log in do so at the same time.
func TestParentsLogInTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		d := refresher.Definition{Params: []refresher.Param{userID}, Limits: refresher.Limits{Idle: 24 * time.Hour}}
		for i := range 2 {
			parent := d
			parent.Token, parent.Parents = fmt.Sprint("parent", i), nil
			parent.Source = rt.Script(t, rt.OK("p", time.Minute).After(3*time.Second))
			d.Parents = append(d.Parents, refresher.Parent{Pool: rt.Define(t, e, parent), Params: []int{0}})
		}
		src := rt.Script(t, rt.OK("c", time.Hour))
		d.Source = src
		pool := rt.Define(t, e, d)
		wantUse(t, pool, "c", "u")
		time.Sleep(6 * time.Hour)
		wantUse(t, pool, "c", "u")
		times := src.Times()
		if last := times[len(times)-1]; last != 3*time.Second+6*time.Hour+3*time.Second {
			t.Errorf("the login started at %v, 3s after it was wanted at 6h0m3s", last)
		}
	})
}

func TestParentGoesWithItsLastChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		limits := refresher.Limits{Idle: 30 * time.Minute}
		parent := rt.Define(t, e, refresher.Definition{Token: "parent", Source: perUser(t, 100*time.Hour), Params: []refresher.Param{userID}, Limits: limits})
		pool := rt.Define(t, e, refresher.Definition{
			Source: perUser(t, 100*time.Hour), Params: []refresher.Param{userID}, Parents: []refresher.Parent{{Pool: parent, Params: []int{0}}}, Limits: limits,
		})
		wantUse(t, pool, "a#1", "a")
		time.Sleep(33 * time.Minute)
		if n := pool.Status().Instances + parent.Status().Instances; n != 0 {
			t.Errorf("%d instances are left", n)
		}
		wantUse(t, pool, "a#2", "a")
	})
}

func TestAdd(t *testing.T) {
	key := []refresher.KeyPart{{Name: "token", Value: secret.New("t")}}
	src := rt.Script(t, rt.Forever("a"))
	e, other := refresher.New(refresher.Config{}), refresher.New(refresher.Config{})
	parent := rt.Define(t, e, refresher.Definition{Token: "p", Source: src, Params: []refresher.Param{userID}})
	foreign := rt.Define(t, other, refresher.Definition{Source: src})
	tests := []struct {
		d    refresher.Definition
		want string
	}{
		{refresher.Definition{Key: key}, "it has no source"},
		{refresher.Definition{Source: src}, "it has no key that tells it from others"},
		{refresher.Definition{Source: src, Key: []refresher.KeyPart{{Name: "u", FromRequest: true}}}, "key part u names no parameter"},
		{refresher.Definition{Source: src, Key: key, Parents: []refresher.Parent{{}}}, "it needs a token that is not among those defined before it"},
		{refresher.Definition{Source: src, Key: key, Parents: []refresher.Parent{{Pool: foreign}}}, "it needs a token that is not among those defined before it"},
		{refresher.Definition{Source: src, Key: key, Parents: []refresher.Parent{{Pool: parent}}}, "it gives 0 parameters to p, which takes 1"},
		{refresher.Definition{Source: src, Key: key, Parents: []refresher.Parent{{Pool: parent, Params: []int{0}}}}, "it has no parameter 0 to give to p"},
	}
	for _, test := range tests {
		test.d.Credential, test.d.Token = "c", "t"
		if _, err := e.Add(test.d); err == nil || err.Error() != "token c.t: "+test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}
