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
	for _, c := range piece {
		switch j.state {
		case jsonBefore:
			j.begin(c)
		case jsonInside:
			j.inside(c)
		case jsonEnded, jsonNone:
			return j.state, j.start, j.seen
		}
		j.seen++
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

func (j *jsonEnd) inside(c byte) {
	if j.inString {
		switch {
		case j.escaped:
			j.escaped = false
		case c == '\\':
			j.escaped = true
		case c == '"':
			j.inString = false
		}
		return
	}
	switch c {
	case '"':
		j.inString = true
	case '{', '[':
		j.depth++
	case '}', ']':
		if j.depth--; j.depth == 0 {
			j.state = jsonEnded
		}
	}
}
