package http1

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Fields are the fields of a head in the order in which they came, under their
// canonical names. Like [http.Header] they can be asked by name, but reading a
// head into one that was used before allocates nothing. The zero value is empty.
type Fields struct{ names, values []string }

// Len returns how many fields there are.
func (f *Fields) Len() int { return len(f.names) }

// At returns field i.
func (f *Fields) At(i int) (name, value string) { return f.names[i], f.values[i] }

// Get returns the first value of a field, by its canonical name, or "".
func (f *Fields) Get(name string) string {
	if i := slices.Index(f.names, name); i >= 0 {
		return f.values[i]
	}
	return ""
}

// Values returns all values of a field, by its canonical name; nil: there are
// none. They are good as long as f is, and are not to be changed.
func (f *Fields) Values(name string) []string {
	from := slices.Index(f.names, name)
	if from < 0 {
		return nil
	}
	to := from + 1
	for to < len(f.names) && f.names[to] == name {
		to++
	}
	values := f.values[from:to:to] // mostly that is all
	for i := to; i < len(f.names); i++ {
		if f.names[i] == name {
			values = append(values, f.values[i])
		}
	}
	return values
}

// framing returns the values of the fields that say how a message ends. It looks for
// all at once.
func (f *Fields) framing() (lengths, codings, connection []string) {
	for _, name := range f.names {
		switch name {
		case "Content-Length":
			lengths = f.Values(name)
		case "Transfer-Encoding":
			codings = f.Values(name)
		case "Connection":
			connection = f.Values(name)
		}
	}
	return lengths, codings, connection
}

// Header returns a copy as net/http has it. Its values share one array.
func (f *Fields) Header() http.Header {
	header := make(http.Header, len(f.names))
	values := slices.Clone(f.values)
	for i, name := range f.names {
		if others, ok := header[name]; ok {
			header[name] = append(others, values[i])
			continue
		}
		header[name] = values[i : i+1 : i+1]
	}
	return header
}

// keptFields bounds the fields whose memory is kept for the next head: whoever has
// many of these may have them for long.
const keptFields = 128

// Clear removes all fields.
func (f *Fields) Clear() {
	if cap(f.names) > keptFields {
		*f = Fields{}
		return
	}
	clear(f.names)
	clear(f.values)
	f.names, f.values = f.names[:0], f.values[:0]
}

func (f *Fields) add(name, value string) {
	f.names, f.values = append(f.names, name), append(f.values, value)
}

// parse adds the fields of text, whose lines all end in CRLF.
func (f *Fields) parse(text string) error {
	for text != "" {
		if len(f.names) == maxFields {
			return malformed("there are too many fields")
		}
		var name, value string
		var err error
		if name, value, text, err = cutField(text); err != nil {
			return err
		}
		f.add(name, value)
	}
	return nil
}

// cutField cuts the first field line from text, whose lines all end in CRLF (RFC
// 9112 section 5). The name is returned in its canonical form.
func cutField(text string) (name, value, rest string, err error) {
	colon, canonical := nameEnd(text)
	if colon <= 0 || text[colon] != ':' { // so neither folded nor with a space before the colon
		return "", "", "", malformed("a field's name")
	}
	name = text[:colon]
	if !canonical {
		name = textproto.CanonicalMIMEHeaderKey(name)
	}
	end := strings.IndexByte(text, '\n') // after CR: all lines end so
	value = trim(text[colon+1 : end-1])
	if !isText(value) {
		return "", "", "", malformed("a field's value")
	}
	return name, value, text[end+1:], nil
}

// nameEnd returns where the token ends that text begins with, and whether its
// letters are in canonical case: upper at its beginning and behind each hyphen,
// lower elsewhere. Text ends in CRLF, so there is an end.
func nameEnd(text string) (end int, canonical bool) {
	canonical = true
	begins := true // a word
	for i := range len(text) {
		class := classes[text[i]]
		if class == notToken {
			return i, canonical
		}
		if begins && class == lowerLetter || !begins && class == upperLetter {
			canonical = false
		}
		begins = text[i] == '-'
	}
	return 0, false
}

// What a byte is in a name.
const (
	notToken = iota
	upperLetter
	lowerLetter
	otherToken
)

// classes says so for each byte (RFC 9110 section 5.6.2).
var classes = [256]uint8{
	'!': otherToken, '#': otherToken, '$': otherToken, '%': otherToken, '&': otherToken, '\'': otherToken, '*': otherToken,
	'+': otherToken, '-': otherToken, '.': otherToken, '^': otherToken, '_': otherToken, '`': otherToken, '|': otherToken, '~': otherToken,
	'0': otherToken, '1': otherToken, '2': otherToken, '3': otherToken, '4': otherToken,
	'5': otherToken, '6': otherToken, '7': otherToken, '8': otherToken, '9': otherToken,
	'A': upperLetter, 'B': upperLetter, 'C': upperLetter, 'D': upperLetter, 'E': upperLetter, 'F': upperLetter, 'G': upperLetter,
	'H': upperLetter, 'I': upperLetter, 'J': upperLetter, 'K': upperLetter, 'L': upperLetter, 'M': upperLetter, 'N': upperLetter,
	'O': upperLetter, 'P': upperLetter, 'Q': upperLetter, 'R': upperLetter, 'S': upperLetter, 'T': upperLetter, 'U': upperLetter,
	'V': upperLetter, 'W': upperLetter, 'X': upperLetter, 'Y': upperLetter, 'Z': upperLetter,
	'a': lowerLetter, 'b': lowerLetter, 'c': lowerLetter, 'd': lowerLetter, 'e': lowerLetter, 'f': lowerLetter, 'g': lowerLetter,
	'h': lowerLetter, 'i': lowerLetter, 'j': lowerLetter, 'k': lowerLetter, 'l': lowerLetter, 'm': lowerLetter, 'n': lowerLetter,
	'o': lowerLetter, 'p': lowerLetter, 'q': lowerLetter, 'r': lowerLetter, 's': lowerLetter, 't': lowerLetter, 'u': lowerLetter,
	'v': lowerLetter, 'w': lowerLetter, 'x': lowerLetter, 'y': lowerLetter, 'z': lowerLetter,
}
