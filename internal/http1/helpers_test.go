package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// network is one in memory: each connection is served by a function of its own,
// the last one serves all that come later.
type network struct {
	serve []func(net.Conn)
	link  func() (client, server net.Conn) // nil: net.Pipe

	mu     sync.Mutex
	dialed int
	served sync.WaitGroup
}

func (n *network) dial(context.Context) (net.Conn, error) {
	if n.link == nil {
		n.link = net.Pipe
	}
	client, server := n.link()
	n.mu.Lock()
	serve := n.serve[min(n.dialed, len(n.serve)-1)]
	n.dialed++
	n.mu.Unlock()
	n.served.Go(func() {
		defer server.Close()
		serve(server)
	})
	if secure, ok := client.(*tls.Conn); ok {
		return secure, secure.Handshake()
	}
	return client, nil
}

// client returns a client of the network, and what to call at the end: it waits
// until all connections have ended.
func (n *network) client(cfg Config) (*Client, func()) {
	cfg.Dial = n.dial
	c := New(cfg)
	return c, func() {
		c.CloseIdle()
		n.served.Wait()
	}
}

// swallow reads one request.
func swallow(r *bufio.Reader) (*http.Request, string, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, "", err
	}
	text, err := io.ReadAll(req.Body)
	return req, string(text), err
}

// answering serves requests: each gets the next text, the last one all others.
func answering(texts ...string) func(net.Conn) {
	return func(conn net.Conn) {
		r := bufio.NewReader(conn)
		for i := 0; ; i++ {
			if _, _, err := swallow(r); err != nil {
				return
			}
			if _, err := io.WriteString(conn, texts[min(i, len(texts)-1)]); err != nil {
				return
			}
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// request makes a request; body "" is none.
func request(ctx context.Context, method, body string, header ...string) *http.Request {
	u := &url.URL{Scheme: "http", Host: "up.example", Path: "/"}
	r := (&http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx)
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = []string{header[i+1]}
	}
	if body != "" {
		r.ContentLength = int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
	}
	return r
}

// fetch sends a request and reads the answer's body.
func fetch(c *Client, r *http.Request) (*http.Response, string, error) {
	ans, err := c.Do(r, Options{})
	if err != nil {
		return nil, "", err
	}
	text, err := io.ReadAll(ans.Body)
	ans.Body.Close()
	return ans, string(text), err
}

// idle returns how many connections wait.
func (c *Client) idleCount() int {
	c.idle.mu.Lock()
	defer c.idle.mu.Unlock()
	return len(c.idle.conns)
}

// scripted is a connection on which a fixed text comes in pieces.
type scripted struct {
	text  string
	piece int
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(p, s.text[:min(len(s.text), s.piece)])
	s.text = s.text[n:]
	return n, nil
}

func (*scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (*scripted) Close() error                     { return nil }
func (*scripted) LocalAddr() net.Addr              { return nil }
func (*scripted) RemoteAddr() net.Addr             { return nil }
func (*scripted) SetDeadline(time.Time) error      { return nil }
func (*scripted) SetReadDeadline(time.Time) error  { return nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }

// scriptedClient returns a client that reads text whatever it asks.
func scriptedClient(text string, piece int) (*Client, *scripted) {
	s := &scripted{text: text, piece: piece}
	return New(Config{Dial: func(context.Context) (net.Conn, error) { return s, nil }}), s
}
