package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// The kinds of messages, in both libraries and RFC 6455, 5.2.
const (
	textMessage   = 1
	binaryMessage = 2
)

// peer is one end of a WebSocket, whichever library holds it. One goroutine
// receives; another may send.
type peer interface {
	send(kind int, message []byte) error
	// sendParts sends one message in several frames.
	sendParts(kind int, parts ...[]byte) error
	receive() (kind int, message []byte, err error)
	// ping sends a ping and calls got when the pong is here; that needs
	// somebody to receive.
	ping(got func()) error
	// close sends a close frame and waits for the other's.
	close(code int, reason string) error
	// drop closes the connection without a word.
	drop()
	subprotocol() string
}

// closed is what the other side's close frame said.
type closed struct {
	code   int
	reason string
}

// closeOf returns what receive's error says about the end; without a close frame
// the code is 1006, as RFC 6455, 7.1.5 has it.
func closeOf(err error) closed {
	var fromCoder coder.CloseError
	var fromGorilla *gorilla.CloseError
	switch {
	case errors.As(err, &fromCoder):
		return closed{int(fromCoder.Code), fromCoder.Reason}
	case errors.As(err, &fromGorilla) && fromGorilla.Code != gorilla.CloseAbnormalClosure:
		return closed{fromGorilla.Code, fromGorilla.Text}
	}
	return closed{code: 1006}
}

// socketLibrary opens WebSockets from both ends.
type socketLibrary struct {
	name   string
	module string
	dial   func(ctx context.Context, address string, header http.Header, compress bool, subprotocols ...string) (peer, *http.Response, error)
	accept func(w http.ResponseWriter, r *http.Request) (peer, error)
}

// offered is what servers agree to.
var offered = []string{"chat.v2", "chat.v1"}

const largestMessage = 2 << 20

func socketLibraries() []socketLibrary {
	return []socketLibrary{
		{"coder", "github.com/coder/websocket", dialCoder, acceptCoder},
		{"gorilla", "github.com/gorilla/websocket", dialGorilla, acceptGorilla},
	}
}

type coderPeer struct{ conn *coder.Conn }

func dialCoder(ctx context.Context, address string, header http.Header, compress bool, subprotocols ...string) (peer, *http.Response, error) {
	options := &coder.DialOptions{HTTPHeader: header, Subprotocols: subprotocols}
	if compress {
		options.CompressionMode = coder.CompressionContextTakeover
	}
	conn, answer, err := coder.Dial(ctx, address, options)
	if err != nil {
		return nil, answer, err
	}
	conn.SetReadLimit(largestMessage)
	return coderPeer{conn}, answer, nil
}

func acceptCoder(w http.ResponseWriter, r *http.Request) (peer, error) {
	conn, err := coder.Accept(w, r, &coder.AcceptOptions{Subprotocols: offered, InsecureSkipVerify: true, CompressionMode: coder.CompressionContextTakeover})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(largestMessage)
	return coderPeer{conn}, nil
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (p coderPeer) send(kind int, message []byte) error {
	ctx, cancel := limited()
	defer cancel()
	return p.conn.Write(ctx, coder.MessageType(kind), message)
}

func (p coderPeer) sendParts(kind int, parts ...[]byte) error {
	ctx, cancel := limited()
	defer cancel()
	w, err := p.conn.Writer(ctx, coder.MessageType(kind))
	if err != nil {
		return err
	}
	return writeParts(w, parts)
}

func writeParts(w io.WriteCloser, parts [][]byte) error {
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

func (p coderPeer) receive() (int, []byte, error) {
	ctx, cancel := limited()
	defer cancel()
	kind, message, err := p.conn.Read(ctx)
	return int(kind), message, err
}

func (p coderPeer) ping(got func()) error {
	go func() {
		ctx, cancel := limited()
		defer cancel()
		if p.conn.Ping(ctx) == nil {
			got()
		}
	}()
	return nil
}

func (p coderPeer) close(code int, reason string) error {
	return p.conn.Close(coder.StatusCode(code), reason)
}
func (p coderPeer) drop()               { p.conn.CloseNow() }
func (p coderPeer) subprotocol() string { return p.conn.Subprotocol() }

type gorillaPeer struct{ conn *gorilla.Conn }

func dialGorilla(ctx context.Context, address string, header http.Header, compress bool, subprotocols ...string) (peer, *http.Response, error) {
	dialer := gorilla.Dialer{EnableCompression: compress, Subprotocols: subprotocols}
	conn, answer, err := dialer.DialContext(ctx, address, header)
	if err != nil {
		return nil, answer, err
	}
	conn.SetReadLimit(largestMessage)
	return gorillaPeer{conn}, answer, nil
}

func acceptGorilla(w http.ResponseWriter, r *http.Request) (peer, error) {
	upgrader := gorilla.Upgrader{Subprotocols: offered, EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(largestMessage)
	return gorillaPeer{conn}, nil
}

func (p gorillaPeer) send(kind int, message []byte) error {
	p.conn.SetWriteDeadline(time.Now().Add(patience))
	return p.conn.WriteMessage(kind, message)
}

func (p gorillaPeer) sendParts(kind int, parts ...[]byte) error {
	p.conn.SetWriteDeadline(time.Now().Add(patience))
	w, err := p.conn.NextWriter(kind)
	if err != nil {
		return err
	}
	return writeParts(w, parts) // a frame for each full buffer
}

func (p gorillaPeer) receive() (int, []byte, error) {
	p.conn.SetReadDeadline(time.Now().Add(patience))
	return p.conn.ReadMessage()
}

func (p gorillaPeer) ping(got func()) error {
	p.conn.SetPongHandler(func(data string) error {
		if data != "ping" {
			return fmt.Errorf("a pong with %q", data)
		}
		got()
		return nil
	})
	return p.conn.WriteControl(gorilla.PingMessage, []byte("ping"), time.Now().Add(patience))
}

func (p gorillaPeer) close(code int, reason string) error {
	defer p.conn.Close()
	if err := p.conn.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Now().Add(patience)); err != nil {
		return err
	}
	_, _, err := p.receive()
	if got := closeOf(err); got.code != code {
		return fmt.Errorf("the other side answers the close with %v", err)
	}
	return nil
}
func (p gorillaPeer) drop()               { p.conn.Close() }
func (p gorillaPeer) subprotocol() string { return p.conn.Subprotocol() }
