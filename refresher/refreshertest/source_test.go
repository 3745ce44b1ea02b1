package refreshertest_test

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

// recorder is a test that notes its failures instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) want(t *testing.T, parts ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) != len(parts) {
		t.Fatalf("failures %q, want %d", r.failures, len(parts))
	}
	for i, part := range parts {
		if !strings.Contains(r.failures[i], part) {
			t.Errorf("failure %q, want %q in it", r.failures[i], part)
		}
	}
}

func TestScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock rt.Clock
		clock.Step(time.Hour)
		src := rt.Script(t, rt.OK("a", time.Minute).With("x", "1").With("y", "2"), rt.Forever("b").After(time.Second), rt.Busy(time.Minute)).Clock(&clock)
		ctx := t.Context()
		a, err := src.Fetch(ctx, refresher.Input{Params: refresher.Params{"p"}})
		if err != nil || a.Value.Reveal() != "a" || time.Until(a.ExpiresAt) != time.Hour+time.Minute ||
			a.Outputs["x"].Reveal() != "1" || a.Outputs["y"].Reveal() != "2" {
			t.Errorf("first: %+v, %v", a, err)
		}
		if b, err := src.Fetch(ctx, refresher.Input{}); err != nil || b.Value.Reveal() != "b" || !b.ExpiresAt.IsZero() {
			t.Errorf("second: %+v, %v", b, err)
		}
		for range 2 { // the last one again and again
			_, err := src.Fetch(ctx, refresher.Input{})
			if fetch, ok := errors.AsType[*refresher.FetchError](err); !ok || fetch.Class != refresher.Throttled || fetch.RetryAfter != time.Minute {
				t.Errorf("third: %v", err)
			}
		}
		src.WantCalls(4)
		src.WantTimes(0, 0, time.Second, time.Second)
		src.WantGaps(0, time.Second, 0)
		src.WantAtMost(2, time.Second)
		if got := src.Inputs()[0].Params; !slices.Equal(got, refresher.Params{"p"}) {
			t.Errorf("input %q", got)
		}
	})
}

func TestAnswersEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rt.Script(t, rt.OK("a", time.Minute).After(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := src.Fetch(ctx, refresher.Input{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// A loop without a pause does not fail in a bubble; the source has to see it.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		src := rt.Script(r, rt.Fail(refresher.Transient)).Budget(3)
		begin := time.Now()
		for time.Since(begin) < time.Second {
			src.Fetch(t.Context(), refresher.Input{})
		}
		r.want(t, "login 4 at 0s: more than 3 within a second")
		for range 10 {
			time.Sleep(400 * time.Millisecond)
			src.Fetch(t.Context(), refresher.Input{})
		}
		r.want(t, "login 4")
	})
}

func TestOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		src := rt.Script(r, rt.OK("a", time.Minute).After(time.Second))
		for _, user := range []string{"ann", "bob", "ann"} {
			go src.Fetch(t.Context(), refresher.Input{Params: refresher.Params{user}})
			synctest.Wait()
		}
		time.Sleep(time.Second)
		r.want(t, "login 3 runs at the same time")
	})
}

func TestWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		src := rt.Script(r, rt.Forever("a"))
		for range 3 {
			src.Fetch(t.Context(), refresher.Input{})
			time.Sleep(time.Second)
		}
		src.WantCalls(3)
		src.WantAtMost(1, time.Second)
		r.want(t)
		src.WantCalls(2)
		src.WantTimes(0, time.Second)
		src.WantGaps(time.Second)
		src.WantAtMost(2, 3*time.Second)
		r.want(t, "3 logins at [0s 1s 2s], want 2", "want [0s 1s]", "want [1s]", "3 logins within 2s, from 0s on; at most 2")
	})
}

func TestHelpers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events rt.Events
		src := rt.Script(t, rt.OK("a", time.Hour).After(time.Second)) // the engine logs in at once
		e := rt.Start(t, refresher.Config{Observe: events.Observe})
		in := rt.Single(t, e, refresher.Definition{Source: src})
		rt.WantNone(t, in)
		tok := rt.WantToken(t, in, "a")
		synctest.Wait()
		r := &recorder{}
		rt.WantToken(r, in, "b")
		rt.WantNone(r, in)
		r.want(t, `want "b"`, "want none")
		in.Reject(tok, refresher.Cause{By: "r"})
		synctest.Wait()
		if got, want := events.String(), "logged_in cred.token 1\nrefused cred.token 1\n"; got != want {
			t.Errorf("events\n%swant\n%s", got, want)
		}
	})
}
