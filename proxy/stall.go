package proxy

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// cutStalled returns a handler that ends requests whose body the client owes and
// does not send, and HTTP/2 streams of whose answer it takes nothing. (Of HTTP/1
// answers boundConn sees that. An HTTP/2 connection may move while one of its
// streams has no window.)
func (b Bounds) cutStalled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, ok := w.(interface{ SetReadDeadline(time.Time) error }); ok {
			d.SetReadDeadline(time.Time{}) // the server's ReadTimeout, which bounds also what moves
		}
		if r.ProtoMajor >= 2 {
			sw := &stallWriter{ResponseWriter: w, control: http.NewResponseController(w), stall: b.Stall}
			sw.watch.init(b.Stall, func() { sw.control.SetWriteDeadline(past()) })
			defer sw.end()
			w = sw
		}
		if owesBody(r) {
			body := &stallBody{ReadCloser: r.Body, control: http.NewResponseController(w), stall: b.Stall, http1: r.ProtoMajor == 1}
			body.watch.init(b.Stall, func() { body.control.SetReadDeadline(past()) })
			r.Body = body
			defer body.end()
		}
		next.ServeHTTP(w, r)
	})
}

// owesBody reports whether the client has a body to send, and no right to pause
// in its midst. In gRPC it has: a call may stay open for days, with a message
// now and then. Whether such a client is still there, PING tells.
func owesBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 && !isGRPCCall(r)
}

// past returns a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

// watch calls cut when one step takes too long. cut runs with mu held, and never
// after stop, when the connection may serve the next request.
type watch struct {
	stall time.Duration
	cut   func()

	mu    sync.Mutex
	timer *time.Timer
	began time.Time // of the step under way; zero: there is none
	over  bool
}

func (w *watch) init(stall time.Duration, cut func()) { w.stall, w.cut = stall, cut }

// begin and done enclose a step.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.began = time.Now()
	if w.timer == nil {
		w.timer = time.AfterFunc(w.stall, w.fire)
		return
	}
	w.timer.Reset(w.stall)
}

func (w *watch) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = time.Time{}
	if w.timer != nil {
		w.timer.Stop()
	}
}

// fire looks at the time again: it may be late, and about a step that is over.
func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over && !w.began.IsZero() && time.Since(w.began) >= w.stall {
		w.cut()
	}
}

func (w *watch) stop() {
	w.done()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// stallBody is a request's body that has to move while it is read.
type stallBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	http1   bool
	watch   watch

	mu    sync.Mutex
	ended bool // read to its end, or closed
}

// Read implements [io.Reader].
func (b *stallBody) Read(p []byte) (int, error) {
	b.watch.begin()
	n, err := b.ReadCloser.Read(p)
	b.watch.done()
	if err != nil {
		b.finish()
	}
	return n, err
}

// Close implements [io.Closer].
func (b *stallBody) Close() error {
	b.finish()
	return b.ReadCloser.Close()
}

func (b *stallBody) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// end is called when the handler is done. An HTTP/1 server reads the rest of a
// body, so that the connection can be used again, and waits for it without any
// bound. It sets a deadline of its own for the next request.
func (b *stallBody) end() {
	b.watch.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.http1 && !b.ended {
		b.control.SetReadDeadline(time.Now().Add(b.stall))
	}
}

// stallWriter is an HTTP/2 answer that has to move while it is written.
type stallWriter struct {
	http.ResponseWriter
	control *http.ResponseController // of ResponseWriter
	stall   time.Duration
	watch   watch
}

// Write implements [io.Writer].
func (w *stallWriter) Write(p []byte) (int, error) {
	w.watch.begin()
	defer w.watch.done()
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (w *stallWriter) Flush() { w.FlushError() }

// FlushError is what [http.ResponseController.Flush] looks for.
func (w *stallWriter) FlushError() error {
	w.watch.begin()
	defer w.watch.done()
	return w.control.Flush()
}

// Unwrap is for [http.ResponseController].
func (w *stallWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// end is called when the handler is done. The server then writes what lies in
// its buffer, which the client may not take either.
func (w *stallWriter) end() {
	w.watch.stop()
	w.control.SetWriteDeadline(time.Now().Add(w.stall))
}
