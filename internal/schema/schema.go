// Package schema makes JSON Schemas (draft 2020-12) of the configuration file and
// of recipes, for editors: they complete keys, explain them and mark mistakes
// while one types. A schema is made of the shapes that the parsers read by, and
// takes no file that a parser refuses for its keys; everything else that a parser
// knows, such as what a name refers to, a schema cannot say.
//
// Beside `$defs`, nothing is used that draft 7 lacks: editors know that one best.
package schema

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"attache/internal/config"
	"attache/internal/shape"
	"attache/recipe"
)

// Config returns the schema of the configuration file. It knows the parameters of
// the built-in recipes.
func Config() []byte {
	s := &schema{defs: map[string]object{}}
	root := s.root(config.Shape(), "The configuration file of attache", "attache.schema.json")
	s.builtIn()
	return s.print(root)
}

// Recipe returns the schema of a recipe file.
func Recipe() []byte {
	s := &schema{defs: map[string]object{}}
	return s.print(s.root(recipe.Shape(), "A recipe of attache", "attache-recipe.schema.json"))
}

// schema is one schema in the making.
type schema struct {
	defs  map[string]object
	order []string // of defs
}

// root returns the schema of a whole file; file is a name under which people keep
// the schema.
func (s *schema) root(o shape.Object, title, file string) object {
	head := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", title},
		{"description", "Made by `attache schema`. An editor finds it by a line such as `# yaml-language-server: $schema=" + file + "` at the top of a file."},
	}
	return append(head, s.object(o)...)
}

func (s *schema) print(root object) []byte {
	var defs object
	for _, name := range s.order {
		defs = append(defs, member{name, s.defs[name]})
	}
	var b bytes.Buffer
	write(&b, append(root, member{"$defs", defs}), "")
	b.WriteByte('\n')
	return b.Bytes()
}

// object is the schema of an object.
func (s *schema) object(o shape.Object) object {
	var properties object
	var required []any
	for _, k := range o.Keys {
		properties = append(properties, member{k.Name, s.key(k)})
		if k.Required {
			required = append(required, k.Name)
		}
	}
	out := object{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}
	if len(required) > 0 {
		out = append(out, member{"required", required})
	}
	if len(o.Exactly) > 0 {
		var one []any
		for _, key := range o.Exactly {
			one = append(one, object{{"required", []any{key}}})
		}
		out = append(out, member{"oneOf", one})
	}
	return out
}

// key is the schema of what stands at a key, with what a reader wants to know.
func (s *schema) key(k shape.Key) object {
	out := append(object{{"description", describe(k)}}, s.of(k.Type)...)
	if k.Default != "" {
		out = append(out, member{"default", value(k.Type, k.Default)})
	}
	return out
}

// describe is what an editor shows about a key.
func describe(k shape.Key) string {
	var facts []string
	if k.Type.Kind != shape.KindWord { // editors list the words themselves
		facts = append(facts, k.Type.String())
	}
	switch {
	case k.Required:
		facts = append(facts, "required")
	case k.Default != "" && k.Otherwise != "":
		facts = append(facts, "default: "+k.Default+", "+k.Otherwise)
	case k.Default != "":
		facts = append(facts, "default: "+k.Default)
	case k.Otherwise != "":
		facts = append(facts, "without it: "+k.Otherwise)
	}
	text := k.Doc
	if len(facts) > 0 {
		text += "\n\n(" + strings.Join(facts, "; ") + ")"
	}
	return plain(text)
}

