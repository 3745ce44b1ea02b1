package proxy

import (
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"attache/internal/exchange"
)

func TestRouting(t *testing.T) {
	var routes []Route
	for name, at := range map[string][2]string{
		"root": {"", "/"}, "aicc": {"", "/aicc/"}, "deep": {"", "/aicc/deep"},
		"corp": {"corp.localhost", ""}, "corp-a": {"Corp.Localhost", "/a"}, "port": {"localhost:99", "/"}, "only": {"only.localhost", "/only"},
	} {
		routes = append(routes, Route{
			Name: name, Host: at[0], Path: at[1], Upstream: mustURL(t, "http://"+name),
			Transport: fakeTransport(func(r *http.Request) (*http.Response, error) { return respond(200, name+" "+r.URL.Path), nil }),
		})
	}
	p, err := New(Config{Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range [][3]string{
		{"localhost", "/x", "root /x"},
		{"localhost", "/aicc", "aicc /"},
		{"localhost", "/aicc/", "aicc /"},
		{"localhost", "/aiccx", "root /aiccx"},
		{"localhost", "/aicc/deeper", "aicc /deeper"},
		{"localhost", "/aicc/deep/er", "deep /er"},
		{"localhost", "/AICC", "root /AICC"},
		{"corp.localhost:8484", "/aicc/x", "corp /aicc/x"},
		{"CORP.localhost.", "/a/x", "corp-a /x"},
		{"localhost:99", "/x", "port /x"},
		{"localhost:98", "/x", "root /x"},
		{"only.localhost", "/aicc/x", "aicc /x"},
	} {
		r := httptest.NewRequest("GET", tc[1], nil)
		r.Host = tc[0]
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if got := w.Body.String(); got != tc[2] {
			t.Errorf("%s%s went to %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}

func TestMethodsShareAPath(t *testing.T) {
	rt := func(name string) Sender {
		return fakeTransport(func(*http.Request) (*http.Response, error) { return respond(200, name), nil })
	}
	up := mustURL(t, "http://up")
	p, err := New(Config{Routes: []Route{
		{Name: "read", Path: "/a", Methods: []string{"GET", "HEAD"}, Upstream: up, Transport: rt("read")},
		{Name: "write", Path: "/a/", Methods: []string{"POST"}, Upstream: up, Transport: rt("write")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(p, "/a").Body.String() + do(p, "POST", "/a", "").Body.String(); got != "readwrite" {
		t.Errorf("answered by %s", got)
	}
	if w := do(p, "DELETE", "/a", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestNewNamesEveryMistake(t *testing.T) {
	good := func(name string) Route {
		return Route{Name: name, Upstream: &url.URL{Scheme: "http", Host: "up"}, Transport: fakeTransport(nil)}
	}
	change := func(name string, f func(*Route)) Route {
		r := good(name)
		r.Path = "/" + name
		f(&r)
		return r
	}
	_, err := New(Config{Routes: []Route{
		good("one"),
		change("user", func(r *Route) { r.Upstream = mustURL(t, "http://u:p@up") }),
		change("query", func(r *Route) { r.Upstream = mustURL(t, "http://up?x") }),
		change("scheme", func(r *Route) { r.Upstream = mustURL(t, "ftp://up") }),
		change("dots", func(r *Route) { r.Upstream = mustURL(t, "http://up/a/../b") }),
		change("none", func(r *Route) { r.Upstream = nil }),
		change("socket", func(r *Route) { r.Upstream = mustURL(t, "unix:relative.sock") }),
		change("relative", func(r *Route) { r.Path = "x" }),
		change("transport", func(r *Route) { r.Transport = nil }),
		change("hop", func(r *Route) { r.Plan = &testPlan{strip: []exchange.Name{header("content-length")}} }),
		change("pool", func(r *Route) { r.Slots = []Slot{{Credential: "c", Token: "t"}} }),
		change("one", func(r *Route) {}),
		change("shadow", func(r *Route) { r.Path = "/" }),
	}})
	if err == nil {
		t.Fatal("no error")
	}
	want := `route user: the upstream must not contain a user name or password; use a credential
route query: the upstream must be scheme, host and path alone
route scheme: the upstream's scheme must be http, https or unix, not "ftp"
route dots: the upstream's path must not contain dot segments
route none: there is no upstream
route socket: the upstream's socket must be an absolute path, as in unix:/run/app.sock
route relative: the path must begin with a slash
route transport: there is no transport
route hop: the header Content-Length belongs to the connection and can be neither stripped nor injected
route pool: token c.t has no pool
route one: the name is taken
route shadow: route one has the same host and path, and a method in common`
	if err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestGRPCAnswersAreTrailersOnly(t *testing.T) {
	for status, want := range map[int]int{503: 14, 502: 14, 504: 14, 400: 3, 413: 3, 429: 8, 404: 12, 405: 12, 501: 12, 403: 16, 421: 16, 407: 16, 500: 14} {
		if got := grpcStatus(status); got != want {
			t.Errorf("status %d is gRPC's %d, want %d", status, got, want)
		}
	}
	w := httptest.NewRecorder()
	callTimedOut().write(w, true)
	if got := w.Header().Get("Grpc-Status"); got != "4" {
		t.Errorf("a call whose time was over ends with %s, want 4", got)
	}
	if got := grpcMessage("a 100%\né"); got != "a 100%25%0A%C3%A9" {
		t.Errorf("message %q", got)
	}
}

func TestGRPCTimeout(t *testing.T) {
	const none = time.Duration(math.MaxInt64)
	for text, want := range map[string]time.Duration{
		"2H": 2 * time.Hour, "3M": 3 * time.Minute, "5S": 5 * time.Second, "7m": 7 * time.Millisecond, "8u": 8 * time.Microsecond, "9n": 9,
		"99999999M": 99999999 * time.Minute, "99999999H": none,
		"": none, "S": none, "5": none, "-5S": none, "5s": none, "123456789S": none, "5 S": none,
	} {
		if got := grpcTimeout([]string{text}); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	if grpcTimeout(nil) != none || grpcTimeout([]string{"1n", "1n"}) != none {
		t.Error("a call without a time of its own has one")
	}
}
