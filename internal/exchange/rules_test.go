package exchange

import "testing"

func TestHasDotSegment(t *testing.T) {
	for path, want := range map[string]bool{
		"":                  false,
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
		if got := HasDotSegment(path); got != want {
			t.Errorf("HasDotSegment(%q) = %v", path, got)
		}
	}
}

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		in   Place
		a, b string
		same bool
	}{
		{Header, "access-token", "Access_Token", true},
		{Header, "access-token", "access.token", true},
		{Header, "access-token", "access~TOKEN", true},
		{Header, "access-token", "accesstoken", false},
		{Header, "token", "tokeN2", false},
		{Query, "access_token", "Access_Token", true},
		{Query, "access_token", "access-token", false},
		{Cookie, "sid", "SID", true},
		{Cookie, "s.id", "s_id", false},
	} {
		if same := Fold(Name{tt.in, tt.a}) == Fold(Name{tt.in, tt.b}); same != tt.same {
			t.Errorf("%s %s and %s: the same is %v", tt.in, tt.a, tt.b, same)
		}
	}
	if Fold(Name{Header, "a"}) == Fold(Name{Query, "a"}) {
		t.Error("the place does not count")
	}
}

func TestConnectionNames(t *testing.T) {
	for _, name := range []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings"} {
		if !IsHop(name) || !OfConnection(name) || IsFraming(name) {
			t.Errorf("%s is no field of one connection", name)
		}
	}
	for _, name := range []string{"Host", "Content-Length", "Expect"} {
		if IsHop(name) || !OfConnection(name) || IsFraming(name) == (name == "Expect") {
			t.Errorf("%s is taken for something else", name)
		}
	}
	for _, name := range []string{"Authorization", "Cookie", "Accept-Encoding", "Content-Type"} {
		if OfConnection(name) {
			t.Errorf("%s can be neither read nor injected", name)
		}
	}
}

func TestIsToken(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "a": true, "X-Y_z.1~": true, "!#$%&'*+^`|": true,
		"a b": false, "a:b": false, "a/b": false, `a"`: false, "a\x00": false, "é": false, "a\r\n": false, "{a}": false,
	} {
		if IsToken(text) != want {
			t.Errorf("IsToken(%q) = %v", text, !want)
		}
	}
}
