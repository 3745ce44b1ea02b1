package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
)

func TestWebSocket(t *testing.T) {
	plan := &testPlan{strip: []exchange.Name{header("Token")}, hide: []exchange.Name{header("Token")}}
	plan.fields = everywhere().fields
	s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Access-Token") != "good" || r.URL.Query().Get("access_token") != "go/od" {
			t.Errorf("the handshake is %v %s", r.Header, r.URL)
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nToken: secret\r\nSec-Websocket-Accept: x\r\n\r\nhello ")
		rw.Flush()
		io.Copy(conn, rw)
	}), false)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The first bytes of the other protocol are sent ahead.
	fmt.Fprint(conn, "GET /route HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly ")
	back := bufio.NewReader(conn)
	ans, err := http.ReadResponse(back, nil)
	if err != nil || ans.StatusCode != 101 || ans.Header.Get("Upgrade") != "websocket" || ans.Header.Get("Sec-Websocket-Accept") != "x" {
		t.Fatalf("%+v, %v", ans, err)
	}
	if ans.Header.Get("Token") != "" {
		t.Error("a hidden header is in the 101")
	}
	fmt.Fprint(conn, "late")
	got := make([]byte, len("hello early late"))
	if _, err := io.ReadFull(back, got); string(got) != "hello early late" {
		t.Errorf("%q, %v", got, err)
	}
	conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(back); len(rest) != 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestSwitchThatNobodyAskedFor(t *testing.T) {
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
		rw.Flush()
		io.Copy(io.Discard, rw)
	}), false)
	ans, err := s.Client().Get(s.URL + "/route")
	if err != nil {
		t.Fatal(err)
	}
	ans.Body.Close()
	if ans.StatusCode != 502 || ans.Header.Get("Proxy-Status") != "attache; error=http_upgrade_failed" {
		t.Errorf("status %d, %q", ans.StatusCode, ans.Header.Get("Proxy-Status"))
	}
}

// TestTunnelEndsWithOneSide: the other side has a moment to end too.
func TestTunnelEndsWithOneSide(t *testing.T) {
	for _, side := range []string{"client", "upstream", "close"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, clientEnd := net.Pipe()
				upstream, upstreamEnd := net.Pipe()
				// The connection has no half-close, and the other side stays
				// silent.
				tunnel := &tunnel{client: halfOpen{client}, upstream: halfOpen{upstream}, buffers: new(BufferPool)}
				want := tunnelGrace
				switch side {
				case "client":
					clientEnd.Close()
				case "upstream":
					upstreamEnd.Close()
				default:
					go tunnel.close()
					want = 0
				}
				start := time.Now()
				tunnel.carry()
				if got := time.Since(start); got != want {
					t.Errorf("ended after %v, want %v", got, want)
				}
				clientEnd.Close()
				upstreamEnd.Close()
			})
		})
	}
}

// TestTunnelToAnUpstreamThatTakesNothing: it ends, though nobody notices that
// the client has left.
func TestTunnelToAnUpstreamThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, clientEnd := net.Pipe()
		upstream, upstreamEnd := net.Pipe()
		defer upstreamEnd.Close()
		go func() {
			clientEnd.Write([]byte("nobody reads this"))
			clientEnd.Close()
		}()
		start := time.Now()
		(&tunnel{client: client, upstream: upstream, buffers: new(BufferPool)}).carry()
		if got := time.Since(start); got != tunnelStall {
			t.Errorf("ended after %v", got)
		}
	})
}

// halfOpen is a connection that stays open for reading when its write side is
// closed.
type halfOpen struct{ net.Conn }

func (halfOpen) CloseWrite() error { return nil }
