//go:build linux && !386 && !s390x && race

package rawio

import (
	"syscall"
	"unsafe"
)

// again is for the race detector: it does the same by functions of package syscall,
// which tell it that what was read is ordered after what was written, and that a buffer
// was read or written.
func again(call, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		var n int
		var err error
		switch call {
		case syscall.SYS_READ:
			n, err = syscall.Read(int(fd), p)
		case syscall.SYS_SENDTO: // Go ignores the signal that comes with an error
			n, err = syscall.Write(int(fd), p)
		default: // a look at what is there, which orders nothing
			m, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
			n, err = int(m), errno
		}
		errno, _ := err.(syscall.Errno)
		if errno != syscall.EINTR {
			return n, errno
		}
	}
}
