package rawio

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestStress: on many connections at once, with pieces of any size and pauses
// anywhere, both directions deliver everything in order, deadlines that end a read
// lose nothing, and no wake-up is missed, which would hang.
func TestStress(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	connections := 40
	if testing.Short() {
		connections = 8
	}
	var all sync.WaitGroup
	for i := range connections {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		near, far := pair(t, networks[i%2])
		near = Wrap(near)
		if i%4 < 2 {
			far = Wrap(far)
		}
		there := make([]byte, 1+rnd.IntN(1<<20))
		back := make([]byte, 1+rnd.IntN(1<<20))
		for _, way := range []struct {
			from, to net.Conn
			data     []byte
		}{{near, far, there}, {far, near, back}} {
			for i := range way.data {
				way.data[i] = byte(rnd.Uint32())
			}
			send, receive := rand.New(rand.NewPCG(rnd.Uint64(), 1)), rand.New(rand.NewPCG(rnd.Uint64(), 2))
			all.Go(func() { dribble(t, way.from, way.data, send) })
			all.Go(func() { collect(t, way.to, way.data, receive) })
		}
	}
	all.Wait()
}

// dribble writes data in pieces.
func dribble(t *testing.T, c net.Conn, data []byte, rnd *rand.Rand) {
	for len(data) > 0 {
		n := min(len(data), 1+rnd.IntN(1<<(1+rnd.IntN(18))))
		write := c.Write
		if rnd.IntN(3) == 0 {
			write = func(p []byte) (int, error) { return TryWrite(c, p) }
		}
		m, err := write(data[:n])
		if err != nil {
			t.Error(err)
			return
		}
		data = data[m:]
		pause(rnd)
	}
}

// collect reads until it has what was sent.
func collect(t *testing.T, c net.Conn, want []byte, rnd *rand.Rand) {
	from := newCounting(t, 1+rnd.IntN(20000))
	p := make([]byte, 1+rnd.IntN(20000))
	var got []byte
	for len(got) < len(want) {
		if rnd.IntN(4) == 0 { // a read that gives up
			c.SetReadDeadline(time.Now().Add(time.Duration(rnd.IntN(200)) * time.Microsecond))
		} else {
			c.SetReadDeadline(time.Time{})
		}
		part, n, err := p, 0, error(nil)
		lent := rnd.IntN(2) == 0
		if lent {
			part, n, err = Read(c, from)
		} else {
			n, err = c.Read(p)
		}
		got = append(got, part[:n]...)
		if lent && err == nil {
			from.Put(part)
		}
		if e, ok := err.(net.Error); err != nil && !(ok && e.Timeout()) {
			t.Error(err)
			return
		}
		pause(rnd)
	}
	if sha256.Sum256(got) != sha256.Sum256(want) || from.out() != 0 {
		t.Errorf("something else arrives, or %d buffers are lent", from.out())
	}
}

func pause(rnd *rand.Rand) {
	switch rnd.IntN(20) {
	case 0:
		time.Sleep(time.Duration(rnd.IntN(300)) * time.Microsecond)
	case 1, 2:
		runtime.Gosched()
	}
}

// TestStressOfExchanges: of many exchanges each gets its own answer, whether that
// comes at once, in pieces, or after a while.
func TestStressOfExchanges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	var all sync.WaitGroup
	for i := range 30 {
		near, far := pair(t, networks[i%2])
		near = Wrap(near)
		rnd, others := rand.New(rand.NewPCG(seed, uint64(i))), rand.New(rand.NewPCG(seed, uint64(i+1000)))
		all.Go(func() { echo(far, others) })
		all.Go(func() {
			defer near.Close()
			from := newCounting(t, 1+rnd.IntN(200))
			for range 300 {
				out := make([]byte, 2+rnd.IntN(100))
				for i := range out {
					out[i] = byte(rnd.Uint32())
				}
				out[0] = byte(len(out))
				wrote, buf, n, err := Exchange(near, out, func() {}, from)
				if wrote != len(out) || err != nil {
					t.Error(wrote, err)
					return
				}
				got := append([]byte(nil), buf[:n]...)
				from.Put(buf)
				rest := make([]byte, len(out)-n)
				if _, err := io.ReadFull(near, rest); err != nil || !bytes.Equal(append(got, rest...), out) {
					t.Error("something else comes back", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// echo sends messages back whose first byte is their length.
func echo(c net.Conn, rnd *rand.Rand) {
	p := make([]byte, 256)
	for {
		if _, err := io.ReadFull(c, p[:1]); err != nil {
			return
		}
		out := p[:p[0]]
		if _, err := io.ReadFull(c, out[1:]); err != nil {
			return
		}
		pause(rnd)
		for len(out) > 0 {
			n := len(out)
			if rnd.IntN(3) == 0 {
				n = 1 + rnd.IntN(n)
			}
			c.Write(out[:n])
			out = out[n:]
			if len(out) > 0 {
				pause(rnd)
			}
		}
	}
}

// TestTLS: on top of it TLS works as ever, also past deadlines and impatience.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	s.Close()
	near, far := wrapped(t, "tcp")
	client := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	server := tls.Server(Wrap(far), s.TLS)
	data := bytes.Repeat([]byte("0123456789"), 200<<10)
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer server.Close()
		io.Copy(server, io.LimitReader(server, int64(len(data))))
	}()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	var p [1]byte
	if c, ok := near.(*Conn); ok {
		c.SetImpatient(true)
		if n, err := client.Read(p[:]); n != 0 || err != ErrNothing {
			t.Errorf("%d, %v of nothing", n, err)
		}
		c.SetImpatient(false)
	}
	client.SetReadDeadline(time.Unix(1, 0))
	if n, err := client.Read(p[:]); n != 0 || err == nil || err == ErrNothing {
		t.Errorf("%d, %v after the deadline", n, err)
	}
	client.SetReadDeadline(time.Time{})
	go client.Write(data)
	got, err := io.ReadAll(client)
	if !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	<-served
}
