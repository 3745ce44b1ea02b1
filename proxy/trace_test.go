package proxy

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"attache/refresher"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// The trace context belongs to the application and its upstream: attache is no
// span of it. It passes as it came, also in a replay, and is never added.
func TestTraceContextPasses(t *testing.T) {
	context := "Baggage: user=a%20b,k=v;p\nTraceparent: " + traceparent + "\nTracestate: congo=t61rcWkgMzE\nTracestate: rojo=00f067aa0ba902b7\nTracestate: \n" +
		"B3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\nX-B3-Flags: 1\nX-B3-Parentspanid: 05e3ac9a4f6e3b90\nX-B3-Sampled: 1\n" +
		"X-B3-Spanid: e457b5a2e4d86bd1\nX-B3-Traceid: 80f198ee56343ba864fe8b2a57d3eff7\nUber-Trace-Id: a:b:0:1\nX-Cloud-Trace-Context: x/1;o=1\nX-Amzn-Trace-Id: Root=1\nX-Request-Id: 7\n"
	names := []string{"Traceparent", "Tracestate", "Baggage", "B3", "X-B3-Flags", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Spanid", "X-B3-Traceid",
		"Uber-Trace-Id", "X-Cloud-Trace-Context", "X-Amzn-Trace-Id", "X-Request-Id"}
	for _, tc := range []struct{ name, context string }{
		{"sent", context},
		{"broken", "Traceparent: 00-hello\nTraceparent: 00-again\n"},
		{"none", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var sent []http.Header
			rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, r.Header.Clone())
				if len(sent) == 1 {
					return respond(401, ""), nil
				}
				return respond(200, ""), nil
			})
			p := newProxy(t, bearerPlan(), rt, []Slot{addToken(t, startEngine(t), "access", &source{t: t})})
			client := http.Header{}
			record := newRecorder(&client, p)
			if w := raw(t, record, "GET / HTTP/1.1\nHost: localhost\n"+tc.context+"\n"); w.Code != 200 || len(sent) != 2 {
				t.Fatalf("%s: status %d after %d requests", tc.name, w.Code, len(sent))
			}
			for i, header := range sent {
				for _, name := range names {
					if !slices.Equal(header[name], client[name]) {
						t.Errorf("%s, attempt %d: the upstream gets %s %q, the client sent %q", tc.name, i+1, name, header[name], client[name])
					}
				}
			}
			if tc.context == context && len(client) != len(names) {
				t.Errorf("the client's %v are not the names that are compared", client)
			}
		})
	}
}

// newRecorder keeps a copy of what the client sent.
func newRecorder(client *http.Header, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*client = r.Header.Clone()
		next.ServeHTTP(w, r)
	})
}

// A request that is replayed tells its trace once to each histogram, and one
// whose trace is not sampled to none.
func TestTraceIsCountedOnce(t *testing.T) {
	for header, want := range map[string][]string{
		traceparent:                            {traceID, "", traceID}, // first attempt, replay, the whole
		traceparent[:len(traceparent)-1] + "0": {"", "", ""},
		"":                                     {"", "", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			rt := fakeTransport(func(*http.Request) (*http.Response, error) {
				if calls++; calls == 1 {
					return respond(401, ""), nil
				}
				return respond(200, ""), nil
			})
			m := &counters{}
			p := newProxyWithMetrics(t, bearerPlan(), rt, []Slot{addToken(t, startEngine(t), "access", &source{t: t})}, m)
			get(p, "/", "Traceparent", header)
			var got []string
			for _, trace := range m.traces {
				got = append(got, trace.String())
			}
			if !slices.Equal(got, want) {
				t.Errorf("traceparent %q: counted with %q, want %q", header, got, want)
			}
			// The call is used again, and its trace must be gone.
			get(p, "/")
			if last := m.traces[len(m.traces)-1]; last.String() != "" {
				t.Errorf("a request without a trace is counted with %s", last)
			}
		})
	}
}

func TestLimitsAreCounted(t *testing.T) {
	for _, optional := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := &counters{}
			slot := userSlot(t, &source{t: t, fetch: perUser}, refresher.Limits{LoginsPerMinute: 1})
			p := newProxyWithMetrics(t, userPlan(), &echo{}, []Slot{slot}, m, func(r *Route) { r.Optional = optional })
			get(p, "/", "X-User", "ann")
			if len(m.limited) != 0 {
				t.Errorf("counted %v below the limit", m.limited)
			}
			get(p, "/", "X-User", "bob")
			if len(m.limited) != 1 || m.limited["cred/logins_per_minute"] != 1 || len(m.unavailable) != 0 {
				t.Errorf("optional %v: counted %v as limited, %v as unavailable", optional, m.limited, m.unavailable)
			}
		})
	}
}
