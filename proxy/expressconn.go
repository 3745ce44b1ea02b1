package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"attache/internal/http1"
	"attache/internal/rawio"
)

// expressConn is a client's connection on the express lane. All of it belongs to the
// goroutine of serve, but for state and what watch has.
type expressConn struct {
	x     *Express
	sock  net.Conn             // as it was accepted
	conn  net.Conn             // sock, or TLS on it
	in    net.Conn             // what to read from: conn, or the socket itself
	tls   *tls.ConnectionState // nil: no TLS
	born  time.Time            // when it was accepted
	ctx   *watchedContext      // ends when the client has left
	peer  evidence             // of requests, without their fields
	state atomic.Int32
	until time.Time // the read deadline that is set; zero: none

	area []byte // from the lane's buffers; nil while nothing is read
	buf  []byte // the half of it that is read to
	r, w int    // buf[r:w] was read and is not consumed

	passed     *answering // whose guard has let passedHost pass
	passedHost string

	// Of the request under way.
	answers *answering
	head    http1.RequestHead
	cookies []string // values of Cookie: one, or none
	traces  []string // values of Traceparent
	body    []byte   // whole, in buf
	out     []byte   // what is written next, mostly in the other half of area
	message http1.Message
	trip    http1.Trip
	call    call
	now     time.Time      // when the request before ended
	writer  *expressWriter // nil: it was not needed
	cancel  func()         // ends the context of a request of net/http's kind; nil: there is none
	pending []byte         // was read beyond a body
	keep    bool           // the connection serves another request
}

// States of a connection.
const (
	expressNew  int32 = iota // waits for its first request, maybe for TLS before that
	expressIdle              // waits for another request
	expressBusy
	expressOver // it is closed, or will be
)

func newExpressConn(x *Express, c net.Conn) *expressConn {
	e := &expressConn{x: x, sock: c, conn: c, in: c, born: time.Now()}
	ctx := context.Background()
	if x.standard.ConnContext != nil {
		ctx = x.standard.ConnContext(ctx, c)
	}
	e.ctx = newWatchedContext(ctx, e)
	e.peer.peer, e.peer.hasPeer = PeerOf(ctx)
	if b, ok := c.(*boundConn); ok && x.tls == nil {
		if raw, ok := b.Conn.(*rawio.Conn); ok {
			e.in = raw // only writes are bounded by boundConn
		}
	}
	e.message.Wire, e.message.Sent, e.message.OnInterim = e.wire, e.sent, e.interim
	return e
}

