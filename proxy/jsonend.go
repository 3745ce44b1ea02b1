package proxy

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
	for i := 0; i < len(piece); {
		n := 1
		switch {
		case j.state == jsonBefore:
			j.begin(piece[i])
		case j.state != jsonInside:
			return j.state, j.start, j.seen
		case j.inString:
			n = j.text(piece[i:])
		default:
			n = j.structure(piece[i:])
		}
		i += n
		j.seen += n
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

// text looks at bytes inside a string, up to its end or to one that is escaped.
// It returns how many it took.
func (j *jsonEnd) text(piece []byte) int {
	if j.escaped {
		j.escaped = false
		return 1
	}
	for i, c := range piece {
		switch c {
		case '"':
			j.inString = false
			return i + 1
		case '\\':
			j.escaped = true
			return i + 1
		}
	}
	return len(piece)
}

// structure looks at bytes outside of strings, up to the value's end or the
// beginning of a string. It returns how many it took.
func (j *jsonEnd) structure(piece []byte) int {
	for i, c := range piece {
		switch c {
		case '"':
			j.inString = true
			return i + 1
		case '{', '[':
			j.depth++
		case '}', ']':
			if j.depth--; j.depth == 0 {
				j.state = jsonEnded
				return i + 1
			}
		}
	}
	return len(piece)
}
