package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

// sysEpollPwait2 is epoll_wait with a time-out in nanoseconds (Linux 5.11). The
// number is the same on all architectures; package syscall does not name it.
const sysEpollPwait2 = 441

// poller waits for sockets to become readable. One thread uses it.
type poller struct {
	fd     int
	events [512]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { syscall.Close(p.fd) }

// add watches a socket until it is closed.
func (p *poller) add(fd int) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	if err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

// wait returns what is readable, after at most timeout. The slice is valid
// until the next call.
func (p *poller) wait(timeout time.Duration) ([]syscall.EpollEvent, error) {
	ts := syscall.NsecToTimespec(int64(max(timeout, 0)))
	n, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch {
	case errno == syscall.EINTR:
		return nil, nil // the runtime's own signals
	case errno == syscall.ENOSYS:
		return nil, errors.New("wait for sockets: the kernel has no epoll_pwait2; Linux 5.11 or later is needed")
	case errno != 0:
		return nil, fmt.Errorf("wait for sockets: %w", errno)
	}
	return p.events[:n], nil
}

// waitReadable blocks until a socket can be read. It is for handshakes.
func waitReadable(fd int, timeout time.Duration) error {
	type pollFD struct {
		fd              int32
		events, revents int16
	}
	const pollIn = 1
	p := pollFD{fd: int32(fd), events: pollIn}
	ts := syscall.NsecToTimespec(int64(timeout))
	n, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	switch {
	case errno == syscall.EINTR:
		return nil // the caller tries again
	case errno != 0:
		return fmt.Errorf("wait for a socket: %w", errno)
	case n == 0:
		return fmt.Errorf("wait for a socket: nothing came for %s", timeout)
	}
	return nil
}

// exactTimers lets this thread's time-outs end in time: by default the kernel
// may end them 50 µs late, to save wake-ups.
func exactTimers() error {
	const prSetTimerSlack = 29
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0); errno != 0 {
		return fmt.Errorf("set the slack of timers: %w", errno)
	}
	return nil
}

// dial opens a connection to a port of loopback that does not block.
func dial(port int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("make a socket: %w", err)
	}
	// Loopback answers at once, or not at all.
	if err = syscall.Connect(fd, loopback(port)); err == nil {
		err = prepare(fd)
	}
	if err != nil {
		syscall.Close(fd)
		return 0, fmt.Errorf("connect to port %d: %w", port, err)
	}
	return fd, nil
}

// prepare makes a connection send at once and never block.
func prepare(fd int) error {
	return errors.Join(
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.SetNonblock(fd, true))
}

// listen opens a listener on a free port of loopback.
func listen() (fd, port int, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("make a socket: %w", err)
	}
	if err = syscall.Bind(fd, loopback(0)); err == nil {
		err = syscall.Listen(fd, 4096)
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		syscall.Close(fd)
		return 0, 0, fmt.Errorf("listen on loopback: %w", err)
	}
	return fd, name.(*syscall.SockaddrInet4).Port, nil
}

func loopback(port int) *syscall.SockaddrInet4 {
	return &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

// errAgain says that a socket has nothing to read now. crypto/tls takes an
// error that says Temporary as no end of the connection.
type errAgain struct{}

func (errAgain) Error() string   { return "nothing to read now" }
func (errAgain) Timeout() bool   { return true }
func (errAgain) Temporary() bool { return true }

// readSome reads what is there. It returns errAgain if that is nothing.
func readSome(fd int, buf []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, buf)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, errAgain{}
		case err != nil:
			return 0, err
		case n == 0:
			return 0, errClosed
		default:
			return n, nil
		}
	}
}

var (
	errClosed = errors.New("the connection was closed")
	errFull   = errors.New("a socket took only a part of a message")
)

// writeAll writes a message, which fits into the socket's buffer: nothing else
// is on its way when this program writes.
func writeAll(fd int, data []byte) error {
	for {
		n, err := syscall.Write(fd, data)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case n < len(data):
			return errFull
		default:
			return nil
		}
	}
}
