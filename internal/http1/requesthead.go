package http1

import (
	"bytes"
	"errors"
	"strings"
)

// ErrUnusual says that a request is none of those that [RequestHead] is for. It
// may be a good one.
var ErrUnusual = errors.New("the request is unusual")

// RequestHead is the head of a plain request of HTTP/1.1: with a path for its
// target, and nothing that needs more than one message each way.
type RequestHead struct {
	Method, Target, Host string
	// Fields are all others than Host and those that frame the message.
	Fields Fields
	Length int64 // of the body; -1: it comes in chunks
	Close  bool  // the connection ends after this request
}

// HeadEnd returns where the head ends that p begins with, behind the empty line; 0:
// not in p. Each line has to end in CRLF (RFC 9112 section 2.2), or that is an
// error.
func HeadEnd(p []byte) (int, error) {
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		switch {
		case i < 0:
			return 0, nil
		case i == 0 || p[at+i-1] != '\r':
			return 0, badRequest("a line does not end in CRLF")
		case i == 1:
			return at + 2, nil
		}
		at += i + 1
	}
}

// Parse reads a head, which ends as [HeadEnd] says. It reads more strictly than
// net/http does: what two readers could take for different messages is a
// [*ProtocolError], and has to be refused. [ErrUnusual] is for everything that is
// not plain. Strings share the memory of text.
func (h *RequestHead) Parse(text string) error {
	h.Fields.Clear()
	h.Length, h.Close, h.Host = 0, false, ""
	end := strings.IndexByte(text, '\n') - 1
	if err := h.line(text[:end]); err != nil {
		return err
	}
	if err := h.Fields.parse(text[end+2 : len(text)-2]); err != nil {
		return badRequest("a field")
	}
	return h.sort()
}

// Clear forgets the head, whose text any string of it would keep in memory.
func (h *RequestHead) Clear() {
	h.Fields.Clear()
	*h = RequestHead{Fields: h.Fields}
}

// line parses the request line (RFC 9112 section 3).
func (h *RequestHead) line(line string) error {
	if !isText(line) || strings.IndexByte(line, '\t') >= 0 {
		return badRequest("the request line")
	}
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !isToken(method) || strings.IndexByte(version, ' ') >= 0 {
		return badRequest("the request line")
	}
	h.Method, h.Target = method, target
	switch {
	case version != "HTTP/1.1", method == "CONNECT", method == "TRACE", method == "TRACK", !plainTarget(target):
		return ErrUnusual
	}
	return nil
}

// plainTarget reports whether a target is a path, with or without a query, that
// everyone reads alike.
func plainTarget(target string) bool {
	if target == "" || target[0] != '/' || strings.HasPrefix(target, "//") {
		return false
	}
	inPath := true
	for i := 0; i < len(target); i++ {
		switch c := target[i]; {
		case c == '#':
			return false
		case c == '?':
			inPath = false
		case c == '%' && inPath:
			if i+2 >= len(target) || !isHex(target[i+1]) || !isHex(target[i+2]) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// sort takes the fields that are no longer needed out, and works out what they
// mean.
func (h *RequestHead) sort() error {
	f := &h.Fields
	hosts, lengths, codings, kept := 0, 0, 0, 0
	unusual := false
	for i, name := range f.names {
		value := f.values[i]
		switch name {
		case "Host":
			h.Host = value
			hosts++
			continue
		case "Content-Length":
			n, err := lengthOf(f.values[i : i+1])
			if err != nil {
				return badRequest("its length")
			}
			h.Length = n
			lengths++
			continue
		case "Transfer-Encoding":
			unusual = unusual || !isWord(value, "chunked")
			codings++
			continue
		case "Connection":
			switch {
			case isWord(value, "close"):
				h.Close = true
			case !isWord(value, "keep-alive"):
				unusual = true
			}
			continue
		case "Upgrade", "Expect", "Te", "Trailer", "Http2-Settings":
			unusual = true
		}
		f.names[kept], f.values[kept] = name, value
		kept++
	}
	clear(f.names[kept:])
	clear(f.values[kept:])
	f.names, f.values = f.names[:kept], f.values[:kept]
	switch {
	case hosts != 1:
		return badRequest("it must have one Host field")
	case lengths > 1, codings > 1, lengths > 0 && codings > 0:
		return badRequest("more than one length")
	case unusual || !plainHost(h.Host):
		return ErrUnusual
	case codings > 0:
		h.Length = -1
	}
	return nil
}

// plainHost reports whether a Host field is a name or an address, with or without
// a port. A name has 253 bytes at most (RFC 1035 section 2.3.4).
func plainHost(host string) bool {
	if len(host) > 300 {
		return false
	}
	for i := range len(host) {
		c := host[i]
		if class := classes[c]; class != upperLetter && class != lowerLetter && (c < '0' || c > '9') && strings.IndexByte(".-_:[]", c) < 0 {
			return false
		}
	}
	return host != ""
}
