package proxy

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// grpcPlan is bearerPlan on a route with a rule for the status of gRPC calls: 16
// refuses the token.
func grpcPlan() *testPlan {
	plan := bearerPlan()
	plan.trailers = true
	plan.judge = func(_, ans exchange.Head, _ []byte) (v exchange.Verdict) {
		status := ans.Header.Get("Grpc-Status")
		if status == "" && ans.Trailer != nil {
			status = ans.Trailer.Get("Grpc-Status")
		}
		if status == "16" {
			v.Refused = []exchange.Refusal{{Signal: exchange.SignalGRPC}}
		}
		return v
	}
	return plan
}

// quickSlot is a slot whose token may be renewed at any time.
func quickSlot(t *testing.T, src *source) Slot {
	t.Helper()
	return addToken(t, startEngine(t), "access", src, func(d *refresher.Definition) {
		d.Policy.MinInterval = time.Millisecond
	})
}

// TestGRPCRefusal: a call that was refused without a message is repaired, and one
// that was refused after messages renews the token for the next.
func TestGRPCRefusal(t *testing.T) {
	for _, tc := range []struct {
		where    string
		late     bool // the status is in the trailer
		message  bool
		pause    time.Duration // between head and trailer
		open     bool          // the client has not sent everything
		always   bool          // no token is good enough
		want     string
		calls    int64
		outcome  string
		logins   int
		nextWant string
	}{
		{where: "in the head", want: "0", calls: 2, outcome: ReplayOK, logins: 2, nextWant: "0"},
		{where: "in a trailer at once", late: true, want: "0", calls: 2, outcome: ReplayOK, logins: 2, nextWant: "0"},
		{where: "after a message", late: true, message: true, want: "16", calls: 1, outcome: ReplayLate, logins: 2, nextWant: "0"},
		{where: "a while later", late: true, pause: 10 * endDelay, want: "16", calls: 1, outcome: ReplayLate, logins: 2, nextWant: "0"},
		{where: "in the head, while the client sends", open: true, want: "16", calls: 1, outcome: ReplayBody, logins: 2, nextWant: "0"},
		{where: "in a trailer, while the client sends", late: true, open: true, want: "16", calls: 1, outcome: ReplayBody, logins: 2, nextWant: "0"},
		{where: "twice in the head", always: true, want: "16", calls: 2, outcome: ReplayRefused, logins: 2, nextWant: "16"},
		{where: "twice in the trailer", late: true, always: true, want: "16", calls: 2, outcome: ReplayRefused, logins: 2, nextWant: "16"},
	} {
		t.Run(tc.where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{t: t}
				m := &counters{}
				up := &grpcUpstream{}
				up.handler = func(w http.ResponseWriter, r *http.Request) {
					if !tc.open {
						io.Copy(io.Discard, r.Body)
					}
					status := "0"
					if tc.always || r.Header.Get("Authorization") == "Bearer token1" {
						status = "16"
					}
					if !tc.late {
						w.Header().Set("Grpc-Status", status)
						return
					}
					w.(http.Flusher).Flush()
					if tc.message {
						io.WriteString(w, grpcMessageOf("hello"))
					}
					time.Sleep(tc.pause)
					w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
				}
				client := inMemory(t, sides{true, true}, grpcPlan(), up, m, quickSlot(t, src))
				call := func() string {
					in, out := io.Pipe()
					defer out.Close()
					go func() {
						io.WriteString(out, grpcMessageOf("request"))
						if !tc.open {
							out.Close()
						}
					}()
					ans := client.call(t, "/svc/Method", in)
					text, err := io.ReadAll(ans.Body)
					ans.Body.Close()
					if err != nil || tc.message && string(text) != grpcMessageOf("hello") {
						t.Errorf("%q, %v", text, err)
					}
					return ans.Header.Get("Grpc-Status") + ans.Trailer.Get("Grpc-Status")
				}
				if got := call(); got != tc.want {
					t.Errorf("the call ended with %q, want %q", got, tc.want)
				}
				if got := up.calls.Load(); got != tc.calls {
					t.Errorf("the upstream saw %d calls, want %d", got, tc.calls)
				}
				m.mu.Lock()
				if len(m.replays) != 1 || m.replays[tc.outcome] != 1 {
					t.Errorf("outcomes %v, want one %s", m.replays, tc.outcome)
				}
				m.mu.Unlock()
				if tc.always {
					return
				}
				if got := call(); got != tc.nextWant {
					t.Errorf("the next call ended with %q", got)
				}
				if src.logins() != tc.logins {
					t.Errorf("%d logins", src.logins())
				}
			})
		})
	}
}

