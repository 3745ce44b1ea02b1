//go:build linux && !386 && !s390x

package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestWaitingHoldsNoBuffer: it is taken only when something has come.
func TestWaitingHoldsNoBuffer(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			near, far := wrapped(t, network)
			from := newCounting(t, 100)
			read := make(chan string)
			go func() {
				buf, n, err := Read(near, from)
				if err != nil {
					t.Error(err)
				}
				read <- string(buf[:n])
				from.Put(buf)
			}()
			for asleep := false; !asleep; { // it has looked once, and given back what it looked with
				from.mu.Lock()
				asleep = from.taken == 1 && len(from.lent) == 0
				from.mu.Unlock()
			}
			io.WriteString(far, "text")
			if got := <-read; got != "text" {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestImpatience: there is something, or there is nothing; a deadline that is over
// is neither.
func TestImpatience(t *testing.T) {
	near, far := wrapped(t, "unix")
	c := near.(*Conn)
	var p [8]byte
	c.SetImpatient(true)
	if n, err := c.Read(p[:]); n != 0 || err != ErrNothing {
		t.Errorf("%d, %v of nothing", n, err)
	}
	from := newCounting(t, 10)
	if buf, _, err := Read(c, from); buf != nil || err != ErrNothing || from.out() != 0 {
		t.Errorf("%v, %v, %d lent", buf, err, from.out())
	}
	c.SetReadDeadline(time.Unix(1, 0))
	if n, err := c.Read(p[:]); n != 0 || err == ErrNothing || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v after the deadline", n, err)
	}
	c.SetReadDeadline(time.Time{})
	io.WriteString(far, "text")
	if n, err := c.Read(p[:]); string(p[:n]) != "text" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	far.Close()
	if n, err := c.Read(p[:]); n != 0 || err != io.EOF {
		t.Errorf("%d, %v at the end", n, err)
	}
	c.SetImpatient(false)
	near, far = wrapped(t, "unix")
	time.AfterFunc(time.Millisecond, func() { io.WriteString(far, "late") })
	if n, err := near.Read(p[:]); string(p[:n]) != "late" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
}

// TestStale: nothing is written where something came that nobody asked for.
func TestStale(t *testing.T) {
	for name, prepare := range map[string]func(far net.Conn){
		"closed":     func(far net.Conn) { far.Close() },
		"half":       func(far net.Conn) { far.(interface{ CloseWrite() error }).CloseWrite() },
		"bytes":      func(far net.Conn) { io.WriteString(far, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
		"then reset": func(far net.Conn) { io.WriteString(far, "x"); far.Close() },
	} {
		for _, network := range networks {
			t.Run(name+"/"+network, func(t *testing.T) {
				near, far := wrapped(t, network)
				prepare(far)
				arrived(t, near)
				from := newCounting(t, 10)
				wrote, buf, n, err := Exchange(near, []byte("request"), func() {}, from)
				if wrote != 0 || buf != nil || n != 0 || err != ErrStale || from.taken != 0 {
					t.Errorf("%d, %v, %d, %v, %d lent", wrote, buf, n, err, from.taken)
				}
			})
		}
	}
}

// arrived waits until there is something to read, and leaves it there.
func arrived(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			var p [1]byte
			_, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			return err != syscall.EAGAIN
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestExchange: a request and its answer, many times over, however they meet.
func TestExchange(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			near, far := wrapped(t, network)
			go func() {
				var p [16]byte
				for {
					n, err := far.Read(p[:])
					if err != nil {
						return
					}
					far.Write(p[:n])
				}
			}()
			from := newCounting(t, 16)
			for i := range 2000 {
				out := []byte{byte(i), byte(i >> 8)}
				wrote, buf, n, err := Exchange(near, out, func() {}, from)
				if wrote != 2 || n != 2 || err != nil || buf[0] != out[0] || buf[1] != out[1] {
					t.Fatalf("%d: %d, %v, %d, %v", i, wrote, buf, n, err)
				}
				from.Put(buf)
			}
		})
	}
}

// TestHugeExchange: a request that the socket cannot take at once is written to its
// end before the answer is read; but if the other end has gone, that is known.
func TestHugeExchange(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			near, far := wrapped(t, network)
			out := make([]byte, 16<<20)
			go func() {
				io.CopyN(io.Discard, far, int64(len(out)))
				io.WriteString(far, "answer")
			}()
			from := newCounting(t, 16)
			wrote, buf, n, err := Exchange(near, out, func() {}, from)
			if wrote != len(out) || string(buf[:n]) != "answer" || err != nil {
				t.Errorf("%d, %q, %v", wrote, buf[:n], err)
			}
			go func() {
				io.CopyN(io.Discard, far, 1000)
				far.Close()
			}()
			wrote, buf, n, err = Exchange(near, out, func() {}, from)
			op, ok := err.(*net.OpError)
			if wrote == 0 || wrote == len(out) || buf != nil || n != 0 || !ok || op.Op != "write" {
				t.Errorf("%d, %v, %d, %v", wrote, buf, n, err)
			}
		})
	}
}

