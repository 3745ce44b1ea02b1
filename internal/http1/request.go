package http1

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

const (
	// headSize is what the buffer for a head begins with, in bytes.
	headSize = 2 << 10
	// keptHeadSize bounds the buffers that are kept.
	keptHeadSize = 64 << 10
	// wholeSize bounds the bodies that are sent together with the head.
	wholeSize = 16 << 10
)

// headBuffers lends buffers that requests are built in.
type headBuffers struct{ pool sync.Pool }

type headBuffer struct{ buf []byte }

// outgoing is a request's head as it will be sent, and what has to be known of
// its body.
type outgoing struct {
	buf     []byte
	length  int64 // of the body; -1: it is sent in chunks
	expects bool  // the body waits for leave

	kept *headBuffer
	from *headBuffers
}

func (b *headBuffers) get() outgoing {
	kept, ok := b.pool.Get().(*headBuffer)
	if !ok {
		kept = &headBuffer{buf: make([]byte, 0, headSize)}
	}
	return outgoing{buf: kept.buf[:0], kept: kept, from: b}
}

// free gives the buffer back.
func (o *outgoing) free() {
	if o.kept != nil && cap(o.buf) <= keptHeadSize {
		o.kept.buf = o.buf
		o.from.pool.Put(o.kept)
	}
	o.buf, o.kept = nil, nil
}

// build writes the head of req (RFC 9112 sections 3 and 5). What could be read
// as more than one request is refused, though nobody should ask for it.
func (c *Client) build(req *http.Request) (outgoing, error) {
	out := c.heads.get()
	out.length = bodyLengthOf(req)
	err := out.head(req)
	if err != nil {
		out.free()
	}
	return out, err
}

func (o *outgoing) head(req *http.Request) error {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	if !isToken(method) {
		return unsendable("its method is no token")
	}
	o.buf = append(append(o.buf, method...), ' ')
	if err := o.target(req); err != nil {
		return err
	}
	host, err := hostOf(req)
	if err != nil {
		return err
	}
	o.buf = append(append(append(o.buf, " HTTP/1.1\r\nHost: "...), host...), "\r\n"...)
	for key, values := range req.Header {
		if isFraming(key) {
			continue
		}
		if err := o.field(key, values); err != nil {
			return err
		}
	}
	if len(req.Header["Te"]) > 0 && len(req.Header["Connection"]) == 0 {
		o.buf = append(o.buf, "Connection: TE\r\n"...) // it is for this connection (RFC 9110 section 10.1.4)
	}
	if err := o.framing(req, method); err != nil {
		return err
	}
	o.buf = append(o.buf, "\r\n"...)
	o.expects = o.length != 0 && continues(req.Header["Expect"])
	return nil
}

// target writes what [net/url.URL.RequestURI] returns.
func (o *outgoing) target(req *http.Request) error {
	u, from := req.URL, len(o.buf)
	switch {
	case u == nil:
		return unsendable("it has no URL")
	case u.Opaque == "":
		path := u.EscapedPath()
		if path == "" {
			path = "/"
		}
		o.buf = append(o.buf, path...)
	case strings.HasPrefix(u.Opaque, "//"):
		o.buf = append(append(append(o.buf, u.Scheme...), ':'), u.Opaque...)
	default:
		o.buf = append(o.buf, u.Opaque...)
	}
	if u.ForceQuery || u.RawQuery != "" {
		o.buf = append(append(o.buf, '?'), u.RawQuery...)
	}
	return checkTarget(o.buf[from:])
}

func checkTarget(target []byte) error {
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return unsendable("its target holds a space or a control character")
		}
	}
	return nil
}

// Target is a request target in origin form (RFC 9112 section 3.2.1).
type Target struct {
	Path, Query string
	HasQuery    bool // although Query may be empty
}

// AppendHead appends the request line of a [Message] and its Host field, with the
// checks that every request gets. Fields and an empty line have to follow.
func AppendHead(buf []byte, method string, target Target, host string) ([]byte, error) {
	if !isToken(method) {
		return nil, unsendable("its method is no token")
	}
	buf = append(append(buf, method...), ' ')
	from := len(buf)
	buf = append(buf, target.Path...)
	if target.HasQuery || target.Query != "" {
		buf = append(append(buf, '?'), target.Query...)
	}
	if err := checkTarget(buf[from:]); err != nil {
		return nil, err
	}
	host, err := hostField(host)
	return append(append(append(buf, " HTTP/1.1\r\nHost: "...), host...), "\r\n"...), err
}

