package proxy

import (
	"strings"

	"attache/internal/exchange"
)

// reference is a URI reference cut into the parts of RFC 3986 appendix B, each
// with its delimiters, nothing decoded.
type reference struct {
	scheme    string // with ":"
	authority string // with "//"
	path      string
	query     string // with "?"
	fragment  string // with "#"
}

func cutReference(text string) reference {
	var r reference
	if i := strings.IndexByte(text, '#'); i >= 0 {
		text, r.fragment = text[:i], text[i:]
	}
	if i := strings.IndexByte(text, '?'); i >= 0 {
		text, r.query = text[:i], text[i:]
	}
	if i := strings.IndexAny(text, ":/"); i > 0 && text[i] == ':' {
		r.scheme, text = text[:i+1], text[i+1:]
	}
	if strings.HasPrefix(text, "//") {
		end := len(text)
		if i := strings.IndexByte(text[2:], '/'); i >= 0 {
			end = i + 2
		}
		r.authority, text = text[:end], text[end:]
	}
	r.path = text
	return r
}

func (r reference) String() string {
	return r.scheme + r.authority + r.path + r.query + r.fragment
}

// location maps a Location header that points below the upstream back to the
// route, so that the client's next request comes here again, and removes the
// query parameters that were injected: an upstream that redirects with the query
// it was sent would hand the token out.
func (r *route) location(up *endpoint, text string, injected []exchange.Field) string {
	ref := cutReference(text)
	if ref.query != "" {
		for i := range injected {
			if injected[i].In != exchange.Query {
				continue
			}
			n := names{newName(exchange.Name{In: exchange.Query, Name: injected[i].Name})}
			if left := stripQuery(ref.query[1:], n); left == "" {
				ref.query = ""
				break
			} else if len(left) != len(ref.query)-1 {
				ref.query = "?" + left
			}
		}
	}
	if path, ok := r.ownPath(up, ref); ok {
		ref.scheme, ref.authority, ref.path = "", "", path
	}
	return ref.String()
}

// ownPath returns the path below the route for a reference that is below its
// upstream.
func (r *route) ownPath(up *endpoint, ref reference) (string, bool) {
	switch {
	case ref.authority != "":
		if ref.scheme != "" && !strings.EqualFold(ref.scheme, up.scheme+":") {
			return "", false
		}
		if !sameHost(ref.authority[len("//"):], up.host, up.scheme) {
			return "", false
		}
	case ref.scheme != "" || !strings.HasPrefix(ref.path, "/"):
		return "", false // relative ones mean the same on both sides
	}
	base := strings.TrimSuffix(up.base, "/")
	if !below(ref.path, base) || hasDotSegment(ref.path) {
		return "", false
	}
	path := r.prefix + ref.path[len(base):]
	if path == "" {
		path = "/"
	}
	// "//host" would be another host's address.
	return path, !strings.HasPrefix(path, "//")
}

// sameHost compares the hosts of two URLs of one scheme.
func sameHost(a, b, scheme string) bool {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.EqualFold(strings.TrimSuffix(a, port), strings.TrimSuffix(b, port))
}
