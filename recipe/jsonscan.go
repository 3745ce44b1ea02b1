package recipe

import (
	"encoding/binary"
	"math/bits"
)

// jsonScan checks JSON text and, on the way, notes where the values stand that
// paths lead to. It decodes nothing and allocates nothing. What it takes for
// valid is what [gjson.ValidBytes] does, less what nests deeper than maxDepth.
//
// Its methods take the index at which something begins and return the index
// behind it, or -1 if the text is not valid.
type jsonScan struct {
	text  []byte
	found *jsonSpans
}

// jsonSpans says for each path of a [jsonPaths] where its value stands.
type jsonSpans [maxJSONPaths]struct{ from, to int32 }

// value takes a value that n leads to; n is nil where no path leads. depth is
// how many objects and arrays it stands in.
func (s *jsonScan) value(i int, n *pathNode, depth int) int {
	if i >= len(s.text) {
		return -1
	}
	end := -1
	switch c := s.text[i]; c {
	case '"':
		end, _ = stringEnd(s.text, i+1)
	case '{':
		end = s.object(i+1, n, depth+1)
	case '[':
		end = s.array(i+1, n, depth+1)
	case 't':
		end = literalEnd(s.text, i, "true")
	case 'f':
		end = literalEnd(s.text, i, "false")
	case 'n':
		end = literalEnd(s.text, i, "null")
	default:
		end = numberEnd(s.text, i)
	}
	if n != nil && n.target >= 0 && s.found[n.target].to == 0 {
		s.found[n.target].from, s.found[n.target].to = int32(i), int32(end) // the first one counts
	}
	return end
}

// object takes an object from behind its opening brace.
func (s *jsonScan) object(i int, n *pathNode, depth int) int {
	text := s.text
	if i = skipSpace(text, i); depth > maxDepth || i >= len(text) {
		return -1
	}
	if text[i] == '}' {
		return i + 1
	}
	for i < len(text) && text[i] == '"' {
		end, escaped := stringEnd(text, i+1)
		if end < 0 {
			return -1
		}
		next := n.member(text[i+1:end-1], escaped)
		if i = skipSpace(text, end); i >= len(text) || text[i] != ':' {
			return -1
		}
		if i = s.value(skipSpace(text, i+1), next, depth); i < 0 {
			return -1
		}
		if i = skipSpace(text, i); i >= len(text) {
			return -1
		}
		switch text[i] {
		case '}':
			return i + 1
		case ',':
			i = skipSpace(text, i+1)
		default:
			return -1
		}
	}
	return -1
}

// array takes an array from behind its opening bracket.
func (s *jsonScan) array(i int, n *pathNode, depth int) int {
	text := s.text
	if i = skipSpace(text, i); depth > maxDepth || i >= len(text) {
		return -1
	}
	if text[i] == ']' {
		return i + 1
	}
	for item := 0; ; item++ {
		if i = s.value(i, n.item(item), depth); i < 0 {
			return -1
		}
		if i = skipSpace(text, i); i >= len(text) {
			return -1
		}
		switch text[i] {
		case ']':
			return i + 1
		case ',':
			i = skipSpace(text, i+1)
		default:
			return -1
		}
	}
}

// skipSpace skips white space.
func skipSpace(text []byte, i int) int {
	for i < len(text) && text[i] <= ' ' && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// stringEnd takes a string from behind its opening quote; escaped reports
// whether it holds escapes.
func stringEnd(text []byte, i int) (end int, escaped bool) {
	for {
		if i = plainEnd(text, i); i >= len(text) {
			return -1, false
		}
		switch text[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			if i = escapeEnd(text, i+1); i < 0 {
				return -1, false
			}
			escaped = true
		default: // a control character
			return -1, false
		}
	}
}

// plainEnd skips what stands for itself in a string, eight bytes at a time: for
// each byte that is a quote, a backslash or a control character its highest bit
// is set in stop. Bytes behind the first of them may be wrong, that one is not.
func plainEnd(text []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		quote, backslash := x^ones*'"', x^ones*'\\'
		stop := ((quote-ones)&^quote | (backslash-ones)&^backslash | (x-ones*' ')&^x) & tops
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' {
		i++
	}
	return i
}

// escapeEnd takes an escape from behind its backslash.
func escapeEnd(text []byte, i int) int {
	if i >= len(text) {
		return -1
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 <= len(text) && isHex(text[i+1]) && isHex(text[i+2]) && isHex(text[i+3]) && isHex(text[i+4]) {
			return i + 5
		}
	}
	return -1
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func literalEnd(text []byte, i int, word string) int {
	if len(text)-i < len(word) || string(text[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// numberEnd takes a number.
func numberEnd(text []byte, i int) int {
	if i < len(text) && text[i] == '-' {
		i++
	}
	first := i
	if i = digitsEnd(text, i); i < 0 || text[first] == '0' && i > first+1 {
		return -1
	}
	if i < len(text) && text[i] == '.' {
		if i = digitsEnd(text, i+1); i < 0 {
			return -1
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		return digitsEnd(text, i)
	}
	return i
}

// digitsEnd takes digits, at least one.
func digitsEnd(text []byte, i int) int {
	first := i
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		i++
	}
	if i == first {
		return -1
	}
	return i
}
