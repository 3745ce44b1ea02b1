package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"attache/internal/exchange"
)

const (
	// drainBytes and drainTime bound what is read of an answer that nobody
	// wants, so that its connection can be used again.
	drainBytes = 64 << 10
	drainTime  = time.Second
	// unreadGrace is how long a client may go on sending a body that the
	// upstream does not want. Ending its connection at once would destroy the
	// answer that is on its way to it.
	unreadGrace = 500 * time.Millisecond
)

// openBody prepares the request's body for being sent more than once.
func (c *call) openBody() {
	r := c.r
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	c.body = newBodyCopy(r.Body, r.ContentLength, c.route.ReplayMaxBody)
	c.body.trailer = r.Trailer
	if r.ProtoMajor == 1 {
		// Otherwise the server would swallow what the upstream has not read
		// yet as soon as an answer begins.
		c.duplex = http.NewResponseController(c.w).EnableFullDuplex() == nil
	}
}

// closeIfUnread ends the client's connection after the answer if the upstream
// has not read the whole body: what is left of it must never be taken for the
// next request.
func (c *call) closeIfUnread() {
	if c.duplex && !c.body.read() {
		c.w.Header()["Connection"] = []string{"close"}
	}
}

// stopBody ends attempts that still read the client's body, and the body itself
// if the client is still sending it. The server would wait for its end without
// any bound of time.
func (c *call) stopBody() {
	if c.body == nil {
		return
	}
	c.body.stop()
	if !c.duplex || c.body.read() {
		return
	}
	deadline := time.Now()
	if c.done && !c.aborted {
		c.flush() // the client has its answer meanwhile
		deadline = deadline.Add(unreadGrace)
	}
	http.NewResponseController(c.w).SetReadDeadline(deadline)
	c.r.Body.Close()
}

// hindrance says why the request cannot be sent again; empty: it can.
func (c *call) hindrance() string {
	if c.body == nil || c.body.complete() {
		return ""
	}
	return ReplayBody
}

// send makes one attempt with the session's tokens. Errors are *answer or
// errClientGone.
func (c *call) send(ctx context.Context) (*http.Response, error) {
	err := c.aimByTokens()
	if err != nil {
		return nil, err
	}
	if err := c.takeFields(); err != nil {
		return nil, err
	}
	req, err := c.request(ctx)
	if err != nil {
		return nil, internalError()
	}
	start := time.Now()
	ans, err := c.route.Transport.Send(req, c.passInterim)
	if err := c.sent(ctx, time.Since(start), err); err != nil {
		return nil, err
	}
	if err := c.checkAnswer(ans); err != nil {
		return nil, err
	}
	return ans, nil
}

// takeFields has the session's tokens put into what is injected. Errors are *answer.
func (c *call) takeFields() (err error) {
	c.fields, err = c.route.Plan.AppendFields(c.fields[:0], c.session.params, c.session.tokens)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*exchange.ParamError](err); ok {
		return badParam(e)
	}
	return internalError()
}

// sent counts an attempt, after which there is the head of an answer, or err. Errors
// are *answer or errClientGone.
func (c *call) sent(ctx context.Context, took time.Duration, err error) error {
	c.upstream += took
	if err != nil {
		return c.sendFailure(ctx, err)
	}
	trace := c.trace
	if c.replays > 0 {
		trace = exchange.Trace{} // a request leaves one exemplar at most
	}
	c.metrics.Upstream(took, trace)
	return nil
}

// checkAnswer ends an answer that cannot be passed on, and says why. Errors are
// *answer.
func (c *call) checkAnswer(ans *http.Response) error {
	if ans.StatusCode < 100 || ans.StatusCode > 999 { // net/http passes it on here, and panics when it is to be sent
		ans.Body.Close()
		return badGateway(errProtocol, "the upstream answered with a status that is none")
	}
	if ans.StatusCode == http.StatusSwitchingProtocols {
		if own := c.badSwitch(ans); own != nil {
			ans.Body.Close()
			return own
		}
	}
	return nil
}

// sendFailure says why there is no answer: the client, its body, or the
// upstream.
func (c *call) sendFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errClientGone
	}
	if c.replays > 0 {
		c.metrics.Replay(ReplayError)
	}
	if c.body != nil {
		if err := c.body.failure(); err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return &answer{status: http.StatusRequestEntityTooLarge, kind: errRequest, detail: "the request's body is too large"}
			}
			return badRequest("the request's body could not be read")
		}
	}
	if c.grpc && time.Since(c.start) >= grpcTimeout(c.r.Header["Grpc-Timeout"]) {
		return callTimedOut()
	}
	return transportFailure(err)
}

// request builds the outgoing request of one attempt. It shares nothing with
// other attempts but the client's body.
func (c *call) request(ctx context.Context) (*http.Request, error) {
	query := c.outgoingQuery()
	up := c.up
	req := (&http.Request{
		Method:        c.method,
		URL:           requestURL(up.scheme, up.host, c.path, query, c.forceQuery),
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        c.outgoing(),
		Host:          up.host,
		ContentLength: c.r.ContentLength,
	}).WithContext(ctx)
	if c.body == nil {
		req.ContentLength = 0
		return req, nil
	}
	trailer := c.outgoingTrailer()
	view, err := c.body.view(trailer)
	if err != nil {
		return nil, err
	}
	req.Body, req.Trailer = view, trailer
	// The transport asks for the body again if a connection turns out to be
	// dead before anything was written to it.
	req.GetBody = view.again
	return req, nil
}