// TestGRPCRouteWithoutRulesWaitsForNothing: where no rule looks at the trailer,
// the token is let go with the head.
func TestGRPCRouteWithoutRulesWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := grpcPlan()
		plan.trailers = false
		judged := 0
		inner := plan.judge
		plan.judge = func(req, ans exchange.Head, body []byte) exchange.Verdict {
			judged++
			return inner(req, ans, body)
		}
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "16")
		}}
		client := inMemory(t, sides{true, true}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
		ans := client.call(t, "/svc/Method", http.NoBody)
		io.Copy(io.Discard, ans.Body)
		ans.Body.Close()
		if got := ans.Trailer.Get("Grpc-Status"); got != "16" || judged != 1 {
			t.Errorf("the call ended with %q, judged %d times", got, judged)
		}
	})
}

// grpcMessageOf frames a message as gRPC does: a flag, the length, the bytes.
func grpcMessageOf(text string) string {
	n := len(text)
	return fmt.Sprintf("\x00%c%c%c%c%s", n>>24, n>>16&0xff, n>>8&0xff, n&0xff, text)
}

// grpcUpstream answers like a gRPC server, for as much as a proxy can see of one.
type grpcUpstream struct {
	handler http.HandlerFunc
	calls   atomic.Int64
}

func (u *grpcUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.calls.Add(1)
	w.Header().Set("Content-Type", "application/grpc+proto")
	u.handler(w, r)
}

// TestReplayedCallIsJudgedAtItsEnd: that the renewed token was good is known when
// the call has ended, not when its head is there.
func TestReplayedCallIsJudgedAtItsEnd(t *testing.T) {
	for end, outcome := range map[string]string{"0": ReplayOK, "16": ReplayRefused, "broken": ReplayError} {
		t.Run(outcome, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, m := &source{t: t}, &counters{}
				up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Authorization") == "Bearer token1" {
						w.Header().Set("Grpc-Status", "16")
						return
					}
					io.WriteString(w, grpcMessageOf("hello"))
					w.(http.Flusher).Flush()
					time.Sleep(time.Second)
					if end == "broken" {
						panic(http.ErrAbortHandler)
					}
					w.Header().Set(http.TrailerPrefix+"Grpc-Status", end)
				}}
				c := inMemory(t, sides{true, true}, grpcPlan(), up, m, quickSlot(t, src))
				ans := c.call(t, "/svc/Watch", http.NoBody)
				wantMessage(t, ans.Body, "hello")
				m.mu.Lock()
				if len(m.replays) != 0 {
					t.Errorf("outcomes %v while the call goes on", m.replays)
				}
				m.mu.Unlock()
				rest, err := io.ReadAll(ans.Body)
				ans.Body.Close()
				if len(rest) != 0 || (err != nil) != (end == "broken") {
					t.Errorf("the answer ends with %q, %v", rest, err)
				}
				settled()
				m.mu.Lock()
				defer m.mu.Unlock()
				if len(m.replays) != 1 || m.replays[outcome] != 1 || src.logins() != 2 {
					t.Errorf("outcomes %v after %d logins, want one %s after 2", m.replays, src.logins(), outcome)
				}
			})
		})
	}
}

// TestLateRefusalsCannotFloodLogins: a method that refuses every token after a
// message starts the few logins that the budget has, and then none.
func TestLateRefusalsCannotFloodLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, m := &source{t: t}, &counters{}
		up := &grpcUpstream{handler: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, grpcMessageOf("hello"))
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "16")
		}}
		c := inMemory(t, sides{true, true}, grpcPlan(), up, m, quickSlot(t, src))
		for range 20 {
			ans := c.call(t, "/svc/Watch", http.NoBody)
			io.Copy(io.Discard, ans.Body)
			ans.Body.Close()
			if got := ans.Trailer.Get("Grpc-Status"); got != "16" {
				t.Fatalf("the call ended with %q", got)
			}
			time.Sleep(time.Second)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if late, over := m.replays[ReplayLate], m.replays[ReplayOverBudget]; late+over != 20 || late > 7 || src.logins() != late+1 {
			t.Errorf("outcomes %v after %d logins", m.replays, src.logins())
		}
	})
}
