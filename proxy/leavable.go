package proxy

import (
	"io"
	"net/http"
	"sync"
)

// leavableBody is a request's body whose Close ends a read that is under way.
// The HTTP/2 transport waits for its reader of the body before it says that the
// upstream reset the stream, and the client may take any time to send more.
type leavableBody struct {
	src     io.ReadCloser
	buffers *BufferPool
	start   sync.Once
	out     *io.PipeReader
	in      *io.PipeWriter
}

// leavable makes the body of req leavable, and those that GetBody returns.
func (t *Transport) leavable(req *http.Request) {
	req.Body = newLeavableBody(req.Body, &t.buffers)
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return newLeavableBody(body, &t.buffers), nil
		}
	}
}

func newLeavableBody(src io.ReadCloser, buffers *BufferPool) *leavableBody {
	b := &leavableBody{src: src, buffers: buffers}
	b.out, b.in = io.Pipe()
	return b
}

// Read implements [io.Reader]. The source is not read before the first call: the
// client may wait for a 100.
func (b *leavableBody) Read(p []byte) (int, error) {
	b.start.Do(func() { go b.pump() })
	return b.out.Read(p)
}

// pump ends with the source or, once the body was closed, with the read that is
// under way.
func (b *leavableBody) pump() {
	buf := b.buffers.Get()
	defer b.buffers.Put(buf)
	_, err := io.CopyBuffer(b.in, struct{ io.Reader }{b.src}, buf)
	b.in.CloseWithError(err)
}

// Close implements [io.Closer].
func (b *leavableBody) Close() error {
	b.out.Close()
	return b.src.Close()
}
