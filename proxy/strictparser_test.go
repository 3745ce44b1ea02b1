package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// strictRequest is a request as strictReader finds it on the wire.
type strictRequest struct {
	method, target string
	fields         []strictField // in order, names as sent
	trailers       []strictField
	body           []byte
	whole          bool // the body came to its end
}

type strictField struct{ name, value string }

// get returns the values of the fields whose names some gateway takes for name.
func (r *strictRequest) get(fields []strictField, name string) []string {
	var values []string
	for _, f := range fields {
		if strictFold(f.name) == strictFold(name) {
			values = append(values, f.value)
		}
	}
	return values
}

// strictFold is written apart from the code under test: everything that is no
// letter or digit is the same byte, and case does not count.
func strictFold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// strictReader reads HTTP/1.1 requests and takes none of the liberties that RFC
// 9112 allows to those who read: each byte that two readers may understand in
// two ways is an error. What it accepts means the same to everyone.
type strictReader struct{ r *bufio.Reader }

var errNotStrict = errors.New("not strictly HTTP/1.1")

func notStrict(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNotStrict, fmt.Sprintf(format, args...))
}

// line reads a line that ends with CRLF and has no other control character but
// a tab.
func (s strictReader) line() (string, error) {
	line, err := s.r.ReadString('\n')
	if err != nil {
		if line == "" && err == io.EOF {
			return "", io.EOF
		}
		return "", io.ErrUnexpectedEOF
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", notStrict("a bare line feed after %q", line)
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", notStrict("control character %#x in %q", c, text)
		}
	}
	return text, nil
}

// head reads a request's head; io.EOF before its first byte is the end.
func (s strictReader) head() (*strictRequest, error) {
	line, err := s.line()
	if err != nil {
		return nil, err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "HTTP/1.1" || !strictToken(parts[0]) {
		return nil, notStrict("request line %q", line)
	}
	r := &strictRequest{method: parts[0], target: parts[1]}
	if !strings.HasPrefix(r.target, "/") && !strings.HasPrefix(r.target, "http://"+wireHost+"//") || strings.ContainsAny(r.target, "#\t") {
		return nil, notStrict("target %q", r.target)
	}
	if r.fields, err = s.fields(); err != nil {
		return nil, noEnd(err)
	}
	if hosts := r.get(r.fields, "Host"); len(hosts) != 1 || hosts[0] != wireHost {
		return nil, notStrict("Host is %q", hosts)
	}
	return r, nil
}

func noEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fields reads fields until an empty line.
func (s strictReader) fields() ([]strictField, error) {
	var fields []strictField
	for {
		line, err := s.line()
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok || !strictToken(name) || strings.Trim(value, " \t") != value {
			return nil, notStrict("field %q", line)
		}
		fields = append(fields, strictField{name, value})
	}
}

// rest reads the body and the trailers.
func (s strictReader) rest(r *strictRequest) error {
	lengths, codings := exactly(r.fields, "Content-Length"), exactly(r.fields, "Transfer-Encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		return notStrict("Content-Length %q and Transfer-Encoding %q", lengths, codings)
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 31)
		if err != nil || strconv.FormatUint(n, 10) != lengths[0] {
			return notStrict("Content-Length %q", lengths[0])
		}
		r.body = make([]byte, n)
		if _, err := io.ReadFull(s.r, r.body); err != nil {
			return io.ErrUnexpectedEOF
		}
	case len(codings) == 1:
		if codings[0] != "chunked" {
			return notStrict("Transfer-Encoding %q", codings[0])
		}
		if err := s.chunks(r); err != nil {
			return noEnd(err)
		}
	}
	r.whole = true
	return nil
}

func exactly(fields []strictField, name string) []string {
	var values []string
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

func (s strictReader) chunks(r *strictRequest) error {
	for {
		line, err := s.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(line, 16, 31)
		if err != nil || strconv.FormatUint(n, 16) != line {
			return notStrict("chunk size %q", line)
		}
		if n == 0 {
			r.trailers, err = s.fields()
			return err
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(s.r, chunk); err != nil {
			return io.ErrUnexpectedEOF
		}
		r.body = append(r.body, chunk...)
		if end, err := s.line(); err != nil || end != "" {
			return cmpErr(err, notStrict("%q after a chunk", end))
		}
	}
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func strictToken(text string) bool {
	return text != "" && strings.Trim(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
