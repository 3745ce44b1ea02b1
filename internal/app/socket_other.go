//go:build !unix

package app

import (
	"errors"
	"io/fs"
	"net"

	"attache/proxy"
)

// bindSocket fails: no mode would protect the file.
func bindSocket(string, fs.FileMode) (net.Listener, error) {
	return nil, errors.New("unix sockets are not supported on this system; use an address")
}

// peerOf is not known here; the configuration refuses callers that need it.
func peerOf(*net.UnixConn) (proxy.Peer, bool) { return proxy.Peer{}, false }
