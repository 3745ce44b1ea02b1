package proxy

import (
	"net/http"
	"strconv"
	"time"

	"attache/internal/exchange"
	"attache/internal/http1"
)

// writeRequest makes the bytes of the attempt under way in out: what [call.request]
// and package http1 make of it on the standard lane.
func (c *call) writeRequest(e *expressConn) error {
	target := http1.Target{Path: c.path, Query: c.outgoingQuery(), HasQuery: c.forceQuery}
	out, err := http1.AppendHead(e.room(), c.method, target, c.up.host)
	if err == nil {
		out, err = c.appendFields(out, &e.head.Fields)
	}
	if err != nil {
		return err
	}
	out = http1.AppendLength(out, c.method, int64(len(e.body)))
	e.out = append(append(out, "\r\n"...), e.body...)
	return nil
}

// appendFields appends what [call.outgoing] makes of the client's fields.
func (c *call) appendFields(out []byte, fields *http1.Fields) ([]byte, error) {
	var cookies []string
	encodings := false
	for i := range fields.Len() {
		name, value := fields.At(i)
		if ofConnection(name) {
			continue
		}
		if n := c.route.strip.headers.spelt(name); n != nil && n.goes(name, fields.Values(name)) {
			continue
		}
		switch {
		case name == "Cookie":
			cookies = c.header.cookies // come with those that are injected
			continue
		case name == "Accept-Encoding" && c.route.bodies:
			if encodings {
				continue
			}
			encodings = true
			value = reduceEncoding(fields.Values(name))
		}
		out = http1.AppendChecked(out, name, value)
	}
	var err error
	for i := range c.fields {
		f := &c.fields[i]
		switch f.In {
		case exchange.Header:
			name := c.route.key(f.Name)
			if f.IfAbsent && len(c.header.Values(name)) == 1 {
				continue
			}
			if out, err = http1.AppendField(out, name, f.Value); err != nil {
				return nil, err
			}
		case exchange.Cookie:
			if !(f.IfAbsent && countCookie(cookies, f.Name) == 1) {
				cookies = []string{addCookie(cookies, f.Name, f.Value)}
			}
		}
	}
	for _, cookie := range cookies {
		if out, err = http1.AppendField(out, "Cookie", cookie); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// relayExpress passes a plain answer on and ends it.
func (c *call) relayExpress(e *expressConn, now time.Time) {
	t := &e.trip
	c.status = t.Status
	c.session.release()
	if e.writer != nil {
		e.writer.done = true // it had interim answers alone
	}
	if e.x.leaving.Load() {
		e.keep = false
	}
	out := c.appendAnswer(e.room(), e, now)
	here := len(t.Here())
	if len(out)+here > cap(out) {
		large := e.x.buffers.Get()
		defer e.x.buffers.Put(large)
		out = append(large[:0], out...)
	}
	if t.Left() > int64(here) || len(out)+here > cap(out) {
		c.aborted = c.copyExpress(e, out) != nil
		return
	}
	p, _ := t.Next() // it is here
	out = append(out, p...)
	t.Done(now)
	_, err := e.conn.Write(out)
	c.aborted = err != nil
}

// copyExpress passes on an answer that is not here as a whole, after what was made of
// it so far.
func (c *call) copyExpress(e *expressConn, out []byte) error {
	t := &e.trip
	for t.Left() > 0 {
		p, sent, err := c.nextExpress(e, out)
		if sent {
			out = out[:0]
		}
		if err != nil {
			e.conn.Write(out)
			return err
		}
		if len(out) > 0 && len(out)+len(p) <= cap(out) { // the head leaves with the first bytes
			out = append(out, p...)
			p = out
		} else if len(out) > 0 {
			if _, err := e.conn.Write(out); err != nil {
				return err
			}
		}
		out = out[:0]
		if _, err := e.conn.Write(p); err != nil {
			return err
		}
	}
	t.Done(time.Now())
	return nil
}

// nextExpress returns the next bytes of the body. Where a head waits for the first of
// them it is sent alone after a while, as by [call.firstRead].
func (c *call) nextExpress(e *expressConn, head []byte) (p []byte, sent bool, err error) {
	t := &e.trip
	if len(head) == 0 || len(t.Here()) > 0 {
		p, err = t.Next()
		return p, false, err
	}
	var failed error
	g := newGate(headDelay, func() { _, failed = e.conn.Write(head) })
	defer g.stop()
	if g.enter() {
		p, err = t.Next()
		sent = g.leave()
	}
	if failed != nil {
		err = failed
	}
	return p, sent, err
}

// appendAnswer appends the head of an answer: what [call.copyHead] and net/http's
// server make of it on the standard lane.
func (c *call) appendAnswer(out []byte, e *expressConn, now time.Time) []byte {
	t := &e.trip
	out = appendStatus(out, t.Status)
	injectsQuery := c.route.Plan.InjectsQuery()
	dated := false
	for i := range t.Fields.Len() {
		name, value := t.Fields.At(i)
		switch name {
		case "Content-Length", "Content-Type":
			if name == "Content-Length" || t.Status == http.StatusNotModified || c.hidden(name) {
				continue
			}
		case "Date":
			dated = !c.hidden(name)
		case "Set-Cookie", "Location", "Content-Location", "Proxy-Status":
			if !c.hidden(name) {
				out = c.appendPassed(out, name, value)
			}
			continue
		}
		switch {
		case isHop(name) || c.hidden(name):
		case injectsQuery:
			out = c.appendPassed(out, name, value)
		default:
			out = http1.AppendChecked(out, name, value)
		}
	}
	if !dated {
		out = http1.AppendChecked(out, "Date", e.x.dates.at(now))
	}
	if t.Length >= 0 && bodyAllowed(t.Status) && !(c.method == http.MethodHead && t.Length == 0 && len(t.Fields.Values("Content-Length")) == 0) {
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), t.Length, 10), "\r\n"...)
	}
	if !e.keep {
		out = append(out, "Connection: close\r\n"...)
	}
	return append(out, "\r\n"...)
}

// appendPassed appends a field as far as it is passed on.
func (c *call) appendPassed(out []byte, name, value string) []byte {
	for _, v := range c.passedValues(name, []string{value}) {
		out = http1.AppendChecked(out, name, v)
	}
	return out
}

// bodyAllowed reports whether an answer of that status may have a body (RFC 9110
// section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// appendStatus appends the status line that net/http's server would write.
func appendStatus(out []byte, status int) []byte {
	if status == http.StatusOK {
		return append(out, "HTTP/1.1 200 OK\r\n"...)
	}
	out = append(strconv.AppendInt(append(out, "HTTP/1.1 "...), int64(status), 10), ' ')
	if text := http.StatusText(status); text != "" {
		out = append(out, text...)
	} else {
		out = strconv.AppendInt(append(out, "status code "...), int64(status), 10)
	}
	return append(out, "\r\n"...)
}
