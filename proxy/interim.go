package proxy

import (
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"sync"
)

// passInterim passes an interim answer (RFC 9110 section 15.2) on to the client,
// by the rules for any answer's header. Those of an attempt that is refused
// later are passed on as well: nothing in them depends on what comes after.
func (c *call) passInterim(status int, header http.Header) {
	if status <= http.StatusSwitchingProtocols || !c.r.ProtoAtLeast(1, 1) {
		return // the client has its 100 from the server, once its body is read
	}
	if c.r.ProtoMajor == 1 && c.body != nil && c.r.Header["Expect"] != nil && !c.body.read() {
		return // the server may be writing that 100 right now, and would not wait
	}
	h := c.w.Header()
	final := maps.Clone(h)
	clear(h)
	c.copyHead(&http.Response{Header: header})
	// It is never sent, but with it net/http writes a copy of the header. Without
	// it an HTTP/2 server goes on reading h itself after WriteHeader has returned,
	// if the client resets the stream meanwhile.
	h["Content-Length"] = nil
	c.w.WriteHeader(status)
	clear(h)
	maps.Copy(h, final)
}

const (
	// maxInterim bounds the interim answers to one request.
	maxInterim = 100
	// interimQueue bounds those that wait for a slow client.
	interimQueue = 16
)

var errInterim = errors.New("there are too many interim answers")

// interimRelay carries interim answers away from a connection that many requests
// share: one client that does not read must not stop the others. Its goroutine
// begins with the first of them.
type interimRelay struct {
	pass func(status int, header http.Header)

	mu    sync.Mutex
	count int
	queue chan interim  // nil: there was none so far
	done  chan struct{} // closed when the goroutine has ended
	over  bool
}

type interim struct {
	status int
	header http.Header
}

// got takes an interim answer, or drops it if too many wait.
func (r *interimRelay) got(status int, header textproto.MIMEHeader) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count++; r.over || r.count > maxInterim {
		return errInterim
	}
	if r.pass == nil || status == http.StatusContinue {
		return nil
	}
	if r.queue == nil {
		r.queue, r.done = make(chan interim, interimQueue), make(chan struct{})
		go r.run(r.queue)
	}
	select {
	case r.queue <- interim{status, http.Header(header)}:
	default:
	}
	return nil
}

func (r *interimRelay) run(queue chan interim) {
	defer close(r.done)
	for i := range queue {
		r.pass(i.status, i.header)
	}
}

// end waits until all that came is passed on; nothing is after that.
func (r *interimRelay) end() {
	r.mu.Lock()
	started := r.queue != nil && !r.over
	r.over = true
	if started {
		close(r.queue)
	}
	r.mu.Unlock()
	if started {
		<-r.done
	}
}
