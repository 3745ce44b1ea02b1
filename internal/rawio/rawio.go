// Package rawio does the input and output of sockets with as few words to the
// scheduler as possible. A system call on a socket that does not block returns at
// once, so the scheduler need not be told that a thread may be away; told of it,
// it sends other threads after its work, which at a few thousand requests a second
// costs more than the calls themselves. Waiting is the scheduler's as ever: a
// goroutine that finds nothing to read is parked.
//
// Where a system has no such calls [Wrap] returns connections as they are, and
// the functions here do the same by their methods.
package rawio

import (
	"errors"
	"io"
	"net"
)

// Buffers lends buffers of one size.
type Buffers interface {
	Get() []byte
	Put([]byte)
}

// ErrStale says that a connection cannot be used for a new exchange: its other end
// has closed it, or has sent what nobody asked for. Nothing was written.
var ErrStale = errors.New("the connection is stale")

// ErrNothing says that there is nothing to read just now. It is a [net.Error] that
// passes, as TLS wants it, but no deadline that is over: under one nobody looks.
var ErrNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "there is nothing to read yet" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// Read waits until something can be read from c, and only then takes a buffer for
// it, so that connections on which nothing happens hold none. The buffer is nil
// with an error. It is for the one goroutine that reads from c.
func Read(c net.Conn, from Buffers) (buf []byte, n int, err error) {
	if raw, ok := c.(*Conn); ok {
		return raw.read(from)
	}
	buf = from.Get()
	for range 100 {
		if n, err = c.Read(buf); n > 0 {
			return buf, n, nil // an error will come again
		}
		if err != nil {
			break
		}
	}
	from.Put(buf)
	return nil, 0, orNoProgress(err)
}

// Exchange writes out and waits for the beginning of what comes back, for which it
// takes a buffer then. If something came before it was asked for, it writes
// nothing and returns [ErrStale]; on connections that are none of [Wrap] nobody
// looks. wrote is how much of out was written, also if err is about reading:
// errors say no more than that. sent is called once out is written and before
// anything is waited for: out is no longer used then. It is for the one goroutine
// that uses c.
func Exchange(c net.Conn, out []byte, sent func(), from Buffers) (wrote int, buf []byte, n int, err error) {
	if raw, ok := c.(*Conn); ok {
		wrote, buf, n, err = raw.exchange(out, sent, from)
		if err != nil || n > 0 {
			return wrote, buf, n, err
		}
	}
	if wrote < len(out) {
		m, err := c.Write(out[wrote:])
		if wrote += m; err != nil {
			return wrote, nil, 0, err
		}
		sent()
	}
	buf, n, err = Read(c, from)
	return wrote, buf, n, err
}

// TryWrite writes what the other end takes without being waited for; of a
// connection that is none of [Wrap] nothing.
func TryWrite(c net.Conn, p []byte) (int, error) {
	if raw, ok := c.(*Conn); ok {
		return raw.tryWrite(p)
	}
	return 0, nil
}

func orNoProgress(err error) error {
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}
