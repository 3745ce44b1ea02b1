//go:build unix

package app

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// secondListener returns another listener on the socket of l. The File method of
// l would do the same but for one thing: [net.FileListener] takes its result out
// of non-blocking mode for a moment, and with it the socket that both share. An
// accept in that moment would hang until the next client comes, and with it
// whoever closes l.
func secondListener(l syscall.Conn) (net.Listener, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var second int
	var failed error
	err = raw.Control(func(fd uintptr) { second, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	file := os.NewFile(uintptr(second), "listener")
	defer file.Close()
	return net.FileListener(file)
}
