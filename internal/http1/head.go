package http1

import (
	"bytes"
	"math"
	"net/http"
	"net/textproto"
	"strings"
)

// maxFields bounds the fields of a head or a trailer, each of which costs far
// more memory than its bytes.
const maxFields = 4 << 10

// head is the head of an answer, parsed.
type head struct {
	statusLine
	header http.Header
}

// statusLine is the first line of an answer.
type statusLine struct {
	status int
	text   string // status and reason, as in "200 OK"
	old    bool   // HTTP/1.0
}

// readHead reads interim answers and then the head of the final one into a.
func (c *Client) readHead(a *answer, method string, opts Options) error {
	conn, budget := a.body.conn, c.maxHead
	for range maxInterim + 1 {
		text, err := conn.block(budget, true)
		if err != nil {
			return err
		}
		budget -= len(text)
		h, err := parseHead(text)
		if err != nil {
			return err
		}
		if h.status >= 200 || h.status == http.StatusSwitchingProtocols {
			return a.begin(h, method)
		}
		if h.status == http.StatusContinue {
			a.body.up.allow(true)
			continue
		}
		if opts.OnInterim != nil {
			opts.OnInterim(h.status, h.header)
		}
	}
	return malformed("there are too many interim answers")
}

// block reads lines up to and with an empty one, and returns them without it.
// Each has to end in CRLF: readers that also take LF alone see other lines than
// those that do not (RFC 9112 section 2.2).
func (c *conn) block(limit int, isHead bool) (string, error) {
	line, at := 0, 0 // from c.r on: where the line begins, how far it was searched
	for {
		for {
			i := bytes.IndexByte(c.buf[c.r+at:c.w], '\n')
			if i < 0 {
				at = c.w - c.r
				break
			}
			at += i + 1
			switch {
			case at-line < 2 || c.buf[c.r+at-2] != '\r':
				return "", malformed("a line does not end in CRLF")
			case at > limit:
				return "", malformed("a head or a trailer is too long")
			case at-line == 2:
				text := string(c.buf[c.r : c.r+line])
				c.r += at
				return text, nil
			}
			line = at
		}
		if isHead && !likeHTTP(c.buf[c.r:c.w]) {
			return "", malformed("it does not begin like an answer")
		}
		if err := c.more(limit); err != nil {
			return "", err
		}
	}
}

// likeHTTP reports whether p may be the beginning of an answer, so that nobody
// waits for the end of a head that is none.
func likeHTTP(p []byte) bool {
	const begin = "HTTP/1."
	n := min(len(p), len(begin))
	return string(p[:n]) == begin[:n]
}

// parseHead parses a head, whose lines all end in CRLF.
func parseHead(text string) (head, error) {
	line, fields, _ := strings.Cut(text, "\r\n")
	status, err := parseStatusLine(line)
	if err != nil {
		return head{}, err
	}
	header, err := parseFields(fields)
	return head{status, header}, err
}

// parseStatusLine parses HTTP-version SP status-code SP [reason-phrase] (RFC 9112
// section 4). Many leave out the second space along with the reason.
func parseStatusLine(line string) (statusLine, error) {
	if len(line) < len("HTTP/1.1 200") || line[:7] != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' {
		return statusLine{}, malformed("the status line")
	}
	s := statusLine{text: line[9:], old: line[7] == '0'}
	for i := range 3 {
		d := line[9+i]
		if d < '0' || d > '9' {
			return statusLine{}, malformed("the status line")
		}
		s.status = s.status*10 + int(d-'0')
	}
	if s.status < 100 || !isText(s.text) {
		return statusLine{}, malformed("the status line")
	}
	return s, nil
}

// parseFields parses field lines, each of which ends in CRLF (RFC 9112 section
// 5). Values share the memory of text.
func parseFields(text string) (http.Header, error) {
	count := strings.Count(text, "\n")
	if count > maxFields {
		return nil, malformed("there are too many fields")
	}
	header, values := make(http.Header, count), make([]string, 0, count)
	for text != "" {
		var key, value string
		var err error
		if key, value, text, err = cutField(text); err != nil {
			return nil, err
		}
		if others, ok := header[key]; ok {
			header[key] = append(others, value)
			continue
		}
		values = append(values, value)
		header[key] = values[len(values)-1 : len(values) : len(values)]
	}
	return header, nil
}

