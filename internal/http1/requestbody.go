package http1

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// RequestBody reads the body of a request from the client's connection, its framing
// checked as strictly as that of answers. Trailer fields are read and dropped: nobody
// announced them. It is for one goroutine at a time.
type RequestBody struct {
	body    answerBody
	chunked bool
	ended   func(rest []byte)

	mu  sync.Mutex // Close may come while another goroutine reads
	err error      // how the body ended; nil: it has not
}

// requestTrailer bounds the trailer of a request, in bytes.
const requestTrailer = 16 << 10

// NewRequestBody returns a body of length bytes, or in chunks if that is -1. It
// begins with early, a copy of what was read of the connection already. Ended is
// called on the reading goroutine when the whole body was read, with what was read
// beyond it, which is good until ended returns.
func NewRequestBody(nc net.Conn, early []byte, length int64, ended func(rest []byte)) *RequestBody {
	b := &RequestBody{chunked: length < 0, ended: ended}
	c := &conn{Conn: nc, buffers: new(readBuffers)}
	b.body.conn, b.body.ofRequest = c, true
	b.body.left = max(length, 0)
	b.body.client = &Client{maxHead: requestTrailer}
	b.body.trailer = new(http.Header)
	c.buf = append(make([]byte, 0, max(len(early), readSize)), early...)
	c.w = len(early)
	c.buf = c.buf[:cap(c.buf)]
	return b
}

// Read implements [io.Reader].
func (b *RequestBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	case b.chunked:
		n, err = b.body.readChunked(p)
	default:
		n, err = b.body.readCounted(p)
	}
	if b.err = err; err == io.EOF {
		c := b.body.conn
		b.ended(c.buf[c.r:c.w])
	}
	return n, err
}

// Close implements [io.Closer]: it reads what is left of the body and drops it, as
// long as the connection's read deadline allows. It waits for a read under way.
func (b *RequestBody) Close() error {
	var p [readSize]byte
	for {
		if _, err := b.Read(p[:]); err != nil {
			return nil
		}
	}
}

// Ended reports whether the body was read to its end.
func (b *RequestBody) Ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err == io.EOF
}
