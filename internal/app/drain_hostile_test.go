package app_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"attache/internal/app"
)

// flood is an upstream that takes and gives without end, and switches protocols.
func flood(t *testing.T) (url string, arrived chan string) {
	t.Helper()
	arrived = make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- r.URL.Path:
		default:
		}
		switch r.URL.Path {
		case "/give":
			w.Header().Set("Content-Type", "application/octet-stream")
			for chunk := make([]byte, 64<<10); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "/take":
			io.Copy(io.Discard, r.Body)
		case "/switch":
			c, b, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			io.Copy(c, b)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, arrived
}

// send opens a connection and sends text, and more after it until it is closed if
// that is not empty. It never reads.
func send(t *testing.T, address, text, more string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if more == "" {
		return
	}
	go func() {
		for {
			if _, err := io.WriteString(c, more); err != nil {
				return
			}
		}
	}()
}

// Whatever clients do, the end comes when the drain has no more time.
func TestClientsCannotHoldTheDrainUp(t *testing.T) {
	const upgrade = "GET /switch HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	for _, tt := range []struct {
		name  string
		path  string // that the upstream sees; "": none
		begin func(t *testing.T, address string)
		want  error
	}{
		{"a client never reads", "/give", func(t *testing.T, address string) {
			send(t, address, "GET /give HTTP/1.1\r\nHost: localhost\r\n\r\n", "")
		}, app.ErrDrainCut},
		{"a body never ends", "/take", func(t *testing.T, address string) {
			send(t, address, "POST /take HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n")
		}, app.ErrDrainCut},
		{"pipelined requests never end", "/quick", func(t *testing.T, address string) {
			send(t, address, "", "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n")
		}, errAny},
		{"a WebSocket goes on", "/switch", func(t *testing.T, address string) {
			send(t, address, upgrade, "more and more")
		}, nil},
		{"streams of HTTP/2 come without end", "/quick", func(t *testing.T, address string) {
			tr := &http.Transport{Protocols: new(http.Protocols)}
			tr.Protocols.SetUnencryptedHTTP2(true)
			for range 20 {
				go func() {
					for {
						ans, err := tr.RoundTrip(httptest.NewRequest("GET", "http://"+address+"/quick", nil).WithContext(t.Context()))
						if err != nil {
							return
						}
						ans.Body.Close()
					}
				}()
			}
			t.Cleanup(tr.CloseIdleConnections)
		}, errAny},
		{"a request never becomes whole", "", func(t *testing.T, address string) {
			send(t, address, "GET /quick HTTP/1.1\r\nHost: local", "")
		}, errAny},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, arrived := flood(t)
			l := runFile(t, t.TempDir(), fmt.Sprintf("%sdrain: {timeout: 300ms, streams: 50ms}\nroutes: [{path: /, upstream: %q}]\n", addresses, url))
			tt.begin(t, l.app.Addr())
			if tt.path != "" {
				if path := <-arrived; path != tt.path {
					t.Fatalf("%s arrived", path)
				}
			}
			l.cancel()
			if err := l.result(); tt.want != errAny && !errors.Is(err, tt.want) {
				t.Errorf("run: %v, want %v", err, tt.want)
			}
			if dials(l.app.Addr()) {
				t.Error("it still listens")
			}
		})
	}
}

// errAny stands for an end that may count as cut or not.
var errAny = errors.New("any")