// AppendField appends a field of a [Message], with the checks that every field
// gets.
func AppendField(buf []byte, name, value string) ([]byte, error) {
	if err := checkField(name, value); err != nil {
		return nil, err
	}
	return AppendChecked(buf, name, value), nil
}

// AppendChecked appends a field that was read from a head here, and so passed the
// checks already.
func AppendChecked(buf []byte, name, value string) []byte {
	return append(append(append(append(buf, name...), ": "...), trim(value)...), "\r\n"...)
}

// AppendLength appends the field that says how long the body of a request is. That
// there is none is said of methods that expect one (RFC 9110 section 8.6).
func AppendLength(buf []byte, method string, length int64) []byte {
	if length == 0 && method != http.MethodPost && method != http.MethodPut && method != http.MethodPatch {
		return buf
	}
	return append(strconv.AppendInt(append(buf, "Content-Length: "...), length, 10), "\r\n"...)
}

func checkField(name, value string) error {
	if !isToken(name) {
		return unsendable("a field's name is no token")
	}
	if !isText(value) {
		return unsendable("a field's value holds a control character")
	}
	return nil
}

// hostOf returns the Host field.
func hostOf(req *http.Request) (string, error) {
	if req.Host == "" {
		return hostField(req.URL.Host)
	}
	return hostField(req.Host)
}

// hostField returns the Host field of a host, without the zone of an IPv6 address,
// which means nothing elsewhere (RFC 6874 section 1).
func hostField(host string) (string, error) {
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"/<>?@\^{|}#`, c) >= 0 {
			return "", unsendable("its host holds a character that no host has")
		}
	}
	if strings.HasPrefix(host, "[") {
		if zone, end := strings.IndexByte(host, '%'), strings.IndexByte(host, ']'); 0 < zone && zone < end {
			host = host[:zone] + host[end:]
		}
	}
	return host, nil
}

// isFraming reports whether a field, in whatever case, says where a message ends
// or goes. In a head this client writes them itself or not at all; in a trailer
// they would come after the fact (RFC 9110 section 6.5.1).
func isFraming(key string) bool {
	switch len(key) {
	case len("Host"):
		return strings.EqualFold(key, "Host")
	case len("Trailer"):
		return strings.EqualFold(key, "Trailer")
	case len("Content-Length"):
		return strings.EqualFold(key, "Content-Length")
	case len("Transfer-Encoding"):
		return strings.EqualFold(key, "Transfer-Encoding")
	}
	return false
}

func (o *outgoing) field(key string, values []string) error {
	if len(values) == 0 {
		return nil
	}
	for _, value := range values {
		if err := checkField(key, value); err != nil {
			return err
		}
		o.buf = AppendChecked(o.buf, key, value)
	}
	return nil
}

// framing says how long the body is.
func (o *outgoing) framing(req *http.Request, method string) error {
	switch {
	case o.length >= 0:
		o.buf = AppendLength(o.buf, method, o.length)
	default:
		o.buf = append(o.buf, "Transfer-Encoding: chunked\r\n"...)
		separator := "Trailer: "
		for key := range req.Trailer {
			if !isToken(key) || isFraming(key) {
				return unsendable("a trailer's name")
			}
			o.buf = append(append(o.buf, separator...), key...)
			separator = ", "
		}
		if len(req.Trailer) > 0 {
			o.buf = append(o.buf, "\r\n"...)
		}
	}
	return nil
}

// continues reports whether an Expect field asks for leave (RFC 9110 section
// 10.1.1).
func continues(expect []string) bool {
	for _, value := range expect {
		if isWord(trim(value), "100-continue") {
			return true
		}
	}
	return false
}

// bodyLengthOf is how long a request's body is; -1: that is not known.
func bodyLengthOf(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength > 0:
		return req.ContentLength
	}
	return -1
}

// Ready is implemented by bodies of which all that is left may be at hand.
type Ready interface {
	// Ready returns how many bytes can be read without waiting.
	Ready() int64
}

// takeWhole appends a short body that is all there to the head, so that one
// write sends both. Otherwise it reads nothing of it.
func (o *outgoing) takeWhole(body io.Reader) bool {
	r, ok := body.(Ready)
	if !ok || o.expects || o.length < 0 || o.length > wholeSize || r.Ready() != o.length {
		return false
	}
	head := len(o.buf)
	o.buf = append(o.buf, make([]byte, o.length)...)
	if _, err := io.ReadFull(body, o.buf[head:]); err != nil {
		o.buf = o.buf[:head]
		return false // the error will come again
	}
	return true
}
