package proxy

import (
	"net/http"
	"sync/atomic"
)

// Leaving is a handler that can tell its clients to go elsewhere, before its
// listener closes. From [Leaving.Leave] on, every answer whose head was not sent
// yet carries "Connection: close" (RFC 9112 section 9.6), and an HTTP/2
// connection is told to end once its streams have (GOAWAY, RFC 9113 section 6.8).
// So nobody sends a request on a kept connection at the very moment when it is
// closed: such a request is lost, and what is not idempotent may not be sent
// again. Requests are answered as ever. [http.Server.SetKeepAlivesEnabled] says
// the same, but closes idle connections in that moment.
//
// It is safe for concurrent use. It should stand right inside [Bounds.Server], so
// that it also speaks for answers made by guards.
type Leaving struct {
	next http.Handler
	left atomic.Bool
}

// NewLeaving returns a handler in front of next.
func NewLeaving(next http.Handler) *Leaving { return &Leaving{next: next} }

// Leave is called once it is known that the listener will close. There is no way
// back.
func (l *Leaving) Leave() { l.left.Store(true) }

// ServeHTTP implements [http.Handler].
func (l *Leaving) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lw := &leavingWriter{ResponseWriter: w, left: &l.left}
	l.next.ServeHTTP(lw, r)
	lw.begin() // it may have written nothing at all
}

// leavingWriter asks when the head of the answer is sent: the request may have
// begun long before.
type leavingWriter struct {
	http.ResponseWriter
	left *atomic.Bool
	sent bool // the head of the final answer
}

// WriteHeader implements [http.ResponseWriter].
func (w *leavingWriter) WriteHeader(status int) {
	if status >= 200 {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

// begin completes the head of the final answer. A 101 is none: what is said on
// its connection from then on is no HTTP.
func (w *leavingWriter) begin() {
	if w.sent {
		return
	}
	w.sent = true
	if w.left.Load() {
		w.Header()["Connection"] = []string{"close"} // net/http turns it into GOAWAY on HTTP/2
	}
}

// Write implements [io.Writer].
func (w *leavingWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (w *leavingWriter) Flush() { w.FlushError() }

// FlushError is what [http.ResponseController.Flush] looks for.
func (w *leavingWriter) FlushError() error {
	w.begin()
	if f, ok := w.ResponseWriter.(interface{ FlushError() error }); ok {
		return f.FlushError()
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (w *leavingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
