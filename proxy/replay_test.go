package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

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
				rt := Sender(&upstream{latency: time.Minute})
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