var link = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`) })

// plain takes the links out of a text: they lead nowhere from an editor.
func plain(text string) string { return link().ReplaceAllString(text, "$1") }

// value is a default as JSON has it.
func value(t *shape.Type, text string) any {
	switch t.Kind {
	case shape.KindInt, shape.KindNumber:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	case shape.KindBool:
		return text == "true"
	case shape.KindForms:
		if t.Of[0].Kind == shape.KindBool {
			return text == "true"
		}
	}
	return text
}

// The forms of scalars. A text may stand with or without quotes in YAML, and so
// may a number where attache wants one.
const (
	wholeNumber = `^[+-]?[0-9]+$`
	number      = `^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$`
	duration    = `^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|ms|s|m|h))+)$`
	signed      = `^[+-]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|ms|s|m|h))+)$`
	size        = `^[0-9]{1,12}(B|KiB|MiB|GiB)?$`
)

// of is the schema of a type.
func (s *schema) of(t *shape.Type) object {
	switch t.Kind {
	case shape.KindText:
		return text(t.Pattern)
	case shape.KindBool:
		return object{{"type", "boolean"}}
	case shape.KindInt:
		out := object{{"type", []any{"integer", "string"}}, {"pattern", wholeNumber}}
		if t.Lo > math.MinInt64 { // what any int64 may be needs no bounds
			out = append(out, member{"minimum", t.Lo}, member{"maximum", t.Hi})
		}
		return out
	case shape.KindNumber:
		return object{{"type", []any{"number", "string"}}, {"minimum", t.Least}, {"maximum", t.Most}, {"pattern", number}}
	case shape.KindDuration:
		return durations(t)
	case shape.KindSize:
		return object{{"type", []any{"string", "integer"}}, {"minimum", t.Lo}, {"maximum", t.Hi}, {"pattern", size}}
	case shape.KindWord:
		return object{{"enum", words(t.Words)}}
	case shape.KindList:
		return object{{"type", "array"}, {"items", s.of(t.Of[0])}}
	case shape.KindMap:
		out := object{{"type", "object"}, {"additionalProperties", s.of(t.Of[0])}}
		if t.Pattern != "" {
			out = append(out, member{"propertyNames", object{{"pattern", t.Pattern}}})
		}
		return out
	case shape.KindObject:
		return s.ref(t.Object())
	case shape.KindForms:
		return object{{"anyOf", s.forms(t.Of)}}
	case shape.KindNull:
		return object{{"type", "null"}}
	}
	return object{}
}

// forms is the schema of each form; forms of forms are forms.
func (s *schema) forms(types []*shape.Type) []any {
	var list []any
	for _, t := range types {
		if t.Kind == shape.KindForms {
			list = append(list, s.forms(t.Of)...)
			continue
		}
		list = append(list, s.of(t))
	}
	return list
}

// ref refers to the definition of an object, and makes it.
func (s *schema) ref(o shape.Object) object {
	if _, there := s.defs[o.Name]; !there {
		s.define(o.Name, nil)
		s.defs[o.Name] = s.object(o)
	}
	return object{{"$ref", "#/$defs/" + o.Name}}
}

func (s *schema) define(name string, o object) {
	s.order = append(s.order, name)
	s.defs[name] = o
}

// text is the schema of a scalar. Without quotes a text may look like a number or
// a boolean to YAML, so those are texts too, where one of them could match.
func text(pattern string) object {
	kinds := []any{"string"}
	re := regexp.MustCompile(pattern)
	if slices.ContainsFunc([]string{"5", "600", "0.5", "-1"}, re.MatchString) {
		kinds = append(kinds, "number")
	}
	if re.MatchString("true") {
		kinds = append(kinds, "boolean")
	}
	out := object{{"type", kinds}}
	if len(kinds) == 1 {
		out[0].value = kinds[0]
	}
	if pattern != "" {
		out = append(out, member{"pattern", pattern})
	}
	return out
}

// durations has the form only: bounds are for the parser.
func durations(t *shape.Type) object {
	pattern := duration
	if t.Lo < 0 {
		pattern = signed
	}
	if t.Lo > 0 {
		return object{{"type", "string"}, {"pattern", pattern}}
	}
	return object{{"type", []any{"string", "integer"}}, {"pattern", pattern}, {"minimum", 0}, {"maximum", 0}}
}

// words lists texts, and of those that look like a number or a boolean that as
// well: in YAML they need no quotes.
func words(texts []string) []any {
	var list []any
	for _, text := range texts {
		list = append(list, text)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && fmt.Sprint(n) == text {
			list = append(list, n)
		}
		if text == "true" || text == "false" {
			list = append(list, text == "true")
		}
	}
	return list
}
