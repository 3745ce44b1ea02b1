package app

import (
	"context"
	"io/fs"
	"net"
	"syscall"

	"attache/proxy"
)

// bindSocket makes the socket file with mode, or less as the umask says. Linux
// gives the file the mode that the socket itself has when it is bound.
func bindSocket(path string, mode fs.FileMode) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), uint32(mode)) })
		if err != nil {
			return err
		}
		return failed
	}}
	return lc.Listen(context.Background(), "unix", path)
}

// peerOf returns who is at the other end of a Unix socket.
func peerOf(c *net.UnixConn) (p proxy.Peer, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return p, false
	}
	var cred *syscall.Ucred
	if raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}) != nil || err != nil {
		return p, false
	}
	return proxy.Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}, true
}
