package app

import (
	"context"
	"net"
	"net/http"
	"testing"

	"attache/internal/config"
)

// TestEndlessHeadOfALogin: a token server that never stops sending headers is
// given up after a bounded number of bytes.
func TestEndlessHeadOfALogin(t *testing.T) {
	transport := loginTransport(config.Credential{})
	sent := make(chan int, 1)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // has no buffer: what was written was read
		go func() {
			defer server.Close()
			server.Read(make([]byte, 4096))
			total, line := 0, "HTTP/1.1 200 OK\r\n"
			for total < 64<<20 {
				n, err := server.Write([]byte(line))
				if total += n; err != nil {
					break
				}
				line = "X-Filling: 0123456789012345678901234567890123456789\r\n"
			}
			sent <- total
		}()
		return client, nil
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://vendor.example/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transport.RoundTrip(request); err == nil {
		t.Error("an endless head is an answer")
	}
	if total := <-sent; total > 256<<10 {
		t.Errorf("%d bytes of the head were read", total)
	}
}
