package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"attache/internal/rawio"
)

// sockets returns a link of Unix sockets, whose client's end is wrapped.
func sockets(tb testing.TB) func() (client, server net.Conn) {
	l, err := net.Listen("unix", filepath.Join(tb.TempDir(), "s"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return func() (net.Conn, net.Conn) {
		client, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			tb.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			tb.Fatal(err)
		}
		return rawio.Wrap(client), server
	}
}

// secured puts TLS on a link.
func secured(link func() (client, server net.Conn)) func() (client, server net.Conn) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	s.Close()
	s.TLS.MaxVersion = tls.VersionTLS12 // later ones write when nobody reads, which a pipe cannot take
	return func() (net.Conn, net.Conn) {
		client, server := link()
		return tls.Client(client, &tls.Config{InsecureSkipVerify: true}), tls.Server(server, s.TLS)
	}
}

// message makes the message of a request as [request] makes it.
func message(method, body string) *Message {
	wire, err := AppendHead(nil, method, Target{Path: "/"}, "up.example")
	if err != nil {
		panic(err)
	}
	if body != "" || method == "POST" || method == "PUT" {
		wire = append(wire, "Content-Length: "...)
		wire = append(wire, itoa(len(body))...)
		wire = append(wire, "\r\n"...)
	}
	wire = append(append(wire, "\r\n"...), body...)
	return &Message{Wire: func() []byte { return wire }, Sent: func() {}, Method: method, Now: time.Now()}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// got is what came of one request.
type got struct {
	status int
	header http.Header
	length int64
	body   string
	failed string // what kind of error there was; empty: none
}

// kind tells errors apart as far as their users do.
func kind(err error) string {
	e, malformed := errors.AsType[*ProtocolError](err)
	switch {
	case err == nil:
		return ""
	case malformed:
		return e.Error()
	case isTimeout(err):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return err.Error()
	}
	return "other"
}

// viaDo sends a request by Do.
func viaDo(ctx context.Context, c *Client, _ *Trip, method, body string) got {
	r := request(ctx, method, body)
	if body != "" {
		r.GetBody = func() (io.ReadCloser, error) { return wholeBody{strings.NewReader(body)}, nil }
		r.Body, _ = r.GetBody()
	}
	ans, err := c.Do(r, Options{})
	if err != nil {
		return got{failed: kind(err)}
	}
	return gotOf(ans)
}

// wholeBody is a body that is all there, so that it leaves with the head.
type wholeBody struct{ *strings.Reader }

func (b wholeBody) Ready() int64 { return int64(b.Len()) }
func (wholeBody) Close() error   { return nil }

func gotOf(ans *http.Response) got {
	g := got{status: ans.StatusCode, header: ans.Header, length: ans.ContentLength}
	if ans.StatusCode == http.StatusSwitchingProtocols {
		ans.Body.Close()
		return g
	}
	text, err := io.ReadAll(ans.Body)
	ans.Body.Close()
	g.body, g.failed = string(text), kind(err)
	return g
}

// viaSend sends a request by Send.
func viaSend(ctx context.Context, c *Client, t *Trip, method, body string) got {
	if err := c.Send(ctx, t, message(method, body)); err != nil {
		return got{failed: kind(err)}
	}
	return gotOfTrip(t)
}

func gotOfTrip(t *Trip) got {
	if !t.Plain() {
		ans, err := t.Response()
		if err != nil {
			return got{failed: kind(err)}
		}
		return gotOf(ans)
	}
	g := got{status: t.Status, header: t.Fields.Header(), length: t.Length}
	if t.gathered { // what nobody needs to know
		g.length = -1
		delete(g.header, "Trailer")
	}
	for t.Left() > 0 {
		p, err := t.Next()
		if err != nil {
			g.failed = kind(err)
			t.Abort()
			return g
		}
		g.body += string(p)
	}
	t.Done(time.Now())
	return g
}
