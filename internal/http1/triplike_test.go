package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

// saying serves a connection: each request gets the next text; after the last one, or
// an empty one, it ends. early is said before anything was asked.
func saying(requests *atomic.Int32, early string, texts ...string) func(net.Conn) {
	return func(conn net.Conn) {
		if early != "" {
			io.WriteString(conn, early)
		}
		r := bufio.NewReader(conn)
		for _, text := range texts {
			if _, _, err := swallow(r); err != nil {
				return
			}
			requests.Add(1)
			if text == "" {
				return
			}
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	}
}

const head200 = "HTTP/1.1 200 OK\r\n"

// conversations are what an upstream may say to two requests one after the other.
var conversations = []struct {
	name, method, body string
	conns              [][]string // of each connection its texts
}{
	{"twice", "GET", "", [][]string{{ok, ok}}},
	{"new each time", "GET", "", [][]string{{head200 + "Connection: close\r\nContent-Length: 2\r\n\r\nok"}}},
	{"POST", "POST", "text", [][]string{{ok, ok}}},
	{"HEAD", "HEAD", "", [][]string{{head200 + "Content-Length: 9\r\n\r\n", ok[:len(ok)-2]}}},
	{"nothing in it", "GET", "", [][]string{{"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"}}},
	{"204 with a length", "GET", "", [][]string{{"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"}, {ok}}},
	{"chunks", "GET", "", [][]string{{head200 + "Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", ok}}},
	{"until the end", "GET", "", [][]string{{head200 + "\r\nok"}}},
	{"old", "GET", "", [][]string{{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"}}},
	{"interim", "GET", "", [][]string{{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok, ok}}},
	{"too many interim", "GET", "", [][]string{{strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 101) + ok}}},
	{"more than the answer", "GET", "", [][]string{{ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", ok}}},
	{"more than one buffer", "GET", "", [][]string{{head200 + "Content-Length: 50000\r\n\r\n" + strings.Repeat("x", 50000), ok}}},
	{"long head", "GET", "", [][]string{{head200 + "A: " + strings.Repeat("x", 40000) + "\r\nContent-Length: 2\r\n\r\nok", ok}}},
	{"switched", "GET", "", [][]string{{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nrest"}}},
	{"no HTTP", "GET", "", [][]string{{"SSH-2.0-x\r\n"}}},
	{"status", "GET", "", [][]string{{"HTTP/1.1 2x0 OK\r\n\r\n"}}},
	{"bare LF", "GET", "", [][]string{{head200 + "A: b\nContent-Length: 2\r\n\r\nok"}}},
	{"space before colon", "GET", "", [][]string{{head200 + "Content-Length : 2\r\n\r\nok"}}},
	{"folded", "GET", "", [][]string{{head200 + "A: b\r\n c\r\nContent-Length: 2\r\n\r\nok"}}},
	{"two lengths", "GET", "", [][]string{{head200 + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"}}},
	{"both lengths", "GET", "", [][]string{{head200 + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}}},
	{"bad chunk", "GET", "", [][]string{{head200 + "Transfer-Encoding: chunked\r\n\r\n2x\r\nok\r\n0\r\n\r\n"}}},
	{"bad trailer", "GET", "", [][]string{{head200 + "Transfer-Encoding: chunked\r\nTrailer: Host\r\n\r\n0\r\n\r\n"}}},
	{"cut in the head", "GET", "", [][]string{{head200 + "Conte"}}},
	{"cut in the body", "GET", "", [][]string{{head200 + "Content-Length: 9\r\n\r\nok"}}},
	{"cut in a chunk", "GET", "", [][]string{{head200 + "Transfer-Encoding: chunked\r\n\r\n9\r\nok"}}},
	{"swallowed at first", "GET", "", [][]string{{""}}},
	{"swallowed GET", "GET", "", [][]string{{ok, ""}, {ok}}},
	{"swallowed PUT", "PUT", "text", [][]string{{ok, ""}, {ok}}},
	{"swallowed POST", "POST", "text", [][]string{{ok, ""}, {ok}}},
	{"swallowed twice", "GET", "", [][]string{{ok, ""}, {""}}},
	{"begun", "GET", "", [][]string{{ok, "H"}, {ok}}},
	{"interim, then the end", "GET", "", [][]string{{ok, "HTTP/1.1 103 Early Hints\r\n\r\n"}, {ok}}},
}

type sender func(ctx context.Context, c *Client, t *Trip, method, body string) got

// TestTripIsLikeDo: the same answers make the same of a request, of its connection
// and of a second request, whichever of both sends it.
func TestTripIsLikeDo(t *testing.T) {
	plain := sockets(t)
	for name, link := range map[string]func() (net.Conn, net.Conn){"pipe": net.Pipe, "socket": plain, "TLS": secured(plain)} {
		for _, tc := range conversations {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				var all []any
				for _, send := range [][2]sender{{viaDo, viaDo}, {viaSend, viaSend}, {viaDo, viaSend}, {viaSend, viaDo}} {
					var requests atomic.Int32
					n := &network{link: link}
					for _, texts := range tc.conns {
						n.serve = append(n.serve, saying(&requests, "", texts...))
					}
					c, end := n.client(Config{})
					trip := new(Trip)
					gots := []got{send[0](t.Context(), c, trip, tc.method, tc.body), send[1](t.Context(), c, trip, tc.method, tc.body)}
					for i := range gots { // Response leaves these two out, as Do does
						delete(gots[i].header, "Transfer-Encoding")
					}
					idle := c.idleCount()
					end()
					all = append(all, []any{gots, idle, n.dialed, requests.Load()})
				}
				for _, other := range all[1:] {
					if !reflect.DeepEqual(other, all[0]) {
						t.Errorf("%+v\nDo: %+v", other, all[0])
					}
				}
			})
		}
	}
}
