package interop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// socketServer echoes messages, but for those that tell it to do something.
type socketServer struct {
	url     string
	library socketLibrary
	closes  chan closed  // how each connection ended
	revoked atomic.Value // the value of Authorization that is answered 401
	refused atomic.Int64
}

func newSocketServer(t *testing.T, library socketLibrary) *socketServer {
	s := &socketServer{library: library, closes: make(chan closed, 200)}
	s.revoked.Store("")
	var serving sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == s.revoked.Load() {
			s.refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		serving.Add(1)
		defer serving.Done()
		p, err := library.accept(w, r)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer p.drop()
		s.closes <- closeOf(s.serve(p, r))
	}))
	t.Cleanup(func() { server.Close(); serving.Wait() })
	s.url = server.URL
	return s
}

func (s *socketServer) serve(p peer, r *http.Request) error {
	for {
		kind, message, err := p.receive()
		if err != nil {
			return err
		}
		command, argument, _ := strings.Cut(string(message[:min(len(message), 100)]), " ")
		switch {
		case kind != textMessage:
			err = p.send(kind, message)
		case command == "who":
			err = p.send(kind, fmt.Appendf(nil, "%q %s", r.Header["Authorization"], r.URL.RawQuery))
		case command == "ping":
			err = p.ping(func() { p.send(textMessage, []byte("got the pong")) })
		case command == "parts":
			err = p.sendParts(binaryMessage, bytes.Repeat([]byte("a"), 10_000), bytes.Repeat([]byte("b"), 10_000), nil)
		case command == "close":
			var c closed
			fmt.Sscanf(argument, "%d %s", &c.code, &c.reason)
			if err := p.close(c.code, c.reason); err != nil {
				return fmt.Errorf("close: %w", err)
			}
			return nil
		case command == "drop":
			p.drop()
		default:
			err = p.send(kind, message)
		}
		if err != nil {
			return err
		}
	}
}

// TestWebSockets holds attache between two independent libraries, in both roles.
func TestWebSockets(t *testing.T) { inLanes(t, testWebSockets) }

func testWebSockets(t *testing.T, l lane) {
	libraries := socketLibraries()
	for i, client := range libraries {
		server := libraries[1-i]
		t.Run(client.name+" to "+server.name, func(t *testing.T) {
			up := newSocketServer(t, server)
			tokens := newTokenServer(t)
			a := l.start(t, fmt.Sprintf(`
listen: 127.0.0.1:0
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: %q, use: [c]}
`, tokens.recipe(t, `
inject:
  - {header: Authorization, value: "Bearer ${access}"}
  - {query: access_token, value: "${access}"}
refused: [{token: access, status: 401}]
`), up.url))
			s := &sockets{up, client, tokens, "ws://" + a.address + "/ws"}
			tests := []struct {
				name string
				run  func(*testing.T)
			}{
				{"messages", s.messages},
				{"fragments", s.fragments},
				{"a message right behind the handshake", s.ahead},
				{"pings", s.pings},
				{"closes", s.closes},
				{"ends without a close", s.drops},
				{"subprotocols", s.subprotocols},
				{"compression", s.compression},
				{"credentials", s.credentials},
				{"a hundred at a time", s.hundred},
				{"a refused handshake", s.refusedHandshake},
			}
			for _, test := range tests {
				t.Run(test.name, test.run)
			}
			if !t.Failed() {
				record(t, suite{
					name:    fmt.Sprintf("WebSockets, %s client, %s server", client.name, server.name),
					version: moduleVersion(t, client.module) + ", " + moduleVersion(t, server.module), lane: l, tests: len(tests), passed: len(tests),
				})
			}
		})
	}
}

// sockets is what the tests of one pair of libraries share.
type sockets struct {
	up      *socketServer
	client  socketLibrary
	tokens  *tokenServer
	address string
}

