package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"

	"attache/internal/rawio"
)

// dialFunc connects, as [net.Dialer.DialContext] does.
type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// errClosed ends a connection that nobody waits for any more.
var errClosed = errors.New("the transport is closed")

// standardConns knows the connections of net/http's transports and the requests
// that use them, so that a closed [Transport] leaves none behind. Of itself
// net/http has no such end: an HTTP/2 connection that is in use when the idle
// ones are closed stays for as long as idle ones may, and so does one that was
// dialled for a request that found another meanwhile.
type standardConns struct {
	mu       sync.Mutex
	closed   bool
	requests int // under way
	conns    map[*standardConn]struct{}
}

// wrap returns a dial whose connections keep can be called for.
func (s *standardConns) wrap(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &standardConn{Conn: rawio.Wrap(conn), set: s}, nil
	}
}

// keep takes a connection that net/http will use: one of wrap's, or TLS on it. If
// nobody needs it any more, keep closes it and returns errClosed.
func (s *standardConns) keep(conn net.Conn) error {
	own, ok := conn.(*standardConn)
	if secure, above := conn.(interface{ NetConn() net.Conn }); !ok && above {
		own, ok = secure.NetConn().(*standardConn)
	}
	if !ok {
		return nil
	}
	s.mu.Lock()
	unwanted := s.closed && s.requests == 0
	if !unwanted {
		if s.conns == nil {
			s.conns = map[*standardConn]struct{}{}
		}
		s.conns[own] = struct{}{}
	}
	s.mu.Unlock()
	if unwanted {
		own.Close()
		return errClosed
	}
	return nil
}

// begin and end enclose a request, up to the end of its answer's body.
func (s *standardConns) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
}

func (s *standardConns) end() {
	s.mu.Lock()
	s.requests--
	left := s.unwanted()
	s.mu.Unlock()
	closeAll(left)
}

// close ends the connections once no request uses them.
func (s *standardConns) close() {
	s.mu.Lock()
	s.closed = true
	left := s.unwanted()
	s.mu.Unlock()
	closeAll(left)
}

// unwanted takes all connections if nobody needs any. It is called with mu held.
func (s *standardConns) unwanted() map[*standardConn]struct{} {
	if !s.closed || s.requests > 0 {
		return nil
	}
	left := s.conns
	s.conns = nil
	return left
}

func closeAll(conns map[*standardConn]struct{}) {
	for conn := range conns {
		conn.Close()
	}
}

// standardConn leaves its set when it is closed.
type standardConn struct {
	net.Conn
	set *standardConns
}

// Close implements [net.Conn].
func (c *standardConn) Close() error {
	c.set.mu.Lock()
	delete(c.set.conns, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}

// NetConn returns the connection below.
func (c *standardConn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends one direction, where the connection can do that.
func (c *standardConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn lets package http1 look whether an idle connection is alive.
func (c *standardConn) SyscallConn() (syscall.RawConn, error) {
	if conn, ok := c.Conn.(syscall.Conn); ok {
		return conn.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// until returns the body of an answer, which tells when the request has ended.
func (s *standardConns) until(body io.ReadCloser) io.ReadCloser {
	if body == http.NoBody {
		s.end()
		return body
	}
	counted := countedBody{body, sync.OnceFunc(s.end)}
	if both, ok := body.(io.ReadWriteCloser); ok { // it switched protocols
		return &countedTunnel{counted, both}
	}
	return &counted
}

// countedBody calls ended once it has ended.
type countedBody struct {
	io.ReadCloser
	ended func()
}

// Read implements [io.Reader].
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended()
	}
	return n, err
}

// Close implements [io.Closer].
func (b *countedBody) Close() error {
	defer b.ended()
	return b.ReadCloser.Close()
}

// countedTunnel is a connection on which one direction may end before the other,
// so that only Close ends it.
type countedTunnel struct {
	countedBody
	io.Writer
}

// Read implements [io.Reader].
func (t *countedTunnel) Read(p []byte) (int, error) { return t.ReadCloser.Read(p) }

// CloseWrite ends the direction to the upstream alone.
func (t *countedTunnel) CloseWrite() error {
	if half, ok := t.Writer.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}
