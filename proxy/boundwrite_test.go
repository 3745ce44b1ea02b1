package proxy

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"attache/internal/rawio"
)

// TestLeftoverDeadlineEndsNoWrite: what a slow write before has left on the socket
// is over when the next answer is written, which may be hours later. The user's own
// deadline counts.
func TestLeftoverDeadlineEndsNoWrite(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := &boundConn{Conn: rawio.Wrap(server), stall: time.Hour, leave: func() {}}
	server.SetWriteDeadline(time.Unix(1, 0))
	if n, err := c.Write([]byte("text")); n != 4 || err != nil {
		t.Errorf("%d, %v after what a write has left", n, err)
	}
	c.SetWriteDeadline(time.Unix(1, 0))
	if n, err := c.Write([]byte("text")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v after the user's deadline", n, err)
	}
}