func (s *sockets) dial(t *testing.T, compress bool, subprotocols ...string) (peer, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	header := http.Header{"Authorization": {clientToken}}
	p, answer, err := s.client.dial(ctx, s.address+"?a=b&ACCESS_TOKEN="+clientToken, header, compress, subprotocols...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.drop)
	return p, answer
}

// echo sends a message and wants it back.
func echo(t *testing.T, p peer, kind int, message []byte) {
	t.Helper()
	if err := p.send(kind, message); err != nil {
		t.Fatal(err)
	}
	want(t, p, kind, message)
}

func want(t *testing.T, p peer, kind int, message []byte) {
	t.Helper()
	gotKind, got, err := p.receive()
	if err != nil {
		t.Fatal(err)
	}
	if gotKind != kind || !bytes.Equal(got, message) {
		t.Fatalf("got kind %d, %d bytes %.100q; want kind %d, %d bytes %.100q", gotKind, len(got), got, kind, len(message), message)
	}
}

// ended wants to hear from the server that a connection ended in this way.
func (s *sockets) ended(t *testing.T, want closed) {
	t.Helper()
	select {
	case got := <-s.up.closes:
		if got != want {
			t.Errorf("the server sees the end %v, want %v", got, want)
		}
	case <-time.After(patience):
		t.Error("the server does not see the end")
	}
}

// end closes a connection in the ordinary way.
func (s *sockets) end(t *testing.T, p peer) {
	t.Helper()
	if err := p.close(1000, "done"); err != nil {
		t.Error(err)
	}
	s.ended(t, closed{1000, "done"})
}

// noise cannot be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{})
	source.Read(b)
	return b
}

func (s *sockets) messages(t *testing.T) {
	p, _ := s.dial(t, false)
	echo(t, p, textMessage, []byte("grüße, 世界"))
	echo(t, p, textMessage, []byte{})
	for _, n := range []int{0, 1, 125, 126, 4095, 4096, 65_535, 65_536, 1 << 20} {
		echo(t, p, binaryMessage, noise(n))
	}
	s.end(t, p)
}

func (s *sockets) fragments(t *testing.T) {
	p, _ := s.dial(t, false)
	parts := [][]byte{noise(5), noise(20_000), {}, noise(3)}
	if err := p.sendParts(binaryMessage, parts...); err != nil {
		t.Fatal(err)
	}
	want(t, p, binaryMessage, bytes.Join(parts, nil))
	if err := p.send(textMessage, []byte("parts")); err != nil {
		t.Fatal(err)
	}
	want(t, p, binaryMessage, append(bytes.Repeat([]byte("a"), 10_000), bytes.Repeat([]byte("b"), 10_000)...))
	s.end(t, p)
}

// ahead sends a message before the handshake is answered, as neither library
// does. Upstream it must not be there before the answer, for servers refuse that.
func (s *sockets) ahead(t *testing.T) {
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.address, "ws://"), "/ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"+"\x81\x85\x00\x00\x00\x00hello")
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer, err)
	}
	frame := make([]byte, len("\x81\x05hello"))
	if _, err := io.ReadFull(in, frame); err != nil || string(frame) != "\x81\x05hello" {
		t.Errorf("got the frame %q, %v", frame, err)
	}
	conn.Close()
	s.ended(t, closed{code: 1006})
}

