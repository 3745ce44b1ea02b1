package http1

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"attache/internal/rawio"
)

// patience is how long a trip waits before it takes precautions against waiting in
// vain. A deadline that is between half of it and all of it away is good enough, so
// that most requests need not set one.
const patience = 200 * time.Millisecond

// Message is a request whose bytes are at hand.
type Message struct {
	// Wire returns the head, as [AppendHead] and [AppendField] make it, and the body.
	// It is called for each connection that the message is sent on. Sent says that
	// the bytes it returned last are written, and no longer needed.
	Wire   func() []byte
	Sent   func()
	Method string
	// Now is about the time when it is sent. Send sets it anew where it had to connect.
	Now time.Time
	// HeaderTimeout and OnInterim are as in [Options].
	HeaderTimeout time.Duration
	OnInterim     func(status int, header http.Header)
}

// Trip is a request and its answer on the goroutine that asks for it: without a
// goroutine, a timer, a map or an allocation but that of the answer's head. It can
// be used again once its answer has ended. It is for one goroutine.
//
// What it sends and how it reads are as with [Client.Do].
type Trip struct {
	// Of the answer, until the next Send. Fields has those that frame the
	// message as well.
	Status int
	Fields Fields
	// Length is as in [http.Response].ContentLength, but known as well of a body whose
	// chunks are all here.
	Length int64

	client   *Client
	conn     *conn // nil: the answer has ended, or there is none
	ctx      context.Context
	message  *Message
	method   string
	length   int    // of what is written
	text     string // the answer's head
	line     statusLine
	end      framing
	left     int64       // of a counted body
	gathered bool        // that came in chunks
	exact    bool        // the read deadline is that of the head
	unwatch  func() bool // ends the watch over the context; nil: there is none
}

