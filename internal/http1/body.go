package http1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

var errBusy = errors.New("the answer's body is read by two at once")

// Buffered reports whether some of the body has come along with the head, so that
// the next read need not wait. Nobody may read the body meanwhile.
func (b *answerBody) Buffered() bool {
	if !b.state.CompareAndSwap(stateIdle, stateReading) { // Close comes at any time
		return false
	}
	defer b.leave(nil)
	there := b.conn.buf[b.conn.r:b.conn.w]
	if b.kind == bodyChunked && b.part != partData {
		end := bytes.IndexByte(there, '\n')
		return b.part == partSize && end >= 0 && end+1 < len(there)
	}
	return len(there) > 0
}

// Whole reports whether all that is left of a body of known length is here, so
// that it can be read to its end without waiting. Nobody may read the body
// meanwhile.
func (b *answerBody) Whole() bool {
	if b.kind != bodyCounted || !b.state.CompareAndSwap(stateIdle, stateReading) {
		return false
	}
	defer b.leave(nil)
	return int64(b.conn.w-b.conn.r) >= b.left
}

// readAll reads a body that ends with the connection.
func (b *answerBody) readAll(p []byte) (int, error) {
	c := b.conn
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		c.r += n
		return n, nil
	}
	return c.read(p)
}

// take reads some of the bytes that the body, or the chunk under way, has left.
func (b *answerBody) take(p []byte) (n int, err error) {
	c := b.conn
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if c.r == c.w && len(p) < readSize {
		if err := c.more(readSize); err != nil {
			return 0, unexpected(err)
		}
	}
	if c.r < c.w {
		n = copy(p, c.buf[c.r:c.w])
		c.r += n
	} else if n, err = c.read(p); err != nil {
		return 0, unexpected(err)
	}
	b.left -= int64(n)
	return n, nil
}

// readCounted reads a body of known length.
func (b *answerBody) readCounted(p []byte) (int, error) {
	n, err := b.take(p)
	if err == nil && b.left == 0 {
		err = io.EOF
	}
	return n, err
}

// What comes next in a chunked body (RFC 9112 section 7.1).
const (
	partSize = iota
	partData
	partEnd // CRLF after the data
	partTrailer
)

// readChunked reads of a chunked body what is there, and waits only if that is
// nothing.
func (b *answerBody) readChunked(p []byte) (n int, err error) {
	for {
		if n > 0 && !b.nextIsThere() || b.part == partData && n == len(p) {
			return n, nil
		}
		switch b.part {
		case partData:
			var m int
			m, err = b.take(p[n:])
			if n += m; b.left == 0 {
				b.part = partEnd
			}
		case partEnd:
			err = b.readChunkEnd()
		case partSize:
			err = b.readSize()
		case partTrailer:
			if err = b.readTrailer(); err == nil {
				return n, io.EOF
			}
		}
		if err != nil {
			return n, unexpected(err)
		}
	}
}

// nextIsThere reports whether the next part can be read without waiting.
func (b *answerBody) nextIsThere() bool {
	there := b.conn.buf[b.conn.r:b.conn.w]
	switch b.part {
	case partEnd:
		return len(there) >= 2
	case partSize:
		return bytes.IndexByte(there, '\n') >= 0
	case partTrailer:
		return bytes.HasPrefix(there, []byte("\r\n")) || bytes.Contains(there, []byte("\r\n\r\n"))
	}
	return len(there) > 0
}

func (b *answerBody) readChunkEnd() error {
	c := b.conn
	for c.w-c.r < 2 {
		if err := c.more(readSize); err != nil {
			return err
		}
	}
	if c.buf[c.r] != '\r' || c.buf[c.r+1] != '\n' {
		return malformed("the end of a chunk")
	}
	c.r += 2
	b.part = partSize
	return nil
}

// maxExcess bounds the bytes that hold no data: those of framing and extensions,
// less 16 for each chunk and two for each byte of data.
const maxExcess = 16 << 10

func (b *answerBody) readSize() error {
	line, err := b.conn.line()
	if err != nil {
		return err
	}
	if b.ofRequest && bytes.ContainsAny(line, " \t") {
		return malformed("a chunk's size") // not everyone reads what is padded
	}
	size, err := parseSize(line)
	if err != nil {
		return err
	}
	b.excess = max(b.excess+int64(len(line))+2-16-2*min(size, maxExcess), 0)
	if b.excess > maxExcess {
		return malformed("chunks that hold more framing than data")
	}
	b.left, b.part = size, partData
	if size == 0 {
		b.part = partTrailer
	}
	return nil
}

// line reads a line and returns it without its CRLF. It is valid until the next
// read.
func (c *conn) line() ([]byte, error) {
	at := 0
	for {
		if i := bytes.IndexByte(c.buf[c.r+at:c.w], '\n'); i >= 0 {
			at += i
			break
		}
		at = c.w - c.r
		if at >= readSize {
			return nil, malformed("the line of a chunk is too long")
		}
		if err := c.more(readSize + 1); err != nil {
			return nil, err
		}
	}
	line := c.buf[c.r : c.r+at]
	c.r += at + 1
	if i := bytes.IndexByte(line, '\r'); i < 0 || i != len(line)-1 {
		return nil, malformed("the line of a chunk does not end in CRLF")
	}
	return line[:len(line)-1], nil
}

// parseSize parses the line before a chunk: its size and maybe an extension,
// which nobody needs.
func parseSize(line []byte) (int64, error) {
	digits, extension, _ := bytes.Cut(line, []byte(";"))
	if !isText(string(extension)) {
		return 0, malformed("a chunk's extension")
	}
	digits = bytes.TrimRight(digits, " \t") // some pad it
	if len(digits) == 0 || len(digits) > 15 {
		return 0, malformed("a chunk's size")
	}
	var size int64
	for _, d := range digits {
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case 'a' <= d|0x20 && d|0x20 <= 'f':
			d = d | 0x20 - 'a' + 10
		default:
			return 0, malformed("a chunk's size")
		}
		size = size<<4 | int64(d)
	}
	return size, nil
}

// readTrailer reads what follows the last chunk. Fields that nobody announced
// count as well.
func (b *answerBody) readTrailer() error {
	text, err := b.conn.block(b.client.maxHead, false)
	if err != nil || text == "" {
		return err
	}
	fields, err := parseFields(text)
	if err != nil {
		return err
	}
	if *b.trailer == nil {
		*b.trailer = make(http.Header, len(fields))
	}
	for key, values := range fields {
		if isFraming(key) {
			return malformed("a trailer's name")
		}
		(*b.trailer)[key] = values
	}
	return nil
}

// unexpected is the error of a connection that ended before its time.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
