package recipe

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"attache/internal/exchange"
)

// maxDepth bounds how deep JSON may nest. The checker descends recursively: a
// megabyte of "[" would otherwise cost hundreds of megabytes of stack.
const maxDepth = 512

// answer is an answer of a login or of an API, as matchers and extractors see
// it.
type answer struct {
	path   string // of the request, raw
	status int
	header exchange.Getter
	// trailer is nil as long as it is not known.
	trailer exchange.Getter
	body    []byte // decoded; nil when it was not looked at

	parsed bool
	json   string // the first JSON value of the body; "" if there is none

	// Members of the body at these paths are found in one pass, once any of them
	// is asked for; nil: there are none.
	paths *jsonPaths
	state scanState
	text  []byte // the body from its first value on
	found jsonSpans
}

// document returns the JSON value that the body is.
func (a *answer) document() (string, bool) {
	if !a.parsed {
		a.parsed = true
		if first := firstJSON(a.body); first != nil && gjson.ValidBytes(first) {
			a.json = string(first)
		}
	}
	return a.json, a.json != ""
}

// raw returns the member of the body at one of a's paths as it stands there; nil:
// it is not there. ok is false when the body is no JSON. With known false this
// is not the way to find that member.
func (a *answer) raw(path string) (text []byte, ok, known bool) {
	if a.paths == nil {
		return nil, false, false
	}
	i := slices.Index(a.paths.paths, path)
	if i < 0 {
		return nil, false, false
	}
	if a.state == scanLater {
		a.text, a.state = a.paths.scan(a.body, &a.found)
	}
	if a.state == scanFound && a.found[i].to > 0 {
		text = a.text[a.found[i].from:a.found[i].to]
	}
	return text, a.state == scanFound, a.state != scanScalar
}

// holds decides the test on the body.
func (t *memberTest) holds(a *answer) bool {
	if text, ok, known := a.raw(t.name); known {
		return ok && t.want.matchRaw(text)
	}
	member, ok := a.member(t.name)
	return ok && t.want.matchJSON(member)
}

// member returns the member of the body at a gjson path. ok is false when the
// body is no JSON.
func (a *answer) member(path string) (r gjson.Result, ok bool) {
	if text, ok, known := a.raw(path); known {
		return gjson.Parse(string(text)), ok
	}
	doc, ok := a.document()
	if !ok {
		return gjson.Result{}, false
	}
	return gjson.Get(doc, path), true
}

// cookie returns the Set-Cookie of that name; the last one wins, as in
// browsers.
func (a *answer) cookie(name string) *http.Cookie {
	var found *http.Cookie
	for _, line := range a.header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == name {
			found = c
		}
	}
	return found
}

// jsonStart returns the body from the first byte on that is neither a byte order
// mark nor white space.
func jsonStart(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	return body[skipSpace(body, 0):]
}

// firstJSON returns the first JSON value that body starts with: an object or
// an array, or the whole body when it starts with anything else. It returns
// nil for what is incomplete or nests deeper than maxDepth. The value is not
// checked otherwise.
func firstJSON(body []byte) []byte {
	if body = jsonStart(body); len(body) == 0 {
		return nil
	}
	if body[0] != '{' && body[0] != '[' {
		return body
	}
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return nil
			}
		case c == '}', c == ']':
			if depth--; depth == 0 {
				return body[:i+1]
			}
		}
	}
	return nil
}
