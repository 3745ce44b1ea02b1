package proxy

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A panic ends its request alone, and is seen at once. Its value may hold
// anything, the runtime's errors apart.
func TestPanicIsLogged(t *testing.T) {
	var missing map[string]int
	tests := map[string]struct {
		panics func()
		want   string
	}{
		"a value":         {func() { panic("token-4711") }, "panic=string"},
		"the runtime's":   {func() { missing["x"]++ }, "nil map"},
		"an abort of its": {func() { panic(http.ErrAbortHandler) }, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			upstream, _ := url.Parse("http://upstream.test")
			m := &counters{}
			rt := fakeTransport(func(*http.Request) (*http.Response, error) {
				test.panics()
				return respond(200, ""), nil
			})
			p, err := New(Config{
				Routes:  []Route{{Name: "r", Path: "/", Upstream: upstream, Plan: &testPlan{}, Wait: time.Second, Transport: rt}},
				Logger:  slog.New(slog.NewTextHandler(&out, nil)),
				Metrics: func(string) RouteMetrics { return m },
			})
			if err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() {
					if recover() != http.ErrAbortHandler {
						t.Error("the handler did not abort")
					}
				}()
				p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}()
			logged := out.String()
			if strings.Contains(logged, "4711") || test.want == "" && logged != "" ||
				!strings.Contains(logged, test.want) || test.want != "" && !strings.Contains(logged, "TestPanicIsLogged") {
				t.Errorf("logged %q, want %q and where", logged, test.want)
			}
			if m.codes[http.StatusInternalServerError] != 1 {
				t.Errorf("codes %v", m.codes)
			}
		})
	}
}
