package refresher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// revoker notes what it is asked to revoke.
type revoker struct {
	mu      sync.Mutex
	takes   time.Duration
	err     error
	panics  bool
	running int
	most    int // at a time
	revoked []string
}

func (r *revoker) Revoke(ctx context.Context, in refresher.Input) error {
	r.mu.Lock()
	r.running++
	r.most = max(r.most, r.running)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running--
		r.mu.Unlock()
	}()
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.panics {
		panic("a secret")
	}
	text := in.Previous.Value.Reveal()
	for _, p := range in.Parents {
		text += " by " + p.Value.Reveal()
	}
	r.revoked = append(r.revoked, text)
	return r.err
}

func (r *revoker) want(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.revoked, want) {
		t.Errorf("revoked %q, want %q", r.revoked, want)
	}
}

func within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func TestRevokeAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &revoker{}
		var events rt.Events
		e, stop := rt.StartStoppable(t, refresher.Config{Observe: events.Observe})
		parent := rt.Define(t, e, refresher.Definition{Token: "parent", Revoker: r, Source: rt.Script(t, rt.OK("p", time.Hour))})
		rt.Define(t, e, refresher.Definition{Token: "child", Revoker: r, Source: rt.Script(t, rt.OK("c", time.Hour)), Parents: []refresher.Parent{{Pool: parent}}})
		rt.Define(t, e, refresher.Definition{Token: "kept", Source: rt.Script(t, rt.OK("k", time.Hour))})
		rt.Define(t, e, refresher.Definition{Token: "failing", Revoker: r, Source: rt.Script(t, rt.Fail(refresher.Permanent))})
		refused := rt.Single(t, e, refresher.Definition{Token: "refused", Revoker: r, Source: rt.Script(t, rt.OK("x", time.Hour), rt.Fail(refresher.Permanent))})
		wantRejection(t, refused, rt.Token(t, refused), "r", refresher.Renewing)
		time.Sleep(time.Minute)
		r.want(t)
		stop()
		r.want(t)
		if left := e.Revoke(within(time.Second)); left != 0 {
			t.Errorf("%d left", left)
		}
		r.want(t, "c by p", "p")
		if n := len(events.Of(refresher.Revoked)); n != 2 {
			t.Errorf("%d events of %s", n, &events)
		}
	})
}

// A reload revokes nothing, unless a credential went and nobody asks for its
// token any more.
func TestRevokeAfterReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &revoker{}
		e := rt.Start(t, refresher.Config{})
		gone := refresher.Definition{Token: "gone", Revoker: r, Source: rt.Script(t, rt.OK("g", 10*time.Hour)), Limits: refresher.Limits{Idle: 10 * time.Minute}}
		stays := refresher.Definition{Token: "stays", Revoker: r, Source: rt.Script(t, rt.OK("s", 10*time.Hour))}
		rt.Reload(t, e, gone, stays)
		time.Sleep(time.Minute)
		rt.Reload(t, e, gone, stays)
		time.Sleep(time.Hour)
		r.want(t)
		rt.Reload(t, e, stays)
		time.Sleep(9 * time.Minute)
		r.want(t)
		time.Sleep(2 * time.Minute)
		r.want(t, "g")
	})
}

func TestRevokeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &revoker{takes: time.Second}
		e, stop := rt.StartStoppable(t, refresher.Config{})
		pool := rt.Define(t, e, refresher.Definition{
			Params: []refresher.Param{{Name: "user", Identity: true}}, Revoker: r, Source: perUser(t, time.Hour).Budget(0),
		})
		for i := range 100 {
			rt.Token(t, rt.Instance(t, pool, fmt.Sprint(i)))
		}
		stop()
		begin := time.Now()
		left := e.Revoke(within(3500 * time.Millisecond))
		if took := time.Since(begin); took != 3500*time.Millisecond || left != 100-4*16 || len(r.revoked) != 3*16 || r.most != 16 {
			t.Errorf("%d revoked in %v, %d at a time, %d left", len(r.revoked), took, r.most, left)
		}
	})
}

func TestRevokeFails(t *testing.T) {
	for _, r := range []*revoker{{err: errors.New("no")}, {panics: true}} {
		synctest.Test(t, func(t *testing.T) {
			var events rt.Events
			e, stop := rt.StartStoppable(t, refresher.Config{Observe: events.Observe})
			rt.Token(t, rt.Single(t, e, refresher.Definition{Revoker: r, Source: rt.Script(t, rt.OK("a", time.Hour))}))
			stop()
			e.Revoke(within(time.Second))
			got := events.Of(refresher.Revoked)
			if len(got) != 1 || got[0].Err == nil || strings.Contains(got[0].Err.Error(), "secret") {
				t.Errorf("events %+v", got)
			}
		})
	}
}
