package interop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is an upstream that keeps every byte it gets, reads it strictly, and
// answers each request with its X-Id.
type recorder struct {
	address string
	mu      sync.Mutex
	conns   []*recording
}

// recording is one connection.
type recording struct {
	mu    sync.Mutex
	raw   bytes.Buffer
	read  int // so many bytes are those of seen; all of them once the connection has ended
	seen  []seenRequest
	fault error // why the bytes are not strictly HTTP/1.1
}

type seenRequest struct {
	method, target string
	fields         []field
	trailers       []field
	whole          bool
}

type field struct{ name, value string }

func (r *seenRequest) id() string {
	id := ""
	for _, f := range r.fields {
		if strings.EqualFold(f.name, "X-Id") {
			id = f.value
		}
	}
	return id
}

// valuesOf returns the values of a field in any spelling of its name.
func valuesOf(fields []field, name string) []string {
	var values []string
	for _, f := range fields {
		if foldName(f.name) == foldName(name) {
			values = append(values, f.value)
		}
	}
	return values
}

// foldName is deliberately coarse: whatever is no letter or digit is the same.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

func newRecorder(t testing.TB) *recorder {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{address: listener.Addr().String()}
	var serving sync.WaitGroup
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c := &recording{}
			r.mu.Lock()
			r.conns = append(r.conns, c)
			r.mu.Unlock()
			serving.Go(func() { c.serve(conn) })
		}
	})
	return r
}

// recordings returns copies of what is there so far.
func (r *recorder) recordings() []*recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*recording
	for _, c := range r.conns {
		c.mu.Lock()
		k := &recording{seen: append([]seenRequest(nil), c.seen...), fault: c.fault}
		k.raw.Write(c.raw.Bytes()[:c.read])
		c.mu.Unlock()
		all = append(all, k)
	}
	return all
}

// Write keeps what was read from the connection.
func (c *recording) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.Write(p)
}

func (c *recording) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(io.TeeReader(conn, c))
	for {
		conn.SetDeadline(time.Now().Add(patience))
		r, err := readHead(in)
		if err == nil {
			c.mu.Lock()
			c.seen, c.read = append(c.seen, *r), c.raw.Len()-in.Buffered()
			c.mu.Unlock()
			if len(valuesOf(r.fields, "Expect")) > 0 {
				io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
			}
			err = r.readBody(in)
			c.mu.Lock()
			c.seen[len(c.seen)-1], c.read = *r, c.raw.Len()-in.Buffered()
			c.mu.Unlock()
		}
		if err != nil {
			c.end(conn, err)
			return
		}
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Answer: %s\r\n\r\n", len(r.id()), r.id())
		if r.method != "HEAD" {
			answer += r.id()
		}
		io.WriteString(conn, answer)
	}
}

func (c *recording) end(conn net.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = c.raw.Len()
	if errors.Is(err, errNotStrict) {
		c.fault = err
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
}

var errNotStrict = errors.New("not strictly HTTP/1.1")

func notStrict(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNotStrict, fmt.Sprintf(format, args...))
}

// strictLine reads a line that ends with CRLF and has no other control character
// but a tab.
func strictLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", notStrict("a bare line feed after %.200q", line)
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", notStrict("control character %#x in %.200q", c, text)
		}
	}
	return text, nil
}

func readHead(in *bufio.Reader) (*seenRequest, error) {
	line, err := strictLine(in)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "HTTP/1.1" || !isToken(parts[0]) {
		return nil, notStrict("request line %.200q", line)
	}
	r := &seenRequest{method: parts[0], target: parts[1]}
	star := r.method == "OPTIONS" && r.target == "*"
	if !star && !strings.HasPrefix(r.target, "/") || strings.ContainsAny(r.target, "#\t") {
		return nil, notStrict("target %.200q", r.target)
	}
	if r.fields, err = readFields(in); err != nil {
		return nil, err
	}
	if hosts := valuesOf(r.fields, "Host"); len(hosts) != 1 {
		return nil, notStrict("Host is %q", hosts)
	}
	return r, nil
}

func readFields(in *bufio.Reader) ([]field, error) {
	var fields []field
	for {
		line, err := strictLine(in)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, notStrict("field %.200q", line)
		}
		fields = append(fields, field{name, strings.Trim(value, " \t")})
	}
}

func isToken(text string) bool {
	return text != "" && strings.Trim(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// readBody reads the body and the trailers. No two fields may say where the body
// ends.
func (r *seenRequest) readBody(in *bufio.Reader) error {
	var lengths, codings []string
	for _, f := range r.fields {
		switch {
		case strings.EqualFold(f.name, "Content-Length"):
			lengths = append(lengths, f.value)
		case strings.EqualFold(f.name, "Transfer-Encoding"):
			codings = append(codings, f.value)
		}
	}
	switch {
	case len(lengths)+len(codings) > 1:
		return notStrict("Content-Length %q and Transfer-Encoding %q", lengths, codings)
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 62)
		if err != nil || strconv.FormatUint(n, 10) != lengths[0] {
			return notStrict("Content-Length %q", lengths[0])
		}
		if _, err := io.CopyN(io.Discard, in, int64(n)); err != nil {
			return err
		}
	case len(codings) == 1:
		if codings[0] != "chunked" {
			return notStrict("Transfer-Encoding %q", codings[0])
		}
		if err := r.readChunks(in); err != nil {
			return err
		}
	}
	r.whole = true
	return nil
}

func (r *seenRequest) readChunks(in *bufio.Reader) error {
	for {
		line, err := strictLine(in)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return notStrict("chunk size %.200q", line)
		}
		if n == 0 {
			r.trailers, err = readFields(in)
			return err
		}
		if _, err := io.CopyN(io.Discard, in, int64(n)); err != nil {
			return err
		}
		end, err := strictLine(in)
		if err != nil {
			return err
		}
		if end != "" {
			return notStrict("%.200q after a chunk", end)
		}
	}
}