// outgoingQuery is the query with what is injected.
func (c *call) outgoingQuery() string {
	query := c.query
	for i := range c.fields {
		f := &c.fields[i]
		if f.In == exchange.Query && !(f.IfAbsent && countQuery(query, f.Name) == 1) {
			query = addQuery(query, f.Name, f.Value)
		}
	}
	return query
}

// fieldList builds a header whose values share one array.
type fieldList struct {
	header http.Header
	values []string
}

func (l *fieldList) set(key string, values ...string) {
	from := len(l.values)
	l.values = append(l.values, values...)
	l.header[key] = l.values[from:len(l.values):len(l.values)]
}

// outgoing builds the header: what the client sent, less what is for one
// connection and what is stripped; then, and only then, what is injected.
func (c *call) outgoing() http.Header {
	src := c.r.Header
	count := len(c.fields) + 4
	for _, values := range src {
		count += len(values)
	}
	out := fieldList{header: make(http.Header, len(src)+len(c.fields)+2), values: make([]string, 0, count)}
	declared := connectionFields(src["Connection"])
	for key, values := range src {
		if _, ok := declared[key]; ok || ofConnection(key) || c.route.strip.header(key, values) {
			continue
		}
		switch key {
		case "Cookie":
			values = c.header.cookies
		case "Accept-Encoding":
			if c.route.bodies && !c.upgrade {
				out.set(key, reduceEncoding(values))
				continue
			}
		}
		if len(values) > 0 {
			out.set(key, values...)
		}
	}
	if hasToken(src["Te"], "trailers") {
		out.set("Te", "trailers")
	}
	if c.upgrade {
		out.set("Connection", "Upgrade")
		out.set("Upgrade", "websocket")
	}
	c.inject(&out)
	return out.header
}

// inject adds headers and cookies.
func (c *call) inject(out *fieldList) {
	for i := range c.fields {
		f := &c.fields[i]
		switch f.In {
		case exchange.Header:
			key := c.route.key(f.Name)
			if f.IfAbsent && len(out.header[key]) == 1 {
				continue
			}
			out.set(key, f.Value)
		case exchange.Cookie:
			cookies := out.header["Cookie"]
			if f.IfAbsent && countCookie(cookies, f.Name) == 1 {
				continue
			}
			out.set("Cookie", addCookie(cookies, f.Name, f.Value))
		}
	}
}

// outgoingTrailer returns the fields that the client announced and that may
// follow its body; their values come with its end.
func (c *call) outgoingTrailer() http.Header {
	var trailer http.Header
	for key := range c.r.Trailer {
		if ofConnection(key) || c.route.strip.trailer(key) {
			continue
		}
		if trailer == nil {
			trailer = http.Header{}
		}
		trailer[key] = nil
	}
	return trailer
}

// judge says what the answer means for the tokens and sees to it. It reports
// whether to send the request again. Errors are *answer or errClientGone.
func (c *call) judge(ctx context.Context, ans *http.Response) (again bool, err error) {
	req, res := c.head(), exchange.Head{Status: ans.StatusCode, Header: ans.Header}
	var body []byte
	if want := c.wantsBody(req, res, ans.ContentLength); want != exchange.NoBody {
		body, err = holdBody(ans, want, &c.proxy.decoders).await(ctx)
		if err != nil {
			return false, c.sendFailure(ctx, err)
		}
	}
	v := c.route.Plan.Judge(req, res, body)
	if len(v.Refused) == 0 && c.route.trailers && endsLater(c.method, ans) {
		return c.judgeEnd(ctx, ans, v)
	}
	hindrance := ""
	switch {
	case len(v.Refused) == 0:
	case ans.StatusCode == http.StatusSwitchingProtocols:
		hindrance = ReplayLate
	default:
		hindrance = c.hindrance()
	}
	return c.session.settle(ctx, v, hindrance)
}

// wantsBody says what rules have to see of an answer's body, of which length bytes are
// declared; -1: it may have any length.
func (c *call) wantsBody(req, res exchange.Head, length int64) exchange.BodyWant {
	if !c.route.bodies || !holdable(c.method, res.Status, length, res.Header) {
		return exchange.NoBody
	}
	return c.route.Plan.WantsBody(req, res)
}

// discard gives up an answer. What little is left of it is read in the
// background, for the connection's sake.
func discard(ans *http.Response) {
	if ans.StatusCode == http.StatusSwitchingProtocols || ans.ContentLength == 0 || ans.ContentLength > drainBytes {
		ans.Body.Close()
		return
	}
	go func() {
		timer := time.AfterFunc(drainTime, func() { ans.Body.Close() })
		defer timer.Stop()
		io.CopyN(io.Discard, ans.Body, drainBytes)
		ans.Body.Close()
	}()
}
