package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// maxFields bounds the fields of a head or a trailer, each of which costs far
// more memory than its bytes.
const maxFields = 4 << 10

// head is the head of an answer, parsed.
type head struct {
	status int
	text   string // status and reason, as in "200 OK"
	old    bool   // HTTP/1.0
	header http.Header
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
	// RFC 9112 section 4: HTTP-version SP status-code SP [reason-phrase].
	// Many leave out the second space along with the reason.
	if len(line) < len("HTTP/1.1 200") || line[:7] != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' {
		return head{}, malformed("the status line")
	}
	h := head{text: line[9:], old: line[7] == '0'}
	for i := range 3 {
		d := line[9+i]
		if d < '0' || d > '9' {
			return head{}, malformed("the status line")
		}
		h.status = h.status*10 + int(d-'0')
	}
	if h.status < 100 || !isText(h.text) {
		return head{}, malformed("the status line")
	}
	var err error
	h.header, err = parseFields(fields)
	return h, err
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
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) { // so neither folded nor with a space before the colon
			return nil, malformed("a field's name")
		}
		value = trim(value)
		if !isText(value) {
			return nil, malformed("a field's value")
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if others, ok := header[key]; ok {
			header[key] = append(others, value)
			continue
		}
		values = append(values, value)
		header[key] = values[len(values)-1 : len(values) : len(values)]
	}
	return header, nil
}

// lengthOf returns the Content-Length of a header; -1: there is none. Two equal
// ones are refused as well: whoever sends them has lost track.
func lengthOf(header http.Header) (int64, error) {
	values, ok := header["Content-Length"]
	if !ok {
		return -1, nil
	}
	if len(values) != 1 || values[0] == "" {
		return 0, malformed("its length")
	}
	for i := range len(values[0]) {
		if d := values[0][i]; d < '0' || d > '9' {
			return 0, malformed("its length")
		}
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return 0, malformed("its length")
	}
	return n, nil
}

// isChunked reports whether the body comes in chunks, which is the only transfer
// coding that is understood.
func isChunked(h *head) (bool, error) {
	values, ok := h.header["Transfer-Encoding"]
	if !ok {
		return false, nil
	}
	if len(values) != 1 || !strings.EqualFold(values[0], "chunked") {
		return false, malformed("its transfer coding")
	}
	if h.old { // RFC 9112 section 6.1
		return false, malformed("a transfer coding in HTTP/1.0")
	}
	if _, both := h.header["Content-Length"]; both {
		return false, malformed("both a length and a transfer coding")
	}
	return true, nil
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
			if strings.EqualFold(trim(option), "close") {
				return true
			}
		}
	}
	return false
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
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		return true
	}
	return strings.IndexByte("!#$%&'*+.^_`|~", c) >= 0
}

// isText reports whether s may be a field's value (RFC 9110 section 5.5): no
// control character but the tab.
func isText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
