package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Streams are the exchanges under way that may never end by themselves:
// WebSockets, gRPC calls, and answers of the types that are never held, such as
// event streams. Nobody could wait for their end, so whoever stops a process
// ends them with [Streams.End]. One Streams is shared by all proxies of a
// process and outlives them. The zero value is ready for use, and its methods
// may be called concurrently.
type Streams struct {
	mu      sync.Mutex
	open    map[*stream]struct{}
	over    bool          // End was called
	none    chan struct{} // closed when the last one ends; nil: nobody waits
	buffers BufferPool    // of tunnels, which outlive the proxy that began them
}

// stream is one exchange.
type stream struct {
	mu   sync.Mutex
	cut  func()    // nil: it has ended, or was cut
	was  bool      // it was cut
	body io.Closer // what is read of the upstream's; nil: nothing
}

// Len returns how many streams there are.
func (s *Streams) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// End ends all streams, and from now on every new one as it begins; it returns
// how many there were. WebSockets are closed in both directions. gRPC calls get
// the status 14 (UNAVAILABLE), by which clients know that they may try again.
// Other answers break off, so that nobody takes them for whole. End does not wait
// until that has happened; [Streams.Wait] does.
func (s *Streams) End() int {
	s.mu.Lock()
	s.over = true
	open := make([]*stream, 0, len(s.open))
	for st := range s.open {
		open = append(open, st)
	}
	s.mu.Unlock()
	for _, st := range open {
		st.end()
	}
	return len(open)
}

// Wait waits until there is no stream, or returns the error of ctx.
func (s *Streams) Wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		if len(s.open) == 0 {
			s.mu.Unlock()
			return nil
		}
		if s.none == nil {
			s.none = make(chan struct{})
		}
		none := s.none
		s.mu.Unlock()
		select {
		case <-none:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// add takes a stream until remove. cut ends it, must return at once, and is
// never called after remove has returned.
func (s *Streams) add(cut func()) *stream {
	st := &stream{cut: cut}
	s.mu.Lock()
	if s.open == nil {
		s.open = map[*stream]struct{}{}
	}
	s.open[st] = struct{}{}
	over := s.over
	s.mu.Unlock()
	if over {
		st.end()
	}
	return st
}

// remove is told that a stream has ended.
func (s *Streams) remove(st *stream) {
	st.mu.Lock()
	st.cut, st.body = nil, nil
	st.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, st)
	if len(s.open) == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}

func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.cut == nil {
		return
	}
	st.was = true
	st.cut()
	st.cut = nil
	if st.body != nil {
		go st.body.Close() // it may have to wait
	}
}

// reading says which body's end the stream waits for. It is closed if the stream
// is cut.
func (st *stream) reading(body io.Closer) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.body = body; st.was {
		go body.Close()
	}
}

// wasCut reports whether End ended the stream. Nil is none.
func (st *stream) wasCut() bool {
	if st == nil {
		return false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.was
}

var errStreamsEnd = errors.New("the proxy is shutting down")

// cutGrace is how long a client may take to take what was sent before a call was
// cut, and how it ended.
const cutGrace = time.Second

// streamCall makes a gRPC call a stream from its beginning on: it may wait for
// days for the head of its answer, while the client sends. It returns the context
// of the call.
func (c *call) streamCall(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	control := http.NewResponseController(c.w)
	c.cancel = cancel
	c.stream = c.proxy.streams.add(func() {
		control.SetWriteDeadline(time.Now().Add(cutGrace))
		cancel(errStreamsEnd)
	})
	return ctx
}

// streamAnswer makes an answer a stream if its type says that it is one.
func (c *call) streamAnswer(ans *http.Response) {
	if !isStream(ans.Header.Get("Content-Type")) {
		return
	}
	control := http.NewResponseController(c.w)
	c.stream = c.proxy.streams.add(func() { control.SetWriteDeadline(past()) })
	c.stream.reading(ans.Body)
}

// endStream is called when the handler is done.
func (c *call) endStream() {
	if c.stream != nil {
		c.proxy.streams.remove(c.stream)
	}
	if c.cancel != nil {
		c.cancel(nil)
	}
}

// shuttingDown answers a gRPC call that was cut before its answer had begun.
func shuttingDown() *answer {
	return &answer{status: http.StatusServiceUnavailable, kind: errTerminated, detail: errStreamsEnd.Error()}
}

// endCall ends the answer to a gRPC call that was cut. It reports whether that
// was so; if not, the answer is broken.
func (c *call) endCall(ans *http.Response) bool {
	if !c.grpc || !isGRPC(ans.Header.Get("Content-Type")) || !c.stream.wasCut() {
		return false
	}
	own := shuttingDown()
	c.setTrailer("Grpc-Status", []string{own.grpcStatus()})
	c.setTrailer("Grpc-Message", []string{grpcMessage(own.detail)})
	return true
}

// startTunnel carries a tunnel's bytes in goroutines of its own, so that the
// server's buffers are given back; done is called when it has ended.
func (s *Streams) startTunnel(client io.ReadWriteCloser, early []byte, upstream io.ReadWriteCloser, done func()) {
	t := &tunnel{client: client, early: early, upstream: upstream, buffers: &s.buffers}
	st := s.add(func() { go t.close() })
	go func() {
		defer s.remove(st)
		defer done()
		t.carry()
	}()
}
