package proxy

import (
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"attache/internal/http1"
)

// expressWriter is the [http.ResponseWriter] of requests on the express lane that take
// the long way. It does what that of net/http's server does for HTTP/1.1, but for
// what nothing here needs: it does not guess content types, and does not let go of
// its connection.
type expressWriter struct {
	e      *expressConn
	body   *http1.RequestBody // nil: it was read before
	header http.Header
	out    []byte // what is to be written, in a buffer of the lane's
	status int    // 0: the head is not decided
	begun  bool   // the head is in out, or written
	chunks bool
	none   bool  // no body goes out
	left   int64 // of a declared length; -1: none was
	done   bool  // nothing more is written
	err    error // of the connection
}

func (e *expressConn) newWriter() *expressWriter {
	e.writer = &expressWriter{e: e, header: http.Header{}, left: -1}
	return e.writer
}

// Header implements [http.ResponseWriter].
func (w *expressWriter) Header() http.Header { return w.header }

// WriteHeader implements [http.ResponseWriter].
func (w *expressWriter) WriteHeader(status int) {
	switch {
	case w.status != 0:
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		w.interim(status)
	default:
		w.status = status
		if values := w.header["Content-Length"]; len(values) == 1 {
			if n, err := strconv.ParseInt(values[0], 10, 64); err == nil && n >= 0 {
				w.left = n
			}
		}
		if w.left < 0 {
			delete(w.header, "Content-Length")
		}
	}
}

// interim writes an interim answer.
func (w *expressWriter) interim(status int) {
	w.buffer()
	w.out = appendStatus(w.out, status)
	w.fields(func(name string) bool { return name == "Content-Length" || name == "Transfer-Encoding" })
	w.out = append(w.out, "\r\n"...)
	w.send()
}

func (w *expressWriter) buffer() {
	if w.out == nil {
		w.out = w.e.x.buffers.Get()[:0]
	}
}

// fields appends the header, but for what is left out.
func (w *expressWriter) fields(without func(name string) bool) {
	announced := w.announced()
	for _, name := range slices.Sorted(maps.Keys(w.header)) { // as net/http does
		if without(name) || strings.HasPrefix(name, http.TrailerPrefix) || slices.Contains(announced, name) {
			continue
		}
		w.appendField(name, w.header[name])
	}
}

func (w *expressWriter) appendField(name string, values []string) {
	for _, value := range values {
		if out, err := http1.AppendField(w.out, name, strings.NewReplacer("\r", " ", "\n", " ").Replace(value)); err == nil {
			w.out = out
		}
	}
}

// announced returns the names of trailers that the header announces.
func (w *expressWriter) announced() []string {
	var names []string
	for _, line := range w.header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
		}
	}
	return names
}

// begin appends the head of the final answer. last says that no body follows but what
// is told.
func (w *expressWriter) begin(last bool) {
	if w.begun {
		return
	}
	w.begun = true
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.e.x.leaving.Load() {
		w.e.keep = false
	}
	if slices.ContainsFunc(w.header["Connection"], func(v string) bool { return strings.EqualFold(v, "close") }) {
		w.e.keep = false
	}
	head := w.e.head.Method == http.MethodHead
	allowed := bodyAllowed(w.status)
	w.none = head || !allowed
	trailers := len(w.header["Trailer"]) > 0
	if last && allowed && !head && w.left < 0 && !trailers {
		w.left = 0
		w.header["Content-Length"] = []string{"0"}
	}
	w.chunks = !w.none && w.left < 0
	w.buffer()
	w.out = appendStatus(w.out, w.status)
	w.fields(func(name string) bool {
		switch name {
		case "Connection", "Transfer-Encoding":
			return true
		case "Content-Type":
			return w.status == http.StatusNotModified
		case "Content-Length":
			return !allowed
		}
		return false
	})
	if _, ok := w.header["Date"]; !ok {
		w.out = http1.AppendChecked(w.out, "Date", w.e.x.dates.at(time.Now()))
	}
	if w.chunks {
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	}
	if !w.e.keep {
		w.out = append(w.out, "Connection: close\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// Write implements [io.Writer].
func (w *expressWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.left >= 0 && int64(len(p)) > w.left:
		return 0, http.ErrContentLength
	case len(p) == 0:
		return 0, nil
	}
	w.begin(false)
	if w.left >= 0 {
		w.left -= int64(len(p))
	}
	if w.none {
		return len(p), nil
	}
	const framing = len("\r\n7fffffff\r\n\r\n")
	if w.chunks {
		w.out = append(strconv.AppendInt(w.out, int64(len(p)), 16), "\r\n"...)
	}
	if len(w.out)+len(p)+framing > cap(w.out) {
		w.send()
		if w.err == nil {
			_, w.err = w.e.conn.Write(p)
		}
	} else {
		w.out = append(w.out, p...)
	}
	if w.chunks {
		w.out = append(w.out, "\r\n"...)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// send writes out.
func (w *expressWriter) send() {
	if len(w.out) > 0 && w.err == nil {
		_, w.err = w.e.conn.Write(w.out)
	}
	w.out = w.out[:0]
}

// Flush implements [http.Flusher].
func (w *expressWriter) Flush() { w.FlushError() }

// FlushError is what [http.ResponseController.Flush] looks for.
func (w *expressWriter) FlushError() error {
	w.begin(false)
	w.send()
	return w.err
}

// EnableFullDuplex is what [http.ResponseController.EnableFullDuplex] looks for:
// nothing here swallows a body.
func (w *expressWriter) EnableFullDuplex() error { return nil }

// SetReadDeadline is what [http.ResponseController.SetReadDeadline] looks for.
func (w *expressWriter) SetReadDeadline(t time.Time) error { return w.e.conn.SetReadDeadline(t) }

// SetWriteDeadline is what [http.ResponseController.SetWriteDeadline] looks for.
func (w *expressWriter) SetWriteDeadline(t time.Time) error { return w.e.conn.SetWriteDeadline(t) }

// abort ends the answer so that nobody takes it for whole.
func (w *expressWriter) abort() {
	w.done, w.e.keep = true, false
}

// finish ends the answer. It reports whether the client may still be sending a body
// that nobody has read.
func (w *expressWriter) finish() (unread bool) {
	unread = w.body != nil && !w.body.Ended()
	if unread {
		w.e.keep = false // the client learns it if the head has not left yet
	}
	if !w.done {
		w.begin(true)
		if w.chunks {
			w.out = append(w.out, "0\r\n"...)
			w.trailer()
			w.out = append(w.out, "\r\n"...)
		}
		w.send()
	}
	if w.out != nil {
		w.e.x.buffers.Put(w.out[:bufferSize])
	}
	if w.err != nil || w.left > 0 && !w.none {
		w.e.keep = false
	}
	w.e.setDeadline(time.Time{}) // handlers may have left one
	w.e.conn.SetWriteDeadline(time.Time{})
	return unread
}

// trailer appends the fields that follow the body.
func (w *expressWriter) trailer() {
	announced := w.announced()
	for name, values := range w.header {
		if rest, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			w.appendField(textproto.CanonicalMIMEHeaderKey(rest), values)
		} else if slices.Contains(announced, name) {
			w.appendField(name, values)
		}
	}
}

var _ io.Writer = (*expressWriter)(nil)
