// Package yamldoc reads YAML so that every mistake has a place. A [Value] is a
// cursor over a node; asking it for a text, a number or an object either
// answers or notes a [Problem] with file, line and column in the document's
// [Report]. Reading goes on after a mistake, so that all of them are reported
// together.
//
// Aliases, anchors, merge keys, tags, and several documents in one file are
// refused. Aliases make positions lie and documents explode; and a password
// that begins with *, & or ! and was not quoted would silently lose a part.
package yamldoc

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Value is a cursor over one node of a document. The zero Value stands for
// what is not there; its methods answer with zero values and note nothing.
type Value struct {
	node *yaml.Node
	file string
	path string
	rep  *Report
}

// IsZero reports whether v stands for what is not there.
func (v Value) IsZero() bool { return v.node == nil }

// Path returns where v stands in the structure.
func (v Value) Path() string { return v.path }

// File returns the name of v's file.
func (v Value) File() string { return v.file }

// Pos returns v's line and column, from 1; 0 for the zero Value.
func (v Value) Pos() (line, col int) {
	if v.node == nil {
		return 0, 0
	}
	return v.node.Line, v.node.Column
}

// At returns v with another path, for values that stand for something beside
// their own place.
func (v Value) At(path string) Value { v.path = path; return v }

// Errorf notes a problem at v.
func (v Value) Errorf(format string, args ...any) {
	if v.node == nil || v.rep == nil {
		return
	}
	v.rep.Add(v.Problem(format, args...))
}

// Problem returns a problem at v without noting it: for warnings, and for
// mistakes that somebody else decides about.
func (v Value) Problem(format string, args ...any) Problem {
	line, col := v.Pos()
	return Problem{File: v.file, Line: line, Col: col, Path: v.path, Text: fmt.Sprintf(format, args...)}
}

// IsMap reports whether v is a map.
func (v Value) IsMap() bool { return v.node != nil && v.node.Kind == yaml.MappingNode }

// IsList reports whether v is a list.
func (v Value) IsList() bool { return v.node != nil && v.node.Kind == yaml.SequenceNode }

// IsScalar reports whether v is a single value: text, number or boolean. A
// null is none.
func (v Value) IsScalar() bool {
	return v.node != nil && v.node.Kind == yaml.ScalarNode && v.node.Tag != "!!null"
}

// IsNull reports whether v is a null: nothing behind the colon, null or ~.
func (v Value) IsNull() bool {
	return v.node != nil && v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null"
}

// IsString reports whether v is a scalar that counts as a text: quoted, or
// plain and neither number, boolean nor null. A plain date is a text.
func (v Value) IsString() bool { return v.IsScalar() && !v.IsNumber() && !v.IsBool() }

// IsNumber reports whether v is a plain number.
func (v Value) IsNumber() bool {
	return v.IsScalar() && (v.node.Tag == "!!int" || v.node.Tag == "!!float")
}

// IsBool reports whether v is a plain boolean.
func (v Value) IsBool() bool { return v.IsScalar() && v.node.Tag == "!!bool" }

// Kind describes v for messages: "a map", "a list", "a text", "a number", "a
// boolean" or "nothing".
func (v Value) Kind() string {
	switch {
	case v.node == nil || v.IsNull():
		return "nothing"
	case v.IsMap():
		return "a map"
	case v.IsList():
		return "a list"
	case v.IsNumber():
		return "a number"
	case v.IsBool():
		return "a boolean"
	}
	return "a text"
}
