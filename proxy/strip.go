package proxy

import (
	"net/http"
	"strings"

	"attache/internal/exchange"
)

// name is a name that clients may not send.
type name struct {
	exact  string // headers: the canonical key
	folded string // as spellings are compared: see fold and queryNameIs
	// keepOne: exactly one value in exactly this name may stay.
	keepOne bool
}

type names []name

// stripper says what is removed from a client's request. It is immutable.
type stripper struct {
	headers, query, cookies names
}

// newStripper sorts the names to remove by place.
func newStripper(strip, keepOne []exchange.Name) stripper {
	var s stripper
	for _, n := range strip {
		list := s.list(n.In)
		if !list.has(n) {
			*list = append(*list, newName(n))
		}
	}
	for _, n := range keepOne {
		list := s.list(n.In)
		if !list.has(n) {
			*list = append(*list, newName(n))
		}
		for i := range *list {
			if (*list)[i].exact == newName(n).exact {
				(*list)[i].keepOne = true
			}
		}
	}
	return s
}

func newName(n exchange.Name) name {
	if n.In == exchange.Header {
		return name{exact: http.CanonicalHeaderKey(n.Name), folded: foldHeader(n.Name)}
	}
	return name{exact: n.Name, folded: strings.ToLower(n.Name)}
}

func (s *stripper) list(place exchange.Place) *names {
	switch place {
	case exchange.Query:
		return &s.query
	case exchange.Cookie:
		return &s.cookies
	}
	return &s.headers
}

func (n names) has(want exchange.Name) bool {
	w := newName(want)
	for i := range n {
		if n[i].exact == w.exact {
			return true
		}
	}
	return false
}

// foldHeader maps all spellings of a header name that an upstream may take for
// the same to one.
func foldHeader(name string) string {
	return exchange.Fold(exchange.Name{In: exchange.Header, Name: name}).Name
}

// headerIs reports whether key is a spelling of the folded name.
func headerIs(key, folded string) bool {
	if len(key) != len(folded) {
		return false
	}
	for i := range len(key) {
		if exchange.FoldByte(key[i]) != folded[i] {
			return false
		}
	}
	return true
}

// header reports whether the header field key is a spelling of a name that has
// to go.
func (s *stripper) header(key string, values []string) bool {
	n := s.headers.spelt(key)
	return n != nil && n.goes(key, values)
}

// spelt returns the header name of which key is a spelling, or nil.
func (n names) spelt(key string) *name {
	for i := range n {
		if headerIs(key, n[i].folded) {
			return &n[i]
		}
	}
	return nil
}

// goes reports whether the header field key, which is a spelling of n, has to go.
func (n *name) goes(key string, values []string) bool {
	return !n.keepOne || key != n.exact || len(values) != 1 || isBlank(values[0])
}

// isBlank reports whether a value is empty once HTTP/1.1 has carried it, which drops
// the spaces at the ends of a field. HTTP/2 and the middle of a Cookie field keep
// them.
func isBlank(value string) bool { return strings.Trim(value, " \t") == "" }

// trailer reports whether a trailer field has to go: upstreams may merge
// trailers into the header, where nothing of that name may follow, and no cookie
// if any cookie is ours.
func (s *stripper) trailer(key string) bool {
	if len(s.cookies) > 0 && headerIs(key, "cookie") {
		return true
	}
	for i := range s.headers {
		if headerIs(key, s.headers[i].folded) {
			return true
		}
	}
	return false
}

// strippedHeader is a client's header as far as it goes upstream, for plans to
// read.
type strippedHeader struct {
	header  exchange.Getter
	strip   *stripper
	cookies []string // of the Cookie header
}

// Get implements [exchange.Getter].
func (h *strippedHeader) Get(name string) string {
	if values := h.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Values implements [exchange.Getter].
func (h *strippedHeader) Values(name string) []string {
	if name == "Cookie" {
		return h.cookies
	}
	values := h.header.Values(name)
	if len(values) == 0 || isHop(name) || h.strip.header(http.CanonicalHeaderKey(name), values) {
		return nil
	}
	return values
}
