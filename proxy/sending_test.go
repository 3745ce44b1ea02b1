package proxy

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Frame types, flags and codes of RFC 9113.
const (
	frameData, frameHeaders, frameReset, frameSettings = 0x0, 0x1, 0x3, 0x4

	flagEnd = 0x1

	protocolError, internalCode, refusedStream = 0x1, 0x2, 0x7
)

// frame is an HTTP/2 frame without flags.
func frame(kind byte, stream uint32, payload ...byte) []byte {
	head := append([]byte{0, 0, byte(len(payload)), kind, 0}, binary.BigEndian.AppendUint32(nil, stream)...)
	return append(head, payload...)
}

// resetting is an HTTP/2 server that resets every stream with code: once it has
// read the whole request, or, early, only its head. It calls got for each.
func resetting(conn net.Conn, code byte, early bool, got func()) {
	// Reading goes on while writing blocks, as on a real network.
	out := make(chan []byte, 100)
	var writing sync.WaitGroup
	writing.Go(func() {
		for f := range out {
			conn.Write(f)
		}
	})
	defer writing.Wait()
	defer close(out)
	in := bufio.NewReader(conn)
	if _, err := in.Discard(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
		return
	}
	out <- frame(frameSettings, 0)
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		if _, err := in.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
			return
		}
		kind, end, stream := head[3], head[4]&flagEnd != 0, binary.BigEndian.Uint32(head[5:])
		if kind == frameHeaders && (end || early) || kind == frameData && end && !early {
			got()
			out <- frame(frameReset, stream, 0, 0, 0, code)
		}
	}
}

func overHTTP2(c *TransportConfig) { c.Protocol = "h2c" }

// TestResetRequestIsNotRepeated: net/http sends a request again whenever its
// stream is reset with certain codes, though the upstream may have executed it.
func TestResetRequestIsNotRepeated(t *testing.T) {
	for _, tc := range []struct {
		method, body string
		code         byte
		want         int64
	}{
		{"POST", "x", protocolError, 1},
		{"POST", "x", refusedStream, 1},
		{"POST", "", protocolError, 1},
		{"PATCH", "x", protocolError, 1},
		{"GET", "", protocolError, 2},
		{"GET", "", refusedStream, 2},
		{"PUT", "x", protocolError, 2},
		{"PUT", "x", refusedStream, 2},
	} {
		t.Run(tc.method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got atomic.Int64
				n := &pipes{serve: func(n int, conn net.Conn) {
					if n <= 20 { // a connection that just ends is not followed by another
						resetting(conn, tc.code, false, func() { got.Add(1) })
					}
				}}
				p, end := pipeProxy(t, n, overHTTP2)
				defer end()
				w := do(p, tc.method, "/", tc.body)
				if w.Code != 502 || got.Load() != tc.want {
					t.Errorf("%s, code %d: status %d, sent %d times, want %d", tc.method, tc.code, w.Code, got.Load(), tc.want)
				}
			})
		})
	}
}

// TestResetWhileTheClientIsSlow: the upstream gives up a request whose client has
// not sent the body yet. The answer does not wait for it.
func TestResetWhileTheClientIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &pipes{serve: func(_ int, conn net.Conn) { resetting(conn, internalCode, true, func() {}) }}
		p, end := pipeProxy(t, n, overHTTP2)
		defer end()
		src, client := io.Pipe()
		defer client.Close()
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("POST", "/", src))
		if w.Code != 502 {
			t.Errorf("status %d", w.Code)
		}
	})
}

// TestStaleConnections: any number of idle connections that die of a second
// request cost it two attempts at most.
func TestStaleConnections(t *testing.T) {
	eachClient(t, func(t *testing.T, client func(*TransportConfig)) {
		const stale = 40
		for method, want := range map[string]int64{"GET": 2, "DELETE": 2, "POST": 1} {
			t.Run(method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var first, got atomic.Int64
					all := make(chan struct{})
					n := &pipes{serve: func(n int, conn net.Conn) {
						if _, err := swallowOnce(conn); err != nil {
							return
						}
						if n > stale { // a new connection does not help either
							got.Add(1)
							return
						}
						if first.Add(1) == stale {
							close(all)
						}
						<-all // so that each has a connection of its own
						io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						if _, err := swallowOnce(conn); err == nil {
							got.Add(1)
						}
					}}
					p, end := pipeProxy(t, n, client)
					defer end()
					var warm sync.WaitGroup
					for range stale {
						warm.Go(func() { get(p, "/") })
					}
					warm.Wait()
					synctest.Wait()
					w := do(p, method, "/", "")
					if w.Code != 502 || got.Load() != want {
						t.Errorf("status %d, sent %d times, want %d", w.Code, got.Load(), want)
					}
				})
			})
		}
	})
}

// TestIdempotencyKey: it reaches the upstream, but does not make a POST one that
// the transport sends again.
func TestIdempotencyKey(t *testing.T) {
	eachClient(t, func(t *testing.T, client func(*TransportConfig)) {
		for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			for method, want := range map[string]int{"POST": 502, "PATCH": 502, "PUT": 200} {
				t.Run(method, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						heads := make(chan http.Header, 3)
						n := &pipes{serve: func(n int, conn net.Conn) {
							if answerOnce(conn); n > 1 {
								return
							}
							if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
								io.Copy(io.Discard, r.Body)
								heads <- r.Header
							}
						}}
						p, end := pipeProxy(t, n, client)
						defer end()
						get(p, "/")
						synctest.Wait()
						if w := do(p, method, "/", "x", key, "one"); w.Code != want {
							t.Errorf("status %d, want %d", w.Code, want)
						}
						if got := (<-heads).Values(key); strings.Join(got, ",") != "one" {
							t.Errorf("the upstream saw %s: %q", key, got)
						}
					})
				})
			}
		}
	})
}

// TestStatusAbove999IsABadGateway: net/http takes any number that HTTP/2 brings
// for a status, and panics when it is to be sent.
func TestStatusAbove999IsABadGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &pipes{serve: func(_ int, conn net.Conn) {
			go io.Copy(io.Discard, conn)
			conn.Write(frame(frameSettings, 0))
			head := frame(frameHeaders, 1, 0x08, 4, '1', '2', '3', '4') // :status
			head[4] = flagEnd | 0x4                                     // END_HEADERS
			time.Sleep(time.Second)
			conn.Write(head)
			time.Sleep(time.Second)
		}}
		p, end := pipeProxy(t, n, overHTTP2)
		defer end()
		w := get(p, "/")
		if w.Code != 502 || w.Header().Get("Proxy-Status") != "attache; error=http_protocol_error" {
			t.Errorf("status %d, %v", w.Code, w.Header())
		}
	})
}
