//go:build unix && !linux

package app

import (
	"context"
	"io/fs"
	"net"
	"syscall"

	"attache/proxy"
)

// bindSocket makes the socket file with mode, by the umask of the process: what
// else makes a file in this moment gets one that is less open, which does no
// harm.
func bindSocket(path string, mode fs.FileMode) (net.Listener, error) {
	old := syscall.Umask(int(^mode & fs.ModePerm))
	defer syscall.Umask(old)
	return new(net.ListenConfig).Listen(context.Background(), "unix", path)
}

// peerOf is not known here; the configuration refuses callers that need it.
func peerOf(*net.UnixConn) (proxy.Peer, bool) { return proxy.Peer{}, false }
