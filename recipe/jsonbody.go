package recipe

import (
	"encoding/json"
	"strconv"
	"strings"

	"attache/internal/yamldoc"
)

// jsonNode is a node of a request's JSON body.
type jsonNode struct {
	kind jsonKind
	raw  string   // jsonRaw: a number, true, false or null, as it goes out
	text template // jsonText
	// number: a text that is one value of let, which is written as a number
	number bool
	names  []string    // jsonObject, parallel to items
	items  []*jsonNode // jsonObject, jsonList
}

type jsonKind uint8

const (
	jsonRaw jsonKind = iota
	jsonText
	jsonObject
	jsonList
)

// parseJSONBody reads the YAML value as the JSON value that it looks like.
func parseJSONBody(v yamldoc.Value, s *scope) *jsonNode {
	switch {
	case v.IsMap():
		n := &jsonNode{kind: jsonObject}
		for _, e := range v.Entries() {
			if strings.Contains(e.Name, "${") {
				e.Key.Errorf("the name of a member cannot hold ${}")
			}
			n.names = append(n.names, e.Name)
			n.items = append(n.items, parseJSONBody(e.Value, s))
		}
		return n
	case v.IsList():
		n := &jsonNode{kind: jsonList}
		for _, item := range v.List(false) {
			n.items = append(n.items, parseJSONBody(item, s))
		}
		return n
	case v.IsNull():
		return &jsonNode{kind: jsonRaw, raw: "null"}
	case v.IsNumber(), v.IsBool():
		text, _ := v.Text()
		if v.IsBool() {
			text = strings.ToLower(text)
		}
		if !json.Valid([]byte(text)) {
			v.Errorf("%q is no JSON number; quote it to send a text", shorten(text, 40))
		}
		return &jsonNode{kind: jsonRaw, raw: text}
	}
	t, _ := parseBodyTemplate(v, s)
	n := &jsonNode{kind: jsonText, text: t}
	if ref := t.alone(); ref != nil && ref.kind == refLet {
		n.number = s.token.lets[ref.let].number
	}
	return n
}

// templates calls f for every template in the body.
func (n *jsonNode) templates(f func(template)) {
	if n == nil {
		return
	}
	if n.kind == jsonText {
		f(n.text)
	}
	for _, item := range n.items {
		item.templates(f)
	}
}

// document writes the node as a whole document. ok is false when it is one
// parameter without a value.
func (n *jsonNode) document(dst []byte, v typedValues) (out []byte, ok bool) {
	switch out, ok = n.append(dst, v); {
	case ok:
		return out, true
	case n.kind == jsonObject:
		return append(dst, "{}"...), true
	case n.kind == jsonList:
		return append(dst, "[]"...), true
	}
	return dst, false
}

// append writes the node. ok is false when it mentions a parameter without a
// value; members and items like that are left out, and so are maps and lists
// of which nothing is left.
func (n *jsonNode) append(dst []byte, v typedValues) (out []byte, ok bool) {
	switch n.kind {
	case jsonRaw:
		return append(dst, n.raw...), true
	case jsonText:
		return n.appendText(dst, v)
	}
	open, closing := byte('{'), byte('}')
	if n.kind == jsonList {
		open, closing = '[', ']'
	}
	dst = append(dst, open)
	first := true
	for i, item := range n.items {
		start := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		if n.kind == jsonObject {
			dst = append(appendJSONString(dst, n.names[i]), ':')
		}
		if dst, ok = item.append(dst, v); !ok {
			dst = dst[:start]
			continue
		}
		first = false
	}
	return append(dst, closing), !first || len(n.items) == 0
}

// appendText writes a string, or a number or boolean when a parameter or a time
// of such a type is the whole text.
func (n *jsonNode) appendText(dst []byte, v typedValues) ([]byte, bool) {
	if n.number {
		text, ok := v.value(n.text.alone())
		return append(dst, text...), ok
	}
	if ref := n.text.alone(); ref != nil && ref.kind == refParam {
		if t := v.typeOf(ref); t == TypeInt || t == TypeBool {
			text, ok := v.value(ref)
			return append(dst, text...), ok
		}
	}
	text, ok := n.text.render(v, verbatim)
	if !ok {
		return dst, false
	}
	return appendJSONString(dst, text), true
}

// typedValues also knows the types of parameters. The values of int and bool
// parameters are canonical, so that they are JSON as they stand.
type typedValues interface {
	values
	typeOf(ref *reference) ParamType
}

// appendJSONString writes s as a JSON string. Unlike encoding/json it leaves
// <, > and & alone: some vendors sign the bytes.
func appendJSONString(dst []byte, s string) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // cannot happen: a string always encodes
		return strconv.AppendQuote(dst, s)
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}
