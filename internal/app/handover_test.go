//go:build linux

package app

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"attache/internal/config"
)

// A plan that is given up leaves the socket's file as it was: there, with its
// mode, and with the owner that it had without the configuration naming one.
func TestDiscardedPlanLeavesTheSocketsFile(t *testing.T) {
	before := socketAt(filepath.Join(t.TempDir(), "a.sock"), 0o600)
	raw, err := listenSocket(before)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	after := socketAt(before.Path, 0o660)
	after.UID, after.GID = os.Geteuid(), os.Getegid()
	narrowed := fs.FileMode(0o600)
	if os.Geteuid() == 0 { // nobody else may give a file away
		after.UID, after.GID, narrowed = 12345, 12345, 0
	}
	p := &doorPlan{fresh: map[*door]*door{}}
	old := &door{wants: config.Listener{Unix: before}, raw: raw}
	second, err := p.open(spot{listener: config.Listener{Unix: after}}, old)
	if err != nil {
		t.Fatal(err)
	}
	p.fresh[&door{raw: second, socket: second}] = old
	wantFile(t, &config.Socket{Path: after.Path, Mode: narrowed, UID: after.UID, GID: after.GID})
	p.discard()
	wantFile(t, &config.Socket{Path: before.Path, Mode: before.Mode, UID: os.Geteuid(), GID: os.Getegid()})
	c, err := net.Dial("unix", before.Path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func wantFile(t *testing.T, want *config.Socket) {
	t.Helper()
	info, err := os.Lstat(want.Path)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if info.Mode() != fs.ModeSocket|want.Mode || int(owner.Uid) != want.UID || int(owner.Gid) != want.GID {
		t.Errorf("mode %v, owner %d:%d; want %v, %d:%d", info.Mode(), owner.Uid, owner.Gid, want.Mode, want.UID, want.GID)
	}
}

// Handing a socket on leaves it non-blocking at every moment. Else a server that
// calls accept in between hangs in it, and with it whoever closes the old listener,
// until the next client comes.
func TestSocketHandedOnNeverBlocks(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unix, err := listenSocket(socketAt(filepath.Join(t.TempDir(), "a.sock"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []net.Listener{tcp, unix} {
		defer l.Close()
		stop, blocked := make(chan struct{}), make(chan int)
		go watchBlocking(t, l, stop, blocked)
		for range 3000 {
			second, err := sameSocket(l)
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := second.(*socketListener); ok {
				s.keepFile()
			}
			second.Close()
		}
		close(stop)
		if n := <-blocked; n > 0 {
			t.Errorf("%s: seen in blocking mode %d times", l.Addr().Network(), n)
		}
	}
}

// watchBlocking counts how often the socket of l is seen in blocking mode.
func watchBlocking(t *testing.T, l net.Listener, stop <-chan struct{}, blocked chan<- int) {
	n := 0
	defer func() { blocked <- n }()
	if s, ok := l.(*socketListener); ok {
		l = s.Listener
	}
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		raw.Control(func(fd uintptr) {
			flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
			if flags&syscall.O_NONBLOCK == 0 {
				n++
			}
		})
	}
}
