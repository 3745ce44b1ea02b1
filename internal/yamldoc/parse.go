package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// MaxSize bounds a document, in bytes: as much as a ConfigMap holds. A document of
// nothing but short names takes 200 times as much memory while it is read, and the
// process that reads it may be in service.
const MaxSize = 1 << 20

// Parse reads data, the content of the file of that name, into a cursor at its
// root. Mistakes of syntax, and what the package refuses, are noted in rep; ok
// is then false. An empty document is a mistake too.
func Parse(rep *Report, file string, data []byte) (root Value, ok bool) {
	fail := func(line, col int, format string, args ...any) (Value, bool) {
		rep.Add(Problem{File: file, Line: line, Col: col, Text: fmt.Sprintf(format, args...)})
		return Value{}, false
	}
	if len(data) > MaxSize {
		return fail(0, 0, "the file is larger than %d bytes", MaxSize)
	}
	lines := &lineReader{rest: data}
	dec := yaml.NewDecoder(lines)
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return fail(1, 1, "the file is empty")
	} else if err != nil {
		line, col, text := syntaxError(err, data, lines.read)
		return fail(line, col, "%s", text)
	}
	// The decoder stops at the end of a document, so a mistake behind it shows
	// only now.
	if err := dec.Decode(&second); err == nil {
		return fail(second.Line, max(second.Column, 1), "the file holds a second document; only one is read")
	} else if !errors.Is(err, io.EOF) {
		line, col, text := syntaxError(err, data, lines.read)
		return fail(line, col, "%s", text)
	}
	if len(doc.Content) != 1 || doc.Content[0].Tag == "!!null" && doc.Content[0].Style&yaml.TaggedStyle == 0 {
		return fail(1, 1, "the file is empty")
	}
	before := rep.Len()
	refuseExtras(rep, file, doc.Content[0])
	return Value{node: doc.Content[0], file: file, rep: rep}, rep.Len() == before
}

// lineReader gives data line by line and counts the lines. The decoder asks
// for more only when it has used up what it has, so after an error the count
// tells where it stopped; its own messages name the start of the structure
// around the mistake, or nothing.
type lineReader struct {
	rest []byte
	read int // lines given, the one in progress included
	mid  bool
}

func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		return 0, io.EOF
	}
	if !l.mid {
		l.read++
	}
	end := bytes.IndexByte(l.rest, '\n') + 1
	if end == 0 {
		end = len(l.rest)
	}
	n := copy(p, l.rest[:end])
	l.mid = n < end
	l.rest = l.rest[n:]
	return n, nil
}

var (
	yamlLine      = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`) })
	unknownAnchor = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)^yaml: unknown anchor '(.*)' referenced$`) })
)

const aliasText = "YAML aliases are not supported; write the value out, and quote a text that begins with *"

// syntaxError makes a place and a text from an error of the decoder, which had
// read so many lines when it found it.
func syntaxError(err error, data []byte, read int) (line, col int, text string) {
	if m := unknownAnchor().FindStringSubmatch(err.Error()); m != nil {
		// What looks like an alias may be a password: its text stays here.
		line, col = find(data, "*"+m[1])
		return line, col, aliasText
	}
	m := yamlLine().FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if m == nil {
		return max(read, 1), 1, "not valid YAML"
	}
	line, _ = strconv.Atoi(m[1])
	switch {
	case strings.HasPrefix(m[2], "did not find expected ',' or"):
		// Counted from 0, and it is where the bracket opens.
		return line + 1, 1, "not valid YAML in the brackets that open here: " + m[2] + "; close them, and quote texts with special characters"
	case strings.HasPrefix(m[2], "did not find expected"):
		return max(read, 1), 1, "not valid YAML here or in the line above: " + m[2] + "; check the indentation, and quote texts with special characters"
	case m[1] == "" && !scanned(m[2]), strings.Contains(m[2], "a tab character"):
		line = read
	}
	line = max(line, 1)
	return line, 1, "not valid YAML: " + readable(m[2], lineOf(data, line))
}

// readable puts the decoder's commonest messages in words of the user; line is
// the text of the line that it complains about.
func readable(message, line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(message, "a tab character"),
		strings.Contains(message, "cannot start any token") && strings.Contains(indent, "\t"):
		return "a tab; YAML is indented with spaces"
	case strings.Contains(message, "cannot start any token"):
		return "a text cannot begin with a character such as @, % or `; quote it"
	case strings.Contains(message, "mapping values are not allowed"):
		return "a colon where no key can be; quote a text that holds a colon and a space, put a space behind the colon of a key, and check the indentation"
	case strings.Contains(message, "unexpected end of stream"):
		return "a quote is opened here and never closed"
	case strings.Contains(message, "unknown escape character"):
		return "in double quotes \\ begins an escape; write \\\\ or use single quotes"
	case strings.Contains(message, "block sequence entries are not allowed"):
		return "a list begins in a line of its own, below its key"
	case strings.Contains(message, "could not find expected ':'"):
		return "a colon is missing behind a key, here or in the line above"
	}
	return message
}

// lineOf returns a line of data, counted from 1, without its end.
func lineOf(data []byte, number int) string {
	for line := range bytes.Lines(data) {
		if number--; number == 0 {
			return strings.TrimRight(string(line), "\r\n")
		}
	}
	return ""
}

// scanned reports whether the message is one that carries a line, so that none
// means the first line. The others are about bytes that are no text.
func scanned(text string) bool {
	return !strings.Contains(text, "UTF-") && !strings.Contains(text, "control characters") &&
		!strings.Contains(text, "Unicode") && !strings.Contains(text, "surrogate")
}

// find returns the line and column of the first occurrence of text.
func find(data []byte, text string) (line, col int) {
	at := bytes.Index(data, []byte(text))
	if at < 0 {
		return 1, 1
	}
	before := string(data[:at])
	return strings.Count(before, "\n") + 1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
}

// refuseExtras notes what of YAML is refused.
func refuseExtras(rep *Report, file string, n *yaml.Node) {
	note := func(text string) { rep.Add(Problem{File: file, Line: n.Line, Col: n.Column, Text: text}) }
	switch {
	case n.Kind == yaml.AliasNode:
		note(aliasText)
		return
	case n.Anchor != "":
		note("YAML anchors are not supported; quote a text that begins with &")
	case n.Style&yaml.TaggedStyle != 0:
		note("YAML tags are not supported; quote a text that begins with !")
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Tag == "!!merge" {
			rep.Add(Problem{File: file, Line: c.Line, Col: c.Column, Text: "YAML merge keys are not supported; write the members out"})
		}
		refuseExtras(rep, file, c)
	}
}
