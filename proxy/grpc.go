package proxy

import (
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"attache/internal/exchange"
)

// endDelay is how long the head of a gRPC answer that does not say how the call
// ended waits for the first byte of the body or for its end. A server that
// refuses a call without a message sends head and trailer in one piece, so that
// only their ways apart count; a server that sends its head early and messages
// later pays this once for each call, which no conversation feels.
const endDelay = 20 * time.Millisecond

// firstPart is the beginning of an answer's body, read before it was known
// whether the answer is passed on.
type firstPart struct {
	buf []byte // from the proxy's buffers; nil: nothing was read ahead
	n   int
	err error
}

// endsLater reports whether the status of a gRPC call is still to come, in the
// trailer.
func endsLater(method string, ans *http.Response) bool {
	return method != http.MethodHead && ans.StatusCode == http.StatusOK &&
		isGRPC(ans.Header.Get("Content-Type")) && len(ans.Header["Grpc-Status"]) == 0
}

// judgeEnd judges a gRPC answer whose head refused nothing; v is what it said
// besides. If the answer ends before anything of it was sent to the client, it
// is judged by its trailer as any other is by its head. Otherwise it is passed
// on, and settleEnd has the last word. Errors are *answer or errClientGone.
func (c *call) judgeEnd(ctx context.Context, ans *http.Response, v exchange.Verdict) (again bool, err error) {
	c.session.offerAll(v)
	if !c.awaitEnd(ans) {
		c.unsettled = true
		return false, nil
	}
	hindrance := c.hindrance()
	if c.headSent {
		hindrance = ReplayLate
	}
	again, err = c.session.settle(ctx, c.endVerdict(ans), hindrance)
	if again || err != nil {
		c.proxy.buffers.Put(c.first.buf)
		c.first = firstPart{}
	}
	return again, err
}

// awaitEnd reads the beginning of the body, and reports whether that is its end
// and came without a byte. The head goes to the client if that takes long.
func (c *call) awaitEnd(ans *http.Response) (ended bool) {
	c.announced = c.trailerNames(ans) // reading the body writes to ans.Trailer
	send := func() {
		c.sendHead(ans)
		c.flush()
	}
	g := newGate(endDelay, send)
	defer g.stop()
	inside := g.enter()
	if !inside {
		send()
	}
	c.first.buf = c.proxy.buffers.Get()
	c.first.n, c.first.err = ans.Body.Read(c.first.buf)
	if inside {
		g.leave()
	}
	return c.first.n == 0 && c.first.err == io.EOF
}

// settleEnd judges the trailer of an answer that was passed on: a refusal there
// renews the token, though it is too late to repair this call.
func (c *call) settleEnd(ans *http.Response) {
	c.session.settle(c.ctx, c.endVerdict(ans), ReplayLate)
}

// endVerdict is what an answer means now that it has ended. What its head
// offered was taken already.
func (c *call) endVerdict(ans *http.Response) exchange.Verdict {
	v := c.route.Plan.Judge(c.head(), exchange.Head{
		Status: ans.StatusCode, Header: ans.Header, Trailer: ans.Trailer,
	}, nil)
	v.Renewed = nil
	return v
}

// callTimedOut answers a call that the upstream gave up when the time that the
// client allows for it was over: a server may then reset the stream, which is no
// fault of its own.
func callTimedOut() *answer {
	const deadlineExceeded = 4
	own := timeout(errAnswerTimeout, "the call's own time was over before the upstream answered")
	own.grpc = deadlineExceeded
	return own
}

// grpcTimeout returns the time that a Grpc-Timeout field allows for a call: at
// most eight digits and a unit, by gRPC's protocol over HTTP/2. Without such a
// field, or with one that cannot be read, it is longer than any call.
func grpcTimeout(values []string) time.Duration {
	const none = time.Duration(math.MaxInt64)
	if len(values) != 1 || len(values[0]) < 2 || len(values[0]) > 9 {
		return none
	}
	digits, unit := values[0][:len(values[0])-1], values[0][len(values[0])-1]
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return none
	}
	switch unit {
	case 'H':
		if n > uint64(none/time.Hour) {
			return none
		}
		return time.Duration(n) * time.Hour
	case 'M':
		return time.Duration(n) * time.Minute
	case 'S':
		return time.Duration(n) * time.Second
	case 'm':
		return time.Duration(n) * time.Millisecond
	case 'u':
		return time.Duration(n) * time.Microsecond
	case 'n':
		return time.Duration(n)
	}
	return none
}
