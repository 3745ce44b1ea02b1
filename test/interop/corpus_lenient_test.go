package interop

import (
	"bytes"
	"regexp"
	"strings"
)

// lenient reads requests as the sloppiest servers do. Each liberty is one that
// some server took; together they show whether bytes mean the same to everyone.
type lenient struct {
	name        string
	lastLength  bool // of several lengths the last one counts, not the first
	lengthWins  bool // a length counts even beside a transfer coding
	oddCodings  bool // whatever has "chunked" in it is chunked
	crEnds      bool // CR alone ends a line
	narrow      bool // sizes of chunks have 32 bits
	foldedNames bool // Content_Length is Content-Length
}

func lenientReaders() []lenient {
	return []lenient{
		{name: "first length, exact coding"},
		{name: "last length", lastLength: true},
		{name: "length wins", lengthWins: true},
		{name: "odd codings", oddCodings: true},
		{name: "odd codings, length wins", oddCodings: true, lengthWins: true, lastLength: true},
		{name: "CR ends lines", crEnds: true, oddCodings: true},
		{name: "32 bits", narrow: true},
		{name: "underscores in names", foldedNames: true, lastLength: true},
	}
}

// ids returns the X-Id of every request head that is found in raw. A head that
// has none counts with an empty one.
func (l lenient) ids(raw []byte) []string {
	var ids []string
	for {
		line, rest, ok := l.line(raw)
		if !ok {
			return ids
		}
		if strings.TrimSpace(line) == "" {
			raw = rest
			continue
		}
		var fields []field
		fields, rest, ok = l.fields(rest)
		if !ok {
			return ids
		}
		if looksLikeRequest.MatchString(line) {
			id := ""
			for _, f := range fields {
				if f.name == "x-id" && isCaseID.MatchString(f.value) {
					id = f.value
				}
			}
			ids = append(ids, id)
		}
		raw = l.body(fields, rest)
	}
}

var looksLikeRequest = regexp.MustCompile(`^\s*[A-Za-z-]+\s+\S+`)

// line cuts a line off; ok is false if there is no end.
func (l lenient) line(raw []byte) (line string, rest []byte, ok bool) {
	ends := "\n"
	if l.crEnds {
		ends = "\r\n"
	}
	i := bytes.IndexAny(raw, ends)
	if i < 0 {
		return "", nil, false
	}
	rest = raw[i+1:]
	if raw[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return strings.TrimSuffix(string(raw[:i]), "\r"), rest, true
}

// fields reads names, in lower case, and values until an empty line.
func (l lenient) fields(raw []byte) (fields []field, rest []byte, ok bool) {
	for {
		line, rest, ok := l.line(raw)
		if !ok {
			return nil, nil, false
		}
		raw = rest
		if line == "" {
			return fields, raw, true
		}
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(strings.Trim(name, " \t\v\f\x00"))
		if l.foldedNames {
			name = strings.ReplaceAll(name, "_", "-")
		}
		fields = append(fields, field{name, strings.Trim(value, " \t\v\f\x00")})
	}
}

// body returns what follows the body.
func (l lenient) body(fields []field, raw []byte) []byte {
	length, chunked, has := 0, false, false
	for _, f := range fields {
		switch f.name {
		case "content-length":
			if !has || l.lastLength {
				length, has = digits(strings.TrimLeft(f.value, "+"), 10, false), true
			}
		case "transfer-encoding":
			value := strings.ToLower(f.value)
			chunked = chunked || value == "chunked" || l.oddCodings && strings.Contains(value, "chunked")
		}
	}
	switch {
	case chunked && (!has || !l.lengthWins):
		return l.chunks(raw)
	case has:
		return raw[min(length, len(raw)):]
	}
	return raw
}

func (l lenient) chunks(raw []byte) []byte {
	for {
		line, rest, ok := l.line(raw)
		if !ok {
			return nil
		}
		n := digits(strings.TrimPrefix(strings.ToLower(strings.TrimLeft(line, " \t+")), "0x"), 16, l.narrow)
		if n == 0 {
			_, rest, _ = l.fields(rest)
			return rest
		}
		raw = rest[min(n, len(rest)):]
		if _, rest, ok := l.line(raw); ok {
			raw = rest // whatever stands there
		}
	}
}

// digits reads the number that text begins with; it wraps around as C's do.
func digits(text string, base uint64, narrow bool) int {
	var n uint64
	for i := range len(text) {
		d := uint64(strings.IndexByte("0123456789abcdef", text[i]))
		if d >= base {
			break
		}
		n = n*base + d
	}
	if narrow {
		n &= 1<<32 - 1
	}
	return int(min(n, 1<<40))
}
