//go:build unix

package http1

import "syscall"

// nothingToRead reports whether the socket is open and silent. It reads rather
// than peeks: a connection with anything to read is given up anyway.
func nothingToRead(fd uintptr) bool {
	var p [1]byte
	for {
		_, err := syscall.Read(int(fd), p[:])
		if err != syscall.EINTR {
			return err == syscall.EAGAIN
		}
	}
}
