package redisclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"attache/internal/secret"
)

// plainServer accepts connections, reads, and sends reply once something came;
// with "" it says nothing.
func plainServer(t *testing.T, reply string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1)); err == nil {
					io.WriteString(c, reply)
					io.Copy(io.Discard, c)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// A server that speaks no TLS waits for the end of a command, or calls the
// handshake a bad one. The error says what that may mean.
func TestServerWithoutTLS(t *testing.T) {
	for what, reply := range map[string]string{"silent": "", "an error": "-ERR unknown command\r\n"} {
		t.Run(what, func(t *testing.T) {
			c, err := New(Options{URLs: []secret.String{secret.New("rediss://" + plainServer(t, reply))}, Timeout: time.Second,
				TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			_, err = c.Do(t.Context(), "GET", "x")
			if err == nil || !strings.Contains(err.Error(), "if it has none, write redis://") {
				t.Errorf("error %v", err)
			}
			if reply == "" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the deadline is hidden: %v", err)
			}
		})
	}
}
