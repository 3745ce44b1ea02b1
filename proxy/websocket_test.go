package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// socketServer accepts every handshake with first words and then says back what
// it hears. It tells when its connection has ended.
func socketServer(ended chan<- time.Time, check func(*http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(r)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello ")
		io.Copy(conn, rw)
		ended <- time.Now()
	})
}

// TestWebSocketInjection: a handshake gets its token in any place, once, and what
// the client put there is removed.
func TestWebSocketInjection(t *testing.T) {
	for _, place := range []exchange.Place{exchange.Header, exchange.Query, exchange.Cookie} {
		t.Run(place.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				name := exchange.Name{In: place, Name: "token"}
				plan := bearerPlan()
				plan.strip, plan.query = []exchange.Name{name}, place == exchange.Query
				plan.fields = func(dst []exchange.Field, _ refresher.Params, tokens []refresher.Token) []exchange.Field {
					return append(dst, exchange.Field{In: place, Name: "token", Value: tokens[0].Value.Reveal()})
				}
				ended := make(chan time.Time, 1)
				up := socketServer(ended, func(r *http.Request) {
					want := map[exchange.Place]string{exchange.Header: "", exchange.Query: "", exchange.Cookie: ""}
					want[place] = "token1"
					if place != exchange.Header {
						want[exchange.Header] = "mine"
					}
					if place != exchange.Query {
						want[exchange.Query] = "mine"
					}
					if place != exchange.Cookie {
						want[exchange.Cookie] = "mine"
					}
					for at, got := range map[exchange.Place]string{
						exchange.Header: strings.Join(r.Header["Token"], "+"),
						exchange.Query:  strings.Join(r.URL.Query()["token"], "+"),
						exchange.Cookie: cookies(r, "token"),
					} {
						if got != want[at] {
							t.Errorf("the %s is %q, want %q", at, got, want[at])
						}
					}
				})
				c := inMemory(t, sides{}, plan, up, &counters{}, quickSlot(t, &source{t: t}))
				conn := c.dial()
				io.WriteString(conn, "GET /?token=mine HTTP/1.1\r\nHost: front.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"+
					"Token: mine\r\nCookie: token=mine\r\n\r\n")
				back := bufio.NewReader(conn)
				ans, err := http.ReadResponse(back, nil)
				if err != nil || ans.StatusCode != 101 {
					t.Fatalf("%v, %v", ans, err)
				}
				conn.Close()
				<-ended
			})
		})
	}
}

// cookies joins the values of one cookie.
func cookies(r *http.Request, name string) string {
	var values []string
	for _, c := range r.CookiesNamed(name) {
		values = append(values, c.Value)
	}
	return strings.Join(values, "+")
}

// TestRepairedHandshakeKeepsEarlyBytes: what the client sends ahead of the 101
// reaches the server that accepted, once, though the first one refused.
func TestRepairedHandshakeKeepsEarlyBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		accept := socketServer(ended, func(*http.Request) {})
		up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer token1" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			accept.ServeHTTP(w, r)
		})
		src := &source{t: t}
		c := inMemory(t, sides{}, bearerPlan(), up, &counters{}, quickSlot(t, src))
		conn := c.dial()
		go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: front.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
		back := bufio.NewReader(conn)
		ans, err := http.ReadResponse(back, nil)
		if err != nil || ans.StatusCode != 101 || src.logins() != 2 {
			t.Fatalf("%v, %v after %d logins", ans, err, src.logins())
		}
		text := make([]byte, len("hello early"))
		if _, err := io.ReadFull(back, text); err != nil || string(text) != "hello early" {
			t.Errorf("%q, %v", text, err)
		}
		conn.Close()
		<-ended
	})
}

// TestLeavingWebSocketClosesTheOther: whichever side goes, the other one learns
// of it at once, and the token was let go long before.
func TestLeavingWebSocketClosesTheOther(t *testing.T) {
	for _, side := range []string{"client", "upstream"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan time.Time, 1)
				accept := socketServer(ended, func(*http.Request) {})
				up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Header.Get("Upgrade") == "":
					case side == "client":
						accept.ServeHTTP(w, r)
					default:
						conn, _, err := http.NewResponseController(w).Hijack()
						if err != nil {
							return
						}
						io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello ")
						time.Sleep(time.Second)
						conn.Close()
					}
				})
				slot := userSlot(t, &source{t: t, fetch: perUser}, refresher.Limits{Max: 1})
				c := inMemory(t, sides{}, userPlan(), up, &counters{}, slot)
				conn := c.dial()
				start := time.Now()
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: front.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-User: ann\r\n\r\n")
				back := bufio.NewReader(conn)
				if ans, err := http.ReadResponse(back, nil); err != nil || ans.StatusCode != 101 {
					t.Fatalf("%v, %v", ans, err)
				}
				if _, err := io.ReadFull(back, make([]byte, len("hello "))); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second / 2)
				other := c.do(t, "GET", "/", http.NoBody, "X-User", "bob") // there is room for one token
				other.Body.Close()
				if other.StatusCode != 200 {
					t.Errorf("another user got %d while the connection is open", other.StatusCode)
				}
				if side == "client" {
					conn.Close()
					if at := <-ended; at.Sub(start) != time.Second/2 {
						t.Errorf("the upstream learned of it after %v", at.Sub(start))
					}
					return
				}
				rest, err := io.ReadAll(back)
				if len(rest) != 0 || err != nil || time.Since(start) != time.Second {
					t.Errorf("the client read %q, %v after %v", rest, err, time.Since(start))
				}
			})
		})
	}
}

// TestWebSocketBytesPassUnchanged in both directions at once, in any amount.
func TestWebSocketBytesPassUnchanged(t *testing.T) {
	ended := make(chan time.Time, 1)
	s := between(t, &testPlan{}, socketServer(ended, func(*http.Request) {}), false)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /route HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	back := bufio.NewReader(conn)
	if ans, err := http.ReadResponse(back, nil); err != nil || ans.StatusCode != 101 {
		t.Fatalf("%v, %v", ans, err)
	}
	sent := bytes.Repeat([]byte("\x00\r\n\r\nHTTP/1.1 200\xff"), 50_000)
	go func() {
		conn.Write(sent)
		conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(back)
	if err != nil || !bytes.Equal(got, append([]byte("hello "), sent...)) {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(sent), err)
	}
	<-ended
}
