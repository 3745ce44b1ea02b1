package http1

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"attache/internal/rawio"
)

// readSize is that of the buffer of a connection in use by [Client.Do], in bytes. It
// may hold one for days, for an event stream. Idle connections have none.
const readSize = 4 << 10

// tripSize is that of the buffers that [Trip] reads through, in bytes. A trip that
// waits has none, so few are needed.
const tripSize = 16 << 10

// readBuffers lends read buffers of both sizes. Others, which a long head made, are
// not kept.
type readBuffers struct{ small, large sync.Pool }

func (b *readBuffers) getSmall() []byte {
	if p, ok := b.small.Get().(*[readSize]byte); ok {
		return p[:]
	}
	return new([readSize]byte)[:]
}

// Get returns a buffer for a trip. It implements [rawio.Buffers].
func (b *readBuffers) Get() []byte {
	if p, ok := b.large.Get().(*[tripSize]byte); ok {
		return p[:]
	}
	return new([tripSize]byte)[:]
}

// Put takes a buffer back, whose ever it is.
func (b *readBuffers) Put(p []byte) {
	switch len(p) {
	case readSize:
		b.small.Put((*[readSize]byte)(p))
	case tripSize:
		b.large.Put((*[tripSize]byte)(p))
	}
}

// conn is one connection to the upstream. One request at a time uses it; only
// abort and the methods about the head's deadline may be called by others.
type conn struct {
	net.Conn
	buffers *readBuffers
	below   net.Conn        // the connection under TLS, or Conn itself
	secure  bool            // below is not Conn
	socket  *rawio.Conn     // below, if it is one
	sock    syscall.RawConn // nil: cannot be looked at
	look    func(fd uintptr) bool
	quiet   bool // what look found out

	abort     func() // ends all I/O for good; safe at any time, from anywhere
	reused    bool
	idleSince time.Time
	until     time.Time // the read deadline that a trip has left; zero: none

	buf   []byte // buf[r:w] was read and not consumed; nil while idle
	r, w  int
	heard bool // a byte of the answer under way has come
	cut   bool // a request was not written to its end; another would be taken for the rest

	mu       sync.Mutex // for the three below; never held during I/O. A trip, which has one goroutine, does without
	headCame bool
	armed    bool // a read deadline is set
	pressed  bool // a write deadline is set
}

func newConn(nc net.Conn, buffers *readBuffers) *conn {
	c := &conn{Conn: nc, below: nc, buffers: buffers}
	if t, ok := nc.(*tls.Conn); ok {
		c.below, c.secure = t.NetConn(), true
	}
	c.socket, _ = c.below.(*rawio.Conn)
	if inner, ok := c.below.(interface{ NetConn() net.Conn }); ok && c.secure && c.socket == nil {
		c.socket, _ = inner.NetConn().(*rawio.Conn) // somebody watches over it besides
	}
	below := c.below
	c.abort = func() { below.Close() }
	if s, ok := c.below.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.sock = raw
			c.look = func(fd uintptr) bool {
				c.quiet = nothingToRead(fd)
				return true
			}
		}
	}
	return c
}

// begin prepares for a request.
func (c *conn) begin() {
	c.buf = c.buffers.getSmall()
	c.r, c.w, c.heard = 0, 0, false
	c.expect(time.Time{})
	c.mu.Lock()
	c.headCame = false
	c.mu.Unlock()
}

// rest gives the buffer back. It reports whether the connection may serve
// another request: nothing came that was not asked for.
func (c *conn) rest() bool {
	clean := c.r == c.w && !c.cut
	c.giveBuffer()
	c.reused = true
	return clean && (!c.secure || c.socket != nil || c.nothingDecrypted())
}

// expect sets the read deadline that trips leave behind.
func (c *conn) expect(until time.Time) {
	if until != c.until {
		c.until = until
		c.SetReadDeadline(until) // fails only where reading will fail too
	}
}

func (c *conn) giveBuffer() {
	c.buffers.Put(c.buf)
	c.buf, c.r, c.w = nil, 0, 0
}

// nothingDecrypted reports whether TLS has read no bytes beyond the answer, which
// alive would not see. The past deadline keeps it from the network.
func (c *conn) nothingDecrypted() bool {
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	var p [1]byte
	n, err := c.Conn.Read(p[:])
	if n > 0 || !isTimeout(err) {
		return false
	}
	c.until = time.Time{}
	return c.SetReadDeadline(c.until) == nil
}

// alive reports whether an idle connection may be used again: the upstream has
// neither closed it nor sent anything. Where that cannot be seen it is taken for
// alive. It costs one system call, which is why it is asked for every request:
// the bytes of an answer that nobody waits for would be the answer to somebody
// else's request. If a read deadline is over nobody can look, and it counts as
// dead.
func (c *conn) alive() bool {
	if c.secure && c.socket != nil { // what TLS has read counts as well
		c.socket.SetImpatient(true)
		defer c.socket.SetImpatient(false)
		var p [1]byte
		n, err := c.Conn.Read(p[:])
		return n == 0 && err == rawio.ErrNothing
	}
	if c.sock == nil {
		return true
	}
	c.quiet = false
	return c.sock.Read(c.look) == nil && c.quiet
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// awaitHead bounds the time until the answer's head, unless it is there; 0: no
// bound.
func (c *conn) awaitHead(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.headCame {
		c.armed = true
		c.SetReadDeadline(time.Now().Add(d)) // fails only where reading will fail too
	}
}

// awaitWrite bounds the time that the next write may take, unless the answer's
// head is there or comes meanwhile.
func (c *conn) awaitWrite(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.headCame {
		c.pressed = true
		c.SetWriteDeadline(time.Now().Add(d)) // fails only where writing will fail too
	}
}

// wrote lifts that bound.
func (c *conn) wrote() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpress()
}

// unpress is called with mu held.
func (c *conn) unpress() {
	if c.pressed {
		c.pressed = false
		c.SetWriteDeadline(time.Time{})
	}
}

// gotHead lifts both bounds. Lifting fails only where reading will fail too, and the
// rest of the answer may have been read already.
func (c *conn) gotHead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headCame = true
	c.unpress()
	if c.armed {
		c.armed = false
		c.SetReadDeadline(time.Time{})
	}
}

// more reads at least one more byte into the buffer, making room up to limit
// unconsumed bytes.
func (c *conn) more(limit int) error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		switch {
		case c.r > 0:
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		case len(c.buf) >= limit:
			return malformed("a head or a trailer is too long")
		default:
			grown := make([]byte, min(2*len(c.buf), max(limit, readSize)))
			c.w = copy(grown, c.buf)
			c.buffers.Put(c.buf)
			c.buf = grown
		}
	}
	n, err := c.read(c.buf[c.w:])
	c.w += n
	return err
}

// read reads at least one byte into p, or returns an error.
func (c *conn) read(p []byte) (int, error) {
	for range 100 {
		n, err := c.Conn.Read(p)
		if n > 0 {
			c.heard = true
			return n, nil // an error will come again
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}
