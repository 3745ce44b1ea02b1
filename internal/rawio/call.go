//go:build linux && !386 && !s390x && !race

package rawio

import (
	"syscall"
	"unsafe"
)

// again does a system call on a socket that does not block, again if a signal
// interrupts it.
func again(call, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}
