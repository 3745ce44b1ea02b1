package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// upstream accepts one bearer token at a time, after some latency.
type upstream struct {
	latency time.Duration
	good    atomic.Value // string
	seen    atomic.Int64
}

func (u *upstream) Send(r *http.Request, _ func(int, http.Header)) (*http.Response, error) {
	u.seen.Add(1)
	if r.Body != nil {
		r.Body.Close()
	}
	select {
	case <-time.After(u.latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if good, _ := u.good.Load().(string); r.Header.Get("Authorization") != "Bearer "+good {
		return respond(401, `{"error":"who are you?"}`), nil
	}
	return respond(200, "welcome"), nil
}

// TestRevokedTokenIsRenewedOnce: 1,000 concurrent requests hold a revoked token.
func TestRevokedTokenIsRenewedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := &upstream{latency: 20 * time.Millisecond}
		up.good.Store("token2") // token1 is revoked from the start
		src := &source{t: t}
		slot := addToken(t, startEngine(t), "access", src)
		m := &counters{}
		p := newProxyWithMetrics(t, bearerPlan(), up, []Slot{slot}, m)
		time.Sleep(time.Second)
		var clients sync.WaitGroup
		for range 1000 {
			clients.Go(func() {
				if w := get(p, "/"); w.Code != 200 {
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
			})
		}
		clients.Wait()
		if got := src.logins(); got != 2 {
			t.Errorf("%d logins, want 2: the first one and one for the refusals", got)
		}
		if up.seen.Load() != 2000 || m.replays[ReplayOK] != 1000 || m.codes[200] != 1000 || m.started != 1000 || m.upstream != 2000 {
			t.Errorf("%d requests at the upstream, counters %+v", up.seen.Load(), m)
		}
	})
}

func newProxyWithMetrics(t *testing.T, plan Plan, rt Sender, slots []Slot, m RouteMetrics, change ...func(*Route)) *Proxy {
	t.Helper()
	r := Route{
		Name: "api", Upstream: mustURL(t, "https://up.example/base"), Plan: plan, Slots: slots,
		Wait: 5 * time.Second, ReplayMaxBody: 64 << 10, Transport: rt,
	}
	for _, c := range change {
		c(&r)
	}
	p, err := New(Config{Routes: []Route{r}, Metrics: func(route string) RouteMetrics {
		if route == "" {
			return noMetrics{}
		}
		return m
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestLateRefusalRenewsNothing: a slow answer refuses a generation that was
// replaced long ago.
func TestLateRefusalRenewsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t}
		slot := addToken(t, startEngine(t), "access", src)
		var refusals atomic.Int64
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") == "Bearer token1" {
				// The first refusal comes soon, the others after minutes.
				time.Sleep(time.Millisecond + time.Duration(refusals.Add(1)-1)*time.Minute)
				return respond(401, ""), nil
			}
			return respond(200, ""), nil
		})
		p := newProxy(t, bearerPlan(), rt, []Slot{slot})
		time.Sleep(time.Second)
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				if w := get(p, "/"); w.Code != 200 {
					t.Errorf("status %d", w.Code)
				}
			})
		}
		clients.Wait()
		if got := src.logins(); got != 2 {
			t.Errorf("%d logins, want 2", got)
		}
		if refusals.Load() != 20 {
			t.Errorf("%d refusals, want 20", refusals.Load())
		}
	})
}

// TestEndpointThatAlwaysRefuses uses up the refusal budget of its route and is
// then passed through, while other requests go on.
func TestEndpointThatAlwaysRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t}
		slot := addToken(t, startEngine(t), "access", src)
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/forbidden") {
				return respond(401, "not for you", "X-Reason", "permission"), nil
			}
			return respond(200, "fine"), nil
		})
		m := &counters{}
		p := newProxyWithMetrics(t, bearerPlan(), rt, []Slot{slot}, m)
		time.Sleep(time.Second)
		if w := get(p, "/forbidden"); w.Code != 401 || m.upstream != 2 || src.logins() != 2 {
			t.Fatalf("one request: status %d, %d attempts, %d logins, want two each", w.Code, m.upstream, src.logins())
		}
		for range 49 {
			w := get(p, "/forbidden")
			if w.Code != 401 || w.Body.String() != "not for you" || w.Header().Get("X-Reason") != "permission" {
				t.Fatalf("the refusal is not passed through: %d %s", w.Code, w.Body)
			}
			start := time.Now()
			if w := get(p, "/other"); w.Code != 200 || time.Since(start) > time.Second {
				t.Fatalf("another request got %d after %v", w.Code, time.Since(start))
			}
			time.Sleep(time.Second)
		}
		// 5 units, and one back every 30 s, of which 50 s hold one.
		if got := src.logins(); got < 6 || got > 7 {
			t.Errorf("%d logins, want the first one and 5 or 6 for refusals", got)
		}
		if m.replays[ReplayRefused]+m.replays[ReplayOverBudget] != 50 || m.replays[ReplayOverBudget] < 44 {
			t.Errorf("replays %v", m.replays)
		}
	})
}