// serve serves requests until the connection ends or is handed over.
func (e *expressConn) serve() {
	handed := false
	defer func() {
		e.x.remove(e)
		e.ctx.end()
		e.release()
		if p := recover(); p != nil && p != http.ErrAbortHandler && e.x.log != nil {
			e.x.log.Error("a mistake of attache ended a connection; please report it", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
		if !handed {
			e.conn.Close()
		}
	}()
	if e.x.tls != nil {
		if !e.shakeHands() {
			return
		}
		if e.tls.NegotiatedProtocol == alpnHTTP2 {
			// It is no longer new, so closeIdle leaves it alone.
			handed = e.state.CompareAndSwap(expressNew, expressBusy) && e.handOver(e.conn)
			return
		}
	}
	e.now = time.Now()
	wait := e.x.bounds.HeaderTimeout // net/http gives no more to the first
	for e.await(wait) {
		switch e.request() {
		case handsOver:
			early := append([]byte(nil), e.buf[e.r:e.w]...)
			e.conn.SetReadDeadline(time.Time{})
			handed = e.handOver(&handedConn{Conn: e.conn, state: e.tls, early: early})
			return
		case ends:
			return
		}
		wait = e.x.bounds.Idle
	}
}

// handOver gives the connection to the standard lane.
func (e *expressConn) handOver(c net.Conn) bool {
	select {
	case e.x.handed <- c:
		return true
	case <-e.x.closed:
		return false
	}
}

// shakeHands begins TLS on the connection.
func (e *expressConn) shakeHands() bool {
	secure := tls.Server(e.conn, e.x.tls)
	ctx, cancel := context.WithTimeout(e.ctx.Context, e.x.bounds.HeaderTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil {
			io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nthis address speaks https alone\n")
		}
		if log := e.x.standard.ErrorLog; log != nil {
			log.Printf("TLS handshake error from %s: %v", e.sock.RemoteAddr(), err)
		}
		return false
	}
	state := secure.ConnectionState()
	e.conn, e.in, e.tls = secure, secure, &state
	e.peer.certificate = certificateOf(e.tls)
	return true
}

// await waits until a request begins, for which it takes a buffer. It reports whether
// one did.
func (e *expressConn) await(limit time.Duration) bool {
	if e.r < e.w { // it came along with the one before
		return true
	}
	e.release()
	waits := expressNew
	if e.state.Load() != expressNew {
		waits = expressIdle
		if !e.state.CompareAndSwap(expressBusy, expressIdle) || e.x.isClosed() { // whoever closed it may have seen a request under way
			return false
		}
	}
	e.deadline(limit)
	buf, n, err := rawio.Read(e.in, e)
	if err != nil {
		return false
	}
	e.buf, e.w = buf, n
	return e.state.CompareAndSwap(waits, expressBusy)
}

// deadline gives reads at least that much time, and hardly more.
func (e *expressConn) deadline(limit time.Duration) {
	now := e.now
	if left := e.until.Sub(now); left < limit || left > limit+limit/8 {
		e.setDeadline(now.Add(limit + limit/16))
	}
}

func (e *expressConn) setDeadline(until time.Time) {
	e.until = until
	e.conn.SetReadDeadline(until) // fails only where reading will fail too
}

// Get takes a buffer. It implements [rawio.Buffers].
func (e *expressConn) Get() []byte {
	e.area = e.x.small.get()
	return e.half()
}

// Put gives it back.
func (e *expressConn) Put([]byte) {
	if len(e.area) == smallSize {
		e.x.small.put(e.area)
	} else {
		e.x.buffers.Put(e.area)
	}
	e.area = nil
}

// half returns the half of the buffer that is read to.
func (e *expressConn) half() []byte { return e.area[: len(e.area)/2 : len(e.area)/2] }

// grow exchanges the buffer for a larger one. It reports whether it was small.
func (e *expressConn) grow() bool {
	if len(e.area) != smallSize {
		return false
	}
	old, small := e.buf[e.r:e.w], e.area
	e.area = e.x.buffers.Get()
	e.buf = e.half()
	e.r, e.w = 0, copy(e.buf, old)
	e.x.small.put(small)
	return true
}

// release gives the buffer back, with what is in it.
func (e *expressConn) release() {
	if e.area != nil {
		e.Put(e.buf)
	}
	e.buf, e.out, e.r, e.w = nil, nil, 0, 0
}

// room returns the half of the buffer for what is written.
func (e *expressConn) room() []byte {
	if e.area == nil {
		e.buf = e.Get()
	}
	return e.area[len(e.area)/2:][:0]
}

// readHead reads the rest of a head. n is where it ends; 0: it is too long for the
// express lane.
func (e *expressConn) readHead() (n int, err error) {
	bounded := false
	for {
		if n, err = http1.HeadEnd(e.buf[e.r:e.w]); n > 0 || err != nil {
			return n, err
		}
		if e.r > 0 {
			e.w = copy(e.buf, e.buf[e.r:e.w])
			e.r = 0
		}
		if e.w == len(e.buf) && !e.grow() || e.w > e.x.bounds.Header {
			return 0, nil
		}
		if !bounded {
			bounded = true
			e.setDeadline(time.Now().Add(e.x.bounds.HeaderTimeout))
		}
		m, err := e.in.Read(e.buf[e.w:])
		if e.w += m; m == 0 && err != nil {
			return 0, err
		}
	}
}

// What becomes of a connection after a look at its next request.
type expressNext int

const (
	keeps     expressNext = iota // the request was answered
	ends                         // there will be no other
	handsOver                    // nothing of it was consumed
)

// refuse answers what is no request, as net/http does. There is nobody whom a route or
// a log could name. The answer ends with the connection: with a length, a proxy before
// this one could keep the client's connection, on which the rest of that is still to
// come.
func (e *expressConn) refuse() expressNext {
	io.WriteString(e.conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request")
	e.linger()
	return ends
}

// linger lets the client read its answer: what it still sends would make the system
// throw the answer away when the connection is closed.
func (e *expressConn) linger() {
	if half, ok := e.conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	e.setDeadline(time.Now().Add(unreadGrace))
	buf := e.x.buffers.Get()
	defer e.x.buffers.Put(buf)
	for range 64 {
		if _, err := e.in.Read(buf); err != nil {
			return
		}
	}
}

// newGrace is how long a client may take from connecting to its first request although
// the lane is shut down: that request may be on its way. It is net/http's.
const newGrace = 5 * time.Second

// closeIdle closes the connection unless a request is under way, or a first one may
// be: then it is closed later, if none has come.
func (e *expressConn) closeIdle() {
	if e.state.CompareAndSwap(expressIdle, expressOver) {
		e.conn.Close()
		return
	}
	closeNew := func() {
		if e.state.CompareAndSwap(expressNew, expressOver) {
			e.sock.Close()
		}
	}
	if left := newGrace - time.Since(e.born); left > 0 {
		time.AfterFunc(left, closeNew)
		return
	}
	closeNew()
}

// cut ends the connection at once.
func (e *expressConn) cut() {
	e.state.Store(expressOver)
	e.ctx.end()
	e.sock.Close()
}
