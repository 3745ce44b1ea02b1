// Package shape describes the objects of attache's YAML files: which keys they
// have, what may stand there, and what it means. A description is plain data,
// and the only one: the parsers accept no key that is not in it and take bounds
// and words from it, the JSON Schemas and the tables of the reference are made
// of it. What else makes a file right or wrong, the parsers alone know.
package shape

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Object describes a map whose keys are known.
type Object struct {
	Name string // unique among all objects: "route"
	Keys []Key  // in the order in which people read them
	// Exactly lists keys of which exactly one has to be there; empty: there is no
	// such rule.
	Exactly []string
}

// Key describes a key of an [Object]. Texts are Markdown, and links in them are
// written as on the page of docs/ that has the table.
type Key struct {
	Name string
	Type *Type
	// Required: the object is a mistake without it.
	Required bool
	// Default is the value that holds without the key, as a file would have it;
	// "": there is none.
	Default string
	// Otherwise says in words what holds without the key, where no value does:
	// "all". "": nothing needs to be said.
	Otherwise string
	Doc       string
	// Link leads to what is told at length: "#listen". "": nothing more is.
	Link string
}

// Kind is what a [Type] is at its core.
type Kind uint8

// The kinds of types.
const (
	KindText     Kind = iota // any scalar, taken as it is written
	KindBool                 // true or false
	KindInt                  // a whole number
	KindNumber               // a number
	KindDuration             // 30s, 5m, 1h30m; 0 may go without a unit
	KindSize                 // bytes: 512, 64KiB, 1MiB
	KindWord                 // one of a few texts
	KindList                 // a list
	KindMap                  // a map from names to values of one type
	KindObject               // a map whose keys are known
	KindForms                // any of several types
	KindAny                  // whatever YAML can say, null included
	KindNull                 // nothing
)

// Type says what may stand at a key. Make one with the functions below. They are
// called in hundreds of places, and not inlined there to keep the program small.
type Type struct {
	Kind Kind
	// Says is how a table names the type; "": [Type.String] finds words itself.
	Says string
	// Words are those of a KindWord.
	Words []string
	// Pattern is a regular expression that every text matches, or of a KindMap
	// every name; "": any does. It is for editors: parsers say more about what is
	// wrong. It has to mean the same in RE2 and ECMAScript.
	Pattern string
	// Lo and Hi bound a KindInt, the bytes of a KindSize, and the nanoseconds of a
	// KindDuration.
	Lo, Hi int64
	// Least and Most bound a KindNumber.
	Least, Most float64
	// Of are the forms of a KindForms; the one type of the items of a KindList and
	// of the values of a KindMap.
	Of []*Type
	// Object describes a KindObject. It is a function so that a description costs
	// nothing until somebody looks into it.
	Object func() Object
}

// Text is any scalar, taken as it is written. says is how a table names it.
//
//go:noinline
func Text(says string) *Type { return &Type{Kind: KindText, Says: says} }

// Matching is a [Text] that matches a regular expression.
//
//go:noinline
func Matching(says, pattern string) *Type {
	return &Type{Kind: KindText, Says: says, Pattern: pattern}
}

// Bool is true or false.
//
//go:noinline
func Bool() *Type { return &Type{Kind: KindBool} }

// Int is a whole number from lo to hi.
//
//go:noinline
func Int(lo, hi int64) *Type { return &Type{Kind: KindInt, Lo: lo, Hi: hi} }

// Number is a number from least to most.
//
//go:noinline
func Number(least, most float64) *Type { return &Type{Kind: KindNumber, Least: least, Most: most} }

// Duration is a duration from lo to hi.
//
//go:noinline
func Duration(lo, hi time.Duration) *Type {
	return &Type{Kind: KindDuration, Lo: int64(lo), Hi: int64(hi)}
}

// Size is a number of bytes from lo to hi.
//
//go:noinline
func Size(lo, hi int64) *Type { return &Type{Kind: KindSize, Lo: lo, Hi: hi} }

// Word is one of words.
//
//go:noinline
func Word(words ...string) *Type { return &Type{Kind: KindWord, Words: words} }

// List is a list of items of one type.
//
//go:noinline
func List(item *Type) *Type { return &Type{Kind: KindList, Of: []*Type{item}} }

