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
	grpc := isGRPC(ans.Header.Get("Content-Type"))
	if !grpc { // only gRPC says something about tokens at the end
		c.session.release()
	}
	c.copyHead(ans)
	announced := c.announceTrailers(ans)
	c.closeIfUnread()
	c.w.WriteHeader(ans.StatusCode)
	if err := c.copyBody(ans); err != nil {
		// Either the client is gone, or it must not take this for a whole
		// answer.
		c.aborted = true
		return
	}
	c.copyTrailers(ans, announced)
	if grpc && len(ans.Trailer) > 0 {
		c.judgeTrailers(ans)
	}
}

// copyHead fills the client's header from the answer's.
func (c *call) copyHead(ans *http.Response) {
	dst := c.w.Header()
	declared := connectionFields(ans.Header["Connection"])
	for key, values := range ans.Header {
		if _, ok := declared[key]; ok || isHop(key) || c.hidden(key) {
			continue
		}
		switch {
		case key == "Set-Cookie":
			values = c.visibleCookies(values)
		case key == "Location" || key == "Content-Location":
			values = c.locations(values)
		case key == "Proxy-Status":
			values = foreignStatus(values)
		case strings.HasPrefix(key, "Access-Control-") && len(dst[key]) > 0:
			continue // CORS was answered by the guard
		}
		values = withoutTokens(key, values, c.fields)
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
		mapped[i] = c.route.location(value, c.fields)
	}
	return mapped
}

// passesTrailer reports whether a trailer field of an answer goes to the
// client.
func (c *call) passesTrailer(key string) bool {
	return !isHop(key) && !isFraming(key) && !c.hidden(key) && !c.route.strip.trailer(key)
}

// announceTrailers declares the trailers that the upstream announced, as far as
// they are passed on, and returns their names.
func (c *call) announceTrailers(ans *http.Response) []string {
	var keys []string
	for key := range ans.Trailer {
		if c.passesTrailer(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		c.w.Header()["Trailer"] = []string{strings.Join(keys, ", ")}
	}
	return keys
}

// copyTrailers sends the trailers, which are known once the body has ended.
func (c *call) copyTrailers(ans *http.Response, announced []string) {
	if len(ans.Trailer) == 0 {
		return
	}
	// Without this the server would give a short body a Content-Length, which
	// leaves no room for trailers.
	c.flush()
	dst := c.w.Header()
	for key, values := range ans.Trailer {
		values = withoutTokens(key, values, c.fields)
		if key == "Set-Cookie" { // clients may merge trailers into the header
			values = c.visibleCookies(values)
		}
		switch {
		case !c.passesTrailer(key) || len(values) == 0:
		case slices.Contains(announced, key):
			dst[key] = values
		default:
			dst[http.TrailerPrefix+key] = values
		}
	}
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
	if c.r.Method == http.MethodHead || ans.ContentLength == 0 {
		return nil
	}
	buf := c.proxy.buffers.Get()
	defer c.proxy.buffers.Put(buf)
	n, err := c.firstRead(ans, buf)
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

// firstRead reads the beginning of the body. The head leaves with it, or before
// it if that takes long.
func (c *call) firstRead(ans *http.Response, buf []byte) (int, error) {
	if b, ok := ans.Body.(interface{ Buffered() bool }); ok && b.Buffered() {
		return ans.Body.Read(buf) // without waiting
	}
	if _, held := ans.Body.(*hold); held || isStream(ans.Header.Get("Content-Type")) {
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

// judgeTrailers looks at the trailers of a gRPC answer: a refusal there renews
// the token, though it is too late to repair this request.
func (c *call) judgeTrailers(ans *http.Response) {
	req, res := c.head(), exchange.Head{Status: ans.StatusCode, Header: ans.Trailer}
	c.session.settle(c.r.Context(), c.route.Plan.Judge(req, res, nil), false)
}
