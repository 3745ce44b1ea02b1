package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

var (
	errBodyStopped = errors.New("the request is over")
	errBodyGone    = errors.New("the request's body is too large to be sent again")
)

// bodyCopy copies a request's body while it is sent, up to a bound, so that the
// request can be sent again. Each attempt reads through a view of its own; what
// was read before comes from the copy, the rest from the client.
//
// A view may still be reading when the upstream has answered. Nothing here waits
// for that: the copy is complete or it is not.
type bodyCopy struct {
	src    io.Reader
	length int64 // declared; -1: unknown
	max    int64
	// trailer is the client's, complete once src has ended.
	trailer http.Header

	turn    chan struct{} // holds one element while somebody reads src
	stopped atomic.Bool

	mu    sync.Mutex
	buf   []byte // the beginning of the body
	total int64  // bytes read from src; more than len(buf): the copy is of no use
	err   error  // how src ended; nil: it has not
}

func newBodyCopy(src io.Reader, length, limit int64) *bodyCopy {
	return &bodyCopy{src: src, length: length, max: limit, turn: make(chan struct{}, 1)}
}

// complete reports whether the whole body was copied.
func (b *bodyCopy) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total == int64(len(b.buf)) && b.total <= b.max && b.ended()
}

// finishedBody returns a copy of a body that was read to its end.
func finishedBody(body []byte, limit int64) *bodyCopy {
	n := int64(len(body))
	b := newBodyCopy(nil, n, limit)
	b.buf, b.total, b.err = bytes.Clone(body), n, io.EOF
	return b
}

// read reports whether the client has sent the whole body, copied or not.
func (b *bodyCopy) read() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended()
}

func (b *bodyCopy) ended() bool {
	return b.err == io.EOF || (b.err == nil && b.length >= 0 && b.total == b.length)
}

// failure returns the error that ended the client's body early, or nil.
func (b *bodyCopy) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// stop ends reading: views return an error from now on, except those that are
// reading right now.
func (b *bodyCopy) stop() { b.stopped.Store(true) }

// view returns a reader of the whole body. The trailer's fields appear in
// trailer, which may be nil, before the reader returns io.EOF.
func (b *bodyCopy) view(trailer http.Header) (*bodyView, error) {
	return b.viewInto(&lateTrailer{header: trailer})
}

func (b *bodyCopy) viewInto(trailer *lateTrailer) (*bodyView, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total > int64(len(b.buf)) {
		return nil, errBodyGone
	}
	return &bodyView{body: b, trailer: trailer}, nil
}

// lateTrailer is the trailer of a request, which all views of that request fill:
// once, because a transport may read it then. The body's mu guards it.
type lateTrailer struct {
	header http.Header
	filled bool
}

// bodyView is one reader of a bodyCopy.
type bodyView struct {
	body    *bodyCopy
	trailer *lateTrailer
	off     int64
	closed  bool // guarded by the body's mu
}

// again returns another view for the same request.
func (v *bodyView) again() (io.ReadCloser, error) { return v.body.viewInto(v.trailer) }

// Read implements [io.Reader].
func (v *bodyView) Read(p []byte) (int, error) {
	if n, err := v.copied(p); n > 0 || err != nil || len(p) == 0 {
		return n, err
	}
	b := v.body
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	// Another view may have read on meanwhile.
	if n, err := v.copied(p); n > 0 || err != nil {
		return n, err
	}
	n, err := b.src.Read(p)
	b.mu.Lock()
	b.keepCopy(p[:n])
	b.err = err
	if err == io.EOF {
		v.fillTrailer()
	}
	b.mu.Unlock()
	v.off += int64(n)
	return n, err
}

// Close implements [io.Closer]. The client's body stays open: the server closes
// it, and a replay may read on. A read under way goes on, but what it finds out
// about the trailer is no longer told to the transport, which may have begun to
// send the request again.
func (v *bodyView) Close() error {
	v.body.mu.Lock()
	defer v.body.mu.Unlock()
	v.closed = true
	return nil
}

// Ready returns how many bytes lie in the copy.
func (v *bodyView) Ready() int64 {
	v.body.mu.Lock()
	defer v.body.mu.Unlock()
	return int64(len(v.body.buf)) - v.off
}

// copied reads what lies in the copy, and how the body ended if that is known.
func (v *bodyView) copied(p []byte) (int, error) {
	b := v.body
	if b.stopped.Load() {
		return 0, errBodyStopped
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case v.off < int64(len(b.buf)):
		n := copy(p, b.buf[v.off:])
		v.off += int64(n)
		return n, nil
	case v.off < b.total:
		return 0, errBodyGone
	case b.err == io.EOF:
		v.fillTrailer()
	}
	return 0, b.err
}

// keepCopy appends to the copy as long as there is room for all.
func (b *bodyCopy) keepCopy(p []byte) {
	whole := b.total == int64(len(b.buf))
	b.total += int64(len(p))
	if !whole || b.total > b.max || b.length > b.max || len(p) == 0 {
		return
	}
	if b.buf == nil && b.length > 0 {
		b.buf = make([]byte, 0, b.length)
	}
	b.buf = append(b.buf, p...)
}

// fillTrailer is called with the body's mu held.
func (v *bodyView) fillTrailer() {
	if v.closed || v.trailer.filled {
		return
	}
	v.trailer.filled = true
	for key := range v.trailer.header {
		v.trailer.header[key] = slices.Clone(v.body.trailer[key])
	}
}
