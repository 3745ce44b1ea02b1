package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Express serves a listener for requests on two lanes. Plain requests of HTTP/1.1
// take the express lane: one goroutine for each connection, which reads a head once,
// sends it on with its token in one write, and passes the answer on. Everything else
// is left to the standard lane, a server of net/http: when such a request begins, the
// connection is handed to it for good, with what was read of it. Both lanes share
// every decision.
//
// What is ambiguous in a request is refused on the express lane, also where net/http
// would find a reading.
type Express struct {
	bounds   Bounds
	tls      *tls.Config // nil: no TLS
	standard *http.Server
	log      *slog.Logger
	answers  atomic.Pointer[answering] // nil: everything goes to the standard lane
	leaving  atomic.Bool
	handed   chan net.Conn
	buffers  BufferPool
	small    smallPool
	dates    dates

	mu     sync.Mutex
	conns  map[*expressConn]struct{}
	closed chan struct{} // closed when no connection is taken any more
	none   chan struct{} // closed when the last one has ended; nil: nobody waits
}

// NewExpress returns an express lane in front of standard, whose handler gets what is
// handed over, and whose Shutdown and Close belong to the Express from now on.
// settings are those of TLS; nil: there is none. log gets what is wrong with attache
// itself; nil: nothing does.
func NewExpress(bounds Bounds, standard *http.Server, settings *tls.Config, log *slog.Logger) *Express {
	x := &Express{
		bounds: bounds, standard: standard, log: log,
		handed: make(chan net.Conn), conns: map[*expressConn]struct{}{}, closed: make(chan struct{}),
	}
	if settings != nil {
		x.tls = settings.Clone()
		if !slices.Contains(x.tls.NextProtos, alpnHTTP2) {
			x.tls.NextProtos = append([]string{alpnHTTP2, alpnHTTP1}, x.tls.NextProtos...)
		}
	}
	inner := standard.ConnContext
	standard.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if inner != nil {
			ctx = inner(ctx, c)
		}
		if h, ok := c.(*handedConn); ok && h.state != nil {
			ctx = context.WithValue(ctx, stateKey{}, h.state)
		}
		return ctx
	}
	standard.Handler = restoreTLS(standard.Handler)
	return x
}

// Show has requests that begin from now on answered by f; nil: by the standard lane's
// handler. An open connection goes over to the standard lane between two requests, and
// stays there.
func (x *Express) Show(f *Front) {
	if f == nil {
		x.answers.Store(nil)
		return
	}
	x.answers.Store(x.bounds.answering(f))
}

// Leave does for the express lane what [Leaving.Leave] does for the standard one.
func (x *Express) Leave() { x.leaving.Store(true) }

// Serve takes connections until l fails or is closed, and returns why;
// [http.ErrServerClosed] after Shutdown or Close.
func (x *Express) Serve(l net.Listener) error {
	go x.standard.Serve(&handedListener{x: x, addr: l.Addr()})
	var delay time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
		case x.isClosed():
			return http.ErrServerClosed
		case isTemporary(err): // no file is left, for instance
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			time.Sleep(delay)
			continue
		default:
			return err
		}
		delay = 0
		if conn := x.add(c); conn != nil {
			go conn.serve()
		}
	}
}

func isTemporary(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	//lint:ignore SA1019 net/http's server asks the same: nothing else tells so of Accept
	return ok && e.Temporary()
}

// add takes a connection, or closes it if none is taken any more.
func (x *Express) add(c net.Conn) *expressConn {
	conn := newExpressConn(x, c)
	x.mu.Lock()
	closed := x.isClosed()
	if !closed {
		x.conns[conn] = struct{}{}
	}
	x.mu.Unlock()
	if closed {
		c.Close()
		return nil
	}
	return conn
}

// remove is told that a connection has ended, or is the standard lane's now.
func (x *Express) remove(c *expressConn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.conns, c)
	if len(x.conns) == 0 && x.none != nil {
		close(x.none)
		x.none = nil
	}
}

func (x *Express) isClosed() bool {
	select {
	case <-x.closed:
		return true
	default:
		return false
	}
}

// stop takes no more connections, and returns those that there are.
func (x *Express) stop() []*expressConn {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.isClosed() {
		close(x.closed)
	}
	all := make([]*expressConn, 0, len(x.conns))
	for c := range x.conns {
		all = append(all, c)
	}
	return all
}

// Shutdown takes no more connections, closes the idle ones, and waits for the requests
// under way until ctx ends, as [http.Server.Shutdown] does; the listener has to be
// closed by its owner.
func (x *Express) Shutdown(ctx context.Context) error {
	x.Leave()
	for _, c := range x.stop() {
		c.closeIdle()
	}
	standard := make(chan error, 1)
	go func() { standard <- x.standard.Shutdown(ctx) }() // idle ones there must not wait for requests here
	err := x.wait(ctx)
	if other := <-standard; err == nil {
		err = other
	}
	return err
}

// wait waits until there is no connection on the express lane.
func (x *Express) wait(ctx context.Context) error {
	x.mu.Lock()
	if len(x.conns) == 0 {
		x.mu.Unlock()
		return nil
	}
	if x.none == nil {
		x.none = make(chan struct{})
	}
	none := x.none
	x.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all connections at once.
func (x *Express) Close() error {
	for _, c := range x.stop() {
		c.cut()
	}
	return x.standard.Close()
}
