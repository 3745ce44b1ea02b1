package proxy

import (
	"encoding/binary"
	"math/bits"
)

// jsonEnd finds the end of the first JSON object or array of a stream, however
// it is cut into pieces. It checks no more of the syntax than it needs for that;
// whoever reads the value checks the rest. The zero value is ready.
type jsonEnd struct {
	state    jsonState
	depth    int
	inString bool
	escaped  bool
	bom      int // bytes of a byte order mark seen
	seen     int // bytes scanned
	start    int // of the value
}

type jsonState uint8

const (
	jsonBefore jsonState = iota // only white space so far
	jsonInside
	jsonEnded
	jsonNone // the stream does not start like JSON
)

const byteOrderMark = "\xef\xbb\xbf"

// scan looks at the next piece. Once the value has ended, it is what lies
// between start and end, counted from the beginning of the stream.
func (j *jsonEnd) scan(piece []byte) (state jsonState, start, end int) {
	i := 0
	for ; i < len(piece) && j.state == jsonBefore; i++ {
		j.begin(piece[i])
		j.seen++
	}
	if j.state == jsonInside {
		j.seen += j.inside(piece[i:])
	}
	return j.state, j.start, j.seen
}

func (j *jsonEnd) begin(c byte) {
	switch {
	case c == '{' || c == '[':
		j.state, j.depth, j.start = jsonInside, 1, j.seen
	case j.seen == j.bom && j.bom < len(byteOrderMark) && c == byteOrderMark[j.bom]:
		j.bom++
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
	default:
		j.state = jsonNone
	}
}

// inside looks at bytes of the value, up to its end. It returns how many it
// took.
func (j *jsonEnd) inside(piece []byte) int {
	i := 0
	if j.escaped && len(piece) > 0 {
		i, j.escaped = 1, false
	}
	for i < len(piece) {
		if j.inString {
			i = j.text(piece, i)
			continue
		}
		switch piece[i] {
		case ',', ':': // what mostly stands between strings
		case '"':
			j.inString = true
		case '{', '[':
			j.depth++
		case '}', ']':
			if j.depth--; j.depth == 0 {
				j.state = jsonEnded
				return i + 1
			}
		default:
			i = nextStructure(piece, i+1) - 1
		}
		i++
	}
	return i
}

// text skips a part of a string, up to its end or behind a byte that is
// escaped.
func (j *jsonEnd) text(piece []byte, i int) int {
	i = nextInText(piece, i)
	switch {
	case i == len(piece):
	case piece[i] == '"':
		j.inString = false
		i++
	case i+1 == len(piece):
		j.escaped = true
		i++
	default:
		i += 2
	}
	return i
}

// Both of the following look at eight bytes at a time: (x-ones)&^x has the
// highest bit of each byte set that is 0 in x. In bytes behind the first such
// byte that bit may be wrong, in those before it is not.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// nextInText returns the index of the next quote or backslash.
func nextInText(piece []byte, i int) int {
	for ; i+8 <= len(piece); i += 8 {
		x := binary.LittleEndian.Uint64(piece[i:])
		quote, backslash := x^ones*'"', x^ones*'\\'
		if found := ((quote-ones)&^quote | (backslash-ones)&^backslash) & tops; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(piece) && piece[i] != '"' && piece[i] != '\\' {
		i++
	}
	return i
}

// nextStructure returns the index of the next quote, bracket or brace. In it a
// bit tells brackets from braces, so that one look finds either.
func nextStructure(piece []byte, i int) int {
	for ; i+8 <= len(piece); i += 8 {
		x := binary.LittleEndian.Uint64(piece[i:])
		quote, opened, closed := x^ones*'"', x|ones*('['^'{')^ones*'{', x|ones*('['^'{')^ones*'}'
		if found := ((quote-ones)&^quote | (opened-ones)&^opened | (closed-ones)&^closed) & tops; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(piece) && piece[i] != '"' && piece[i]|('['^'{') != '{' && piece[i]|('['^'{') != '}' {
		i++
	}
	return i
}
