package recipe

import (
	"bytes"
	"net/http"

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

	members jsonMembers
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

// holds decides the test on the body.
func (t *memberTest) holds(a *answer) bool {
	if text, ok, known := a.members.raw(a.body, t.name); known {
		return ok && t.want.matchRaw(text)
	}
	member, ok := a.member(t.name)
	return ok && t.want.matchJSON(member)
}

// member returns the member of the body at a gjson path. ok is false when the
// body is no JSON.
func (a *answer) member(path string) (r gjson.Result, ok bool) {
	if text, ok, known := a.members.raw(a.body, path); known {
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

// jsonStart returns the index of the first byte that is neither of a byte order
// mark nor white space.
func jsonStart(body []byte) int {
	i := 0
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		i = 3
	}
	return skipSpace(body, i)
}

// firstJSON returns the first JSON value that body starts with: an object or
// an array, or the whole body when it starts with anything else. It returns
// nil for what is incomplete or nests deeper than maxDepth. The value is not
// checked otherwise.
func firstJSON(body []byte) []byte {
	if body = body[jsonStart(body):]; len(body) == 0 {
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
