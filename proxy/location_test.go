package proxy

import (
	"net/url"
	"testing"

	"attache/internal/exchange"
)

func TestLocation(t *testing.T) {
	token := []exchange.Field{{In: exchange.Query, Name: "access_token", Value: "secret"}}
	for _, tc := range []struct{ path, upstream, in, want string }{
		{"/aicc/", "https://up.example/api/v1/", "https://up.example/api/v1/x?y=1#z", "/aicc/x?y=1#z"},
		{"/aicc/", "https://up.example/api/v1/", "https://UP.example:443/api/v1/x", "/aicc/x"},
		{"/aicc/", "https://up.example/api/v1/", "//up.example/api/v1/x", "/aicc/x"},
		{"/aicc/", "https://up.example/api/v1/", "/api/v1/x", "/aicc/x"},
		{"/aicc/", "https://up.example/api/v1", "/api/v1", "/aicc"},
		{"/aicc/", "https://up.example/api/v1/", "/api/v1x/y", "/api/v1x/y"},
		{"/aicc/", "https://up.example/api/v1/", "/other", "/other"},
		{"/aicc/", "https://up.example/api/v1/", "/api/v1/../x", "/api/v1/../x"},
		{"/aicc/", "https://up.example/api/v1/", "x/y?a=1", "x/y?a=1"},
		{"/aicc/", "https://up.example/api/v1/", "?a=1", "?a=1"},
		{"/aicc/", "https://up.example/api/v1/", "http://up.example/api/v1/x", "http://up.example/api/v1/x"},
		{"/aicc/", "https://up.example/api/v1/", "https://other.example/api/v1/x", "https://other.example/api/v1/x"},
		{"/aicc/", "https://up.example:8443/", "https://up.example/x", "https://up.example/x"},
		{"/aicc/", "https://up.example", "https://up.example", "/aicc"},
		{"", "https://up.example", "https://up.example", "/"},
		{"/", "https://up.example/", "https://up.example/x", "/x"},
		{"/", "https://up.example/", "https://up.example//evil.example/x", "https://up.example//evil.example/x"},
		{"/aicc/", "https://up.example/", "https://up.example//evil.example/x", "/aicc//evil.example/x"},
		{"/", "https://up.example/", "mailto:a@b", "mailto:a@b"},
		{"/a", "https://up.example/", "/x?access_token=secret&b=1#f", "/a/x?b=1#f"},
		{"/a", "https://up.example/", "/x?b=1&Access%5Ftoken=secret", "/a/x?b=1"},
		{"/a", "https://up.example/", "https://evil.example/?access_token=secret", "https://evil.example/"},
		{"/a", "https://up.example/", "?access_token=secret", ""},
		{"/a", "unix:/run/app.sock:/base", "http://localhost/base/x", "/a/x"},
	} {
		u, err := url.Parse(tc.upstream)
		if err != nil {
			t.Fatal(err)
		}
		r, err := newRoute(Route{Path: tc.path, Upstream: u, Transport: fakeTransport(nil)})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.location(&r.upstream, tc.in, token); got != tc.want {
			t.Errorf("%s → %s: location(%q) = %q, want %q", tc.path, tc.upstream, tc.in, got, tc.want)
		}
	}
}
