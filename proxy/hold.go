package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"attache/internal/exchange"
)

const (
	// holdBytes bounds what is held of an answer, and what it may decode to.
	holdBytes = 64 << 10
	// holdTime bounds how long, from the answer's head on.
	holdTime = time.Second
)

var errHoldEnded = errors.New("no more of the answer is held")

// holdable reports whether rules may look at the body of an answer at all. It
// never is where the head promises a stream, a part, or no body, and where the
// coding is none that a judge reads.
func holdable(method string, status int, length int64, header exchange.Getter) bool {
	switch status {
	case http.StatusSwitchingProtocols, http.StatusNoContent, http.StatusPartialContent, http.StatusNotModified:
		return false
	}
	if method == http.MethodHead || length == 0 || isStream(header.Get("Content-Type")) {
		return false
	}
	_, ok := gzipped(header.Values("Content-Encoding"))
	return ok
}

// isStream reports whether a content type is for answers without an end.
func isStream(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch kind {
	case "text/event-stream",
		"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
		"application/jsonlines", "application/json-seq", "application/stream+json":
		return true
	}
	return strings.HasPrefix(kind, "application/grpc")
}

// gzipped reports whether a body is gzip-coded. It is not ok if it is coded in
// any other way.
func gzipped(encoding []string) (zipped, ok bool) {
	if len(encoding) == 0 {
		return false, true
	}
	if len(encoding) > 1 {
		return false, false
	}
	switch strings.ToLower(strings.TrimSpace(encoding[0])) {
	case "", "identity":
		return false, true
	case "gzip", "x-gzip":
		return true, true
	}
	return false, false
}

// hold reads the beginning of an answer's body ahead, in a goroutine of its own
// because a read of a body cannot be given a deadline. It is then the reader of
// that body: first of what was held, in its original bytes, then of the rest.
type hold struct {
	body   io.ReadCloser
	want   exchange.BodyWant
	done   chan struct{} // closed when the goroutine has ended
	value  []byte        // what rules look at, decoded; nil: nothing
	offset int           // raw[:offset] was read by the holder

	mu      sync.Mutex
	raw     []byte
	err     error // how the body ended, io.EOF included
	stopped bool
}

// holdBody begins to hold ans.Body and takes its place. A body that is here as a
// whole needs no goroutine: most answers that a rule looks at are short, and came
// in one piece with their head.
func holdBody(ans *http.Response, want exchange.BodyWant, decoders *gzipPool) *hold {
	h := &hold{body: ans.Body, want: want, done: make(chan struct{})}
	ans.Body = h
	zipped, _ := gzipped(ans.Header["Content-Encoding"])
	b, ok := h.body.(interface{ Whole() bool })
	if ok && ans.ContentLength <= holdBytes && b.Whole() {
		h.readWhole(ans.ContentLength)
		if zipped {
			h.value = decoders.decode(bytes.NewReader(h.raw), h.find)
		} else {
			h.value = pickPart(h.raw, h.want)
		}
		close(h.done)
	} else {
		go h.look(zipped, decoders)
	}
	return h
}

// readWhole reads a body of n bytes that are all here.
func (h *hold) readWhole(n int64) {
	h.raw = make([]byte, n)
	m, err := io.ReadFull(h.body, h.raw)
	if h.raw, h.err = h.raw[:m], err; err == nil {
		h.err = io.EOF
	}
}

// look reads ahead and finds what rules look at.
func (h *hold) look(zipped bool, decoders *gzipPool) {
	defer close(h.done)
	if zipped {
		h.value = decoders.decode((*holdSource)(h), h.find)
	} else {
		h.value = h.find((*holdSource)(h))
	}
}

// pickPart returns what rules look at of a text that is here as a whole; nil:
// nothing.
func pickPart(text []byte, want exchange.BodyWant) []byte {
	var end jsonEnd
	state, from, to := end.scan(text)
	switch {
	case state == jsonEnded:
		return text[from:to]
	case want == exchange.TextBody:
		return text
	}
	return nil
}

