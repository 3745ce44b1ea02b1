package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"attache/internal/exchange"
	"attache/internal/http1"
)

// request serves the request that begins in buf.
func (e *expressConn) request() expressNext {
	n, err := e.readHead()
	if err != nil {
		if _, malformed := errors.AsType[*http1.ProtocolError](err); malformed {
			return e.refuse()
		}
		return ends // the client has left, or is too slow
	}
	e.answers = e.x.answers.Load()
	if n == 0 || n > e.x.bounds.Header || e.answers == nil || !e.answers.expresses() {
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
	early := e.ctx.stop()
	if early == nil {
		early, e.pending = e.pending, nil
	}
	switch {
	case unread:
		e.linger()
		return ends
	case !e.keep || e.ctx.Err() != nil || len(early) > bufferSize:
		return ends
	case len(early) > 0: // then buf has nothing more
		if e.buf == nil {
			e.buf = e.x.buffers.Get()
		}
		e.r, e.w = 0, copy(e.buf, early)
	}
	return keeps
}

// isPlain reports whether nothing in the request's fields asks for more than the
// express lane does: it comes from no web page, and has one Cookie field at most.
func (e *expressConn) isPlain() bool {
	f, cookies := &e.head.Fields, 0
	for i := range f.Len() {
		switch name, value := f.At(i); name {
		case "Origin", "Sec-Fetch-Site", "Access-Control-Request-Method":
			return false
		case "Cookie":
			cookies++
		case "Content-Type":
			if isGRPC(value) {
				return false
			}
		}
	}
	return cookies <= 1
}

// serveRequest answers the request whose head was read.
func (e *expressConn) serveRequest() {
	a := e.answers
	who := e.peer
	if a.front.Callers != nil {
		who.authorization = e.head.Fields.Values("Proxy-Authorization")
	}
	caller, ok := a.lets(e.head.Host, who)
	if !ok || !e.takeBody() {
		e.serveAtLength()
		return
	}
	if e.r == e.w {
		e.ctx.allow()
	}
	c := a.front.Proxy.expressCall(e)
	e.calling = c
	defer e.finish(c)
	c.caller = caller
	c.serveExpress(e)
}

// takeBody finds the request's body in buf. It reports whether it is whole.
func (e *expressConn) takeBody() bool {
	n := e.head.Length
	if n < 0 || n > int64(e.w-e.r) {
		return false
	}
	e.body = e.buf[e.r : e.r+int(n)]
	e.r += int(n)
	return true
}

// expressCall returns a call for the request of a connection.
func (p *Proxy) expressCall(e *expressConn) *call {
	c, ok := p.calls.Get().(*call)
	if !ok {
		c = new(call)
	}
	c.proxy, c.start, c.metrics = p, time.Now(), p.unrouted
	c.ctx, c.method, c.host = e.ctx, e.head.Method, e.head.Host
	c.trace = exchange.SampledTrace(e.head.Fields.Values("Traceparent"))
	return c
}

// finish is [call.finish] for the express lane.
func (e *expressConn) finish(c *call) {
	c.session.release()
	c.stopBody()
	c.endStream()
	e.trip.Abort() // if it has not ended
	if e.out != nil {
		e.x.buffers.Put(e.out[:bufferSize])
		e.out = nil
	}
	e.body, e.calling = nil, nil
	if !c.done {
		c.metrics.Done(c.method, http.StatusInternalServerError, time.Since(c.start), c.trace)
		c.panicked(recover())
	}
	rec := c.record()
	rec.done(c.ctx)
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
		err = c.prepare(&e.head.Fields, e.head.Fields.Values("Cookie"))
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
		if err := c.writeRequest(e); err != nil {
			return err
		}
		m := &e.message
		m.Wire, m.Method, m.Now, m.HeaderTimeout = e.out, c.method, time.Now(), timeout
		err := client.Send(c.ctx, &e.trip, m)
		if chosen, ok := errors.AsType[*choseHTTP2](err); ok {
			c.route.Transport.(*Transport).chose(chosen)
			return c.sendAtLength(e)
		}
		now := time.Now()
		if err := c.sent(c.ctx, now.Sub(m.Now), err); err != nil {
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
	if c.route.bodies && holdable(c.method, t.Status, t.Length, &t.Fields) {
		if want := c.route.Plan.WantsBody(req, res); want != exchange.NoBody {
			here := t.Here()
			if zipped, _ := gzipped(t.Fields.Values("Content-Encoding")); zipped || int64(len(here)) < t.Length || t.Length > holdBytes {
				return false, false, nil
			}
			body = pickPart(here, want)
		}
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
		e.trip.Done()
		return
	}
	if ans, err := e.trip.Response(); err == nil {
		discard(ans)
	}
}

// enlarge gives the call what it has on the standard lane: a request and a writer of
// net/http's kind.
func (c *call) enlarge(e *expressConn) {
	if c.w != nil {
		return
	}
	c.r = e.httpRequest()
	c.w = e.newWriter()
	if len(e.body) > 0 && c.route != nil {
		c.r.ContentLength = int64(len(e.body))
		c.body = finishedBody(e.body, c.route.ReplayMaxBody)
	}
}

// sendAtLength sends the request as the standard lane does.
func (c *call) sendAtLength(e *expressConn) error {
	c.enlarge(e)
	ans, err := c.send(c.ctx)
	if err != nil {
		return err
	}
	return c.converse(c.ctx, ans)
}

// interim passes an interim answer on.
func (e *expressConn) interim(status int, header http.Header) {
	e.calling.enlarge(e)
	e.calling.passInterim(status, header)
}

// serveAtLength answers the request by the standard lane's handler: its body is not
// here yet, or somebody may not call.
func (e *expressConn) serveAtLength() {
	var body *http1.RequestBody
	r := e.httpRequest()
	if e.head.Length != 0 {
		body = http1.NewRequestBody(e.in, e.buf[e.r:e.w], e.head.Length, e.bodyEnded)
		r.Body, r.ContentLength = body, e.head.Length
		if e.head.Length < 0 {
			r.TransferEncoding = []string{"chunked"}
		}
		e.release()
	} else if e.r == e.w {
		e.ctx.allow()
	}
	w := e.newWriter()
	w.body = body
	defer func() {
		if p := recover(); p != nil {
			w.abort()
			panic(p)
		}
	}()
	e.answers.handler.ServeHTTP(w, r)
}

// bodyEnded takes what was read of the connection beyond a request's body.
func (e *expressConn) bodyEnded(rest []byte) {
	if len(rest) == 0 {
		e.ctx.allow()
		return
	}
	e.pending = append([]byte(nil), rest...)
}

// httpRequest returns the request as net/http's server would, without a body.
func (e *expressConn) httpRequest() *http.Request {
	h := &e.head
	u, err := url.ParseRequestURI(h.Target)
	if err != nil { // nobody looks at it but for the target
		u = &url.URL{Opaque: h.Target}
	}
	r := &http.Request{
		Method: h.Method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h.Fields.Header(), Body: http.NoBody,
		Host: h.Host, RemoteAddr: e.conn.RemoteAddr().String(), RequestURI: h.Target, TLS: e.tls,
	}
	return r.WithContext(e.ctx)
}
