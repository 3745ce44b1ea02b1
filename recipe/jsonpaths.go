package recipe

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// maxJSONPaths bounds how many paths are looked for in one pass. Answers have
// room for so many on the stack; those beyond are looked up one by one.
const maxJSONPaths = 8

// jsonPaths are paths whose values are found in one pass over a document. They
// are gjson paths that name members and items alone; what those lead to is
// written in [gjson.Get], which stays the judge of all others.
type jsonPaths struct {
	paths []string // by target
	root  pathNode
}

// pathNode is where paths have come to after some of their parts.
type pathNode struct {
	part   string
	index  int // part as the number of an item, or -1
	target int // the path that ends here, or -1
	next   []pathNode
}

// newJSONPaths returns nil if none of the paths can be found in one pass.
func newJSONPaths(paths []string) *jsonPaths {
	p := &jsonPaths{root: pathNode{index: -1, target: -1}}
	for _, path := range paths {
		parts := strings.Split(path, ".")
		if len(p.paths) < maxJSONPaths && !slices.Contains(p.paths, path) && !slices.ContainsFunc(parts, isSpecialPart) {
			p.root.add(parts, len(p.paths))
			p.paths = append(p.paths, path)
		}
	}
	if len(p.paths) == 0 {
		return nil
	}
	return p
}

// isSpecialPart reports whether a part of a path is, or could be, more than a
// name or a number. Numbers that several parts could stand for, such as 1 and
// 01, or that may not fit count as special too.
func isSpecialPart(part string) bool {
	if part == "" || strings.ContainsAny(part, `\|#*?@![]{}()"`) {
		return true
	}
	if strings.Trim(part, "0123456789") != "" {
		return false
	}
	return len(part) > 9 || len(part) > 1 && part[0] == '0'
}

func (n *pathNode) add(parts []string, target int) {
	if len(parts) == 0 {
		n.target = target
		return
	}
	i := slices.IndexFunc(n.next, func(m pathNode) bool { return m.part == parts[0] })
	if i < 0 {
		i = len(n.next)
		index, err := strconv.ParseUint(parts[0], 10, 31)
		if err != nil {
			n.next = append(n.next, pathNode{part: parts[0], index: -1, target: -1})
		} else {
			n.next = append(n.next, pathNode{part: parts[0], index: int(index), target: -1})
		}
	}
	n.next[i].add(parts[1:], target)
}

// member returns where a member leads, or nil. name is as it stands in the text.
func (n *pathNode) member(name []byte, escaped bool) *pathNode {
	if n == nil || len(n.next) == 0 {
		return nil
	}
	if escaped {
		name = []byte(unescapeJSON(name))
	}
	for i := range n.next {
		if string(name) == n.next[i].part {
			return &n.next[i]
		}
	}
	return nil
}

// item returns where an item of an array leads, or nil.
func (n *pathNode) item(index int) *pathNode {
	if n == nil {
		return nil
	}
	for i := range n.next {
		if n.next[i].index == index {
			return &n.next[i]
		}
	}
	return nil
}

// unescapeJSON decodes what stands between the quotes of a valid string.
func unescapeJSON(text []byte) string {
	return gjson.Parse(`"` + string(text) + `"`).Str
}

// jsonMembers are the members of one answer's body at some paths. They are
// found in one pass, when the first of them is asked for. It is small, as every
// answer has one.
type jsonMembers struct {
	paths *jsonPaths // nil: members are looked up one by one
	state scanState
	found jsonSpans
}

// scanState says what came of looking for all paths in a body.
type scanState uint8

const (
	scanLater   scanState = iota // nobody has asked yet
	scanFound                    // the body is JSON
	scanInvalid                  // it is none
	scanScalar                   // it begins with no object or array, where paths lead nowhere in particular, or is huge
)

// raw returns the member of the body at a path as it stands there; nil: it is
// not there. ok is false when the body is no JSON. With known false this is not
// the way to find that member.
func (m *jsonMembers) raw(body []byte, path string) (text []byte, ok, known bool) {
	if m.paths == nil {
		return nil, false, false
	}
	i := slices.Index(m.paths.paths, path)
	if i < 0 {
		return nil, false, false
	}
	if m.state == scanLater {
		m.scan(body)
	}
	if at := m.found[i]; m.state == scanFound && at.to > 0 {
		text = body[at.from:at.to]
	}
	return text, m.state == scanFound, m.state != scanScalar
}

// scan looks for the paths in the first JSON value of a body.
func (m *jsonMembers) scan(body []byte) {
	start := jsonStart(body)
	if start == len(body) || body[start] != '{' && body[start] != '[' || len(body) > math.MaxInt32 {
		m.state = scanScalar
		return
	}
	s := jsonScan{text: body, found: &m.found}
	m.state = scanFound
	if s.value(start, &m.paths.root, 0) < 0 {
		m.state = scanInvalid
	}
}

// matchRaw is matchJSON for a member as it stands in a valid text; nil: it is
// not there.
func (t test) matchRaw(raw []byte) bool {
	if raw == nil {
		return t.matchAbsent()
	}
	switch raw[0] {
	case 'n':
		return t.matchAbsent()
	case '{':
		return false
	case '[':
		return t.matchItems(raw)
	case '"':
		text := raw[1 : len(raw)-1]
		if slices.Contains(text, '\\') {
			return t.matchText(unescapeJSON(text))
		}
		return t.matchBytes(text)
	case 't', 'f':
		return t.matchBytes(raw)
	}
	if isPlainInteger(raw) {
		return t.matchBytes(raw)
	}
	return t.matchText(canonicalScalar(string(raw), true))
}

// matchItems matches any item of an array that is no array itself.
func (t test) matchItems(raw []byte) bool {
	s := jsonScan{text: raw}
	for i := skipSpace(raw, 1); raw[i] != ']'; {
		end := s.value(i, nil, 0)
		if raw[i] != '[' && t.matchRaw(raw[i:end]) {
			return true
		}
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return false
}

// isPlainInteger reports whether a number is its own canonical spelling: not
// -0, and short enough for an int64 whatever its digits.
func isPlainInteger(number []byte) bool {
	digits := number
	if digits[0] == '-' {
		digits = digits[1:]
	}
	return digitsEnd(digits, 0) == len(digits) && len(digits) <= 18 && (digits[0] != '0' || len(number) == 1)
}

// matchBytes is matchText without a copy.
func (t test) matchBytes(text []byte) bool {
	for _, a := range t.any {
		if a.re != nil {
			if a.re.Match(text) {
				return true
			}
		} else if !a.absent && a.text == string(text) {
			return true
		}
	}
	return false
}
