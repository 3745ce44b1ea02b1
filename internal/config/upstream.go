package config

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// upstream reads scheme://host[:port][/path] or unix:/socket[:/path]. A URL may
// hold a password in the wrong place, so no message repeats it.
func upstream(v yamldoc.Value) (*url.URL, bool) {
	text, ok := v.Text()
	if !ok {
		return nil, false
	}
	fail := func(format string, args ...any) (*url.URL, bool) {
		v.Errorf(format, args...)
		return nil, false
	}
	const want = "want a URL such as https://api.example.com/v1"
	if strings.Contains(text, "${") {
		return fail("${…} is not supported here: an upstream is one fixed address")
	}
	if socket, ok := strings.CutPrefix(text, "unix:"); ok {
		if !path.IsAbs(socket) || strings.HasPrefix(socket, "//") || !isPath(socket) {
			return fail("want unix: and the absolute path of a socket, such as unix:/run/app.sock or unix:/run/app.sock:/v1")
		}
		if _, base, ok := strings.Cut(socket, ":/"); ok {
			if complaint := checkPath(base); complaint != "" {
				return fail("%s", complaint)
			}
		}
		return &url.URL{Scheme: "unix", Path: socket}, true
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fail(want)
	case u.Scheme != "http" && u.Scheme != "https":
		return fail("%s: http, https or unix", want)
	case u.User != nil:
		return fail("an upstream has no user and password; give the upstream a credential")
	case strings.ContainsAny(text, "?#"):
		return fail("an upstream has no query and no fragment: those are the request's")
	case !validHost(u):
		return fail("%s: the host is no name or address, or the port no number", want)
	}
	if complaint := checkPath(u.EscapedPath()); complaint != "" {
		return fail("%s", complaint)
	}
	return u, true
}

var pathText = regexp.MustCompile(`^[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*$`) // RFC 3986, section 3.3

// checkPath says what is wrong with a raw path that requests are compared with
// or joined to; "" when nothing is.
func checkPath(raw string) string {
	if strings.ContainsAny(raw, "?#") {
		return "a path has no query and no fragment"
	}
	if !pathText.MatchString(raw) {
		return "the path has letters that must be percent-encoded: it is compared with what stands on the wire"
	}
	if _, err := url.PathUnescape(raw); err != nil {
		return "a % in a path needs two hexadecimal digits behind it"
	}
	if exchange.HasDotSegment(raw) {
		return "a path must not have dot segments"
	}
	return ""
}

// prefix reads the path of a route and returns it as [Route].Path holds it.
func prefix(v yamldoc.Value) (string, bool) {
	text, ok := v.Text()
	if !ok {
		return "", false
	}
	complaint := checkPath(text)
	switch {
	case !strings.HasPrefix(text, "/"):
		complaint = "a path begins with /"
	case strings.Contains(text, "*"):
		complaint = "a path is a prefix and covers all below it; patterns are not supported"
	case strings.Contains(text, "//"):
		complaint = "a path must not have empty segments"
	}
	if complaint != "" {
		v.Errorf("%s", complaint)
		return "", false
	}
	if text = strings.TrimSuffix(text, "/"); text == "" {
		text = "/"
	}
	return text, true
}
