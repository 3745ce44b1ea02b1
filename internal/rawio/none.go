//go:build !linux || 386 || s390x

package rawio

import "net"

// Conn is what [Wrap] returns on systems that it knows how to talk to.
type Conn struct{ net.Conn }

// Wrap returns c as it is: this system's calls are left to package net.
func Wrap(c net.Conn) net.Conn { return c }

func (c *Conn) read(Buffers) ([]byte, int, error) { return nil, 0, net.ErrClosed }

func (c *Conn) exchange([]byte, func(), Buffers) (int, []byte, int, error) {
	return 0, nil, 0, net.ErrClosed
}

// SetImpatient does nothing.
func (c *Conn) SetImpatient(bool) {}

func (c *Conn) tryWrite([]byte) (int, error) { return 0, nil }
