package proxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"attache/internal/exchange"
)

// headDelay is how long the head of an answer waits for the first bytes of its
// body, to leave in one piece with them. Streams do not wait.
const headDelay = 10 * time.Millisecond

// relay passes an answer on to the client and ends it.
func (c *call) relay(ans *http.Response) {
	c.status = ans.StatusCode
	if ans.StatusCode == http.StatusSwitchingProtocols {
		c.session.release() // the connection may live for days
		c.switchProtocols(ans)
		return
	}
	defer ans.Body.Close()
	if !c.unsettled {
		c.session.release()
	}
	if c.stream == nil {
		c.streamAnswer(ans)
	}
	if !c.headSent {
		c.announced = c.trailerNames(ans)
		c.sendHead(ans)
	}
	if err := c.copyBody(ans); err != nil {
		// Either the client is gone, or it must not take this for a whole
		// answer.
		c.aborted = !c.endCall(ans)
		if c.unsettled && c.replays > 0 {
			c.metrics.Replay(ReplayError)
		}
		return
	}
	c.copyTrailers(ans)
	if c.unsettled {
		c.settleEnd(ans)
	}
}

// sendHead begins the answer to the client.
func (c *call) sendHead(ans *http.Response) {
	c.headSent = true
	c.copyHead(ans)
	if len(c.announced) > 0 {
		c.w.Header()["Trailer"] = []string{strings.Join(c.announced, ", ")}
	}
	c.closeIfUnread()
	c.w.WriteHeader(ans.StatusCode)
}

// copyHead fills the client's header from the answer's.
func (c *call) copyHead(ans *http.Response) {
	dst := c.w.Header()
	declared := connectionFields(ans.Header["Connection"])
	for key, values := range ans.Header {
		if _, ok := declared[key]; ok || isHop(key) || c.hidden(key) {
			continue
		}
		if strings.HasPrefix(key, "Access-Control-") && len(dst[key]) > 0 {
			continue // CORS was answered by the guard
		}
		values = c.passedValues(key, values)
		switch {
		case len(values) == 0:
		case len(dst[key]) == 0:
			dst[key] = values // nobody changes them any more
		default:
			dst[key] = slices.Concat(dst[key], values)
		}
	}
	if _, ok := dst["Content-Type"]; !ok {
		dst["Content-Type"] = nil // the server must not guess one
	}
}

// passedValues returns what goes to the client of a field in head or trailer.
func (c *call) passedValues(key string, values []string) []string {
	switch key {
	case "Set-Cookie":
		values = c.visibleCookies(values)
	case "Location", "Content-Location":
		values = c.locations(values)
	case "Proxy-Status":
		values = foreignStatus(values)
	}
	return withoutTokens(key, values, c.fields)
}

// hidden reports whether a field is removed from answers.
func (c *call) hidden(key string) bool {
	for i := range c.route.hide {
		if headerIs(key, c.route.hide[i].folded) {
			return true
		}
	}
	return false
}

// visibleCookies leaves out the Set-Cookie fields of cookies that are hidden, and
// of those that were injected: what the upstream sets there is a token, and the
// client's own would not be sent back anyway.
func (c *call) visibleCookies(values []string) []string {
	var visible []string
	for _, value := range values {
		if !c.hidesCookie(value) {
			visible = append(visible, value)
		}
	}
	return visible
}

func (c *call) hidesCookie(setCookie string) bool {
	for _, name := range c.route.hideSet {
		if setCookieIs(setCookie, name) {
			return true
		}
	}
	for i := range c.fields {
		if c.fields[i].In == exchange.Cookie && setCookieIs(setCookie, c.fields[i].Name) {
			return true
		}
	}
	return false
}

func (c *call) locations(values []string) []string {
	mapped := make([]string, len(values))
	for i, value := range values {
		mapped[i] = c.route.location(c.up, value, c.fields)
	}
	return mapped
}

// passesTrailer reports whether a trailer field of an answer goes to the
// client.
func (c *call) passesTrailer(key string) bool {
	return !isHop(key) && !isFraming(key) && !c.hidden(key) && !c.route.strip.trailer(key)
}

// trailerNames returns the names of the trailers that the upstream announced, as
// far as they are passed on.
func (c *call) trailerNames(ans *http.Response) []string {
	var keys []string
	for key := range ans.Trailer {
		if c.passesTrailer(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// copyTrailers sends the trailers, which are known once the body has ended.
func (c *call) copyTrailers(ans *http.Response) {
	if len(ans.Trailer) == 0 {
		return
	}
	// Without this the server would give a short body a Content-Length, which
	// leaves no room for trailers.
	c.flush()
	for key, values := range ans.Trailer {
		values = c.passedValues(key, values) // clients may merge trailers into the header
		if c.passesTrailer(key) && len(values) > 0 {
			c.setTrailer(key, values)
		}
	}
}

// setTrailer adds a trailer to the client's answer, whose head was sent.
func (c *call) setTrailer(key string, values []string) {
	if !slices.Contains(c.announced, key) {
		key = http.TrailerPrefix + key
	}
	c.w.Header()[key] = values
}

func (c *call) flush() {
	if f, ok := c.w.(http.Flusher); ok {
		f.Flush()
		return
	}
	http.NewResponseController(c.w).Flush()
}

// copyBody copies the body as it arrives. Every piece is flushed, except a last
// one that comes with the end, which the server flushes.
func (c *call) copyBody(ans *http.Response) error {
	buf, n, err := c.first.buf, c.first.n, c.first.err
	if buf == nil {
		if c.method == http.MethodHead || bodiless(ans) {
			return nil
		}
		buf = c.proxy.buffers.Get()
		n, err = c.firstRead(ans, buf)
	}
	c.first = firstPart{} // the buffer is given back below, and once
	defer c.proxy.buffers.Put(buf)
	for {
		if n > 0 {
			if _, failed := c.w.Write(buf[:n]); failed != nil {
				return failed
			}
			if err == nil {
				c.flush()
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
		n, err = ans.Body.Read(buf)
	}
}

// bodiless reports whether nothing follows the head of an answer. Over HTTP/2 a
// length of 0 does not say so: a trailer may follow, and is found by reading.
func bodiless(ans *http.Response) bool {
	return ans.Body == http.NoBody || ans.ContentLength == 0 && ans.ProtoMajor == 1
}

// firstRead reads the beginning of the body. The head leaves with it, or before
// it if that takes long.
func (c *call) firstRead(ans *http.Response, buf []byte) (int, error) {
	if b, ok := ans.Body.(interface{ Buffered() bool }); ok && b.Buffered() {
		return ans.Body.Read(buf) // without waiting
	}
	// A stream of length 0 is a gRPC answer of trailers alone: its head must be
	// its end as well, or clients miss the status in it.
	if _, held := ans.Body.(*hold); held || ans.ContentLength != 0 && isStream(ans.Header.Get("Content-Type")) {
		c.flush()
		return ans.Body.Read(buf)
	}
	g := newGate(headDelay, c.flush)
	defer g.stop()
	if !g.enter() {
		c.flush()
		return ans.Body.Read(buf)
	}
	n, err := ans.Body.Read(buf)
	g.leave()
	return n, err
}
