package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
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

func newProxyWithMetrics(t *testing.T, plan Plan, rt http.RoundTripper, slots []Slot, m RouteMetrics) *Proxy {
	t.Helper()
	p, err := New(Config{
		Routes: []Route{{
			Name: "api", Upstream: mustURL(t, "https://up.example/base"), Plan: plan, Slots: slots,
			Wait: 5 * time.Second, ReplayMaxBody: 64 << 10, Transport: rt,
		}},
		Metrics: func(route string) RouteMetrics {
			if route == "" {
				return noMetrics{}
			}
			return m
		},
	})
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

func TestReplayedBody(t *testing.T) {
	for _, tc := range []struct {
		name  string
		body  string
		known bool // the length is declared
		want  int
	}{
		{"small", "hello", true, 200},
		{"small, chunked", "hello", false, 200},
		{"at the bound", strings.Repeat("x", 1000), true, 200},
		{"at the bound, chunked", strings.Repeat("x", 1000), false, 200},
		{"over the bound", strings.Repeat("x", 1001), true, 401},
		{"over the bound, chunked", strings.Repeat("x", 1001), false, 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{t: t}
				slot := addToken(t, startEngine(t), "access", src)
				var bodies []string
				rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
					bodies = append(bodies, body(t, r))
					if r.Header.Get("Authorization") != "Bearer token2" {
						return respond(401, ""), nil
					}
					return respond(200, ""), nil
				})
				p := newProxy(t, bearerPlan(), rt, []Slot{slot}, func(r *Route) { r.ReplayMaxBody = 1000 })
				time.Sleep(time.Second)
				r := httptest.NewRequest("POST", "/", strings.NewReader(tc.body))
				if !tc.known {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				p.ServeHTTP(w, r)
				if w.Code != tc.want {
					t.Errorf("status %d, want %d", w.Code, tc.want)
				}
				for _, got := range bodies {
					if got != tc.body {
						t.Errorf("the upstream read %d bytes, want %d", len(got), len(tc.body))
					}
				}
				time.Sleep(time.Second)
				if src.logins() != 2 {
					t.Errorf("%d logins, want 2: the token is renewed all the same", src.logins())
				}
				if w := get(p, "/"); w.Code != 200 {
					t.Errorf("the next request got %d", w.Code)
				}
			})
		})
	}
}

// TestIncompleteBodyIsNotReplayed: the upstream refuses before it has read the
// body, which the client has not even sent.
func TestIncompleteBodyIsNotReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t}
		slot := addToken(t, startEngine(t), "access", src)
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			r.Body.Read(make([]byte, 3))
			return respond(401, "early"), nil
		})
		p := newProxy(t, bearerPlan(), rt, []Slot{slot})
		time.Sleep(time.Second)
		never := make(chan struct{})
		r := httptest.NewRequest("POST", "/", &slowReader{first: "abc", then: never})
		r.ContentLength = 10
		w := httptest.NewRecorder()
		start := time.Now()
		p.ServeHTTP(w, r)
		if w.Code != 401 || w.Body.String() != "early" || time.Since(start) != 0 {
			t.Errorf("status %d after %v", w.Code, time.Since(start))
		}
		time.Sleep(time.Second)
		if src.logins() != 2 {
			t.Errorf("%d logins, want 2", src.logins())
		}
		close(never)
	})
}

