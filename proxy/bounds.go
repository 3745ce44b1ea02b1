package proxy

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"attache/internal/rawio"
)

// maxStreams bounds the requests that a client has under way on one HTTP/2
// connection; pingTimeout is how long its answer to a PING may take.
const (
	maxStreams  = 250
	pingTimeout = 15 * time.Second
)

// Bounds bounds what clients of a listener may hold. Every field must be
// positive.
type Bounds struct {
	// Connections is how many there may be at a time. The next one is not
	// accepted before one of them ends.
	Connections int
	// Header is the size of a request's head in bytes; the answer to a larger
	// one is 431.
	Header int
	// HeaderTimeout bounds the time in which a head has to come, and a TLS
	// handshake; Idle how long a connection may wait for the next request.
	HeaderTimeout, Idle time.Duration
	// Stall is how long a client may send nothing of a body that it owes, or
	// take nothing of an answer; a client that took a part of a write may get
	// up to twice as long, because nobody tells when in it that was. A transfer
	// may take as long as it moves; and where nothing is owed, as on an idle
	// event stream or WebSocket, nothing stalls. On an HTTP/2 stream a whole
	// write has to go, which is at most a buffer of the proxy's.
	Stall time.Duration
}

// Server returns a server for the connections of [Bounds.Listener], which speaks
// HTTP/1.1 and HTTP/2. The caller may set TLSConfig, ConnContext and ErrorLog.
func (b Bounds) Server(h http.Handler) *http.Server {
	// HTTP/2 without TLS is for gRPC, whose clients begin with it at once
	// ("prior knowledge"); an upgrade to it is refused by the proxy.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           b.cutStalled(h),
		Protocols:         protocols,
		ReadHeaderTimeout: b.HeaderTimeout,
		// This is for requests that no handler gets to see, because net/http
		// answers them: it would wait for their bodies without any bound.
		// cutStalled lifts it for all others.
		ReadTimeout:    b.HeaderTimeout + b.Stall,
		IdleTimeout:    b.Idle,
		MaxHeaderBytes: b.Header,
		// net/http's own answer to "OPTIONS *" asks no guard and no caller, and
		// waits for a body without any bound.
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			// A client that is gone without a word may leave streams open on
			// which nobody writes.
			SendPingTimeout: b.Stall,
			PingTimeout:     pingTimeout,
		},
	}
}

// Listener returns l with the bounds of its connections.
func (b Bounds) Listener(l net.Listener) net.Listener {
	closed := make(chan struct{})
	return &boundListener{
		Listener: l, stall: b.Stall, room: make(chan struct{}, b.Connections), closed: closed,
		close: sync.OnceValue(func() error {
			close(closed)
			return l.Close()
		}),
	}
}

type boundListener struct {
	net.Listener
	stall  time.Duration
	room   chan struct{} // holds one element for each connection
	closed chan struct{}
	close  func() error
}

// Accept implements [net.Listener].
func (l *boundListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &boundConn{Conn: rawio.Wrap(c), stall: l.stall, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

// Close implements [net.Listener]. It may be called more than once.
func (l *boundListener) Close() error { return l.close() }

// boundConn ends a write of which the peer takes nothing. It lies below TLS, so
// it sees what really moves, also of connections that were hijacked.
type boundConn struct {
	net.Conn
	stall time.Duration
	leave func()

	mu    sync.Mutex
	armed time.Time // until then the write under way has to move; zero: there is none
	until time.Time // the write deadline of the connection's user; zero: none
}

// Write implements [net.Conn].
func (c *boundConn) Write(p []byte) (n int, err error) {
	// Mostly the peer takes all at once, and nothing can stall. A deadline that is
	// over may be what a write before has left: the next round knows.
	if n, err = rawio.TryWrite(c.Conn, p); n == len(p) || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	defer c.arm(0)
	for {
		if err := c.arm(c.stall); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:])
		n += m
		// A part of it went out in time: a slow peer, and no dead one. If it was
		// the user's deadline that passed, the next round fails at once.
		if err == nil || m == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// arm gives the write under way so much time, or with 0 says that it is over.
func (c *boundConn) arm(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d == 0 {
		c.armed = time.Time{} // what is set counts for the next write, which sets it anew
		return nil
	}
	c.armed = time.Now().Add(d)
	return c.Conn.SetWriteDeadline(c.deadline())
}

// deadline returns the earlier of both. It is called with mu held.
func (c *boundConn) deadline() time.Time {
	if c.armed.IsZero() || !c.until.IsZero() && c.until.Before(c.armed) {
		return c.until
	}
	return c.armed
}

// SetWriteDeadline implements [net.Conn].
func (c *boundConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetWriteDeadline(c.deadline())
}

// SetDeadline implements [net.Conn].
func (c *boundConn) SetDeadline(t time.Time) error {
	return errors.Join(c.Conn.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite ends one direction, where the connection can do that.
func (c *boundConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements [net.Conn].
func (c *boundConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// NetConn returns the connection below.
func (c *boundConn) NetConn() net.Conn { return c.Conn }
