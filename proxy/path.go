package proxy

import (
	"net/url"
	"strings"

	"attache/internal/exchange"
)

// splitTarget splits a request target in origin form (RFC 9112 section 3.2.1)
// into its raw path and raw query. hasQuery tells "/p?" from "/p". It reports
// false for every other form, and for a target with a fragment, a space or a
// control character. No client may send these, and upstreams differ on where
// such a target ends; HTTP/2 lets a space through, which would end the target
// in the HTTP/1.1 request line that goes out.
func splitTarget(target string) (path, query string, hasQuery, ok bool) {
	if target == "" || target[0] != '/' {
		return "", "", false, false
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == '#' || c == 0x7f {
			return "", "", false, false
		}
	}
	path, query, hasQuery = strings.Cut(target, "?")
	return path, query, hasQuery, true
}

// hasDotSegment reports whether any reading of the raw path has a "." or ".."
// segment. Such a segment would leave the part of the upstream that the route
// is for.
func hasDotSegment(path string) bool { return exchange.HasDotSegment(path) }

// joinPath puts the raw rest of a request's path, empty or beginning with a
// slash, behind the upstream's raw path with exactly one slash between them.
// Nothing is decoded, cleaned or merged. An empty rest names the upstream's path
// itself.
func joinPath(base, rest string) string {
	switch {
	case rest != "":
		return strings.TrimSuffix(base, "/") + rest
	case base == "":
		return "/"
	}
	return base
}

// requestURL returns a URL that net/http writes as exactly this raw path and
// query. Where the path holds bytes that net/url would escape, it goes into
// Opaque, which is written as it stands; only a path that then begins with two
// slashes needs the absolute form, which every server has to understand (RFC
// 9112 section 3.2.2).
func requestURL(scheme, host, path, query string, forceQuery bool) *url.URL {
	u := &url.URL{Scheme: scheme, Host: host, RawQuery: query, ForceQuery: forceQuery}
	if strings.IndexByte(path, '%') < 0 {
		u.Path = path
	} else if plain, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = plain, path
	}
	if u.EscapedPath() == path {
		return u
	}
	u.Path, u.RawPath, u.Opaque = "", "", path
	if strings.HasPrefix(path, "//") {
		u.Opaque = "//" + host + path
	}
	return u
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// lower returns the lower case of an ASCII letter and every other byte as it
// is.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