// chain is a plan of two tokens: 403 refuses the outer one, 401 the inner one,
// and the inner one comes back renewed in a header.
func chain() *testPlan {
	return &testPlan{
		strip: []exchange.Name{header("Authorization"), header("Inner")},
		hide:  []exchange.Name{header("Inner")},
		fields: func(dst []exchange.Field, _ refresher.Params, tokens []refresher.Token) []exchange.Field {
			return append(dst,
				exchange.Field{Name: "Authorization", Value: tokens[0].Value.Reveal()},
				exchange.Field{Name: "Inner", Value: tokens[1].Value.Reveal()})
		},
		judge: func(_, ans exchange.Head, _ []byte) (v exchange.Verdict) {
			switch ans.Status {
			case 403:
				v.Refused = []exchange.Refusal{{Slot: 0}}
			case 401:
				v.Refused = []exchange.Refusal{{Slot: 1}}
			}
			if renewed := ans.Header.Get("Inner"); renewed != "" {
				v.Renewed = []exchange.Renewal{{Slot: 1, Value: secret.New(renewed), Lifetime: time.Hour}}
			}
			return v
		},
	}
}

// addChain adds the two tokens of chain; the inner one's login needs the outer.
func addChain(t *testing.T, outer, inner *source) []Slot {
	e := startEngine(t)
	first := addToken(t, e, "outer", outer)
	second := addToken(t, e, "inner", inner, func(d *refresher.Definition) {
		d.Parents = []refresher.Parent{{Pool: first.Pool}}
	})
	return []Slot{first, second}
}

// TestChainHealsInOneRequest: both tokens are bad at once.
func TestChainHealsInOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &source{t: t}, &source{t: t}
		var goodOuter, goodInner atomic.Value
		goodOuter.Store("token1")
		goodInner.Store("token1")
		var statuses []int
		rt := fakeTransport(func(r *http.Request) (ans *http.Response, err error) {
			switch {
			case r.Header.Get("Authorization") != goodOuter.Load():
				ans = respond(403, "")
			case r.Header.Get("Inner") != goodInner.Load():
				ans = respond(401, "")
			default:
				ans = respond(200, "")
			}
			statuses = append(statuses, ans.StatusCode)
			return ans, nil
		})
		p := newProxy(t, chain(), rt, addChain(t, outer, inner))
		time.Sleep(time.Second)
		for round := range 20 { // healing gives the budget back each time
			statuses = nil
			goodOuter.Store(fmt.Sprint("token", round+2))
			goodInner.Store(fmt.Sprint("token", round+2))
			if w := get(p, "/"); w.Code != 200 {
				t.Fatalf("round %d: status %d", round, w.Code)
			}
			if got := fmt.Sprint(statuses); got != "[403 401 200]" {
				t.Errorf("round %d: the upstream answered %v", round, got)
			}
			if outer.logins() != round+2 || inner.logins() != round+2 {
				t.Errorf("round %d: %d and %d logins", round, outer.logins(), inner.logins())
			}
		}
		// Either one alone leaves the other as it is.
		goodInner.Store("token22")
		if w := get(p, "/"); w.Code != 200 || outer.logins() != 21 || inner.logins() != 22 {
			t.Errorf("inner alone: status %d, %d and %d logins", w.Code, outer.logins(), inner.logins())
		}
		goodOuter.Store("token22")
		if w := get(p, "/"); w.Code != 200 || outer.logins() != 22 || inner.logins() != 22 {
			t.Errorf("outer alone: status %d, %d and %d logins", w.Code, outer.logins(), inner.logins())
		}
	})
}

