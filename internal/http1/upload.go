package http1

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// uploadSize is that of the buffers that bodies are sent through, in bytes.
	uploadSize = 32 << 10
	// headDelay is how long a head waits for the first bytes of its body, to
	// leave in one piece with them.
	headDelay = 10 * time.Millisecond
	// uploadGrace is how long a body may still be sent after the whole answer
	// has come. Mostly only the last write has to return.
	uploadGrace = 50 * time.Millisecond
	// leastWriteTime is what a write of a body may take in any case: networks
	// are slow, even where answers have to come fast.
	leastWriteTime = time.Minute
)

// uploadBuffers lends the buffers that bodies are sent through.
type uploadBuffers struct{ pool sync.Pool }

func (b *uploadBuffers) get() []byte {
	if p, ok := b.pool.Get().(*[uploadSize]byte); ok {
		return p[:0]
	}
	return new([uploadSize]byte)[:0]
}

func (b *uploadBuffers) put(p []byte) {
	if cap(p) == uploadSize {
		b.pool.Put((*[uploadSize]byte)(p[:uploadSize]))
	}
}

var errStopped = errors.New("the request is over")

// What an upload has done.
const (
	uploadBegun     int32 = iota // nothing was written
	uploadWrote                  // something may have been written
	uploadStopped                // nothing was and nothing will be
	uploadUnwritten              // writing failed with the first byte
	uploadBroken                 // writing failed later
	uploadNoBody                 // the body failed
)

// What ends the common use of a connection by an upload and an answer, as bits.
const (
	endSent     int32 = 1 << iota // the whole body
	endUnsent                     // it will not be sent
	endAnswered                   // the whole answer has come
)

// upload is a goroutine that sends a request's body. It may outlive Do and the
// answer; then whoever ends last sees to the connection.
type upload struct {
	client  *Client
	conn    *conn
	body    io.ReadCloser
	length  int64 // -1: in chunks
	trailer http.Header
	timeout time.Duration // for the answer's head, from the end on
	leave   chan bool     // whether the body is wanted; nil: it needs no leave

	buf   []byte // begins with the head, unless that was sent
	wrote bool   // at least one byte
	ahead headTimer
	err   error // of uploadUnwritten and later phases, set before them
	phase atomic.Int32
	end   atomic.Int32
	grace *time.Timer // set before endAnswered
}

// startUpload begins to send a request. If the body waits for leave the head is
// written at once; the upload with an error explains what became of it.
func (c *Client) startUpload(conn *conn, out *outgoing, body io.ReadCloser, trailer http.Header, timeout time.Duration) (u *upload, err error) {
	u = &upload{client: c, conn: conn, body: body, length: out.length, trailer: trailer, timeout: timeout}
	u.buf = append(c.uploads.get(), out.buf...)
	out.free()
	if out.expects {
		u.leave = make(chan bool, 1)
		u.phase.Store(uploadWrote)
		n, err := conn.Write(u.buf)
		c.uploads.put(u.buf)
		if err != nil {
			if u.err = err; n == 0 {
				u.phase.Store(uploadUnwritten)
			}
			body.Close()
			return u, err
		}
		u.buf = nil
	}
	go u.run()
	return u, nil
}

// allow tells whether a body that waits for leave is to be sent. Only the first
// word counts. A nil upload takes it too.
func (u *upload) allow(ok bool) {
	if u == nil || u.leave == nil {
		return
	}
	select {
	case u.leave <- ok:
	default:
	}
}

func (u *upload) allowed() bool {
	if u.leave == nil {
		return true
	}
	timer := time.NewTimer(continueWait)
	defer timer.Stop()
	select {
	case ok := <-u.leave:
		return ok
	case <-timer.C:
		return true
	}
}

func (u *upload) run() {
	defer u.body.Close()
	if !u.allowed() {
		u.unsent()
		return
	}
	if u.buf == nil {
		u.buf = u.client.uploads.get()
	}
	phase, err := u.send()
	u.client.uploads.put(u.buf)
	if err == nil {
		u.conn.awaitHead(u.timeout)
		u.sent()
		return
	}
	u.err = err
	u.phase.Store(phase)
	if phase == uploadBroken { // maybe because an answer is on its way
		u.conn.awaitHead(lateAnswer)
	} else {
		u.conn.abort()
	}
	u.unsent()
}

// sent and unsent end the upload's use of the connection, answered the answer's.
func (u *upload) sent() {
	if u.end.Or(endSent)&endAnswered == 0 {
		return
	}
	if u.grace.Stop() {
		u.client.idle.put(u.conn)
	} else {
		u.conn.abort()
	}
}

func (u *upload) unsent() {
	if u.end.Or(endUnsent)&endAnswered != 0 {
		u.grace.Stop()
		u.conn.abort()
	}
}

