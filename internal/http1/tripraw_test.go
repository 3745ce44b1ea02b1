//go:build unix

package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestTripThatCameLate: a goroutine that did not come to run for a while is no
// reason to give a request up, nor to trust a connection at which nobody can look.
func TestTripThatCameLate(t *testing.T) {
	plain := sockets(t)
	for name, link := range map[string]func() (net.Conn, net.Conn){"pipe": net.Pipe, "socket": plain, "TLS": secured(plain)} {
		t.Run(name, func(t *testing.T) {
			n := &network{link: link, serve: []func(net.Conn){answering(ok)}}
			c, end := n.client(Config{})
			defer end()
			trip := new(Trip)
			for i := range 3 {
				m := message("POST", "text")
				m.Now = m.Now.Add(-time.Hour)
				if err := c.Send(t.Context(), trip, m); err != nil {
					t.Fatalf("%d: %v", i, err)
				}
				if g := gotOfTrip(trip); g.body != "ok" || g.failed != "" {
					t.Errorf("%d: %+v", i, g)
				}
			}
			if name == "socket" && n.dialed != 1 {
				t.Errorf("%d connections", n.dialed)
			}
		})
	}
}

// TestAliveUnderADeadline: what TLS holds or the other end has sent makes a
// connection useless, and a deadline that is over hides that.
func TestAliveUnderADeadline(t *testing.T) {
	plain := sockets(t)
	for name, link := range map[string]func() (net.Conn, net.Conn){"socket": plain, "TLS": secured(plain)} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan string)
			n := &network{link: link, serve: []func(net.Conn){func(conn net.Conn) {
				r := bufio.NewReader(conn)
				swallow(r)
				io.WriteString(conn, ok)
				for text := range gone {
					io.WriteString(conn, text)
				}
			}}}
			c, end := n.client(Config{})
			defer end()
			if g := viaSend(t.Context(), c, new(Trip), "GET", ""); g.body != "ok" {
				t.Fatal(g)
			}
			conn, _ := c.idle.pop(time.Now())
			defer conn.Close()
			conn.expect(time.Time{})
			if !conn.alive() {
				t.Error("a quiet connection is dead")
			}
			conn.expect(time.Unix(1, 0))
			if conn.alive() {
				t.Error("it is alive though nobody could look")
			}
			conn.expect(time.Time{})
			gone <- "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
			for conn.quietNow(t) {
			}
			if conn.alive() {
				t.Error("it is alive though something came")
			}
			close(gone)
		})
	}
}

// quietNow reports whether nothing has come yet, and takes nothing.
func (c *conn) quietNow(t *testing.T) (quiet bool) {
	if err := c.sock.Read(func(fd uintptr) bool {
		var p [1]byte
		_, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return quiet
}

// TestUnaskedAnswers: on an idle connection they are nobody's; on a new one the
// first request gets what was said too early, as by Do.
func TestUnaskedAnswers(t *testing.T) {
	plain := sockets(t)
	early := "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
	link := func() (net.Conn, net.Conn) { // it is there before the connection is
		client, server := plain()
		io.WriteString(server, early)
		return client, server
	}
	for name, send := range map[string]sender{"Do": viaDo, "Send": viaSend} {
		var requests atomic.Int32
		n := &network{link: link, serve: []func(net.Conn){saying(&requests, "", ok)}}
		c, end := n.client(Config{})
		if g := send(t.Context(), c, new(Trip), "POST", "text"); g.status != 503 || n.dialed != 1 {
			t.Errorf("%s: %+v, %d connections", name, g, n.dialed)
		}
		end()
	}
}

// TestSentIsTold: once for each message that was written, and before its answer,
// for its bytes are somebody else's then.
func TestSentIsTold(t *testing.T) {
	plain := sockets(t)
	for name, link := range map[string]func() (net.Conn, net.Conn){"pipe": net.Pipe, "socket": plain, "TLS": secured(plain), "spoken too early": func() (net.Conn, net.Conn) {
		client, server := plain()
		io.WriteString(server, ok)
		return client, server
	}} {
		n := &network{link: link, serve: []func(net.Conn){answering(ok)}}
		c, end := n.client(Config{})
		for _, size := range []int{1, 4 << 20} {
			m, told, trip := message("POST", strings.Repeat("x", size)), 0, new(Trip)
			wire := m.Wire()
			m.Sent = func() { told++; clear(wire) }
			if err := c.Send(t.Context(), trip, m); err != nil || told != 1 {
				t.Errorf("%s: %v, told %d times", name, err, told)
			}
			trip.Abort()
		}
		end()
	}
}

// short is a connection that takes some bytes, then none, and still answers.
type short struct {
	scripted
	takes int
	left  atomic.Bool // it was closed
}

func (s *short) Write(p []byte) (int, error) {
	n := min(len(p), s.takes)
	if s.takes -= n; n < len(p) {
		return n, syscall.ENOBUFS
	}
	return n, nil
}

func (s *short) Close() error {
	s.left.Store(true)
	return nil
}

// TestCutRequest: its answer counts, but what is sent on its connection next would be
// taken for its rest.
func TestCutRequest(t *testing.T) {
	for name, send := range map[string]sender{"Do": viaDo, "Send": viaSend, "Response": viaResponse} {
		for _, answer := range []string{ok, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
			conn := &short{scripted: scripted{answer, 1000}, takes: 50}
			c := New(Config{Dial: func(context.Context) (net.Conn, error) { return conn, nil }})
			g := send(t.Context(), c, new(Trip), "POST", "text that does not go")
			if g.status != http.StatusOK && g.status != http.StatusNoContent || g.failed != "" || c.idleCount() != 0 || !conn.left.Load() {
				t.Errorf("%s: %+v, %d idle connections, closed %t", name, g, c.idleCount(), conn.left.Load())
			}
		}
	}
}

// viaResponse is viaSend by way of Response.
func viaResponse(ctx context.Context, c *Client, t *Trip, method, body string) got {
	if err := c.Send(ctx, t, message(method, body)); err != nil {
		return got{failed: kind(err)}
	}
	ans, err := t.Response()
	if err != nil {
		return got{failed: kind(err)}
	}
	return gotOf(ans)
}

// TestUnaskedAnswersOnIdleConnections: the next request would get them, and it may be
// somebody else's. It is sent on a new connection, whatever its method.
func TestUnaskedAnswersOnIdleConnections(t *testing.T) {
	plain := sockets(t)
	for name, link := range map[string]func() (net.Conn, net.Conn){"socket": plain, "TLS": secured(plain)} {
		for _, more := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", ""} { // or the end
			for i, send := range []sender{viaDo, viaSend} {
				say := make(chan struct{})
				n := &network{link: link, serve: []func(net.Conn){func(conn net.Conn) {
					swallow(bufio.NewReader(conn))
					io.WriteString(conn, ok)
					<-say
					if more != "" {
						io.WriteString(conn, more)
						io.Copy(io.Discard, conn)
					}
				}, answering(ok)}}
				c, end := n.client(Config{})
				viaSend(t.Context(), c, new(Trip), "GET", "")
				close(say)
				for c.idle.conns[0].quietNow(t) {
				}
				if g := send(t.Context(), c, new(Trip), "POST", "text"); g.body != "ok" || n.dialed != 2 {
					t.Errorf("%s, %d: %+v on connection %d", name, i, g, n.dialed)
				}
				end()
			}
		}
	}
}
