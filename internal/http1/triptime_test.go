package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowly serves a connection: before each piece of its answers it waits.
func slowly(wait time.Duration, pieces ...string) func(net.Conn) {
	return func(conn net.Conn) {
		for r := bufio.NewReader(conn); ; {
			if _, _, err := swallow(r); err != nil {
				return
			}
			for _, piece := range pieces {
				time.Sleep(wait)
				io.WriteString(conn, piece)
			}
		}
	}
}

// TestTripWaits: neither a slow upstream nor a slow dial is taken for a failure, and
// what is slow in the body has no bound.
func TestTripWaits(t *testing.T) {
	for _, timeout := range []time.Duration{0, 50 * time.Millisecond, patience, time.Second, time.Hour} {
		for _, wait := range []time.Duration{0, 49 * time.Millisecond, 150 * time.Millisecond, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				pieces := []string{ok[:10], ok[10:30], ok[30 : len(ok)-1], "k"}
				n := &network{serve: []func(net.Conn){slowly(wait, pieces...)}}
				c, end := n.client(Config{})
				defer end()
				dial := c.dial
				c.dial = func(ctx context.Context) (net.Conn, error) {
					time.Sleep(10 * time.Second)
					return dial(ctx)
				}
				var trip Trip
				for i := range 3 {
					dialed := n.dialed
					m := message("GET", "")
					m.HeaderTimeout = timeout
					began := time.Now()
					err := c.Send(t.Context(), &trip, m)
					if n.dialed > dialed {
						began = began.Add(10 * time.Second)
					}
					if took := 3 * wait; timeout > 0 && took > timeout {
						if !isTimeout(err) || time.Since(began) != timeout {
							t.Errorf("timeout %v, wait %v: %v after %v", timeout, wait, err, time.Since(began))
						}
						continue
					}
					if err != nil {
						t.Errorf("%d: timeout %v, wait %v: %v", i, timeout, wait, err)
						continue
					}
					if g := gotOfTrip(&trip); g.body != "ok" || g.failed != "" || n.dialed != 1 {
						t.Errorf("%d: timeout %v, wait %v: %+v on connection %d", i, timeout, wait, g, n.dialed)
					}
				}
			})
		}
	}
}

// TestTripEndsWithItsContext: at once if that comes after its patience, and with its
// patience otherwise; before the head, in the body, and while it writes.
func TestTripEndsWithItsContext(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
	for _, tc := range []struct {
		name          string
		body          int
		timeout       time.Duration
		says          string
		ends, noticed time.Duration
	}{
		{"soon", 0, 0, "", 10 * time.Millisecond, patience},
		{"late", 0, 0, "", time.Second, time.Second},
		{"with a timeout", 0, time.Minute, "", time.Second, time.Second},
		{"with a short timeout", 0, 150 * time.Millisecond, "", time.Millisecond, 150 * time.Millisecond},
		{"in the head", 0, 0, head[:20], time.Second, time.Second},
		{"in the body", 0, 0, head, time.Second, time.Second},
		{"soon in the body", 0, 0, head, time.Millisecond, patience},
		{"in the body, with a timeout", 0, time.Minute, head, time.Second, time.Second},
		{"in the body, with a short timeout", 0, 100 * time.Millisecond, head, time.Second, time.Second},
		{"while a large message is written", wholeSize, 0, "", time.Second, time.Second},
		{"after a large message", wholeSize, 0, head, time.Second, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: []func(net.Conn){func(conn net.Conn) {
					if tc.body == 0 || tc.says != "" {
						swallow(bufio.NewReader(conn))
						io.WriteString(conn, tc.says)
					}
					time.Sleep(time.Hour)
				}}}
				c, end := n.client(Config{})
				defer end()
				ctx, cancel := context.WithTimeout(t.Context(), tc.ends)
				defer cancel()
				m := message("POST", strings.Repeat("x", tc.body))
				m.HeaderTimeout = tc.timeout
				var trip Trip
				err := c.Send(ctx, &trip, m)
				if err == nil {
					_, err = trip.Next()
					trip.Abort()
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if took := time.Since(m.Now); err == nil || took != tc.noticed {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

// TestNobodyInheritsADeadline: whoever used a connection before, and however long
// ago, the next request has as much time as any.
func TestNobodyInheritsADeadline(t *testing.T) {
	for name, link := range map[string]func() (net.Conn, net.Conn){"plain": net.Pipe, "TLS": secured(net.Pipe)} {
		for _, wait := range []time.Duration{0, 90 * time.Millisecond, 150 * time.Millisecond, time.Second} {
			for _, pause := range []time.Duration{0, 50 * time.Millisecond, 110 * time.Millisecond, 10 * time.Second} {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := &network{link: link, serve: []func(net.Conn){slowly(wait, ok[:len(ok)-1], "k")}}
						c, end := n.client(Config{})
						defer end()
						trip := new(Trip)
						for i, send := range []sender{viaSend, viaDo, viaSend, viaSend, viaDo, viaDo, viaSend} {
							if g := send(t.Context(), c, trip, "GET", ""); g.body != "ok" || g.failed != "" || n.dialed != 1 {
								t.Errorf("%d after %v: %+v on connection %d", i, pause, g, n.dialed)
							}
							time.Sleep(pause)
						}
					})
				})
			}
		}
	}
}

// TestTimeoutsAreKeptOnUsedConnections: what a request before left of its deadline
// does not stand in for them.
func TestTimeoutsAreKeptOnUsedConnections(t *testing.T) {
	for name, link := range map[string]func() (net.Conn, net.Conn){"plain": net.Pipe, "TLS": secured(net.Pipe)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{link: link, serve: []func(net.Conn){func(conn net.Conn) {
					r := bufio.NewReader(conn)
					for range 2 {
						swallow(r)
						io.WriteString(conn, ok)
					}
					swallow(r)
					swallow(r) // the client leaves
				}}}
				c, end := n.client(Config{})
				defer end()
				trip := new(Trip)
				for range 2 {
					viaSend(t.Context(), c, trip, "GET", "")
					time.Sleep(time.Millisecond)
				}
				m := message("GET", "")
				m.HeaderTimeout = time.Second
				if err := c.Send(t.Context(), trip, m); !isTimeout(err) || time.Since(m.Now) != time.Second || n.dialed != 1 {
					t.Errorf("%v after %v, %d connections", err, time.Since(m.Now), n.dialed)
				}
			})
		})
	}
}
