package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"

	"github.com/google/go-cmp/cmp"
)

// serve runs a handler on a real server; tlsToo: with HTTP/2 over TLS.
func serve(t *testing.T, h http.Handler, tlsToo bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if tlsToo {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// between puts a proxy with the plan in front of a handler, HTTP/2 over TLS on
// both sides if tlsToo, and returns its server.
func between(t *testing.T, plan Plan, upstream http.Handler, tlsToo bool, slots ...Slot) *httptest.Server {
	t.Helper()
	up := serve(t, upstream, tlsToo)
	cfg := TransportConfig{Upstream: mustURL(t, up.URL)}
	if tlsToo {
		pool := x509.NewCertPool()
		pool.AddCert(up.Certificate())
		cfg.TLS = &tls.Config{RootCAs: pool, ServerName: "example.com"}
	}
	rt, err := NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.CloseIdleConnections)
	p := newProxy(t, plan, rt, slots, func(r *Route) {
		r.Path, r.Upstream = "/route", mustURL(t, up.URL+"/base")
	})
	return serve(t, p, tlsToo)
}

// eachProtocol runs a test over HTTP/1.1 and over HTTP/2.
func eachProtocol(t *testing.T, f func(t *testing.T, h2 bool)) {
	t.Run("HTTP/1.1", func(t *testing.T) { f(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { f(t, true) })
}

// noRedirects makes a server's client show what it got.
func noRedirects(s *httptest.Server) *http.Client {
	c := s.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func TestAnswerHead(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		plan := &testPlan{
			strip: []exchange.Name{{In: exchange.Query, Name: "token"}},
			hide:  []exchange.Name{header("Ccmessaging-Token"), {In: exchange.Cookie, Name: "session"}},
			query: true,
		}
		plan.fields = everywhere().fields
		s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h["Content-Type"] = nil
			h.Set("Ccmessaging-Token", "secret")
			h.Add("Set-Cookie", "session=secret; Path=/")
			h.Add("Set-Cookie", "other=1")
			h.Set("Location", "/base/next?a=1&"+r.URL.RawQuery)
			h.Set("X-A", "1")
			h.Set("Cache-Control", "max-age=1")
			if !h2 {
				h.Set("Connection", "X-Gone")
				h.Set("X-Gone", "1")
				h.Set("Keep-Alive", "x")
			}
			w.WriteHeader(302)
			io.WriteString(w, "<html>")
		}), h2)
		ans, err := noRedirects(s).Get(s.URL + "/route/x?b=2")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(ans.Body)
		ans.Header.Del("Date")
		want := http.Header{
			"Set-Cookie": {"other=1"}, "Location": {"/route/next?a=1&b=2"}, "X-A": {"1"}, "Cache-Control": {"max-age=1"},
			"Content-Length": {"6"},
		}
		if diff := cmp.Diff(want, ans.Header); diff != "" || ans.StatusCode != 302 || string(text) != "<html>" {
			t.Errorf("status %d, body %q, header %s", ans.StatusCode, text, diff)
		}
	})
}

func TestTrailers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		plan := &testPlan{strip: []exchange.Name{header("Token")}, hide: []exchange.Name{header("X-Hidden")}}
		s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-Announced, X-Hidden")
			w.Header().Set("X-Announced", "in the head")
			io.WriteString(w, "ok")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Announced", fmt.Sprintf("%s %v", text, r.Trailer))
			w.Header().Set("X-Hidden", "secret")
			w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		}), h2)
		r, _ := http.NewRequest("POST", s.URL+"/route", struct{ io.Reader }{strings.NewReader("abc")})
		r.Trailer = http.Header{"X-Sum": {"6"}, "Token": {"evil"}}
		ans, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, ans.Body)
		want := http.Header{"X-Announced": {"abc map[X-Sum:[6]]"}, "X-Late": {"1"}}
		if diff := cmp.Diff(want, ans.Trailer); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnswersArriveAsTheyAreSent: head, then every piece, with and without a
// declared length.
func TestAnswersArriveAsTheyAreSent(t *testing.T) {
	for _, tc := range []struct{ name, kind, length string }{
		{"unknown length", "text/plain", ""},
		{"known length", "text/plain", "6"},
		{"events", "text/event-stream", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, h2 bool) {
				step := make(chan string)
				s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", tc.kind)
					if tc.length != "" {
						w.Header().Set("Content-Length", tc.length)
					}
					w.(http.Flusher).Flush()
					for piece := range step {
						io.WriteString(w, piece)
						w.(http.Flusher).Flush()
					}
				}), h2)
				ans, err := s.Client().Get(s.URL + "/route") // returns with the head
				if err != nil {
					t.Fatal(err)
				}
				defer ans.Body.Close()
				for _, piece := range []string{"abc", "def"} {
					step <- piece // the next one is not sent before this one arrived
					got := make([]byte, 3)
					if _, err := io.ReadFull(ans.Body, got); err != nil || string(got) != piece {
						t.Fatalf("%q, %v", got, err)
					}
				}
				close(step)
			})
		})
	}
}