// ListOrOne is a list of items, or one item without the brackets.
//
//go:noinline
func ListOrOne(item *Type) *Type { return Forms(item, List(item)) }

// Map is a map from names, which match a regular expression, to values of one
// type. "": any names.
//
//go:noinline
func Map(pattern string, value *Type) *Type {
	return &Type{Kind: KindMap, Pattern: pattern, Of: []*Type{value}}
}

// Of is an object.
//
//go:noinline
func Of(object func() Object) *Type { return &Type{Kind: KindObject, Object: object} }

// Forms is any of several types.
//
//go:noinline
func Forms(types ...*Type) *Type { return &Type{Kind: KindForms, Of: types} }

// Any is whatever YAML can say.
//
//go:noinline
func Any(says string) *Type { return &Type{Kind: KindAny, Says: says} }

// Null is nothing: a key with no value.
//
//go:noinline
func Null() *Type { return &Type{Kind: KindNull} }

// Named returns t with other words for tables.
//
//go:noinline
func (t *Type) Named(says string) *Type {
	named := *t
	named.Says = says
	return &named
}

// Key returns the key of that name; ok is false when there is none.
func (o Object) Key(name string) (k Key, ok bool) {
	i := slices.IndexFunc(o.Keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return o.Keys[i], true
}

// Names returns the names of the keys.
func (o Object) Names() []string {
	names := make([]string, len(o.Keys))
	for i, k := range o.Keys {
		names[i] = k.Name
	}
	return names
}

// With returns o with further keys and another name.
//
//go:noinline
func (o Object) With(name string, keys ...Key) Object {
	o.Name, o.Keys = name, append(slices.Clone(o.Keys), keys...)
	return o
}

// Without returns o without some keys and with another name.
func (o Object) Without(name string, keys ...string) Object {
	o.Name = name
	o.Keys = slices.DeleteFunc(slices.Clone(o.Keys), func(k Key) bool { return slices.Contains(keys, k.Name) })
	return o
}

// Walk calls f for o and every object below it, each name once.
func (o Object) Walk(f func(Object)) { o.walk(f, map[string]bool{}) }

func (o Object) walk(f func(Object), seen map[string]bool) {
	if seen[o.Name] {
		return
	}
	seen[o.Name] = true
	f(o)
	for _, k := range o.Keys {
		k.Type.walk(f, seen)
	}
}

func (t *Type) walk(f func(Object), seen map[string]bool) {
	if t.Object != nil {
		t.Object().walk(f, seen)
	}
	for _, of := range t.Of {
		of.walk(f, seen)
	}
}

// String is what a table says of the type: "whole number, 1 to 10". Words are
// in Markdown.
func (t *Type) String() string {
	if t.Says != "" {
		return t.Says
	}
	switch t.Kind {
	case KindBool:
		return "boolean"
	case KindInt:
		return fmt.Sprintf("whole number, %d to %d", t.Lo, t.Hi)
	case KindNumber:
		return fmt.Sprintf("number, %v to %v", t.Least, t.Most)
	case KindDuration:
		return between("duration", t.Lo, t.Hi, func(n int64) string { return DurationText(time.Duration(n)) })
	case KindSize:
		return between("size", t.Lo, t.Hi, SizeText)
	case KindWord:
		return "`" + strings.Join(t.Words, "`, `") + "`"
	case KindList:
		return "list"
	case KindMap, KindObject:
		return "map"
	case KindForms:
		return t.forms()
	case KindAny:
		return "any value"
	case KindNull:
		return "nothing"
	}
	return "text"
}

// forms names each form once.
func (t *Type) forms() string {
	if last := len(t.Of) - 1; last == 1 && t.Of[1].Kind == KindList {
		return t.Of[1].String() + ", or one"
	}
	var words []string
	for _, of := range t.Of {
		if word := of.String(); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " or ")
}

// between names a range; one that begins with nothing has no beginning.
func between(what string, lo, hi int64, text func(int64) string) string {
	if lo == 0 {
		return what + ", up to " + text(hi)
	}
	return what + ", " + text(lo) + " to " + text(hi)
}

// DurationText writes a duration without the parts that say nothing: 1h, not
// 1h0m0s.
func DurationText(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// SizeText writes a number of bytes in the largest unit that divides it.
func SizeText(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n != 0 && n%unit.size == 0 {
			return strconv.FormatInt(n/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
