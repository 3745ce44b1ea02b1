package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	g := Guard{Loopback: true, Hosts: []string{"Attache.Internal"}, Origins: []string{"https://app.example.com"}}
	for _, tc := range []struct {
		name, host string
		header     http.Header
		want       int
	}{
		{"loopback name", "localhost:8484", nil, 200},
		{"loopback address", "127.0.0.1:8484", nil, 200},
		{"any of 127/8", "127.9.9.9", nil, 200},
		{"loopback IPv6", "[::1]:8484", nil, 200},
		{"mapped IPv4", "[::ffff:127.0.0.1]", nil, 200},
		{"subdomain of localhost", "corp.LocalHost.:8484", nil, 200},
		{"configured", "attache.internal:1", nil, 200},
		{"rebound name", "evil.example", nil, 421},
		{"looks like localhost", "localhost.evil.example", nil, 421},
		{"ends like localhost", "evillocalhost", nil, 421},
		{"port is no port", "localhost:80@evil.example", nil, 421},
		{"any address", "0.0.0.0:8484", nil, 421},
		{"private address", "192.168.1.1", nil, 421},
		{"no Host", "", nil, 421},
		{"page of another site", "localhost", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"opaque origin", "localhost", http.Header{"Origin": {"null"}}, 403},
		{"two origins", "localhost", http.Header{"Origin": {"http://localhost", "https://evil.example"}}, 403},
		{"extension", "localhost", http.Header{"Origin": {"chrome-extension://localhost"}}, 403},
		{"page on this machine", "localhost", http.Header{"Origin": {"http://localhost:3000"}}, 200},
		{"listed origin", "localhost", http.Header{"Origin": {"https://app.example.com"}, "Sec-Fetch-Site": {"cross-site"}}, 200},
		{"other port of a listed origin", "localhost", http.Header{"Origin": {"https://app.example.com:444"}}, 403},
		{"image on another site", "localhost", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"unknown fetch site", "localhost", http.Header{"Sec-Fetch-Site": {"elsewhere"}}, 403},
		{"typed into the address bar", "localhost", http.Header{"Sec-Fetch-Site": {"none"}}, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = tc.host
			for k, v := range tc.header {
				r.Header[k] = v
			}
			passed := false
			w := httptest.NewRecorder()
			g.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })).ServeHTTP(w, r)
			if w.Code != tc.want || passed != (tc.want == 200) {
				t.Errorf("status %d, passed %v, want %d", w.Code, passed, tc.want)
			}
			if tc.want != 200 && w.Header().Get("Proxy-Status") != "attache; error=http_request_denied" {
				t.Errorf("Proxy-Status is %q", w.Header().Get("Proxy-Status"))
			}
		})
	}
}

func TestGuardElsewhereChecksNothing(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "attache.example"
	r.Header.Set("Origin", "https://evil.example")
	w := httptest.NewRecorder()
	Guard{}.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != 404 {
		t.Errorf("status %d", w.Code)
	}
}

func TestGuardAnswersPreflight(t *testing.T) {
	g := Guard{Loopback: true, Origins: []string{"https://app.example.com"}}
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	r := httptest.NewRequest("OPTIONS", "http://localhost/", nil)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "PUT")
	r.Header.Set("Access-Control-Request-Headers", "x-a")
	r.Header.Set("Access-Control-Request-Private-Network", "true")
	w := httptest.NewRecorder()
	g.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	for key, want := range map[string]string{
		"Access-Control-Allow-Origin":          "https://app.example.com",
		"Access-Control-Allow-Methods":         "PUT",
		"Access-Control-Allow-Headers":         "x-a",
		"Access-Control-Allow-Private-Network": "true",
		"Vary":                                 "Origin",
	} {
		if got := w.Header().Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if w.Code != 204 {
		t.Errorf("a preflight is answered with %d", w.Code)
	}
	// Without Origin nothing of it.
	w = httptest.NewRecorder()
	g.Wrap(next).ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/", nil))
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("a request without Origin gets CORS headers")
	}
}

// TestGuardAllowsListedOriginsAlone: no other site may read answers, whatever the
// listener lets through.
func TestGuardAllowsListedOriginsAlone(t *testing.T) {
	for _, loopback := range []bool{true, false} {
		g := Guard{Loopback: loopback, Origins: []string{"https://app.example.com"}}
		h := g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
		for _, method := range []string{"GET", "OPTIONS"} {
			for _, origin := range []string{"https://evil.example", "http://localhost:3000", "null", "https://app.example.com.evil.example", "http://app.example.com"} {
				r := httptest.NewRequest(method, "http://localhost/", nil)
				r.Header.Set("Origin", origin)
				r.Header.Set("Access-Control-Request-Method", "PUT")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				for key := range w.Header() {
					if strings.HasPrefix(key, "Access-Control-") {
						t.Errorf("loopback %v: %s from %s is answered with %s", loopback, method, origin, key)
					}
				}
			}
		}
	}
}
