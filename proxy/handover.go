package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// handedConn is a connection that is handed to the standard lane, with what was read
// of it.
type handedConn struct {
	net.Conn
	state *tls.ConnectionState // nil: no TLS

	mu    sync.Mutex
	early []byte
}

// Read implements [net.Conn].
func (c *handedConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if len(c.early) > 0 {
		defer c.mu.Unlock()
		n := copy(p, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
		return n, nil
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// NetConn returns the connection below.
func (c *handedConn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends one direction, where the connection can do that.
func (c *handedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// handedListener gives the standard lane what is handed to it.
type handedListener struct {
	x    *Express
	addr net.Addr
}

// Accept implements [net.Listener].
func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.x.handed:
		return c, nil
	case <-l.x.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]. The listener ends with the Express.
func (l *handedListener) Close() error { return nil }

// Addr implements [net.Listener].
func (l *handedListener) Addr() net.Addr { return l.addr }

type stateKey struct{}

// restoreTLS returns a handler that knows of the TLS of handed connections, which
// net/http does not see.
func restoreTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			r.TLS = stateOf(r.Context())
		}
		next.ServeHTTP(w, r)
	})
}

func stateOf(ctx context.Context) *tls.ConnectionState {
	state, _ := ctx.Value(stateKey{}).(*tls.ConnectionState)
	return state
}
