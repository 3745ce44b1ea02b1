//go:build !unix

package app

import (
	"errors"
	"net"
	"syscall"
)

// secondListener fails: this system hands no socket on.
func secondListener(syscall.Conn) (net.Listener, error) {
	return nil, errors.New("this system cannot hand a socket on; restart to change how it is served")
}
