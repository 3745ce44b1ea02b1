package recipe

import (
	"fmt"
	"net/url"
	"strings"

	"attache/internal/exchange"
	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// urlTemplate is the address of a login. Where a reference stands decides how
// its value is escaped and what it may be: see urlPlace.
type urlTemplate struct {
	template
	places []urlPlace // parallel to parts
}

// urlPlace says which component of a URL a part belongs to.
type urlPlace uint8

const (
	inBase      urlPlace = iota // the leading parameter of type url: verbatim, less a trailing slash if a path follows
	inAuthority                 // scheme, host and port: letters, digits, dots and dashes alone
	inPath                      // percent-encoded, so that a value stays in its segment
	inQuery                     // percent-encoded
)

// parseURL reads the address of a login.
func parseURL(v yamldoc.Value, s *scope) urlTemplate {
	t, ok := parseTemplate(v, s)
	u := urlTemplate{template: t}
	if !ok {
		return u
	}
	if why := u.divide(s); why != "" {
		v.Errorf("%s", why)
		u.places = nil
		return u
	}
	if why := u.checkSample(); why != "" {
		v.Errorf("%s", why)
	}
	return u
}

// divide finds the component of every part, or says what is wrong. A literal
// that spans components is cut, so that each part lies in one.
func (u *urlTemplate) divide(s *scope) string {
	if len(u.parts) == 0 {
		return "the url is empty"
	}
	parts := u.parts
	u.parts = nil
	place := inAuthority
	if ref := parts[0].ref; ref != nil {
		if ref.kind != refParam || s.recipe.Params[ref.param].Type != TypeURL {
			return fmt.Sprintf("the url must begin with https://, http:// or a parameter of type: url, which ${%s} is not", ref.text)
		}
		place = inBase
		u.add(parts[0], place)
		parts = parts[1:]
	} else if !strings.HasPrefix(parts[0].text, "https://") && !strings.HasPrefix(parts[0].text, "http://") {
		return "the url must begin with https://, http:// or a parameter of type: url"
	}
	for _, p := range parts {
		if place == inBase && (p.ref != nil || p.text[0] != '/' && p.text[0] != '?') {
			return "a / must follow the parameter that begins the url"
		}
		if p.ref != nil {
			if place == inAuthority && p.ref.kind != refParam {
				return fmt.Sprintf("${%s} would form the host: only parameters may", p.ref.text)
			}
			u.add(p, place)
			continue
		}
		if strings.ContainsFunc(p.text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' || r == '\\' }) {
			return "a url holds no spaces, backslashes or fragment"
		}
		place = u.cut(p.text, place)
	}
	return ""
}

// add appends a part, unless it is an empty literal.
func (u *urlTemplate) add(p part, place urlPlace) {
	if p.ref != nil || p.text != "" {
		u.parts, u.places = append(u.parts, p), append(u.places, place)
	}
}

// cut adds the pieces of a literal that begins in place, and returns the
// place where it ends.
func (u *urlTemplate) cut(text string, place urlPlace) urlPlace {
	if place == inBase {
		place = inPath
	}
	if place == inAuthority {
		start := 0
		if len(u.parts) == 0 {
			start = strings.Index(text, "://") + len("://")
		}
		n := strings.IndexAny(text[start:], "/?")
		if n < 0 {
			u.add(part{text: text}, inAuthority)
			return inAuthority
		}
		u.add(part{text: text[:start+n]}, inAuthority)
		text, place = text[start+n:], inPath
	}
	if n := strings.IndexByte(text, '?'); place == inPath && n >= 0 {
		u.add(part{text: text[:n]}, inPath)
		text, place = text[n:], inQuery
	}
	u.add(part{text: text}, place)
	return place
}

// checkSample fills every reference with a harmless text and looks whether a
// URL comes out.
func (u *urlTemplate) checkSample() string {
	var b strings.Builder
	for i, p := range u.parts {
		switch {
		case p.ref == nil:
			b.WriteString(p.text)
		case u.places[i] == inBase:
			b.WriteString("https://x")
		default:
			b.WriteString("x")
		}
	}
	parsed, err := url.Parse(b.String())
	switch {
	case err != nil:
		return "not a URL: " + strings.TrimPrefix(err.Error(), fmt.Sprintf("parse %q: ", b.String()))
	case parsed.Host == "" || parsed.User != nil:
		return "the url must name a host, without user name or password"
	case exchange.HasDotSegment(parsed.EscapedPath()):
		return "a url holds no dot segments"
	}
	return ""
}

// hostRefs returns the parameters that form scheme or host.
func (u *urlTemplate) hostRefs() []*reference {
	var refs []*reference
	for i, p := range u.parts {
		if p.ref != nil && (u.places[i] == inBase || u.places[i] == inAuthority) {
			refs = append(refs, p.ref)
		}
	}
	return refs
}

// render gives the address. Errors never repeat a value.
func (u *urlTemplate) render(v values) (string, error) {
	var b strings.Builder
	for i, p := range u.parts {
		if p.ref == nil {
			b.WriteString(p.text)
			continue
		}
		value, ok := v.value(p.ref)
		if !ok {
			return "", fmt.Errorf("the url needs %s, which has no value", p.ref.text)
		}
		switch u.places[i] {
		case inBase:
			if why := checkBaseURL(value); why != "" {
				return "", fmt.Errorf("%s %s", p.ref.text, why)
			}
			// At the end of a whole address a slash means something: some servers
			// have their token endpoint at /o/token/ and nothing at /o/token.
			if i+1 < len(u.places) && u.places[i+1] == inPath {
				value = strings.TrimRight(value, "/")
			}
			b.WriteString(value)
		case inAuthority:
			if !isAuthority(value) {
				return "", fmt.Errorf("%s forms the host of the url and is no host name", p.ref.text)
			}
			b.WriteString(value)
		case inPath:
			if value == "" {
				return "", fmt.Errorf("%s is empty, which a path cannot hold", p.ref.text)
			}
			b.WriteString(url.PathEscape(value))
		case inQuery:
			b.WriteString(escapeQuery(value))
		}
	}
	text := b.String()
	path, _, _ := strings.Cut(text, "?")
	if exchange.HasDotSegment(path) {
		return "", fmt.Errorf("a parameter would make a dot segment in the url")
	}
	return text, nil
}

// escapeQuery percent-encodes a value of a query. A space becomes %20, which
// every server reads, where + is read by those that take the query for a form.
func escapeQuery(s string) string {
	escaped := url.QueryEscape(s)
	if strings.IndexByte(escaped, '+') >= 0 {
		return strings.ReplaceAll(escaped, "+", "%20")
	}
	return escaped
}

// isAuthority reports whether text can be a host, with or without a port.
func isAuthority(text string) bool {
	host, port, hasPort := strings.Cut(text, ":")
	return host != "" && shape.Only(host, shape.Alphanumeric+"_.-") && (!hasPort || port != "" && len(port) <= 5 && shape.Only(port, shape.Digits))
}
