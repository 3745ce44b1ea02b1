package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object is a JSON object whose members keep their order, so that a schema reads
// as the reference does.
type object []member

type member struct {
	name  string
	value any // object, []any, string, bool, or a number
}

// get returns the value of a member, or nil.
func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// write writes a value, indented. What is short stands in one line.
func write(b *bytes.Buffer, v any, indent string) {
	var line bytes.Buffer
	if compact(&line, v); line.Len()+len(indent) <= 100 {
		b.Write(line.Bytes())
		return
	}
	deeper := indent + "  "
	switch v := v.(type) {
	case object:
		b.WriteByte('{')
		for i, m := range v {
			separate(b, i, "\n"+deeper)
			b.WriteString(quote(m.name) + ": ")
			write(b, m.value, deeper)
		}
		b.WriteString("\n" + indent + "}")
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			separate(b, i, "\n"+deeper)
			write(b, item, deeper)
		}
		b.WriteString("\n" + indent + "]")
	default:
		b.Write(line.Bytes())
	}
}

// compact writes a value in one line.
func compact(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case object:
		b.WriteByte('{')
		for i, m := range v {
			separate(b, i, " ")
			b.WriteString(quote(m.name) + ": ")
			compact(b, m.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			separate(b, i, " ")
			compact(b, item)
		}
		b.WriteByte(']')
	case string:
		b.WriteString(quote(v))
	default: // booleans and numbers look alike in Go and JSON
		fmt.Fprint(b, v)
	}
}

// separate writes what stands before the i-th item.
func separate(b *bytes.Buffer, i int, between string) {
	if i > 0 {
		b.WriteByte(',')
	}
	if i > 0 || between != " " {
		b.WriteString(between)
	}
}

// quote writes a text as JSON, with < and & as they are: this is for people too.
func quote(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a text can always be written
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
