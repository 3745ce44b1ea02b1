package recipe

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"attache/internal/exchange"
	"attache/internal/shape"
	"attache/internal/yamldoc"
	"attache/refresher"
)

// planUpstream is an upstream that a token's outputs name.
type planUpstream struct {
	pieces []piece // texts and outputs of tokens
	allow  []UpstreamPattern
}

// upstream reads the upstream of the route if it depends on tokens.
func (b *planner) upstream() {
	if b.cfg.Upstream.IsZero() {
		return
	}
	v := b.cfg.Upstream
	t, ok := parseTemplate(v, routeScope{b.cfg.Use})
	if !ok {
		b.failed = true
		return
	}
	for _, ref := range t.refs() {
		if ref.kind != refToken || ref.output == "" {
			b.errorf(v, "${%s} is no output of a token; an upstream may contain only those: ${CREDENTIAL.TOKEN.OUTPUT}", ref.text)
			return
		}
	}
	pieces, _ := flatten(nil, nil, t)
	for _, p := range pieces {
		if p.kind == pieceToken {
			b.need(p.program)
		}
	}
	b.p.upstream = &planUpstream{pieces: pieces, allow: b.cfg.UpstreamAllow}
}

// Upstream returns where a request with these tokens goes, parallel to
// [Plan.Slots]. It is for routes whose upstream depends on tokens, and an error for
// all others. Errors say what is wrong without a value that a vendor sent.
func (p *Plan) Upstream(tokens []refresher.Token) (*url.URL, error) {
	if p.upstream == nil {
		return nil, errors.New("the upstream is fixed")
	}
	text, err := p.upstream.text(tokens)
	if err != nil {
		return nil, err
	}
	return checkUpstream(text, p.upstream.allow)
}

// text fills in the outputs.
func (u *planUpstream) text(tokens []refresher.Token) (string, error) {
	var b strings.Builder
	for i, p := range u.pieces {
		if p.kind == pieceText {
			b.WriteString(p.text.Reveal())
			continue
		}
		value, ok := "", false
		if p.slot < len(tokens) {
			value, ok = tokenText(tokens[p.slot], p.output)
		}
		if !ok || value == "" {
			return "", fmt.Errorf("the upstream is not known: token %s.%s has no output %s", p.program.cred.name, p.program.Name, p.output)
		}
		if i+1 < len(u.pieces) && strings.HasPrefix(u.pieces[i+1].text.Reveal(), "/") {
			value = strings.TrimSuffix(value, "/")
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// checkUpstream reads an upstream that a vendor had a say in.
func checkUpstream(text string, allow []UpstreamPattern) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "":
		return nil, errors.New("the upstream that the token's outputs make is no URL")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }):
		// Some of these have an ASCII letter as their lower case.
		return nil, errors.New("the upstream that the token's outputs make has a host that is not ASCII")
	case u.User != nil || strings.ContainsAny(text, "?#"):
		return nil, errors.New("the upstream that the token's outputs make is more than scheme, host and path")
	case !strings.HasSuffix(text, u.EscapedPath()) || !shape.Only(u.EscapedPath(), shape.PathLetters) || exchange.HasDotSegment(u.EscapedPath()):
		return nil, errors.New("the upstream that the token's outputs make has a path that cannot be joined to")
	case !slices.ContainsFunc(allow, func(p UpstreamPattern) bool { return p.matches(u) }):
		return nil, errors.New("the upstream that the token's outputs make is not one that upstream_allow names")
	}
	return u, nil
}

// UpstreamPattern says which upstreams a token's outputs may lead to: a scheme and
// a host with its port, exactly, or every host below a domain.
type UpstreamPattern struct {
	Scheme string // https, or http for this machine alone
	Host   string // in lower case; without the "*."
	Port   string // never empty
	Below  bool   // hosts below Host, not Host itself
}

// String returns the pattern as it is written. It implements [fmt.Stringer].
func (p UpstreamPattern) String() string {
	host := p.Host
	switch {
	case p.Below:
		host = "*." + host
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	if p.Port != standardPort(p.Scheme) {
		host += ":" + p.Port
	}
	return p.Scheme + "://" + host
}

func (p UpstreamPattern) matches(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	port := u.Port()
	if port == "" && !strings.HasSuffix(u.Host, ":") {
		port = standardPort(u.Scheme)
	}
	if u.Scheme != p.Scheme || port != p.Port {
		return false
	}
	if !p.Below {
		return host == p.Host
	}
	below, ok := strings.CutSuffix(host, "."+p.Host)
	return ok && shape.IsHostName(below)
}

func standardPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// ParseUpstreamPattern reads a pattern such as https://*.example.com; it notes a
// problem at v when it is none.
func ParseUpstreamPattern(v yamldoc.Value) (p UpstreamPattern, ok bool) {
	text, isText := v.Text()
	if !isText {
		return p, false
	}
	fail := func(why string) (UpstreamPattern, bool) {
		v.Errorf("%s", why)
		return p, false
	}
	const want = "want scheme and host, such as https://*.example.com or https://api.example.com:8443"
	scheme, rest, _ := strings.Cut(strings.ToLower(text), "://")
	rest, p.Below = strings.CutPrefix(rest, "*.")
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || u.User != nil || u.Path != "" || strings.ContainsAny(text, "?#") {
		return fail(want)
	}
	p.Scheme, p.Host, p.Port = scheme, u.Hostname(), u.Port()
	if p.Port == "" && !strings.HasSuffix(u.Host, ":") {
		p.Port = standardPort(scheme)
	}
	ip, notIP := netip.ParseAddr(p.Host)
	port, notPort := strconv.ParseUint(p.Port, 10, 16)
	switch {
	case scheme != "https" && scheme != "http" || notPort != nil || port == 0:
		return fail(want)
	case strings.Contains(rest, "*"):
		return fail("* stands at the beginning of the host alone, for one or more labels: https://*.example.com")
	case notIP != nil && !shape.IsHostName(p.Host) || p.Below && notIP == nil:
		return fail(want)
	case p.Below && !strings.Contains(p.Host, ".") && p.Host != "localhost":
		return fail("a whole top-level domain belongs to too many; want at least two labels behind *.")
	case scheme == "http" && !p.isLoopback(ip):
		return fail("the token would go there unencrypted; want https, or http on this machine")
	}
	return p, true
}

func (p UpstreamPattern) isLoopback(ip netip.Addr) bool {
	return p.Host == "localhost" || strings.HasSuffix(p.Host, ".localhost") || ip.Unmap().IsLoopback()
}