// TestBrokenAnswerIsNotWhole: an upstream that breaks off must not look like one
// that has finished.
func TestBrokenAnswerIsNotWhole(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), h2)
		ans, err := s.Client().Get(s.URL + "/route")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(ans.Body); err == nil {
			t.Errorf("the client read %q and no error", text)
		}
	})
}

// TestUploadGoesOnAfterTheAnswerBegan: both directions stream at once.
func TestUploadGoesOnAfterTheAnswerBegan(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			w.(http.Flusher).Flush()
			lines := bufio.NewScanner(r.Body)
			for lines.Scan() {
				fmt.Fprintf(w, "%s!\n", lines.Text())
				w.(http.Flusher).Flush()
			}
		}), h2)
		in, out := io.Pipe()
		r, _ := http.NewRequest("POST", s.URL+"/route", in)
		ans, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer ans.Body.Close()
		back := bufio.NewReader(ans.Body)
		for _, word := range []string{"one", "two", "three"} {
			fmt.Fprintln(out, word)
			if line, err := back.ReadString('\n'); line != word+"!\n" {
				t.Fatalf("%q, %v", line, err)
			}
		}
		out.Close()
		if rest, err := io.ReadAll(back); len(rest) != 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

// TestUnreadBodyIsNoRequest: an upstream answers before it has read the body;
// what is left of it must not be served as the next request.
func TestUnreadBodyIsNoRequest(t *testing.T) {
	var requests atomic.Int64
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
	}), false)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	smuggled := "GET /route/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
	fmt.Fprintf(conn, "POST /route HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", 10+len(smuggled))
	answers := bufio.NewReader(conn)
	ans, err := http.ReadResponse(answers, nil)
	if err != nil || ans.StatusCode != 413 || !ans.Close {
		t.Fatalf("%v, %v", ans, err)
	}
	fmt.Fprint(conn, "0123456789"+smuggled)
	if _, err := http.ReadResponse(answers, nil); err == nil {
		t.Error("the rest of the body was answered")
	}
	if got := requests.Load(); got != 1 {
		t.Errorf("the upstream saw %d requests", got)
	}
}

func TestWebSocket(t *testing.T) {
	plan := &testPlan{strip: []exchange.Name{header("Token")}, hide: []exchange.Name{header("Token")}}
	plan.fields = everywhere().fields
	s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Access-Token") != "good" || r.URL.Query().Get("access_token") != "go/od" {
			t.Errorf("the handshake is %v %s", r.Header, r.URL)
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nToken: secret\r\nSec-Websocket-Accept: x\r\n\r\nhello ")
		rw.Flush()
		io.Copy(conn, rw)
	}), false)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The first bytes of the other protocol are sent ahead.
	fmt.Fprint(conn, "GET /route HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly ")
	back := bufio.NewReader(conn)
	ans, err := http.ReadResponse(back, nil)
	if err != nil || ans.StatusCode != 101 || ans.Header.Get("Upgrade") != "websocket" || ans.Header.Get("Sec-Websocket-Accept") != "x" {
		t.Fatalf("%+v, %v", ans, err)
	}
	if ans.Header.Get("Token") != "" {
		t.Error("a hidden header is in the 101")
	}
	fmt.Fprint(conn, "late")
	got := make([]byte, len("hello early late"))
	if _, err := io.ReadFull(back, got); string(got) != "hello early late" {
		t.Errorf("%q, %v", got, err)
	}
	conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(back); len(rest) != 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestSwitchThatNobodyAskedFor(t *testing.T) {
	s := between(t, &testPlan{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
		rw.Flush()
		io.Copy(io.Discard, rw)
	}), false)
	ans, err := s.Client().Get(s.URL + "/route")
	if err != nil {
		t.Fatal(err)
	}
	ans.Body.Close()
	if ans.StatusCode != 502 || ans.Header.Get("Proxy-Status") != "attache; error=http_upgrade_failed" {
		t.Errorf("status %d, %q", ans.StatusCode, ans.Header.Get("Proxy-Status"))
	}
}