func (s *sockets) pings(t *testing.T) {
	p, _ := s.dial(t, false)
	pong := make(chan struct{})
	if err := p.ping(func() { close(pong) }); err != nil {
		t.Fatal(err)
	}
	echo(t, p, textMessage, []byte("behind the ping"))
	if err := p.send(textMessage, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	want(t, p, textMessage, []byte("got the pong"))
	select {
	case <-pong:
	case <-time.After(patience):
		t.Error("no pong comes back")
	}
	s.end(t, p)
}

func (s *sockets) closes(t *testing.T) {
	for _, c := range []closed{{1000, ""}, {1001, "leaving"}, {1008, "policy"}, {3000, strings.Repeat("r", 123)}, {4999, "own"}} {
		p, _ := s.dial(t, false)
		if err := p.close(c.code, c.reason); err != nil {
			t.Error(err)
		}
		s.ended(t, c)
		if c.reason == "" || len(c.reason) > 50 {
			continue // no room in a command
		}
		p, _ = s.dial(t, false)
		if err := p.send(textMessage, fmt.Appendf(nil, "close %d %s", c.code, c.reason)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.receive(); closeOf(err) != c {
			t.Errorf("the client sees the end %v, want %v", err, c)
		}
		s.ended(t, closed{code: 1006}) // no error: the server closed in order
	}
}

func (s *sockets) drops(t *testing.T) {
	p, _ := s.dial(t, false)
	echo(t, p, textMessage, []byte("there"))
	p.drop()
	s.ended(t, closed{code: 1006})
	p, _ = s.dial(t, false)
	if err := p.send(textMessage, []byte("drop")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.receive(); err == nil || closeOf(err).code != 1006 {
		t.Errorf("the client sees the end %v", err)
	}
	s.ended(t, closed{code: 1006})
}

func (s *sockets) subprotocols(t *testing.T) {
	for _, c := range []struct {
		asked []string
		want  string
	}{{nil, ""}, {[]string{"chat.v1"}, "chat.v1"}, {[]string{"other", "chat.v2"}, "chat.v2"}, {[]string{"other"}, ""}} {
		p, _ := s.dial(t, false, c.asked...)
		if got := p.subprotocol(); got != c.want {
			t.Errorf("asked for %q, got %q, want %q", c.asked, got, c.want)
		}
		s.end(t, p)
	}
}

func (s *sockets) compression(t *testing.T) {
	p, answer := s.dial(t, true)
	if got := answer.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Fatalf("negotiated %q", got)
	}
	echo(t, p, textMessage, bytes.Repeat([]byte("squeeze "), 100_000))
	echo(t, p, binaryMessage, noise(1<<20))
	echo(t, p, textMessage, bytes.Repeat([]byte("squeeze "), 100_000))
	s.end(t, p)
	p, answer = s.dial(t, false)
	if got := answer.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("negotiated %q without having asked", got)
	}
	s.end(t, p)
}

func (s *sockets) credentials(t *testing.T) {
	p, _ := s.dial(t, false)
	if err := p.send(textMessage, []byte("who")); err != nil {
		t.Fatal(err)
	}
	token := s.tokens.current()
	want(t, p, textMessage, fmt.Appendf(nil, `["Bearer %s"] a=b&access_token=%s`, token, token))
	s.end(t, p)
}

func (s *sockets) hundred(t *testing.T) {
	var clients sync.WaitGroup
	for i := range 100 {
		p, _ := s.dial(t, i%2 == 0)
		clients.Go(func() {
			for round := range 20 {
				message := append(fmt.Appendf(nil, "%d %d ", i, round), noise(i*round*10)...)
				if err := p.send(binaryMessage, message); err != nil {
					t.Error(err)
					return
				}
				if _, got, err := p.receive(); err != nil || !bytes.Equal(got, message) {
					t.Errorf("connection %d, round %d: got %.20q, %v", i, round, got, err)
					return
				}
			}
			if err := p.close(1000, "done"); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	for range 100 {
		s.ended(t, closed{1000, "done"})
	}
}

func (s *sockets) refusedHandshake(t *testing.T) {
	before := s.tokens.issued.Load()
	s.up.revoked.Store("Bearer " + s.tokens.current())
	p, _ := s.dial(t, false)
	echo(t, p, textMessage, []byte("repaired"))
	if logins, refused := s.tokens.issued.Load()-before, s.up.refused.Load(); logins != 1 || refused != 1 {
		t.Errorf("%d logins after %d refused handshakes", logins, refused)
	}
	s.end(t, p)
}