// lengthOf returns what the values of Content-Length say; -1: there are none. Two
// equal ones are refused as well: whoever sends them has lost track.
func lengthOf(values []string) (int64, error) {
	if len(values) == 0 {
		return -1, nil
	}
	if len(values) != 1 || values[0] == "" || len(values[0]) > len("9223372036854775807") {
		return 0, malformed("its length")
	}
	var n uint64
	for i := range len(values[0]) {
		d := values[0][i]
		if d < '0' || d > '9' {
			return 0, malformed("its length")
		}
		n = n*10 + uint64(d-'0') // 19 digits are less than 2^64
	}
	if n > math.MaxInt64 {
		return 0, malformed("its length")
	}
	return int64(n), nil
}

// isChunked reports whether the body comes in chunks, by the values of
// Transfer-Encoding, which is the only transfer coding that is understood.
func isChunked(codings []string, old, hasLength bool) (bool, error) {
	switch {
	case len(codings) == 0:
		return false, nil
	case len(codings) != 1 || !isWord(codings[0], "chunked"):
		return false, malformed("its transfer coding")
	case old: // RFC 9112 section 6.1
		return false, malformed("a transfer coding in HTTP/1.0")
	case hasLength:
		return false, malformed("both a length and a transfer coding")
	}
	return true, nil
}

// framing says how an answer ends, and what becomes of its connection.
type framing struct {
	kind   int   // bodyNone, …
	length int64 // what the head says of it; -1: nothing
	reuse  bool  // the connection may serve another request
}

// framing works that out (RFC 9112 section 6.3).
func (s *statusLine) framing(method string, lengths, codings, connection []string) (framing, error) {
	f := framing{reuse: !s.old && !closes(connection)}
	length, err := lengthOf(lengths)
	if err != nil {
		return f, err
	}
	chunked, err := isChunked(codings, s.old, len(lengths) > 0)
	if err != nil {
		return f, err
	}
	switch {
	case s.status == http.StatusSwitchingProtocols:
	case method == http.MethodHead:
		f.length = length
	case s.status == http.StatusNoContent || s.status == http.StatusNotModified:
		// What a 304 says of a length is about another answer (RFC 9110
		// section 15.4.5); of a 204 it is a mistake.
		f.reuse = f.reuse && (s.status == http.StatusNotModified || length <= 0 && !chunked)
	case chunked:
		f.kind, f.length = bodyChunked, -1
	case length >= 0:
		f.length = length
		if length > 0 {
			f.kind = bodyCounted
		}
	default:
		f.kind, f.length, f.reuse = bodyUntilClose, -1, false
	}
	return f, nil
}

// announced returns the trailer that a header announces, without values.
func announced(header http.Header) (http.Header, error) {
	values, ok := header["Trailer"]
	if !ok {
		return nil, nil
	}
	delete(header, "Trailer")
	trailer := http.Header{}
	for _, line := range values {
		for name := range strings.SplitSeq(line, ",") {
			if name = trim(name); name == "" {
				continue
			}
			key := textproto.CanonicalMIMEHeaderKey(name)
			if !isToken(name) || isFraming(name) {
				return nil, malformed("a trailer's name")
			}
			trailer[key] = nil
		}
	}
	return trailer, nil
}

// closes reports whether a Connection field says that this is the last message.
func closes(connection []string) bool {
	for _, line := range connection {
		for option := range strings.SplitSeq(line, ",") {
			if isWord(trim(option), "close") {
				return true
			}
		}
	}
	return false
}

// isWord reports whether s is a word, given in lower case, in whatever case its ASCII
// letters are. [strings.EqualFold] also takes the Kelvin sign for a k.
func isWord(s, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if classes[c] == upperLetter {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// trim removes optional white space (RFC 9110 section 5.6.3).
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if classes[s[i]] == notToken {
			return false
		}
	}
	return s != ""
}

// isText reports whether s may be a field's value (RFC 9110 section 5.5): no
// control character but the tab.
func isText(s string) bool {
	for ; len(s) >= 8; s = s[8:] { // tokens are long
		v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if maybeControl(v) && !isTextBytewise(s[:8]) {
			return false
		}
	}
	return isTextBytewise(s)
}

// maybeControl reports whether one of eight bytes is less than a space or is DEL. It
// may also say so of what is neither.
func maybeControl(v uint64) bool {
	const each = 0x0101010101010101
	del := v ^ 0x7f*each // is 0 where there is one
	return ((v-0x20*each)&^v|(del-each)&^del)&(0x80*each) != 0
}

func isTextBytewise(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
