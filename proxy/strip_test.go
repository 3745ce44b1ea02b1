package proxy

import (
	"net/http"
	"testing"

	"attache/internal/exchange"
)

func header(name string) exchange.Name { return exchange.Name{In: exchange.Header, Name: name} }

func TestStripHeaders(t *testing.T) {
	s := newStripper([]exchange.Name{header("access-token"), header("user_id"), header("operationID")}, []exchange.Name{header("operationID")})
	for _, tc := range []struct {
		key    string
		values []string
		want   bool
	}{
		{"Access-Token", []string{"x"}, true},
		{"Access_token", []string{"x"}, true},
		{"Access.token", []string{"x"}, true},
		{"Accesstoken", []string{"x"}, false},
		{"X-Access-Token", []string{"x"}, false},
		{"User_id", []string{"x"}, true},
		{"User-Id", []string{"x"}, true},
		{"Operationid", []string{"x"}, false},
		{"Operationid", []string{"x", "y"}, true},
		{"Operationid", []string{""}, true},
		{"Authorization", []string{"x"}, false},
	} {
		if got := s.header(tc.key, tc.values); got != tc.want {
			t.Errorf("%s %q: removed is %v", tc.key, tc.values, got)
		}
	}
	if cookies := newStripper([]exchange.Name{{In: exchange.Cookie, Name: "sid"}}, nil); !cookies.trailer("Cookie") || s.trailer("Cookie") {
		t.Error("a trailer with cookies goes by other rules than those of cookies")
	}
	if !s.trailer("Operationid") || !s.trailer("User-Id") || s.trailer("Grpc-Status") {
		t.Error("trailers are stripped by other rules than headers")
	}
}

func TestStrippedHeaderShowsWhatGoesUpstream(t *testing.T) {
	s := newStripper([]exchange.Name{header("token")}, nil)
	h := &strippedHeader{
		header:  http.Header{"Token": {"client's"}, "Connection": {"close"}, "Cookie": {"a=1; sid=2"}, "X-A": {"1", "2"}},
		strip:   &s,
		cookies: []string{"a=1"},
	}
	if got := h.Get("Token") + h.Get("Connection") + h.Get("Nothing"); got != "" {
		t.Errorf("a plan sees %q", got)
	}
	if h.Get("Cookie") != "a=1" || h.Get("X-A") != "1" || len(h.Values("X-A")) != 2 {
		t.Error("a plan does not see what goes upstream")
	}
}

// FuzzHeaderSpelling: names that any gateway may take for the injected one are
// removed, however they are spelled.
func FuzzHeaderSpelling(f *testing.F) {
	for _, seed := range []string{"access-token", "Access_Token", "ACCESS.TOKEN", "access-tokens"} {
		f.Add(seed)
	}
	s := newStripper([]exchange.Name{header("access-token")}, nil)
	// As CGI does it: upper case, and "_" for everything that is not a letter
	// or digit.
	cgi := func(name string) string {
		out := []byte(name)
		for i, c := range out {
			switch {
			case 'a' <= c && c <= 'z':
				out[i] = c - 'a' + 'A'
			case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			default:
				out[i] = '_'
			}
		}
		return string(out)
	}
	f.Fuzz(func(t *testing.T, name string) {
		same := cgi(name) == "ACCESS_TOKEN"
		if got := s.header(http.CanonicalHeaderKey(name), []string{"x"}); got != same {
			t.Errorf("%q: removed is %v", name, got)
		}
	})
}

func TestReduceEncoding(t *testing.T) {
	for in, want := range map[string]string{
		"gzip, deflate, br":         "gzip",
		"br":                        "identity",
		"":                          "identity",
		"*":                         "gzip",
		"br;q=1, *;q=0":             "identity",
		"gzip;q=0.5, identity":      "gzip;q=0.5, identity",
		"GZIP":                      "GZIP",
		"x-gzip , zstd":             "x-gzip",
		"gzip;q=0, *":               "gzip;q=0",
		"identity;q=0, *;q=0.1, br": "identity;q=0, gzip",
	} {
		if got := reduceEncoding([]string{in}); got != want {
			t.Errorf("reduceEncoding(%q) = %q, want %q", in, got, want)
		}
	}
	if got := reduceEncoding([]string{"br", "gzip"}); got != "gzip" {
		t.Errorf("two lines are reduced to %q", got)
	}
}
