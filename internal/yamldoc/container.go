package yamldoc

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"attache/internal/shape"
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

// Object is a map whose keys are known. Its methods panic when they are asked for
// a key that its shape does not have, or has with another type: every test that
// reads such a map at all finds that, whether the key is there or not.
type Object struct {
	self    Value
	shape   shape.Object
	members map[string]Value
}

// Object returns the members of a map that has the keys of a shape. Others
// are problems, with a suggestion where one is near and else with the keys that
// are known. What is not a map gives an empty Object and a problem.
func (v Value) Object(s shape.Object) Object {
	o := Object{self: v, shape: s, members: map[string]Value{}}
	for _, e := range v.Entries() {
		if _, known := s.Key(e.Name); !known {
			names := s.Names()
			e.Key.Errorf("unknown key%s", cmp.Or(DidYouMean(e.Name, names), "; known here: "+strings.Join(names, ", ")))
			continue
		}
		o.members[e.Name] = e.Value
	}
	return o
}

// key returns what the shape says of a key.
func (o Object) key(name string) *shape.Type {
	k, known := o.shape.Key(name)
	if !known {
		panic(fmt.Sprintf("yamldoc: the shape %s has no key %s", o.shape.Name, name))
	}
	return k.Type
}

// typed returns the type of a key and its member.
func (o Object) typed(name string, kind shape.Kind) (*shape.Type, Value) {
	t := o.key(name)
	if t.Kind != kind {
		panic(fmt.Sprintf("yamldoc: the key %s of the shape %s is read as something else than what it is", name, o.shape.Name))
	}
	return t, o.members[name]
}

// Get returns the member, or the zero Value.
//
//go:noinline
func (o Object) Get(key string) Value {
	o.key(key)
	return o.members[key]
}

// Has reports whether the member is there.
//
//go:noinline
func (o Object) Has(key string) bool { return !o.Get(key).IsZero() }

// Self returns the map itself, for mistakes about the whole.
func (o Object) Self() Value { return o.self }

// Require returns the member and notes a problem when it is not there.
func (o Object) Require(key string) Value {
	v := o.Get(key)
	if v.IsZero() && o.self.IsMap() {
		o.self.Errorf("%s is missing", key)
	}
	return v
}

// Int is [Value.Int] within the bounds of the shape.
func (o Object) Int(key string) (int64, bool) {
	t, v := o.typed(key, shape.KindInt)
	return v.Int(t.Lo, t.Hi)
}

// Float is [Value.Float] within the bounds of the shape.
func (o Object) Float(key string) (float64, bool) {
	t, v := o.typed(key, shape.KindNumber)
	return v.Float(t.Least, t.Most)
}

// Duration is [Value.Duration] within the bounds of the shape.
func (o Object) Duration(key string) (time.Duration, bool) {
	t, v := o.typed(key, shape.KindDuration)
	return v.Duration(time.Duration(t.Lo), time.Duration(t.Hi))
}

// Size is [Value.Size] within the bounds of the shape.
func (o Object) Size(key string) (int64, bool) {
	t, v := o.typed(key, shape.KindSize)
	return v.Size(t.Lo, t.Hi)
}

// OneOf is [Value.OneOf] with the words of the shape.
func (o Object) OneOf(key string) (string, bool) {
	t, v := o.typed(key, shape.KindWord)
	return v.OneOf(t.Words...)
}

// Bool is [Value.Bool].
func (o Object) Bool(key string) (value, ok bool) {
	_, v := o.typed(key, shape.KindBool)
	return v.Bool()
}