// slowReader gives first and then nothing until then is closed.
type slowReader struct {
	first string
	then  chan struct{}
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.first != "" {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	<-s.then
	return 0, errors.New("gone")
}

// TestNoTokenInTime: a wait is bounded, and its end is an answer of ours.
func TestNoTokenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) {
			return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("wrong secret hunter2")}
		}}
		slot := addToken(t, startEngine(t), "access", src)
		m := &counters{}
		p := newProxyWithMetrics(t, bearerPlan(), &upstream{}, []Slot{slot}, m)
		time.Sleep(time.Second)
		start := time.Now()
		w := get(p, "/")
		if w.Code != 503 || w.Header().Get("Proxy-Status") != "attache; error=destination_unavailable" {
			t.Errorf("status %d, Proxy-Status %q", w.Code, w.Header().Get("Proxy-Status"))
		}
		if w.Header().Get("Retry-After") != "59" || time.Since(start) != 0 {
			t.Errorf("Retry-After %q after %v; the next login is known to be a minute away", w.Header().Get("Retry-After"), time.Since(start))
		}
		want := `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"no usable token of credential cred came in time (permanent)","credential":"cred","class":"permanent"}` + "\n"
		if w.Body.String() != want {
			t.Errorf("body %s", w.Body)
		}
		if m.unavailable["cred/permanent"] != 1 {
			t.Errorf("unavailable %v", m.unavailable)
		}
		r := httptest.NewRequest("POST", "/", nil)
		r.ProtoMajor = 2
		r.Header.Set("Content-Type", "application/grpc+proto")
		g := httptest.NewRecorder()
		p.ServeHTTP(g, r)
		if g.Code != 200 || g.Header().Get("Grpc-Status") != "14" || g.Body.Len() != 0 || g.Header().Get("Grpc-Message") == "" {
			t.Errorf("to gRPC: %d %v %s", g.Code, g.Header(), g.Body)
		}
	})
}

// TestWaitsShareOneBudget: a request that waits for its first tokens and then
// for renewed ones waits no longer than its route allows in all.
func TestWaitsShareOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(n int, _ refresher.Input) (refresher.Token, error) {
			time.Sleep(2 * time.Second)
			return lasting(fmt.Sprint("token", n)), nil
		}
		outer, inner := &source{t: t, fetch: slow}, &source{t: t, fetch: slow}
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) { return respond(403, ""), nil })
		p := newProxy(t, chain(), rt, addChain(t, outer, inner))
		start := time.Now()
		w := get(p, "/")
		if w.Code != 503 || time.Since(start) != 5*time.Second {
			t.Errorf("status %d after %v, want 503 after 5s", w.Code, time.Since(start))
		}
	})
}

func TestOptionalRouteGoesOnWithoutToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t, fetch: func(int, refresher.Input) (refresher.Token, error) {
			return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("no")}
		}}
		slot := addToken(t, startEngine(t), "access", src)
		var up echo
		p := newProxy(t, bearerPlan(), &up, []Slot{slot}, func(r *Route) { r.Optional = true })
		time.Sleep(time.Second)
		w := get(p, "/", "Authorization", "Bearer client")
		if w.Code != 200 || strings.Contains(up.wire, "Authorization") {
			t.Errorf("status %d, sent %s", w.Code, up.wire)
		}
	})
}

// TestClientThatLeaves leaves nothing behind, wherever it was.
func TestClientThatLeaves(t *testing.T) {
	for _, where := range []string{"waiting for a token", "waiting for the upstream", "waiting for a renewed token", "while the answer is held"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{t: t, fetch: func(n int, _ refresher.Input) (refresher.Token, error) {
					if where == "waiting for a token" || n > 1 {
						time.Sleep(8 * time.Second)
					}
					return lasting(fmt.Sprint("token", n)), nil
				}}
				slot := addToken(t, startEngine(t), "access", src)
				plan := bearerPlan()
				rt := http.RoundTripper(&upstream{latency: time.Minute})
				switch where {
				case "waiting for a renewed token":
					rt = &upstream{} // refuses everything
				case "while the answer is held":
					plan.bodies = true
					plan.wants = func(_, _ exchange.Head) exchange.BodyWant { return exchange.JSONBody }
					rt = fakeTransport(func(r *http.Request) (*http.Response, error) {
						ans := respond(200, "")
						ans.ContentLength, ans.Body = -1, stalled{r.Context()}
						return ans, nil
					})
				}
				m := &counters{}
				p := newProxyWithMetrics(t, plan, rt, []Slot{slot}, m)
				ctx, leave := context.WithCancel(t.Context())
				time.AfterFunc(500*time.Millisecond, leave)
				func() {
					defer func() {
						if recover() != http.ErrAbortHandler {
							t.Error("the handler did not abort")
						}
					}()
					w := httptest.NewRecorder()
					p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
				}()
				if m.codes[StatusClientGone] != 1 {
					t.Errorf("codes %v", m.codes)
				}
			}) // the bubble fails if a goroutine is left
		})
	}
}

// stalled is a body that never comes.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (s stalled) Close() error { return nil }
