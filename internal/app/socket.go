package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"attache/internal/config"
)

// listenSocket listens on a Unix socket. The file is at no time more open than
// the configuration says. It is removed when the listener is closed, unless
// somebody else's has taken its place.
func listenSocket(s *config.Socket) (net.Listener, error) {
	if err := clearSocket(s.Path); err != nil {
		return nil, err
	}
	// Until the owner is right only the user who made the file may connect.
	bound, err := bindSocket(s.Path, s.Mode&0o700)
	if err != nil {
		return nil, err
	}
	l := own(bound, s.Path)
	if err := permit(s); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// permit gives the file of a socket its owner and mode, in an order in which
// nobody gets in who may not before and after.
func permit(s *config.Socket) error {
	if s.UID >= 0 || s.GID >= 0 {
		if err := os.Lchown(s.Path, s.UID, s.GID); err != nil {
			return fmt.Errorf("give the socket to its owner (that takes root, or your own user and one of its groups): %w", err)
		}
	}
	if err := os.Chmod(s.Path, s.Mode); err != nil {
		return fmt.Errorf("set the socket's mode: %w", err)
	}
	return nil
}

// narrow gives the file of a socket that is in service its next owner, and the
// mode that both before and next allow. An owner or group that changes gets
// nothing yet.
func narrow(before, next *config.Socket) error {
	mode := before.Mode & next.Mode
	if next.UID >= 0 && next.UID != ownerOr(before.UID, os.Geteuid()) {
		mode &^= 0o700
	}
	if next.GID >= 0 && next.GID != ownerOr(before.GID, os.Getegid()) {
		mode &^= 0o070
	}
	if err := os.Chmod(next.Path, mode); err != nil {
		return fmt.Errorf("set the socket's mode: %w", err)
	}
	closed := *next
	closed.Mode = mode
	return permit(&closed)
}

// ownerOr returns id, or if that is none the process's own.
func ownerOr(id, own int) int {
	if id < 0 {
		return own
	}
	return id
}

// clearSocket removes a socket that a process left behind which is gone.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is no socket; remove it or choose another path", path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("somebody listens on %s already; end that process or choose another path", path)
	case errors.Is(err, fs.ErrNotExist): // it just went
		return nil
	case !errors.Is(err, syscall.ECONNREFUSED): // a full queue, for instance, means that it is alive
		return fmt.Errorf("%s is there, and nobody can tell whether it is still in use; remove it or choose another path: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket that nobody listens on: %w", err)
	}
	return nil
}

// socketListener removes the file that it made, and no other.
type socketListener struct {
	net.Listener
	path string
	file fs.FileInfo // nil: it was gone at once
	once sync.Once
}

func own(l net.Listener, path string) net.Listener {
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it would remove whatever lies at the path then
	}
	file, _ := os.Lstat(path)
	return &socketListener{Listener: l, path: path, file: file}
}

// again returns a second listener on the same socket, which from now on is the
// one that removes the file.
func (l *socketListener) again() (net.Listener, error) {
	u, ok := l.Listener.(*net.UnixListener)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	second, err := secondListener(u)
	if err != nil {
		return nil, err
	}
	if u, ok := second.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return &socketListener{Listener: second, path: l.path, file: l.file}, nil
}

// keepFile leaves the file to another listener on the socket.
func (l *socketListener) keepFile() { l.once.Do(func() {}) }

// Close implements [net.Listener].
func (l *socketListener) Close() error {
	l.once.Do(func() {
		now, err := os.Lstat(l.path)
		// The time as well, because numbers of files are used again.
		if err == nil && l.file != nil && os.SameFile(now, l.file) && now.ModTime().Equal(l.file.ModTime()) {
			os.Remove(l.path)
		}
	})
	return l.Listener.Close()
}