// Send sends a message and reads the head of its final answer. The answer has to
// be read to its end, given to [Trip.Response], or ended by [Trip.Abort]; after an
// error there is none. Whether the context has ended is asked for once the upstream
// keeps the trip waiting, for a connection or for bytes: its Done is called then, and
// not before. Messages that an idle connection swallowed are sent again by the rules
// of [Client.Do].
func (c *Client) Send(ctx context.Context, t *Trip, m *Message) error {
	t.client, t.ctx, t.message, t.method = c, ctx, m, m.Method
	failed := t.onIdle()
	if failed == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed.err != nil && !failed.unwritten && !(failed.silent && Idempotent(m.Method)) {
		return failed.err
	}
	if failed.err != nil && !failed.unwritten {
		ctx = context.WithValue(ctx, repeatedKey{}, true)
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	m.Now = time.Now() // connecting may have taken any time
	if failed = t.on(conn); failed != nil {
		return failed.cause(ctx)
	}
	return nil
}

// onIdle sends the message on a connection that is there, if any is alive. Without
// one the failure has no error.
func (t *Trip) onIdle() *failure {
	for {
		conn, fresh := t.client.idle.pop(t.message.Now)
		if conn == nil {
			return &failure{}
		}
		if !fresh {
			conn.Close()
			continue
		}
		failed := t.on(conn)
		if failed == nil || failed.err != rawio.ErrStale {
			return failed
		}
	}
}

// on sends the message on conn, which is the trip's own from now on.
func (t *Trip) on(conn *conn) *failure {
	t.conn, t.unwatch = conn, nil
	conn.r, conn.w, conn.heard, conn.headCame = 0, 0, false, false
	wire := t.message.Wire()
	t.length = len(wire)
	t.setDeadline()
	wrote, err := t.exchange(wire)
	whole := wrote == t.length
	switch {
	case err == nil:
	case wrote == 0:
		t.Abort()
		return &failure{err: err, unwritten: true}
	case !whole: // maybe because an answer is on its way
		conn.cut, t.exact = true, true
		conn.expect(time.Now().Add(lateAnswer))
	default:
		t.Abort()
		return &failure{err: err, silent: isSilence(err)}
	}
	if failed := t.head(); failed != nil {
		f := &failure{err: failed, silent: !conn.heard && isSilence(failed)}
		if !whole {
			f.err, f.silent = err, !conn.heard
		}
		t.Abort()
		return f
	}
	return nil
}

// exchange writes the message and reads the beginning of what comes back, however
// long that takes.
func (t *Trip) exchange(wire []byte) (wrote int, err error) {
	c := t.conn
	wrote, err = t.exchangeOnce(wire)
	switch {
	case err == nil || wrote > 0 && wrote < len(wire) || !t.goesOn(err):
	case wrote == 0: // the deadline was over before anything was sent
		wrote, err = t.exchangeOnce(wire)
	default:
		c.buf, c.w, err = rawio.Read(c.Conn, c.buffers)
	}
	c.heard = c.w > 0
	return wrote, err
}

func (t *Trip) exchangeOnce(wire []byte) (wrote int, err error) {
	c := t.conn
	if looks := c.socket != nil && !c.secure; !looks && c.reused && !c.alive() {
		return 0, rawio.ErrStale
	}
	wrote, c.buf, c.w, err = rawio.Exchange(c.Conn, wire, t.message.Sent, c.buffers)
	if err == rawio.ErrStale && !c.reused { // there is nobody else for whom that can be
		if wrote, err = c.Write(wire); err == nil {
			t.message.Sent()
			c.buf, c.w, err = rawio.Read(c.Conn, c.buffers)
		}
	}
	return wrote, err
}

// setDeadline gives the reads to come a deadline, unless they have one that will
// do. What a socket may not take at once is watched over from the beginning, for no
// read can fail while it is written.
func (t *Trip) setDeadline() {
	now, timeout := t.message.Now, t.message.HeaderTimeout
	large := t.length > wholeSize
	if large {
		t.unwatch = context.AfterFunc(t.ctx, t.conn.abort)
	}
	if t.exact = timeout > 0 && (large || timeout <= patience); t.exact {
		t.conn.expect(now.Add(timeout))
		return
	}
	if large {
		t.conn.expect(time.Time{})
		return
	}
	if left := t.conn.until.Sub(now); left < patience/2 || left > patience {
		t.conn.expect(now.Add(patience))
	}
}

// goesOn reports whether a read that failed with err is to be done again: only the
// trip's patience was over, which nobody has asked for.
func (t *Trip) goesOn(err error) bool {
	if t.exact || t.unwatch != nil || !isTimeout(err) {
		return false
	}
	t.unwatch = context.AfterFunc(t.ctx, t.conn.abort)
	var until time.Time
	if timeout := t.message.HeaderTimeout; timeout > 0 && !t.conn.headCame {
		t.exact = true
		until = t.message.Now.Add(timeout)
	}
	t.conn.expect(until)
	return true
}

// head reads the head of the final answer.
func (t *Trip) head() error {
	conn, budget := t.conn, t.client.maxHead
	if conn.buf == nil {
		conn.buf = conn.buffers.Get()
	}
	for range maxInterim + 1 {
		text, err := conn.block(budget, true)
		for err != nil && t.goesOn(err) {
			text, err = conn.block(budget, true)
		}
		if err != nil {
			return err
		}
		budget -= len(text)
		line, fields, _ := strings.Cut(text, "\r\n")
		if t.line, err = parseStatusLine(line); err != nil {
			return err
		}
		if t.line.status >= 200 || t.line.status == http.StatusSwitchingProtocols {
			t.text = text
			return t.final(fields)
		}
		header, err := parseFields(fields)
		if err != nil {
			return err
		}
		if t.line.status != http.StatusContinue && t.message.OnInterim != nil {
			t.message.OnInterim(t.line.status, header)
		}
	}
	return malformed("there are too many interim answers")
}

// final takes the head of the final answer.
func (t *Trip) final(fields string) (err error) {
	t.conn.headCame = true
	if t.exact { // that was for the head
		t.exact = false
		var until time.Time
		if t.unwatch == nil {
			until = time.Now().Add(patience)
		}
		t.conn.expect(until)
	}
	t.Fields.Clear()
	if err = t.Fields.parse(fields); err != nil {
		return err
	}
	lengths, codings, connection := t.Fields.framing()
	t.end, err = t.line.framing(t.method, lengths, codings, connection)
	t.Status, t.Length, t.left, t.gathered = t.line.status, t.end.length, 0, false
	switch {
	case err != nil:
	case t.end.kind == bodyCounted:
		t.left = t.end.length
	case t.end.kind == bodyChunked:
		t.gather()
	}
	return err
}

// Plain reports whether [Trip.Next] can read the answer: it has no body, or one whose
// length is known or that came in chunks and is here to its end. Any other one is for
// [Trip.Response].
func (t *Trip) Plain() bool {
	return t.Status != http.StatusSwitchingProtocols && (t.end.kind == bodyNone || t.end.kind == bodyCounted)
}

// Left returns how many bytes of a plain answer's body [Trip.Next] has not
// returned yet.
func (t *Trip) Left() int64 { return t.left }

// Here returns those that can be read without waiting. It reads nothing.
func (t *Trip) Here() []byte {
	c := t.conn
	return c.buf[c.r : c.r+int(min(int64(c.w-c.r), t.left))]
}

// Next returns the next bytes of a plain answer's body, which are good until the
// next call of a method. While there are some left it returns at least one, or an
// error.
func (t *Trip) Next() ([]byte, error) {
	c := t.conn
	for c.r == c.w && t.left > 0 {
		c.r, c.w = 0, 0
		n, err := c.read(c.buf)
		if err != nil && !t.goesOn(err) {
			return nil, unexpected(err)
		}
		c.w = n
	}
	p := t.Here()
	c.r += len(p)
	t.left -= int64(len(p))
	return p, nil
}

// Done ends a plain answer whose body was read to its end, at now; its connection may
// serve another request.
func (t *Trip) Done(now time.Time) {
	conn := t.conn
	if t.left > 0 || !t.end.reuse || t.unwatch != nil && !t.unwatch() {
		t.Abort()
		return
	}
	t.conn, t.unwatch = nil, nil
	if !conn.rest() {
		conn.abort()
		return
	}
	t.client.idle.putAt(conn, now)
}

// Abort ends the answer and its connection. It may be called at any time.
func (t *Trip) Abort() {
	if t.conn == nil {
		return
	}
	if t.unwatch != nil {
		t.unwatch()
	}
	t.conn.abort()
	t.conn.giveBuffer()
	t.conn, t.unwatch = nil, nil
}

// Clear ends the answer, if it has not ended, and forgets it and its message.
func (t *Trip) Clear() {
	t.Abort()
	t.Fields.Clear()
	*t = Trip{Fields: t.Fields}
}

// Response returns the answer as [Client.Do] would have returned it, and is done
// with it. Of its body nothing was read before.
func (t *Trip) Response() (*http.Response, error) {
	conn, a := t.conn, &answer{}
	a.body.client, a.body.conn, a.body.unwatch = t.client, conn, t.unwatch
	if t.unwatch == nil {
		a.body.unwatch = context.AfterFunc(t.ctx, conn.abort)
	}
	t.conn, t.unwatch = nil, nil
	conn.expect(time.Time{})
	conn.shrink()
	h, err := parseHead(t.text)
	if err == nil && t.gathered {
		delete(h.header, "Transfer-Encoding")
		h.header["Content-Length"] = []string{strconv.FormatInt(t.Length, 10)}
	}
	if err == nil {
		err = a.begin(h, t.method)
	}
	if err != nil { // it was all read before, so only the context can be in the way
		a.body.drop()
		return nil, err
	}
	return &a.res, nil
}

// shrink exchanges a trip's buffer for one of those that an answer may keep for
// days.
func (c *conn) shrink() {
	if len(c.buf) != tripSize || c.w-c.r > readSize {
		return
	}
	small := c.buffers.getSmall()
	n := copy(small, c.buf[c.r:c.w])
	c.buffers.Put(c.buf)
	c.buf, c.r, c.w = small, 0, n
}