// TestDeadlineOfExchange: one that is over keeps the request from being written; one
// that comes leaves what a Read may go on with.
func TestDeadlineOfExchange(t *testing.T) {
	near, far := wrapped(t, "tcp")
	from := newCounting(t, 16)
	near.SetReadDeadline(time.Unix(1, 0))
	wrote, buf, _, err := Exchange(near, []byte("request"), func() {}, from)
	if wrote != 0 || buf != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v, %v", wrote, buf, err)
	}
	near.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	wrote, buf, _, err = Exchange(near, []byte("request"), func() {}, from)
	if wrote != 7 || buf != nil || !errors.Is(err, os.ErrDeadlineExceeded) || from.out() != 0 {
		t.Errorf("%d, %v, %v, %d lent", wrote, buf, err, from.out())
	}
	near.SetReadDeadline(time.Time{})
	var p [16]byte
	if n, err := far.Read(p[:]); string(p[:n]) != "request" || err != nil {
		t.Errorf("%q, %v arrive", p[:n], err)
	}
	io.WriteString(far, "answer")
	buf, n, err := Read(near, from)
	if string(buf[:n]) != "answer" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// TestCloseEndsExchange: from another goroutine, also before it begins.
func TestCloseEndsExchange(t *testing.T) {
	for _, size := range []int{1, 16 << 20} { // waits for the answer, and for room
		for range 50 {
			near, _ := wrapped(t, "unix")
			from := newCounting(t, 16)
			closed := make(chan struct{})
			go func() { near.Close(); close(closed) }()
			_, buf, n, err := Exchange(near, make([]byte, size), func() {}, from)
			if buf != nil || n != 0 || !errors.Is(err, net.ErrClosed) || from.out() != 0 {
				t.Fatalf("%v, %d, %v, %d lent", buf, n, err, from.out())
			}
			<-closed
		}
	}
}

// TestExchangeAfterErrors: no error leaves anything behind for the next call.
func TestExchangeAfterErrors(t *testing.T) {
	near, far := wrapped(t, "unix")
	from := newCounting(t, 16)
	io.WriteString(far, "early")
	arrived(t, near)
	if wrote, _, _, err := Exchange(near, []byte("one"), func() {}, from); wrote != 0 || err != ErrStale {
		t.Fatal(wrote, err)
	}
	var p [16]byte
	if n, err := near.Read(p[:]); string(p[:n]) != "early" || err != nil { // writes nothing, takes no buffer
		t.Fatalf("%q, %v", p[:n], err)
	}
	near.SetReadDeadline(time.Unix(1, 0))
	Exchange(near, []byte("two"), func() {}, from)
	near.SetReadDeadline(time.Time{})
	io.WriteString(far, "more")
	if n, err := near.Read(p[:]); string(p[:n]) != "more" || err != nil || from.taken != 0 {
		t.Fatalf("%q, %v, %d taken", p[:n], err, from.taken)
	}
	near.Close()
	if got, err := io.ReadAll(far); len(got) != 0 || err != nil {
		t.Errorf("%q, %v arrive", got, err)
	}
}

// TestNothingIsAllocated: a request costs what its owner makes of it.
func TestNothingIsAllocated(t *testing.T) {
	near, far := wrapped(t, "unix")
	c := near.(*Conn)
	other := Wrap(far)
	var pool sync.Pool
	pool.New = func() any { return new([64]byte) }
	from := (*arrays)(&pool)
	out := []byte("request")
	var p [64]byte
	echoes := make(chan struct{})
	go func() {
		defer close(echoes)
		var p [64]byte
		for {
			n, err := other.Read(p[:])
			if err != nil {
				return
			}
			other.Write(p[:n])
		}
	}()
	for name, do := range map[string]func(){
		"exchange": func() {
			_, buf, _, err := Exchange(near, out, func() {}, from)
			if err != nil {
				t.Fatal(err)
			}
			from.Put(buf)
		},
		"write and read": func() { near.Write(out); near.Read(p[:]) },
		"impatient read": func() { c.SetImpatient(true); c.Read(p[:]); c.SetImpatient(false) },
		"try to write":   func() { TryWrite(near, out); near.Read(p[:]) },
	} {
		if n := testing.AllocsPerRun(200, do); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	near.Close()
	<-echoes
}

// arrays lends from a pool without allocating.
type arrays sync.Pool

func (a *arrays) Get() []byte  { return (*sync.Pool)(a).Get().(*[64]byte)[:] }
func (a *arrays) Put(p []byte) { (*sync.Pool)(a).Put((*[64]byte)(p)) }

// TestFailedWriteOfExchange: it is called a write, and leaves the reading alone.
func TestFailedWriteOfExchange(t *testing.T) {
	near, far := wrapped(t, "unix")
	near.(*Conn).CloseWrite()
	wrote, buf, n, err := Exchange(near, []byte("request"), func() {}, newCounting(t, 16))
	if want := "write unix source true address true timeout false temporary false call write false false false true"; wrote != 0 || buf != nil || n != 0 || describe(err) != want {
		t.Errorf("%d, %v, %d, %s (%v)", wrote, buf, n, describe(err), err)
	}
	io.WriteString(far, "text")
	var p [8]byte
	if n, err := near.Read(p[:]); string(p[:n]) != "text" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
}
