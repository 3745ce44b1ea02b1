package yamldoc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// List returns the items of a list. With lenient, a single value counts as a
// list of one.
func (v Value) List(lenient bool) []Value {
	if v.node == nil {
		return nil
	}
	if !v.IsList() {
		if lenient && !v.IsNull() {
			return []Value{v}
		}
		v.Errorf("want a list, got %s", v.Kind())
		return nil
	}
	items := make([]Value, len(v.node.Content))
	for i, n := range v.node.Content {
		items[i] = Value{node: n, file: v.file, rep: v.rep, path: fmt.Sprintf("%s[%d]", v.path, i)}
	}
	return items
}

// Entry is one member of a map.
type Entry struct {
	Name  string
	Key   Value // the key itself, for mistakes about the name
	Value Value
}

// Entries returns the members of a map in the order of the file. Names that
// stand twice are a problem, and the second is left out.
func (v Value) Entries() []Entry {
	if v.node == nil {
		return nil
	}
	if !v.IsMap() {
		v.Errorf("want a map, got %s", v.Kind())
		return nil
	}
	var entries []Entry
	seen := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, n := v.node.Content[i], v.node.Content[i+1]
		path := ShownKey(k.Value)
		if v.path != "" {
			path = v.path + "." + path
		}
		key := Value{node: k, file: v.file, rep: v.rep, path: path}
		if !key.IsScalar() {
			key.At(v.path).Errorf("a key must be a text")
			continue
		}
		if line, twice := seen[k.Value]; twice {
			key.Errorf("stands twice; the first is in line %d", line)
			continue
		}
		seen[k.Value] = k.Line
		entries = append(entries, Entry{Name: k.Value, Key: key, Value: Value{node: n, file: v.file, rep: v.rep, path: path}})
	}
	return entries
}

// ShownKey is how a key shows in a problem: quoted unless it is a plain word, so
// that a problem stays one line and no key can forge another, and cut. Of
// "secret:xyz", where a space is missing, the value is part of the key, and is left
// out.
func ShownKey(key string) string {
	const maxKey = 64
	if i := strings.IndexAny(key, ":="); i > 0 {
		key = key[:i] + "…"
	}
	if len(key) > maxKey {
		key = strings.ToValidUTF8(key[:maxKey], "") + "…"
	}
	odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == ':' || r == '"' }
	if key == "" || strings.ContainsFunc(key, odd) {
		return strconv.Quote(key)
	}
	return key
}

// Object is a map whose keys are known.
type Object struct {
	self    Value
	members map[string]Value
}

// Object returns the members of a map whose keys must be among keys. Others
// are problems, with a suggestion where one is near and else with the keys that
// are known. What is not a map gives
// an empty Object and a problem.
func (v Value) Object(keys ...string) Object {
	o := Object{self: v, members: map[string]Value{}}
	for _, e := range v.Entries() {
		if !slices.Contains(keys, e.Name) {
			e.Key.Errorf("unknown key%s", cmp.Or(DidYouMean(e.Name, keys), "; known here: "+strings.Join(keys, ", ")))
			continue
		}
		o.members[e.Name] = e.Value
	}
	return o
}

// Get returns the member, or the zero Value.
func (o Object) Get(key string) Value { return o.members[key] }

// Has reports whether the member is there.
func (o Object) Has(key string) bool { return !o.members[key].IsZero() }

// Self returns the map itself, for mistakes about the whole.
func (o Object) Self() Value { return o.self }

// Require returns the member and notes a problem when it is not there.
func (o Object) Require(key string) Value {
	v := o.members[key]
	if v.IsZero() && o.self.IsMap() {
		o.self.Errorf("%s is missing", key)
	}
	return v
}
