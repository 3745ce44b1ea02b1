package refresher_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// Everything at the same time, with far too little room: two credentials that
// share their instances evict each other's users while logins, refusals, offers
// and new parents go on. It is for the race detector, and for dead-locks.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := rt.Start(t, refresher.Config{})
		limits := refresher.Limits{Max: 5, Idle: 300 * time.Millisecond, LoginsPerMinute: 1 << 20}
		policy := refresher.Policy{MinInterval: time.Millisecond}
		source := func(lifetime time.Duration) *rt.Source {
			return rt.Func(t, func(call int, in refresher.Input) rt.Answer {
				switch {
				case call%7 == 0:
					return rt.Fail(refresher.Class(call % 3)).After(time.Millisecond)
				case call%11 == 0 && len(in.Parents) > 0:
					return rt.Refuse(0)
				}
				return rt.OK(fmt.Sprint("v", call), lifetime).After(time.Duration(call%5) * time.Millisecond)
			}).Budget(0)
		}
		key := []refresher.KeyPart{{Name: "user_id", FromRequest: true}}
		parent := rt.Define(t, e, refresher.Definition{
			Token: "parent", Params: []refresher.Param{userID}, Source: source(50 * time.Millisecond), Policy: policy, Limits: limits,
		})
		var pools []*refresher.Pool
		for _, name := range []string{"one", "two"} {
			pools = append(pools, rt.Define(t, e, refresher.Definition{
				Credential: name, Key: key, Params: []refresher.Param{userID, userName}, Source: source(20 * time.Millisecond), Policy: policy,
				Parents: []refresher.Parent{{Pool: parent, Params: []int{0}}}, Limits: limits,
			}))
		}
		var wg sync.WaitGroup
		for worker := range uint64(16) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(worker, 0))
				for range 200 {
					misuse(t, r, pools[r.IntN(2)])
					time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
				}
			})
		}
		wg.Go(func() {
			for range 100 {
				time.Sleep(5 * time.Millisecond)
				e.Status()
				pools[0].Renew()
			}
		})
		wg.Wait()
		time.Sleep(time.Hour)
		for _, s := range e.Status() { // all pins are back
			if s.Instances != 0 || s.Waiters != 0 {
				t.Errorf("%s.%s: %d instances, %d waiters at the end", s.Credential, s.Token, s.Instances, s.Waiters)
			}
		}
	})
}

// misuse is a request of a random user that does a random thing with its token.
func misuse(t *testing.T, r *rand.Rand, p *refresher.Pool) {
	var params refresher.Params
	if p.Keyed() {
		params = refresher.Params{fmt.Sprint("user", r.IntN(12)), fmt.Sprint("name", r.IntN(2))}
	}
	in, err := p.Instance(params)
	if err != nil {
		if _, ok := errors.AsType[*refresher.LimitError](err); !ok {
			t.Errorf("instance: %v", err)
		}
		return
	}
	defer in.Release()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(3000))*time.Millisecond)
	defer cancel()
	tok, err := in.Token(ctx)
	if err != nil {
		return
	}
	if tok.Value.IsEmpty() || tok.ExpiredAt(time.Now()) {
		t.Errorf("token %+v", tok)
	}
	switch r.IntN(4) {
	case 0:
		if in.Reject(tok, route("r")) != refresher.OverBudget {
			if next, err := in.Token(ctx); err == nil {
				if next.Generation <= tok.Generation {
					t.Errorf("generation %d after the refusal of %d", next.Generation, tok.Generation)
				}
				in.Accepted(tok, "r")
			}
		}
	case 1:
		in.Offer(tok, refresher.Token{Value: secret.New(fmt.Sprint("o", r.IntN(3))), ExpiresAt: time.Now().Add(time.Second)})
	case 2:
		in.Status()
	}
}