func (u *upload) answered() {
	if u.end.Load() == 0 {
		u.grace = time.AfterFunc(uploadGrace, u.conn.abort)
	}
	switch before := u.end.Or(endAnswered); {
	case before == 0: // the upload sees to the rest
	case before&endSent != 0 && (u.grace == nil || u.grace.Stop()):
		u.client.idle.put(u.conn)
	default:
		u.conn.abort()
	}
}

// explain says what the upload knows about why there is no answer. The
// connection was given up before.
func (u *upload) explain(f *failure) {
	if u.phase.CompareAndSwap(uploadBegun, uploadStopped) {
		f.unwritten = true
		return
	}
	switch u.phase.Load() {
	case uploadUnwritten:
		f.err, f.unwritten = u.err, true
	case uploadBroken:
		f.err, f.silent = u.err, !u.conn.heard && isSilence(u.err)
	case uploadNoBody:
		f.err, f.silent = u.err, false
	}
}

// send sends head and body. With an error it returns the phase that it means.
func (u *upload) send() (int32, error) {
	left := u.length
	var head int                   // length of the head, if it leaves with the body
	if len(u.buf) > uploadSize/2 { // a long head goes ahead
		if phase, err := u.write(u.buf); err != nil {
			return phase, err
		}
		u.client.uploads.put(u.buf)
		u.buf = u.client.uploads.get()
	} else if head = len(u.buf); head > 0 {
		u.sendHeadSoon()
	}
	for {
		n, last, err := u.fill(left)
		out := u.buf
		if sent, phase, failed := u.ahead.stop(); failed != nil {
			return phase, failed
		} else if sent {
			out = out[head:]
		}
		if err != nil {
			return uploadNoBody, err
		}
		if phase, err := u.write(out); err != nil || last {
			return phase, err
		}
		left -= n
		u.buf = u.buf[:0]
	}
}

// write writes unless the upload was stopped before its first byte. An upstream
// that takes nothing for as long as its answer may take is not waited for: the
// client that gives up meanwhile is not noticed while its body waits.
func (u *upload) write(p []byte) (int32, error) {
	if !u.phase.CompareAndSwap(uploadBegun, uploadWrote) && u.phase.Load() == uploadStopped {
		return uploadStopped, errStopped
	}
	if u.timeout > 0 {
		u.conn.awaitWrite(max(u.timeout, leastWriteTime))
	}
	n, err := u.conn.Write(p)
	u.conn.wrote()
	u.wrote = u.wrote || n > 0
	switch {
	case err == nil:
		return uploadWrote, nil
	case u.wrote || u.leave != nil:
		return uploadBroken, err
	}
	return uploadUnwritten, err
}

// headTimer writes the head if the body keeps it waiting. Nobody else writes
// until it was stopped.
type headTimer struct {
	timer *time.Timer // nil: not running
	done  sync.WaitGroup
	phase int32
	err   error
}

func (u *upload) sendHeadSoon() {
	head := u.buf
	u.ahead.done.Add(1)
	u.ahead.timer = time.AfterFunc(headDelay, func() {
		defer u.ahead.done.Done()
		u.ahead.phase, u.ahead.err = u.write(head)
	})
}

// stop reports whether the head was written, or why that went wrong.
func (h *headTimer) stop() (sent bool, phase int32, err error) {
	if h.timer == nil {
		return false, 0, nil
	}
	sent = !h.timer.Stop()
	h.timer = nil
	if sent {
		h.done.Wait()
	}
	return sent, h.phase, h.err
}

// fill appends to buf what one read of the body gives, in its framing, and after
// the last the trailer (RFC 9112 section 7.1.2). left is what a body of known
// length has left.
func (u *upload) fill(left int64) (n int64, last bool, err error) {
	if u.length >= 0 {
		from := len(u.buf)
		room := u.buf[from:min(int64(cap(u.buf)), int64(from)+left)]
		m, err := readSome(u.body, room)
		u.buf = u.buf[:from+m]
		switch {
		case int64(m) == left:
			return left, true, nil
		case err != nil:
			return 0, false, unexpected(err)
		}
		return int64(m), false, nil
	}
	const before, after = len("7fff\r\n"), len("\r\n")
	room := u.buf[len(u.buf)+before : cap(u.buf)-after]
	m, err := readSome(u.body, room)
	if err != nil && err != io.EOF {
		return 0, false, err
	}
	if m > 0 {
		u.buf = append(strconv.AppendInt(u.buf, int64(m), 16), "\r\n"...)
		u.buf = append(append(u.buf, room[:m]...), "\r\n"...)
	}
	if err == nil {
		return 0, false, nil
	}
	out := outgoing{buf: append(u.buf, "0\r\n"...)}
	for key, values := range u.trailer {
		if err := out.field(key, values); err != nil {
			return 0, false, err
		}
	}
	u.buf = append(out.buf, "\r\n"...)
	return 0, true, nil
}

// readSome reads at least one byte, or returns an error.
func readSome(r io.Reader, p []byte) (int, error) {
	for range 100 {
		if n, err := r.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}
