package rawio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// networks are those that connections are tried on.
var networks = []string{"tcp", "unix"}

// pair returns both ends of a connection, neither of them wrapped.
func pair(tb testing.TB, network string) (near, far net.Conn) {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(tb.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	near, err = net.Dial(network, l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { near.Close() })
	if far, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { far.Close() })
	return near, far
}

// wrapped returns both ends of a connection, the near one wrapped.
func wrapped(tb testing.TB, network string) (net.Conn, net.Conn) {
	tb.Helper()
	near, far := pair(tb, network)
	return Wrap(near), far
}

// counting lends buffers of one size, knows how many are lent, and finds those that
// are given back twice or were never lent.
type counting struct {
	tb   testing.TB
	size int

	mu    sync.Mutex
	lent  map[*byte]bool
	taken int // in all
}

func newCounting(tb testing.TB, size int) *counting {
	return &counting{tb: tb, size: size, lent: map[*byte]bool{}}
}

func (c *counting) Get() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := make([]byte, c.size)
	c.lent[&p[0]] = true
	c.taken++
	return p
}

func (c *counting) Put(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(p) != c.size || !c.lent[&p[0]] {
		c.tb.Errorf("a buffer of %d bytes is given back that is not lent", len(p))
		return
	}
	delete(c.lent, &p[0])
}

// out returns how many buffers are lent.
func (c *counting) out() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lent)
}

// describe tells errors apart as their users do, without addresses.
func describe(err error) string {
	if err == nil || err == io.EOF {
		return fmt.Sprint(err)
	}
	op, ok := err.(*net.OpError)
	if !ok {
		return fmt.Sprintf("%T", err)
	}
	text := fmt.Sprintf("%s %s source %t address %t timeout %t temporary %t", op.Op, op.Net, op.Source != nil, op.Addr != nil, op.Timeout(), op.Temporary())
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		text += " call " + call.Syscall
	}
	for _, is := range []error{os.ErrDeadlineExceeded, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		text += fmt.Sprintf(" %t", errors.Is(err, is))
	}
	return text
}
