package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"attache/internal/exchange"
	"attache/internal/shape"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// upstream reads what concerns the connection to the upstream. If outputs of tokens
// say where that is, it returns the text and what it has to match.
func (l *loader) upstream(o yamldoc.Object, r *Route) (moving yamldoc.Value, allow []recipe.UpstreamPattern) {
	r.Protocol = "auto"
	if protocol, ok := o.OneOf("protocol"); ok {
		r.Protocol = protocol
	}
	r.TLS = l.tls(o.Get("tls"))
	r.Proxy = l.proxy(o.Get("proxy"))
	at := o.Require("upstream")
	if text, ok := scalar(at); ok && strings.Contains(text, "${") {
		r.UpstreamOf = text
		return at, l.movingUpstream(o, r)
	}
	if o.Has("upstream_allow") {
		o.Get("upstream_allow").Errorf("this has no effect: the upstream is fixed")
	}
	var ok bool
	if r.Upstream, ok = upstream(at); ok {
		l.checkUpstream(o, r, at, r.Upstream)
	}
	return moving, nil
}

// movingUpstream reads what an upstream has to match that outputs of tokens say.
func (l *loader) movingUpstream(o yamldoc.Object, r *Route) (allow []recipe.UpstreamPattern) {
	if strings.ContainsAny(r.UpstreamOf, "@?#") {
		o.Get("upstream").Errorf("an upstream is scheme, host and path alone, here ${CREDENTIAL.TOKEN.OUTPUT} with or without a path behind it")
	}
	if at := o.Get("optional"); r.Optional {
		at.Errorf("without the token nobody knows where the upstream is")
	}
	at := o.Get("upstream_allow")
	if at.IsZero() {
		o.Get("upstream").Errorf("a vendor's answer says where requests go, with the token: say in upstream_allow what it may be, such as https://*.example.com")
	} else if at.IsList() && len(at.List(false)) == 0 {
		at.Errorf("want at least one pattern, such as https://*.example.com")
	}
	for _, item := range at.List(true) {
		p, ok := recipe.ParseUpstreamPattern(item)
		if !ok {
			continue
		}
		example := &url.URL{Scheme: p.Scheme, Host: bracketed(p.Host) + ":" + p.Port}
		l.checkUpstream(o, r, item, example)
		allow = append(allow, p)
	}
	return allow
}

// checkUpstream notes what does not go together with an upstream, which stands at
// the value.
func (l *loader) checkUpstream(o yamldoc.Object, r *Route, at yamldoc.Value, u *url.URL) {
	if l.leadsToAdmin(u) {
		at.Errorf("this is the admin listener, which asks nobody who they are: the route would open it to all who may send requests; metrics and health are on probes as well")
	}
	secure := u.Scheme == "https"
	switch {
	case r.Protocol == "h2" && !secure:
		o.Get("protocol").Errorf("h2 needs an https upstream; HTTP/2 without TLS is h2c")
	case r.Protocol == "h2c" && secure:
		o.Get("protocol").Errorf("h2c is HTTP/2 without TLS, and the upstream is https; want h2")
	}
	if o.Has("tls") && !secure {
		o.Get("tls").Errorf("this has no effect: the upstream is not https")
	}
}

// leadsToAdmin reports whether an upstream is the admin listener, in whatever way
// this machine is written.
func (l *loader) leadsToAdmin(u *url.URL) bool {
	_, port, _ := net.SplitHostPort(l.cfg.Admin.Address)
	if u.Scheme == "unix" || cmp.Or(u.Port(), "80") != port || port == "0" {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

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

// checkPath says what is wrong with a raw path that requests are compared with
// or joined to; "" when nothing is.
func checkPath(raw string) string {
	if strings.ContainsAny(raw, "?#") {
		return "a path has no query and no fragment"
	}
	if !shape.Only(raw, shape.PathLetters) {
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
