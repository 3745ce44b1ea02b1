package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestSplitTarget(t *testing.T) {
	for _, tc := range []struct {
		target, path, query string
		hasQuery, ok        bool
	}{
		{"/a/b?x=1?y", "/a/b", "x=1?y", true, true},
		{"/a?", "/a", "", true, true},
		{"//evil/b", "//evil/b", "", false, true},
		{"http://evil/a", "", "", false, false},
		{"*", "", "", false, false},
		{"", "", "", false, false},
		{"/a#b", "", "", false, false},
		{"/a?b#c", "", "", false, false},
		{"/a HTTP/1.1", "", "", false, false},
		{"/a?b HTTP/1.1", "", "", false, false},
		{"/a\x00", "", "", false, false},
		{"/a\x7f", "", "", false, false},
		{"/a|é", "/a|é", "", false, true},
	} {
		path, query, hasQuery, ok := splitTarget(tc.target)
		if path != tc.path || query != tc.query || hasQuery != tc.hasQuery || ok != tc.ok {
			t.Errorf("splitTarget(%q) = %q, %q, %v, %v", tc.target, path, query, hasQuery, ok)
		}
	}
}

func TestHasDotSegment(t *testing.T) {
	for path, want := range map[string]bool{
		"/":                 false,
		"/a/b":              false,
		"/a..b/.../.x/x..":  false,
		"/a/.well-known/b":  false,
		"/a/%2e%2e%2e":      false,
		"/a/..%20":          false,
		"/a;v=1/b":          false,
		"/..":               true,
		"/.":                true,
		"/a/../b":           true,
		"/a/./b":            true,
		"/a/%2e%2E/b":       true,
		"/a/.%2e":           true,
		"/a/%2E.":           true,
		"/a/%2e":            true,
		"/a/..%2fb":         true,
		"/a%2F%2e%2e%2Fb":   true,
		`/a/..\b`:           true,
		"/a/..%5cb":         true,
		"/a/..;x=1/b":       true,
		"/a/%2e%2e%3bx/b":   true,
		"/a/%2":             false,
		"/a/..%":            false,
		"/a/%252e%252e/b":   false, // decodes to %2e%2e, not to dots
		"/caf%c3%a9/..x/..": true,
	} {
		if got := hasDotSegment(path); got != want {
			t.Errorf("hasDotSegment(%q) = %v", path, got)
		}
	}
}

func TestJoinPath(t *testing.T) {
	for _, tc := range [][3]string{
		{"/apiaccess/ccmessaging/", "/poll", "/apiaccess/ccmessaging/poll"},
		{"/api", "/poll", "/api/poll"},
		{"", "/poll", "/poll"},
		{"/", "/poll", "/poll"},
		{"/api", "", "/api"},
		{"/api/", "", "/api/"},
		{"", "", "/"},
		{"/api", "/", "/api/"},
		{"/api/", "//x//y", "/api//x//y"},
		{"/api", "/%2Fa%20b/é|", "/api/%2Fa%20b/é|"},
	} {
		if got := joinPath(tc[0], tc[1]); got != tc[2] {
			t.Errorf("joinPath(%q, %q) = %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}

// written returns the request target that net/http writes for a URL of ours.
func written(t *testing.T, path, query string, force bool) string {
	t.Helper()
	req := &http.Request{Method: "GET", URL: requestURL("http", "up:80", path, query, force), Host: "up:80", Header: http.Header{}}
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(&wire).ReadString('\n')
	target := strings.TrimSuffix(strings.TrimPrefix(line, "GET "), " HTTP/1.1\r\n")
	return strings.TrimPrefix(target, "http://up:80")
}

func TestRequestURLKeepsBytes(t *testing.T) {
	for _, path := range []string{
		"/", "/a/b", "//a", "/a%2fb", "/a%2Fb", "/%41", "/a b"[:2], "/a|b", "//a|b", "/é", `/"<>\^{}`, "/%zz", "/a+b;c=d,e@:!$&'()*~", "/[1]", "/%5B1]",
	} {
		if got := written(t, path, "", false); got != path {
			t.Errorf("path %q is written as %q", path, got)
		}
	}
	if got := written(t, "/a", "", true); got != "/a?" {
		t.Errorf("an empty query is written as %q", got)
	}
	if got := written(t, "/a", `b="%zz"&&c;d`, false); got != `/a?b="%zz"&&c;d` {
		t.Errorf("a query is written as %q", got)
	}
}

// FuzzPath: what is admitted reaches the upstream byte for byte, below its path.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/aicc/poll", "/aicc", "/aicc/", "/aicc//x", "/aicc/%2e%2e/x", "/aicc/..;/x", "/aicc/a%2fb", "/aicc/é|"} {
		f.Add("/api", seed)
		f.Add("/api/v1/", seed)
		f.Add("", seed)
	}
	f.Fuzz(func(t *testing.T, base, target string) {
		path, query, force, ok := splitTarget(target)
		if !ok || !below(path, "/aicc") || hasDotSegment(path) || hasControl(target) {
			return
		}
		if base != "" && base[0] != '/' || strings.ContainsAny(base, "?#%") || hasDotSegment(base) || hasControl(base) {
			return
		}
		joined := joinPath(base, path[len("/aicc"):])
		got := written(t, joined, query, force && query == "")
		want := joined
		if force {
			want += "?" + query
		}
		if got != want {
			t.Errorf("%q is written as %q, want %q", target, got, want)
		}
		if !below(joined, strings.TrimSuffix(base, "/")) {
			t.Errorf("%q leaves %q: %q", target, base, joined)
		}
	})
}

// hasControl reports whether a text has a byte that no server lets into a
// request target.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
