package http1

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// answer is a response and its body in one piece of memory.
type answer struct {
	res  http.Response
	body answerBody
}

// begin fills the answer from its head (RFC 9112 section 6.3).
func (a *answer) begin(h head, method string) error {
	a.body.up.allow(false) // that waits for leave no longer needs to
	a.body.conn.gotHead()
	a.res = http.Response{
		Status: h.text, StatusCode: h.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h.header,
		Body: http.NoBody, Close: h.old || closes(h.header["Connection"]),
	}
	if h.old {
		a.res.Proto, a.res.ProtoMinor = "HTTP/1.0", 0
	}
	b := &a.body
	f, err := h.framing(method, h.header["Content-Length"], h.header["Transfer-Encoding"], h.header["Connection"])
	if err != nil {
		return err
	}
	b.reuse = f.reuse
	delete(h.header, "Transfer-Encoding")
	if h.status == http.StatusSwitchingProtocols {
		return a.switched()
	}
	a.res.ContentLength = f.length
	switch b.kind = f.kind; b.kind {
	case bodyNone:
		b.state.Store(stateDone)
		b.finish()
		return nil
	case bodyCounted:
		b.left = f.length
	case bodyChunked:
		b.trailer = &a.res.Trailer
		if a.res.Trailer, err = announced(h.header); err != nil {
			return err
		}
	case bodyUntilClose:
		a.res.Close = true
	}
	a.res.Body = b
	return nil
}

// switched turns the answer's body into the connection itself.
func (a *answer) switched() error {
	b := &a.body
	if b.up != nil {
		return malformed("it switches protocols in the midst of a body")
	}
	c := b.conn
	early := append([]byte(nil), c.buf[c.r:c.w]...)
	if !b.unwatch() {
		return net.ErrClosed // the context has ended, which says more
	}
	c.giveBuffer()
	b.state.Store(stateDone)
	a.res.Body = &switchedConn{Conn: c.Conn, early: early}
	return nil
}

// switchedConn is a connection that has gone over to another protocol.
type switchedConn struct {
	net.Conn
	early []byte // came with the 101
}

// Read implements [io.Reader].
func (s *switchedConn) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	return s.Conn.Read(p)
}

// CloseWrite ends the direction to the upstream alone.
func (s *switchedConn) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}

// How a body ends.
const (
	bodyNone = iota
	bodyCounted
	bodyChunked
	bodyUntilClose
)

// Who uses a body.
const (
	stateIdle int32 = iota
	stateReading
	stateDone   // it has ended, and the connection is no longer its own
	stateClosed // before its end
)

// answerBody reads the body of an answer from the connection, which goes back to
// the pool at its end.
type answerBody struct {
	client  *Client
	conn    *conn
	up      *upload     // nil: no goroutine sends the request's body
	unwatch func() bool // ends the watch over the context, unless that has ended
	reuse   bool        // as far as the head says
	kind    int
	state   atomic.Int32

	left   int64 // of the body, or of the chunk
	part   int   // of a chunked body: what comes next
	excess int64 // bytes that framed chunks and hold no data

	ofRequest bool  // it is that of a request
	err       error // how reading ended
	trailer   *http.Header
}

// Read implements [io.Reader]. Its last bytes come with io.EOF.
func (b *answerBody) Read(p []byte) (int, error) {
	if !b.state.CompareAndSwap(stateIdle, stateReading) {
		switch b.state.Load() {
		case stateDone:
			return 0, b.err
		case stateClosed:
			return 0, http.ErrBodyReadAfterClose
		}
		return 0, errBusy
	}
	if len(p) == 0 {
		return 0, b.leave(nil)
	}
	var n int
	var err error
	switch b.kind {
	case bodyChunked:
		n, err = b.readChunked(p)
	case bodyUntilClose:
		n, err = b.readAll(p)
	default:
		n, err = b.readCounted(p)
	}
	return n, b.leave(err)
}

// leave ends a read. Whoever closed the body meanwhile left the rest to it.
func (b *answerBody) leave(err error) error {
	if err == nil {
		if !b.state.CompareAndSwap(stateReading, stateIdle) {
			b.drop()
			return http.ErrBodyReadAfterClose
		}
		return nil
	}
	b.err = err
	if !b.state.CompareAndSwap(stateReading, stateDone) {
		b.drop()
		return err
	}
	if err == io.EOF {
		b.finish()
	} else {
		b.drop()
	}
	return err
}

// Close implements [io.Closer]. Before the body's end it ends the connection.
func (b *answerBody) Close() error {
	for {
		switch b.state.Load() {
		case stateIdle:
			if b.state.CompareAndSwap(stateIdle, stateClosed) {
				b.drop()
				return nil
			}
		case stateReading:
			if b.state.CompareAndSwap(stateReading, stateClosed) {
				b.conn.abort() // the reader sees to the rest
				return nil
			}
		default:
			return nil
		}
	}
}

// drop gives the connection up. Nobody else reads from it.
func (b *answerBody) drop() {
	b.unwatch()
	b.up.allow(false)
	b.conn.abort()
	b.conn.giveBuffer()
}

// finish gives the connection back after a complete answer. The watch over the
// context ends first: it could close a connection that serves somebody else.
func (b *answerBody) finish() {
	if !b.unwatch() || !b.reuse || !b.conn.rest() {
		b.drop()
		return
	}
	if b.up != nil {
		b.up.answered()
		return
	}
	b.client.idle.put(b.conn)
}