// TestGRPCRefusal: in the head it is repaired, at the end it renews the token
// for the next request.
func TestGRPCRefusal(t *testing.T) {
	for _, where := range []string{"head", "trailer"} {
		t.Run(where, func(t *testing.T) {
			src := &source{t: t}
			slot := addToken(t, startEngine(t), "access", src, func(d *refresher.Definition) {
				d.Policy.MinInterval = time.Millisecond
			})
			plan := bearerPlan()
			plan.judge = func(_, ans exchange.Head, _ []byte) (v exchange.Verdict) {
				if ans.Header.Get("Grpc-Status") == "16" {
					v.Refused = []exchange.Refusal{{Signal: exchange.SignalGRPC}}
				}
				return v
			}
			s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) // an answer that comes earlier is not repaired
				w.Header().Set("Content-Type", "application/grpc")
				status := "0"
				if r.Header.Get("Authorization") != "Bearer token2" {
					status = "16"
				}
				key := "Grpc-Status"
				if where == "trailer" {
					w.(http.Flusher).Flush()
					key = http.TrailerPrefix + key
				}
				w.Header().Set(key, status)
			}), true, slot)
			call := func() string {
				r, _ := http.NewRequest("POST", s.URL+"/route/svc/Method", strings.NewReader("\x00\x00\x00\x00\x00"))
				r.Header.Set("Content-Type", "application/grpc")
				ans, err := s.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer ans.Body.Close()
				io.Copy(io.Discard, ans.Body)
				return ans.Header.Get("Grpc-Status") + ans.Trailer.Get("Grpc-Status")
			}
			first := call()
			if where == "head" && first != "0" || where == "trailer" && first != "16" {
				t.Errorf("the first call ended with %q", first)
			}
			if got := call(); got != "0" {
				t.Errorf("the next call ended with %q", got)
			}
			if src.logins() != 2 {
				t.Errorf("%d logins", src.logins())
			}
		})
	}
}

// memoryListener accepts connections that have no network below them.
type memoryListener struct {
	conns chan net.Conn
	shut  chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	close(l.shut)
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// TestClientThatStopsSending: an upstream that fails early leaves a client in
// the midst of its body. The client gets the answer at once and a moment to
// read it; then the connection ends, though the client sends nothing more.
func TestClientThatStopsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			r.Body.Read(make([]byte, 3))
			return nil, errors.New("down")
		})
		l := &memoryListener{conns: make(chan net.Conn), shut: make(chan struct{})}
		s := &http.Server{Handler: newProxy(t, &testPlan{}, rt, nil)}
		var serving sync.WaitGroup
		serving.Go(func() { s.Serve(l) })
		conn, server := net.Pipe()
		l.conns <- server
		start := time.Now()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
		back := bufio.NewReader(conn)
		ans, err := http.ReadResponse(back, nil)
		if err != nil || ans.StatusCode != 502 || !ans.Close || time.Since(start) != 0 {
			t.Fatalf("%v, %v after %v", ans, err, time.Since(start))
		}
		if _, err := io.ReadAll(ans.Body); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := back.ReadByte(); err != io.EOF || time.Since(start) != unreadGrace {
			t.Errorf("the connection ends with %v after %v", err, time.Since(start))
		}
		conn.Close()
		s.Close()
		serving.Wait()
	})
}

// TestClientThatStopsSendingWhileItIsRead: the same while the transport still
// reads the body. It uses a real connection because net/http holds a lock then,
// which a bubble does not see through.
func TestClientThatStopsSendingWhileItIsRead(t *testing.T) {
	rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
		r.Body.Read(make([]byte, 3))
		go io.Copy(io.Discard, r.Body) // as a transport does until it notices
		return respond(400, "enough"), nil
	})
	s := serve(t, newProxy(t, &testPlan{}, rt, nil), false)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
	text, err := io.ReadAll(conn) // ends when the server closes
	if !strings.Contains(string(text), "enough") || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestTunnelEndsWithOneSide: the other side has a moment to end too.
func TestTunnelEndsWithOneSide(t *testing.T) {
	for _, side := range []string{"client", "upstream", "context"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, clientEnd := net.Pipe()
				upstream, upstreamEnd := net.Pipe()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				want := tunnelGrace
				switch side {
				case "client":
					clientEnd.Close()
				case "upstream":
					upstreamEnd.Close()
				default:
					cancel()
					want = 0
				}
				start := time.Now()
				// The connection has no half-close, and the other side stays
				// silent.
				tunnel(ctx, halfOpen{client}, bufio.NewReader(client), halfOpen{upstream})
				if got := time.Since(start); got != want {
					t.Errorf("ended after %v, want %v", got, want)
				}
				clientEnd.Close()
				upstreamEnd.Close()
			})
		})
	}
}

// halfOpen is a connection that stays open for reading when its write side is
// closed.
type halfOpen struct{ net.Conn }

func (halfOpen) CloseWrite() error { return nil }
