//go:build unix

package http1

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestResponseTakesOver: what came along with the head, in a buffer no larger than an
// answer needs that may last for days, and no deadline.
func TestResponseTakesOver(t *testing.T) {
	chunks := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	long := strings.Repeat("x", 9000)
	for name, tc := range map[string]struct {
		pieces []string
		want   string
		size   int
	}{
		"head alone":        {[]string{chunks, "2\r\nok\r\n", "0\r\n\r\n"}, "ok", readSize},
		"some of the body":  {[]string{chunks + "5\r\nhe", "llo\r\n", "0\r\n\r\n"}, "hello", readSize},
		"much of the body":  {[]string{chunks + "2328\r\n" + long + "\r\n", "2\r\nok\r\n0\r\n\r\n"}, long + "ok", tripSize},
		"until the end":     {[]string{"HTTP/1.1 200 OK\r\n\r\nhe", "llo"}, "hello", readSize},
		"all chunks":        {[]string{chunks + "2\r\nok\r\n3\r\n...\r\n0\r\n\r\n"}, "ok...", readSize},
		"one that is plain": {[]string{ok[:len(ok)-1], "k"}, "ok", readSize},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: []func(net.Conn){func(conn net.Conn) {
					conn.Read(make([]byte, 1000))
					for _, piece := range tc.pieces {
						io.WriteString(conn, piece)
						time.Sleep(time.Minute)
					}
				}}}
				c, end := n.client(Config{})
				defer end()
				trip := new(Trip)
				if err := c.Send(t.Context(), trip, message("GET", "")); err != nil {
					t.Fatal(err)
				}
				ans, err := trip.Response()
				if err != nil {
					t.Fatal(err)
				}
				trip.Abort() // it has nothing left to end
				if size := len(ans.Body.(*answerBody).conn.buf); size != tc.size {
					t.Errorf("a buffer of %d bytes", size)
				}
				if g := gotOf(ans); g.body != tc.want || g.failed != "" {
					t.Errorf("%.100q, %s", g.body, g.failed)
				}
			})
		})
	}
}

// TestTripIsUsedAgain: whatever came of it before, also nothing.
func TestTripIsUsedAgain(t *testing.T) {
	n := &network{link: sockets(t), serve: []func(net.Conn){answering(ok)}}
	c, end := n.client(Config{})
	defer end()
	trip := new(Trip)
	trip.Abort() // never sent
	for i, finish := range []func(){
		func() { trip.Abort() }, func() { trip.Abort(); trip.Abort() },
		func() { trip.Next(); trip.Done(time.Now()); trip.Abort() }, func() { trip.Done(time.Now()) }, // the body was not read
		func() { ans, _ := trip.Response(); ans.Body.Close() }, func() { gotOfTrip(trip) },
	} {
		if err := c.Send(t.Context(), trip, message("GET", "")); err != nil || trip.Status != 200 || trip.Left() != 2 || string(trip.Here()) != "ok" {
			t.Fatalf("%d: %v, %d", i, err, trip.Status)
		}
		finish()
		if trip.conn != nil || trip.unwatch != nil {
			t.Errorf("%d: it holds on to its connection", i)
		}
		if idle, want := c.idleCount(), map[int]int{2: 1, 5: 1}[i]; idle != want {
			t.Errorf("%d: %d idle connections, want %d", i, idle, want)
		}
	}
}

// TestDoAfterADeadline: one that was left on an idle connection is no reason to give
// it up.
func TestDoAfterADeadline(t *testing.T) {
	for name, send := range map[string]sender{"Do": viaDo, "Send": viaSend} {
		n := &network{link: sockets(t), serve: []func(net.Conn){answering(ok)}}
		c, end := n.client(Config{})
		viaSend(t.Context(), c, new(Trip), "GET", "")
		c.idle.conns[0].expect(time.Unix(1, 0))
		if g := send(t.Context(), c, new(Trip), "GET", ""); g.body != "ok" || n.dialed != 1 {
			t.Errorf("%s: %+v on connection %d", name, g, n.dialed)
		}
		end()
	}
}

// TestTripsAllocateTheirHeadAlone: that is what they are for.
func TestTripsAllocateTheirHeadAlone(t *testing.T) {
	conn := &canned{scripted{piece: 1 << 20}, ok}
	c, _ := scriptedClient("", 1)
	c.idle.put(newConn(conn, &c.buffers))
	trip, m := new(Trip), message("GET", "")
	if n := testing.AllocsPerRun(100, func() {
		m.Now = time.Now()
		if err := c.Send(t.Context(), trip, m); err != nil {
			t.Fatal(err)
		}
		trip.Next()
		trip.Done(time.Now())
	}); n > 2 { // the pool of buffers may be emptied meanwhile
		t.Errorf("%v allocations", n)
	}
}
