package rawio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestErrorsAreThoseOfNet: whatever ends a read or a write, its error is what a
// connection of package net returns.
func TestErrorsAreThoseOfNet(t *testing.T) {
	var p [8]byte
	read := func(c net.Conn) (int, error) { return c.Read(p[:]) }
	write := func(c net.Conn) (int, error) { return c.Write([]byte("text")) }
	for _, tc := range []struct {
		name    string
		prepare func(near, far net.Conn)
		do      func(net.Conn) (int, error)
	}{
		{"end of file", func(_, far net.Conn) { far.Close() }, read},
		{"end of one direction", func(_, far net.Conn) { far.(interface{ CloseWrite() error }).CloseWrite() }, read},
		{"last bytes", func(_, far net.Conn) { io.WriteString(far, "abc"); far.Close() }, read},
		{"read of no bytes", func(net.Conn, net.Conn) {}, func(c net.Conn) (int, error) { return c.Read(nil) }},
		{"write of no bytes", func(net.Conn, net.Conn) {}, func(c net.Conn) (int, error) { return c.Write(nil) }},
		{"deadline that is over", func(near, far net.Conn) {
			io.WriteString(far, "there")
			near.SetReadDeadline(time.Unix(1, 0))
		}, read},
		{"deadline that comes", func(near, _ net.Conn) { near.SetReadDeadline(time.Now().Add(time.Millisecond)) }, read},
		{"deadline lifted", func(near, far net.Conn) {
			near.SetDeadline(time.Unix(1, 0))
			near.Read(p[:])
			near.Write(p[:])
			near.SetDeadline(time.Time{})
			io.WriteString(far, "there")
		}, read},
		{"write deadline that is over", func(near, _ net.Conn) { near.SetWriteDeadline(time.Unix(1, 0)) }, write},
		{"write deadline that comes", func(near, _ net.Conn) { near.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) },
			func(c net.Conn) (int, error) {
				_, err := c.Write(make([]byte, 64<<20)) // how much is chance
				return 0, err
			}},
		{"read after the end", func(near, _ net.Conn) { near.Close() }, read},
		{"write after the end", func(near, _ net.Conn) { near.Close() }, write},
		{"ended while it waits", func(near, _ net.Conn) { time.AfterFunc(time.Millisecond, func() { near.Close() }) }, read},
		{"write after the other end", func(near, far net.Conn) {
			far.Close()
			near.Write([]byte("x"))
			near.SetReadDeadline(time.Now().Add(10 * time.Second)) // the reset arrives
			for err := error(nil); err == nil; {
				_, err = near.Read(p[:])
			}
		}, write},
		{"reset", func(near, far net.Conn) {
			io.WriteString(near, "unread") // a Unix socket is reset so
			if c, ok := far.(*net.TCPConn); ok {
				c.SetLinger(0)
			}
			far.Close()
		}, read},
	} {
		for _, network := range networks {
			t.Run(tc.name+"/"+network, func(t *testing.T) {
				near, far := pair(t, network)
				tc.prepare(near, far)
				wantN, want := tc.do(near)
				near, far = wrapped(t, network)
				tc.prepare(near, far)
				n, err := tc.do(near)
				if n != wantN || describe(err) != describe(want) {
					t.Errorf("%d, %s (%v)\nnet: %d, %s (%v)", n, describe(err), err, wantN, describe(want), want)
				}
			})
		}
	}
}

// TestWriteToASlowReader: all of it arrives in order, however little the reader
// takes at once.
func TestWriteToASlowReader(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			near, far := wrapped(t, network)
			want := make([]byte, 8<<20)
			for i := range want {
				want[i] = byte(i >> 3 * 7)
			}
			got := make(chan []byte)
			go func() {
				var all []byte
				p := make([]byte, 100<<10)
				for {
					n, err := far.Read(p[:1+len(all)%len(p)])
					if all = append(all, p[:n]...); err != nil {
						got <- all
						return
					}
				}
			}()
			if n, err := near.Write(want); n != len(want) || err != nil {
				t.Fatal(n, err)
			}
			near.Close()
			if !bytes.Equal(<-got, want) {
				t.Error("something else arrives")
			}
		})
	}
}

// TestTryWrite: it writes what there is room for and never waits; Write goes on.
func TestTryWrite(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			near, far := wrapped(t, network)
			p := make([]byte, 1<<20)
			total := 0
			for range 1000 {
				n, err := TryWrite(near, p)
				if err != nil {
					t.Fatal(err)
				}
				if total += n; n < len(p) {
					break
				}
			}
			if n, err := TryWrite(near, p[:1]); n != 0 || err != nil {
				t.Errorf("%d bytes, %v into a full socket", n, err)
			}
			read := make(chan int64)
			go func() {
				n, _ := io.Copy(io.Discard, far)
				read <- n
			}()
			if n, err := near.Write(p); n != len(p) || err != nil {
				t.Error(n, err)
			}
			near.Close()
			if n := <-read; n != int64(total+len(p)) {
				t.Errorf("%d bytes arrive of %d", n, total+len(p))
			}
			if n, err := TryWrite(near, p); n != 0 || err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(n, err)
			}
		})
	}
}

// TestReadLends: a buffer is taken for what is there, and given back if nothing is.
func TestReadLends(t *testing.T) {
	for _, network := range networks {
		for name, wrap := range map[string]func(net.Conn) net.Conn{"wrapped": Wrap, "net": func(c net.Conn) net.Conn { return c }} {
			t.Run(network+"/"+name, func(t *testing.T) {
				near, far := pair(t, network)
				near = wrap(near)
				from := newCounting(t, 100)
				io.WriteString(far, "text")
				buf, n, err := Read(near, from)
				if err != nil || string(buf[:n]) != "text" || len(buf) != 100 || from.out() != 1 {
					t.Fatalf("%q of %d bytes, %v, %d lent", buf[:n], len(buf), err, from.out())
				}
				from.Put(buf)
				near.SetReadDeadline(time.Now().Add(time.Millisecond))
				if buf, n, err = Read(near, from); buf != nil || n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || from.out() != 0 {
					t.Errorf("%v, %d, %v, %d lent after the deadline", buf, n, err, from.out())
				}
				near.SetReadDeadline(time.Time{})
				far.Close()
				if buf, n, err = Read(near, from); buf != nil || n != 0 || err != io.EOF || from.out() != 0 {
					t.Errorf("%v, %d, %v, %d lent at the end", buf, n, err, from.out())
				}
				near.Close()
				if buf, n, err = Read(near, from); buf != nil || n != 0 || !errors.Is(err, net.ErrClosed) || from.out() != 0 {
					t.Errorf("%v, %d, %v, %d lent after Close", buf, n, err, from.out())
				}
			})
		}
	}
}

// idling is a connection that reads nothing, again and again.
type idling struct{ net.Conn }

func (idling) Read([]byte) (int, error) { return 0, nil }

// TestReadGivesUp: a connection that neither reads nor fails holds up nobody.
func TestReadGivesUp(t *testing.T) {
	from := newCounting(t, 10)
	if _, _, err := Read(idling{}, from); err != io.ErrNoProgress || from.out() != 0 {
		t.Errorf("%v, %d lent", err, from.out())
	}
}

// TestWrapLeavesOthersAlone: only sockets have something to gain.
func TestWrapLeavesOthersAlone(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Wrap(a) != a {
		t.Error("a pipe is wrapped")
	}
	near, _ := pair(t, "tcp")
	if c := Wrap(near); Wrap(c) != c {
		t.Error("it is wrapped twice")
	}
}
