package proxy

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/internal/http1"
)

// request serves the request that begins in buf.
func (e *expressConn) request() expressNext {
	if !e.expresses() {
		return handsOver
	}
	n, err := e.readHead()
	if err != nil {
		if _, malformed := errors.AsType[*http1.ProtocolError](err); malformed {
			return e.refuse()
		}
		return ends // the client has left, or is too slow
	}
	if n == 0 || n > e.x.bounds.Header || !e.expresses() { // asked again: who may call may have changed meanwhile
		return handsOver
	}
	switch err := e.head.Parse(string(e.buf[e.r : e.r+n])); {
	case err == http1.ErrUnusual:
		return handsOver
	case err != nil:
		return e.refuse()
	case !e.isPlain():
		return handsOver
	}
	e.r += n
	e.keep = !e.head.Close
	e.serveRequest()
	unread := false
	if e.writer != nil {
		unread = e.writer.finish()
		e.writer = nil
	}
	if e.cancel != nil {
		e.cancel()
		e.cancel = nil
	}
	e.head.Clear() // a connection may be idle for long, and this holds the client's secrets
	e.cookies, e.traces = nil, nil
	early := e.ctx.stop()
	if early == nil {
		early, e.pending = e.pending, nil
	}
	switch {
	case unread:
		e.linger()
		return ends
	case !e.keep || e.ctx.Err() != nil:
		return ends
	case len(early) > 0: // then buf has nothing more
		if e.buf == nil {
			e.buf = e.Get()
			e.grow()
		}
		e.r, e.w = 0, copy(e.buf, early) // it was in a buffer of that size
	}
	return keeps
}

// expresses finds out who answers now. It reports whether they do so on this lane.
func (e *expressConn) expresses() bool {
	e.answers = e.x.answers.Load()
	return e.answers != nil && e.answers.expresses()
}

// isPlain reports whether nothing in the request's fields asks for more than the
// express lane does: it comes from no web page, and has one Cookie field at most.
func (e *expressConn) isPlain() bool {
	f := &e.head.Fields
	e.cookies, e.traces = nil, nil
	for i := range f.Len() {
		switch name, value := f.At(i); name {
		case "Origin", "Sec-Fetch-Site", "Access-Control-Request-Method":
			return false
		case "Cookie":
			if e.cookies != nil {
				return false
			}
			e.cookies = f.Values(name)
		case "Traceparent":
			e.traces = f.Values(name)
		case "Content-Type":
			if isGRPC(value) {
				return false
			}
		}
	}
	return true
}

// serveRequest answers the request whose head was read.
func (e *expressConn) serveRequest() {
	caller, ok := e.mayCall()
	if !ok || !e.takeBody() {
		e.serveAtLength()
		return
	}
	if e.r == e.w {
		e.ctx.allow()
	}
	c := e.begin(e.answers.front.Proxy)
	defer e.finish(c)
	c.caller = caller
	c.serveExpress(e)
}

// mayCall reports whether guard and callers let the request pass, and the caller's
// name.
func (e *expressConn) mayCall() (caller string, ok bool) {
	a := e.answers
	if e.passed != a || e.passedHost != e.head.Host {
		if !a.lets(e.head.Host) {
			return "", false
		}
		e.passed, e.passedHost = a, strings.Clone(e.head.Host) // mostly it stays the same
	}
	if a.front.Callers == nil {
		return "", true
	}
	who := e.peer
	who.authorization = e.head.Fields.Values("Proxy-Authorization")
	return a.front.Callers.find(who)
}

// takeBody finds the request's body in buf. It reports whether it is whole.
func (e *expressConn) takeBody() bool {
	n := e.head.Length
	if n < 0 || n > int64(e.w-e.r) && !e.readBody(n) {
		return false
	}
	e.body = e.buf[e.r : e.r+int(n)]
	e.r += int(n)
	return true
}

// readBody reads the rest of a body of n bytes, if it is short and comes as soon as the
// head of a longer one would be sent without it. It reports whether it is whole.
func (e *expressConn) readBody(n int64) bool {
	if int64(len(e.buf)-e.r) < n && e.r > 0 {
		e.w = copy(e.buf, e.buf[e.r:e.w])
		e.r = 0
	}
	if int64(len(e.buf)) < n && (n > bufferSize/2 || !e.grow()) {
		return false
	}
	e.setDeadline(time.Now().Add(headDelay))
	defer e.setDeadline(time.Time{})
	for int64(e.w-e.r) < n {
		m, err := e.in.Read(e.buf[e.w:])
		if e.w += m; m == 0 && err != nil {
			return false // the long way finds the error again, if it is one
		}
	}
	return true
}

// begin returns the call of the request.
func (e *expressConn) begin(p *Proxy) *call {
	c := &e.call
	c.proxy, c.start, c.metrics = p, time.Now(), p.unrouted
	c.ctx, c.method, c.host = e.ctx, e.head.Method, e.head.Host
	c.trace = exchange.SampledTrace(e.traces)
	return c
}

