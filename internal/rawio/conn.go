//go:build linux && !386 && !s390x

package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// Conn is a TCP connection or one of a Unix socket whose reads and writes go
// without the scheduler as long as they need not wait. Its methods are those of
// the connection below, and as safe for concurrent use.
type Conn struct {
	net.Conn
	raw syscall.RawConn
	in  input
	out output
}

// Wrap returns a [*Conn] if c is a TCP connection or one of a Unix socket; any
// other one it returns as it is.
func Wrap(c net.Conn) net.Conn {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return c
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return c
	}
	own := &Conn{Conn: c, raw: raw}
	own.in.step, own.out.step = own.in.next, own.out.next
	return own
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// SyscallConn implements [syscall.Conn].
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// CloseWrite ends one direction.
func (c *Conn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite() // both kinds can
}

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.buf = p
	_, n, err := c.run()
	return n, err
}

func (c *Conn) read(from Buffers) ([]byte, int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.from = from
	return c.run()
}

func (c *Conn) exchange(out []byte, sent func(), from Buffers) (wrote int, buf []byte, n int, err error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.from, c.in.request, c.in.sent = from, out, sent
	buf, n, err = c.run()
	return c.in.wrote, buf, n, err
}

// run lets input do its steps, with its mu held.
func (c *Conn) run() (buf []byte, n int, err error) {
	in := &c.in
	in.n, in.wrote, in.err = 0, 0, nil
	waited := c.raw.Read(in.step)
	buf, n, err = in.buf, in.n, in.err
	op := "read"
	if in.request != nil { // it did not come so far
		op = "write"
	}
	in.buf, in.from, in.request, in.sent = nil, nil, nil, nil
	switch {
	case waited != nil: // closed, or its deadline is over
		return nil, 0, c.opError("read", cause(waited))
	case err == nil || err == io.EOF || err == ErrStale || err == ErrNothing:
		return buf, n, err
	}
	return nil, 0, c.opError(op, os.NewSyscallError(op, err))
}

// cause takes what [syscall.RawConn] wraps its errors in away.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

func (c *Conn) opError(op string, err error) error {
	addr := c.RemoteAddr()
	network := "tcp"
	if addr != nil {
		network = addr.Network()
	}
	return &net.OpError{Op: op, Net: network, Source: c.LocalAddr(), Addr: addr, Err: err}
}

// input is the reading half of a connection.
type input struct {
	mu      sync.Mutex                   // held by who reads, also while it waits
	step    func(fd uintptr) (done bool) // next, once and for all
	buf     []byte                       // where to; nil: from lends it
	from    Buffers
	request []byte // to be written first; nil: nothing is
	sent    func() // called once that is written

	n, wrote int
	err      error

	one       [1]byte // for looks
	impatient bool
}

// SetImpatient says whether a read that would have to wait fails instead, with
// [ErrNothing]. It is for the one goroutine that reads.
func (c *Conn) SetImpatient(impatient bool) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.impatient = impatient
}

// next does one step, and reports whether that was the last. If not, it is called
// again when there may be something to read. The runtime begins to listen for that
// before it calls next for the first time, so that an answer cannot be missed which
// comes while the request is written.
func (in *input) next(fd uintptr) (done bool) {
	if in.request != nil {
		return in.send(fd)
	}
	buf := in.buf
	if buf == nil {
		buf = in.from.Get()
	}
	n, errno := again(syscall.SYS_READ, fd, buf, 0)
	if errno == 0 && n > 0 {
		in.buf, in.n = buf, n
		return true
	}
	if in.buf == nil {
		in.from.Put(buf)
	}
	switch {
	case errno == syscall.EAGAIN && !in.impatient:
		return false
	case errno == syscall.EAGAIN:
		in.err = ErrNothing
	case errno == 0:
		in.err = io.EOF
	default:
		in.err = errno
	}
	return true
}

// send writes the request of an exchange. If it cannot be written to its end at
// once, that is the last step.
func (in *input) send(fd uintptr) (done bool) {
	if _, errno := again(syscall.SYS_RECVFROM, fd, in.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT); errno != syscall.EAGAIN {
		in.err = ErrStale
		return true
	}
	n, errno := again(syscall.SYS_SENDTO, fd, in.request, syscall.MSG_NOSIGNAL)
	if errno == 0 {
		in.wrote = n
	} else if errno != syscall.EAGAIN {
		in.err = errno
		return true
	}
	whole := in.wrote == len(in.request)
	in.request = nil
	if whole {
		in.sent()
	}
	return !whole
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.wait = true
	return c.write(p)
}

func (c *Conn) tryWrite(p []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.wait = false
	return c.write(p)
}

// write lets output do its steps, with its mu held.
func (c *Conn) write(p []byte) (int, error) {
	out := &c.out
	out.p, out.n, out.err = p, 0, nil
	waited := c.raw.Write(out.step)
	n, err := out.n, out.err
	out.p = nil
	switch {
	case waited != nil:
		return n, c.opError("write", cause(waited))
	case err != nil:
		return n, c.opError("write", os.NewSyscallError("write", err))
	}
	return n, nil
}

// output is the writing half of a connection.
type output struct {
	mu   sync.Mutex // held by who writes, also while it waits
	step func(fd uintptr) (done bool)
	p    []byte
	wait bool // for room, until all is written

	n   int
	err error
}

// next writes what goes, and reports whether that was the end.
func (o *output) next(fd uintptr) (done bool) {
	for o.n < len(o.p) {
		n, errno := again(syscall.SYS_SENDTO, fd, o.p[o.n:], syscall.MSG_NOSIGNAL)
		switch errno {
		case 0:
			o.n += n
		case syscall.EAGAIN:
			return !o.wait
		default:
			o.err = errno
			return true
		}
	}
	return true
}
