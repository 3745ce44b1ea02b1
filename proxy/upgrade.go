package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// badSwitch returns the answer to the client if the upstream switched to a
// protocol that nobody asked for.
func (c *call) badSwitch(ans *http.Response) *answer {
	_, duplex := ans.Body.(io.ReadWriteCloser)
	if c.upgrade && duplex && hasToken(ans.Header["Upgrade"], "websocket") && len(ans.Header["Upgrade"]) == 1 {
		return nil
	}
	return badGateway(errUpgrade, "the upstream switched to another protocol than asked for")
}

// switchProtocols passes a 101 on. finish sees to what comes after it.
func (c *call) switchProtocols(ans *http.Response) {
	upstream := ans.Body.(io.ReadWriteCloser) // badSwitch saw to it
	c.copyHead(ans)
	header := c.w.Header().Clone()
	header["Connection"] = []string{"Upgrade"}
	header["Upgrade"] = []string{"websocket"}
	client, buffered, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		upstream.Close()
		c.aborted = true
		return
	}
	client.SetDeadline(time.Time{}) // those of the server were for requests
	if err := writeSwitch(buffered.Writer, header); err != nil {
		upstream.Close()
		client.Close()
		return
	}
	// The server's buffer is large, and there is mostly nothing in it.
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	c.switched = switched{client: client, early: bytes.Clone(early), upstream: upstream}
}

// switched is what a request leaves behind whose protocol was switched.
type switched struct {
	client   net.Conn // nil: it was not
	early    []byte   // what the client sent ahead
	upstream io.ReadWriteCloser
}

// writeSwitch writes the head of the 101.
func writeSwitch(w *bufio.Writer, header http.Header) error {
	w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := header.Write(w); err != nil {
		return err
	}
	w.WriteString("\r\n")
	return w.Flush()
}

// tunnelGrace is how long one direction may go on after the other has ended.
const tunnelGrace = 5 * time.Second

// tunnel carries bytes between a client and an upstream.
type tunnel struct {
	client   io.ReadWriteCloser
	early    []byte // what the client sent ahead
	upstream io.ReadWriteCloser
	buffers  *BufferPool
}

// close ends the tunnel. It may be called more than once.
func (t *tunnel) close() {
	t.upstream.Close()
	t.client.Close()
}

// carry copies both ways until both sides have ended, or tunnelGrace after the
// first, or until close. It closes both.
func (t *tunnel) carry() {
	defer t.close()
	ended := make(chan struct{})
	timer := sync.OnceValue(func() *time.Timer { return time.AfterFunc(tunnelGrace, t.close) })
	defer func() { timer().Stop() }()
	go func() {
		t.pipe(t.upstream, inTime(t.upstream), t.fromClient())
		timer()
		close(ended)
	}()
	t.pipe(t.client, t.client, t.upstream) // the listener bounds these writes
	timer()
	<-ended
}

// fromClient is what the client sends.
func (t *tunnel) fromClient() io.Reader {
	if len(t.early) == 0 {
		return t.client
	}
	early := bytes.NewReader(t.early)
	t.early = nil
	return io.MultiReader(early, t.client)
}

// tunnelStall is how long an upstream may take nothing of what it is sent. A
// client that leaves meanwhile is not noticed, and would be kept for ever.
const tunnelStall = 5 * time.Minute

// inTime returns w with that bound, where it can have one.
func inTime(w io.Writer) io.Writer {
	if conn, ok := w.(deadlined); ok {
		return stallingWriter{conn}
	}
	return w
}

type deadlined interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

type stallingWriter struct{ deadlined }

// Write implements [io.Writer].
func (w stallingWriter) Write(p []byte) (int, error) {
	w.SetWriteDeadline(time.Now().Add(tunnelStall))
	defer w.SetWriteDeadline(time.Time{}) // TLS writes on its own account as well
	return w.deadlined.Write(p)
}

// pipe copies src to w, which is dst, and passes its end on.
func (t *tunnel) pipe(dst io.Closer, w io.Writer, src io.Reader) {
	err := copyNow(w, src, t.buffers)
	if half, ok := dst.(interface{ CloseWrite() error }); err == nil && ok && half.CloseWrite() == nil {
		return
	}
	dst.Close()
}

// idleBuffer is the size of the buffer that waits for bytes, in bytes.
const idleBuffer = 512

// copyNow copies src to dst until one of them ends. Most of these connections are
// idle most of the time, so it waits with a small buffer, and takes a large one
// only for as long as much comes at a time.
func copyNow(dst io.Writer, src io.Reader, buffers *BufferPool) error {
	small := make([]byte, idleBuffer)
	var large []byte
	defer func() {
		if large != nil {
			buffers.Put(large)
		}
	}()
	buf := small
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, failed := dst.Write(buf[:n]); failed != nil {
				return failed
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case large == nil && n == len(buf):
			large = buffers.Get()
			buf = large
		case large != nil && n <= len(small):
			buffers.Put(large)
			large, buf = nil, small
		}
	}
}
