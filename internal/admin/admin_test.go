package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"attache/refresher"
)

// fake is a running attache as package admin sees it.
type fake struct {
	pools  []refresher.PoolStatus
	beat   time.Time
	routes []Route
	// journal of the Admin made last.
	journal *Journal
}

func (f *fake) admin(t *testing.T) *Admin {
	t.Helper()
	f.journal = NewJournal()
	a, err := New(Config{
		Version:   "1.2.3",
		Journal:   f.journal,
		Revision:  "abcdef0",
		Pools:     func() []refresher.PoolStatus { return f.pools },
		Required:  func(credential, _ string) bool { return credential != "spare" },
		Heartbeat: func() time.Time { return f.beat },
		Routes:    func() []Route { return f.routes },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "metrics here\n")
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pool(credential, token string, s refresher.InstanceStatus) refresher.PoolStatus {
	return refresher.PoolStatus{
		Credential: credential, Token: token, Recipe: "huawei-aicc", Instances: 1, Failures: s.Failures,
		Phases: map[refresher.Phase]int{s.Phase: 1}, Waiters: s.Waiters, Single: &s,
	}
}

func keyed(credential, token string) refresher.PoolStatus {
	return refresher.PoolStatus{
		Credential: credential, Token: token, Recipe: "huawei-aicc", Keyed: true, Instances: 3, Waiters: 1, Failures: 2,
		Phases: map[refresher.Phase]int{refresher.Fresh: 1, refresher.Empty: 2},
	}
}

func do(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestEndpoints(t *testing.T) {
	a := (&fake{}).admin(t)
	tests := []struct {
		path          string
		admin, probes int
	}{
		{"/", 200, 404},
		{"/metrics", 200, 200},
		{"/metrics?name[]=up", 200, 200},
		{"/livez", 200, 200},
		{"/readyz", 200, 200},
		{"/startupz", 200, 200},
		{"/api/status", 200, 404},
		{"/page.css", 200, 404},
		{"/tools.js", 200, 404},
		{"/token.js", 200, 404},
		{"/page.js", 200, 404},
		{"/icon.svg", 200, 404},
		{"/page/page.css", 404, 404},
		{"/index.html", 404, 404},
		{"/api/status/", 404, 404},
		{"//livez", 404, 404},
		{"/x/../livez", 404, 404},
		{"/LIVEZ", 404, 404},
		{"/debug/pprof/", 404, 404},
	}
	for _, tt := range tests {
		for name, side := range map[string]struct {
			h    http.Handler
			want int
		}{"admin": {a.Handler(nil), tt.admin}, "probes": {a.Probes(), tt.probes}} {
			for _, method := range []string{"GET", "HEAD"} {
				if w := do(side.h, method, tt.path); w.Code != side.want {
					t.Errorf("%s: %s %s: %d, want %d", name, method, tt.path, w.Code, side.want)
				}
			}
			for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get"} {
				w := do(side.h, method, tt.path)
				if side.want == 200 && (w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD") {
					t.Errorf("%s: %s %s: %d, Allow %q, want 405 and GET, HEAD", name, method, tt.path, w.Code, w.Header().Get("Allow"))
				}
				if side.want != 200 && w.Code != 404 {
					t.Errorf("%s: %s %s: %d, want 404", name, method, tt.path, w.Code)
				}
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	a := (&fake{}).admin(t)
	for _, tt := range []struct{ method, path, contentType string }{
		{"GET", "/", "text/plain; charset=utf-8"},
		{"GET", "/livez", "text/plain; charset=utf-8"},
		{"GET", "/api/status", "application/json"},
		{"GET", "/nowhere", "text/plain; charset=utf-8"},
		{"POST", "/livez", "text/plain; charset=utf-8"},
	} {
		h := do(a.Handler(nil), tt.method, tt.path).Header()
		for name, want := range map[string]string{
			"Content-Type":                 tt.contentType,
			"Cache-Control":                "no-store",
			"X-Content-Type-Options":       "nosniff",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s %s: %s: %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
	}
}

func TestIndexListsTheEndpoints(t *testing.T) {
	a := (&fake{}).admin(t)
	want := "attache 1.2.3\n\n/api/events\n/api/status\n/livez\n/metrics\n/readyz\n/startupz\n"
	if got := do(a.Handler(nil), "GET", "/").Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNewFails(t *testing.T) {
	whole := Config{
		Pools:     func() []refresher.PoolStatus { return nil },
		Heartbeat: time.Now,
		Metrics:   http.NotFoundHandler(),
	}
	if _, err := New(whole); err != nil {
		t.Errorf("New: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"Pools":     func(c *Config) { c.Pools = nil },
		"Heartbeat": func(c *Config) { c.Heartbeat = nil },
		"Metrics":   func(c *Config) { c.Metrics = nil },
	} {
		cfg := whole
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New without %s: %v", name, err)
		}
	}
}

func TestOptionalConfig(t *testing.T) {
	a, err := New(Config{
		Pools: func() []refresher.PoolStatus {
			return []refresher.PoolStatus{pool("c", "t", refresher.InstanceStatus{})}
		},
		Heartbeat: time.Now,
		Metrics:   http.NotFoundHandler(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/startupz", "/readyz", "/api/status"} {
		if w := do(a.Handler(nil), "GET", path); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