// TestRenewedTokenOutOfOrder: two answers to one generation bring two values;
// the first to arrive is adopted, whatever the order of the requests.
func TestRenewedTokenOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &source{t: t}, &source{t: t}
		var last atomic.Value
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			last.Store(r.Header.Get("Inner"))
			switch r.URL.Path {
			case "/base/slow":
				time.Sleep(2 * time.Second)
				return respond(200, "", "Inner", "from-slow"), nil
			case "/base/fast":
				time.Sleep(time.Second)
				return respond(200, "", "Inner", "from-fast"), nil
			}
			return respond(200, ""), nil
		})
		p := newProxy(t, chain(), rt, addChain(t, outer, inner))
		time.Sleep(time.Second)
		var clients sync.WaitGroup
		for _, path := range []string{"/slow", "/fast"} {
			clients.Go(func() {
				w := get(p, path)
				if w.Code != 200 || w.Header().Get("Inner") != "" {
					t.Errorf("%s: status %d, the renewed token is in the answer: %q", path, w.Code, w.Header().Get("Inner"))
				}
			})
			synctest.Wait()
		}
		clients.Wait()
		if get(p, "/"); last.Load() != "from-fast" {
			t.Errorf("the next request carries %q", last.Load())
		}
		if outer.logins() != 1 || inner.logins() != 1 {
			t.Errorf("%d and %d logins, want one each", outer.logins(), inner.logins())
		}
	})
}

// TestRefusedAndRenewedInOneAnswer: the answer refuses the token and brings the
// next one, so no login is needed.
func TestRefusedAndRenewedInOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &source{t: t}, &source{t: t}
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Inner") != "next" {
				return respond(401, "", "Inner", "next"), nil
			}
			return respond(200, ""), nil
		})
		p := newProxy(t, chain(), rt, addChain(t, outer, inner))
		time.Sleep(time.Second)
		if w := get(p, "/"); w.Code != 200 || inner.logins() != 1 {
			t.Errorf("status %d after %d logins", w.Code, inner.logins())
		}
	})
}

// TestReplayCarriesTheLatestTokens: while one token of a request is renewed,
// another request brings in a newer value of its other token.
func TestReplayCarriesTheLatestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &source{t: t}, &source{t: t}
		var p *Proxy
		var last string
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.Path == "/base/renews":
				return respond(200, "", "Inner", "newer"), nil
			case r.Header.Get("Authorization") == "token1":
				get(p, "/renews")
				return respond(403, ""), nil
			}
			last = r.Header.Get("Inner")
			return respond(200, ""), nil
		})
		p = newProxy(t, chain(), rt, addChain(t, outer, inner))
		time.Sleep(time.Second)
		if w := get(p, "/"); w.Code != 200 || last != "newer" {
			t.Errorf("status %d, the replay carried %q", w.Code, last)
		}
	})
}

// TestDiscardedAnswerIsDrainedBriefly: the rest of a refusal that never comes
// holds up neither the replay nor anything else for long.
func TestDiscardedAnswerIsDrainedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t}
		slot := addToken(t, startEngine(t), "access", src)
		refusal := &pieces{pause: []time.Duration{0, time.Hour}, text: []string{"a", "b"}, err: io.EOF, shut: make(chan struct{})}
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") == "Bearer token1" {
				ans := respond(401, "")
				ans.ContentLength, ans.Body = -1, refusal
				return ans, nil
			}
			return respond(200, ""), nil
		})
		p := newProxy(t, bearerPlan(), rt, []Slot{slot})
		time.Sleep(time.Second)
		start := time.Now()
		if w := get(p, "/"); w.Code != 200 || time.Since(start) > 100*time.Millisecond {
			t.Errorf("status %d after %v", w.Code, time.Since(start))
		}
		<-refusal.shut
		if got := time.Since(start); got > drainTime+100*time.Millisecond {
			t.Errorf("the refusal was given up after %v", got)
		}
	})
}

// TestSameTokenAgain: the vendor returns the refused value again; the refusal is
// passed on and the login is not asked over and over.
func TestSameTokenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) { return lasting("same"), nil }}
		slot := addToken(t, startEngine(t), "access", src, func(d *refresher.Definition) {
			d.Policy.SameValueBacksOff = true
		})
		m := &counters{}
		up := &upstream{}
		up.good.Store("other")
		p := newProxyWithMetrics(t, bearerPlan(), up, []Slot{slot}, m)
		time.Sleep(time.Minute)
		for range 10 {
			if w := get(p, "/"); w.Code != 401 {
				t.Errorf("status %d", w.Code)
			}
		}
		if got := src.logins(); got != 2 {
			t.Errorf("%d logins, want 2", got)
		}
		if m.replays[ReplaySameToken] != 1 || m.replays[ReplayOverBudget] != 9 || up.seen.Load() != 10 {
			t.Errorf("replays %v, %d requests at the upstream", m.replays, up.seen.Load())
		}
	})
}