// await waits until the part that rules look at is there, or will not come, or
// the time is up. Only in the first case it returns that part.
func (h *hold) await(ctx context.Context) ([]byte, error) {
	select {
	case <-h.done:
		return h.found()
	default:
	}
	timer := time.NewTimer(holdTime)
	defer timer.Stop()
	select {
	case <-h.done:
		return h.found()
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.mu.Lock()
	h.stopped = true
	h.mu.Unlock()
	return nil, nil
}

// found returns what came of looking. It is called once that has ended.
func (h *hold) found() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil && h.err != io.EOF {
		return nil, h.err
	}
	return h.value, nil
}

// find reads decoded text up to the end of its first JSON value, or, where text
// is wanted and no JSON begins, up to its end. It returns nil if there is no
// such end within the bounds.
func (h *hold) find(decoded io.Reader) []byte {
	var text []byte
	var end jsonEnd
	for len(text) < holdBytes {
		if len(text) == cap(text) {
			grown := make([]byte, len(text), min(max(2*cap(text), 4<<10), holdBytes))
			copy(grown, text)
			text = grown
		}
		n, err := decoded.Read(text[len(text):cap(text)])
		state, from, to := end.scan(text[len(text) : len(text)+n])
		text = text[:len(text)+n]
		switch {
		case state == jsonEnded:
			return text[from:to]
		case state == jsonNone && h.want != exchange.TextBody:
			return nil
		case err == io.EOF && h.want == exchange.TextBody:
			return text
		case err != nil:
			return nil
		}
	}
	return nil
}

// holdSource is a hold as its own goroutine sees it: it reads the body and
// keeps what it reads.
type holdSource hold

// Read implements [io.Reader]. It ends with errHoldEnded at the bound, or once
// the time is up.
func (s *holdSource) Read(p []byte) (int, error) {
	s.mu.Lock()
	room := holdBytes - len(s.raw)
	ended := s.stopped || room == 0
	s.mu.Unlock()
	if ended {
		return 0, errHoldEnded
	}
	n, err := s.body.Read(p[:min(len(p), room)])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = append(s.raw, p[:n]...)
	s.err = err
	return n, err
}

// Read implements [io.Reader]: the original bytes from the beginning on.
func (h *hold) Read(p []byte) (int, error) {
	if n, err, ok := h.held(p); ok {
		return n, err
	}
	<-h.done // the read under way is its last
	if n, err, ok := h.held(p); ok {
		return n, err
	}
	return h.body.Read(p)
}

// Buffered reports whether the first read returns at once.
func (h *hold) Buffered() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.raw) > 0 || h.err != nil
}

// held reads what is there already. It is not ok if nothing is.
func (h *hold) held(p []byte) (n int, err error, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.offset < len(h.raw) {
		n = copy(p, h.raw[h.offset:])
		if h.offset += n; h.offset == len(h.raw) {
			err = h.err
		}
		return n, err, true
	}
	return 0, h.err, h.err != nil
}

// Close implements [io.Closer].
func (h *hold) Close() error { return h.body.Close() }

// gzipPool keeps gzip decoders, whose windows are large.
type gzipPool struct{ pool sync.Pool }

type decoder struct {
	buf *bufio.Reader
	zip *gzip.Reader
}

// decode calls find with the decoded text of source and returns its result. What
// is not gzip in truth has none.
func (g *gzipPool) decode(source io.Reader, find func(io.Reader) []byte) []byte {
	d, ok := g.pool.Get().(*decoder)
	if !ok {
		d = &decoder{buf: bufio.NewReaderSize(nil, 4<<10), zip: new(gzip.Reader)}
	}
	defer func() {
		d.buf.Reset(nil)
		g.pool.Put(d)
	}()
	d.buf.Reset(source)
	if d.zip.Reset(d.buf) != nil {
		return nil
	}
	return find(d.zip)
}