// finish is [call.finish] for the express lane.
func (e *expressConn) finish(c *call) {
	c.session.release()
	c.stopBody()
	c.endStream()
	e.trip.Clear()
	e.message.Method, e.body = "", nil
	if !c.done {
		c.metrics.Done(c.method, http.StatusInternalServerError, time.Since(c.start), c.trace)
		c.panicked(recover())
	}
	e.now = time.Now()
	rec := c.record()
	rec.ended(c.ctx, e.now)
	if c.aborted {
		e.keep = false
		if e.writer != nil {
			e.writer.abort()
		}
	}
	c.recycle()
}

// serveExpress answers the request, whatever comes.
func (c *call) serveExpress(e *expressConn) {
	err := c.find(e.head.Target)
	if err == nil {
		err = c.prepare(&e.head.Fields, e.cookies)
	}
	c.metrics.Started()
	if err == nil {
		err = c.express(e)
	}
	if err != nil {
		c.enlarge(e)
		c.reply(err)
	}
	c.done = true
}

// express is [call.exchange] without anything that a plain request and a plain answer
// do not need. As soon as one of them needs more, converse goes on.
func (c *call) express(e *expressConn) error {
	params, err := c.params(&e.head.Fields)
	if err != nil {
		return err
	}
	if err := c.session.begin(c.ctx, c.route, params); err != nil {
		return err
	}
	for {
		client, timeout := c.route.client()
		if client == nil {
			return c.sendAtLength(e)
		}
		if err := c.takeFields(); err != nil {
			return err
		}
		if c.writeRequest(e) != nil {
			return internalError()
		}
		m := &e.message
		m.Method, m.Now, m.HeaderTimeout = c.method, c.start, timeout
		if c.replays > 0 || c.session.waited() {
			m.Now = time.Now()
		}
		began := m.Now // Send moves it if it has to connect
		err := client.Send(c.ctx, &e.trip, m)
		if chosen, ok := errors.AsType[*choseHTTP2](err); ok {
			defer c.route.Transport.(*Transport).chose(chosen)()
			return c.sendAtLength(e)
		}
		now := time.Now()
		if err := c.sent(c.ctx, now.Sub(began), err); err != nil {
			return err
		}
		again, plain, err := c.judgeExpress(e)
		switch {
		case err != nil:
			return err
		case !plain:
			ans, err := e.trip.Response()
			if err != nil {
				return c.sendFailure(c.ctx, err)
			}
			c.enlarge(e)
			if err := c.checkAnswer(ans); err != nil {
				return err
			}
			return c.converse(c.ctx, ans)
		case !again:
			c.relayExpress(e, now)
			return nil
		}
		c.discardExpress(e)
		c.replays++
	}
}

// judgeExpress is [call.judge] for an answer that can be judged without waiting. An
// answer that is not plain is to be judged, and passed on, by converse.
func (c *call) judgeExpress(e *expressConn) (again, plain bool, err error) {
	t := &e.trip
	if !t.Plain() || isStream(t.Fields.Get("Content-Type")) || !onlyOptions(&t.Fields) {
		return false, false, nil
	}
	req, res := c.head(), exchange.Head{Status: t.Status, Header: &t.Fields}
	var body []byte
	if want := c.wantsBody(req, res, t.Length); want != exchange.NoBody {
		here := t.Here()
		if zipped, _ := gzipped(t.Fields.Values("Content-Encoding")); zipped || int64(len(here)) < t.Length || t.Length > holdBytes {
			return false, false, nil
		}
		body = pickPart(here, want)
	}
	v := c.route.Plan.Judge(req, res, body)
	hindrance := ""
	if int64(len(e.body)) > c.route.ReplayMaxBody {
		hindrance = ReplayBody
	}
	again, err = c.session.settle(c.ctx, v, hindrance)
	return again, true, err
}

// onlyOptions reports whether a Connection field names no other fields, which would
// be for one connection only.
func onlyOptions(f *http1.Fields) bool {
	for _, value := range f.Values("Connection") {
		switch value {
		case "keep-alive", "close", "Keep-Alive", "Close":
		default:
			return false
		}
	}
	return true
}

// discardExpress ends an answer that nobody wants.
func (c *call) discardExpress(e *expressConn) {
	if int64(len(e.trip.Here())) == e.trip.Left() {
		e.trip.Next()
		e.trip.Done(time.Now())
		return
	}
	if ans, err := e.trip.Response(); err == nil {
		discard(ans)
	}
}

// wire returns the bytes of the attempt under way. They are made once more if they
// were let go.
func (e *expressConn) wire() []byte {
	if e.out == nil {
		e.call.writeRequest(e) // went well before
	}
	return e.out
}

// sent lets go of what an answer can be waited for without: the buffer, unless there is
// still something in it that was read.
func (e *expressConn) sent() {
	e.out = nil
	if len(e.body) == 0 && e.r == e.w {
		e.release()
	}
}

// interim passes an interim answer on.
func (e *expressConn) interim(status int, header http.Header) {
	e.call.enlarge(e)
	e.call.passInterim(status, header)
}
