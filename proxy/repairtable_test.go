package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
)

// refusing answers 401, or gRPC's 16, until the token is good.
type refusing struct {
	good  string // no token is if it is empty
	early bool   // it refuses before it has read the body
	seen  atomic.Int64
}

func (u *refusing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.seen.Add(1)
	call := isGRPC(r.Header.Get("Content-Type"))
	refused := r.Header.Get("Authorization") != "Bearer "+u.good
	if r.ProtoMajor == 1 {
		http.NewResponseController(w).EnableFullDuplex()
	}
	if !refused || !u.early {
		io.Copy(io.Discard, r.Body)
	}
	switch {
	case call:
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", map[bool]string{true: "16", false: "0"}[refused])
	case refused:
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case r.Header.Get("Upgrade") != "":
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome")
		io.Copy(io.Discard, rw)
	case r.Header.Get("Range") != "":
		w.Header().Set("Content-Range", "bytes 0-6/100")
		w.WriteHeader(206)
		io.WriteString(w, "welcome")
	default:
		w.Header().Set("Content-Length", "7")
		io.WriteString(w, "welcome")
	}
}

// TestRepairTable: what is sent again, and how often, by kind of request.
func TestRepairTable(t *testing.T) {
	small, large := strings.Repeat("s", 1000), strings.Repeat("l", 1001) // the bound is 1000
	for _, tc := range []struct {
		name, method, body string
		s                  sides
		chunked            bool
		open               bool // the client does not end its body
		header             []string
		ws                 bool
		repaired           bool
	}{
		{name: "GET", method: "GET", repaired: true},
		{name: "GET over HTTP/2", method: "GET", s: sides{true, true}, repaired: true},
		{name: "HEAD", method: "HEAD", repaired: true},
		{name: "Range", method: "GET", header: []string{"Range", "bytes=0-6"}, repaired: true},
		{name: "small POST", method: "POST", body: small, repaired: true},
		{name: "large POST", method: "POST", body: large},
		{name: "incomplete POST", method: "POST", body: "abc", open: true},
		{name: "chunked upload", method: "POST", body: small, chunked: true, repaired: true},
		{name: "large chunked upload", method: "POST", body: large, chunked: true},
		{name: "HTTP/2 upload", method: "POST", body: small, chunked: true, s: sides{true, true}, repaired: true},
		{name: "large HTTP/2 upload", method: "POST", body: large, chunked: true, s: sides{true, true}},
		{name: "incomplete HTTP/2 upload", method: "POST", body: "abc", open: true, s: sides{true, true}},
		{name: "HTTP/2 to HTTP/1.1", method: "POST", body: small, chunked: true, s: sides{client: true}, repaired: true},
		{name: "HTTP/1.1 to HTTP/2", method: "POST", body: small, chunked: true, s: sides{upstream: true}, repaired: true},
		{name: "gRPC unary", method: "POST", body: grpcMessageOf("x"), s: sides{true, true}, header: []string{"Content-Type", "application/grpc"}, repaired: true},
		{name: "gRPC streaming", method: "POST", body: grpcMessageOf("x"), open: true, s: sides{true, true}, header: []string{"Content-Type", "application/grpc"}},
		{name: "WebSocket", ws: true, repaired: true},
	} {
		for _, twice := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, refused %d times", tc.name, map[bool]int{false: 1, true: 2}[twice]), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					src, m := &source{t: t}, &counters{}
					up := &refusing{good: "token2", early: tc.open}
					if twice {
						up.good = ""
					}
					c := inMemory(t, tc.s, tablePlan(), up, m, quickSlot(t, src))
					settled() // token1 is here
					var got string
					if tc.ws {
						got = handshake(t, c)
					} else {
						in := tableBody(tc.body, tc.chunked, tc.open)
						ans := c.do(t, tc.method, "/", in, tc.header...)
						got = meaning(t, ans)
						if closer, ok := in.(io.Closer); ok {
							closer.Close()
						}
					}
					want, outcome, seen := "welcome", ReplayOK, int64(2)
					switch {
					case !tc.repaired:
						want, outcome, seen = "refused", ReplayBody, 1
					case twice:
						want, outcome = "refused", ReplayRefused
					}
					settled()
					if got != want || up.seen.Load() != seen {
						t.Errorf("the client got %q, want %q; the upstream saw %d requests, want %d", got, want, up.seen.Load(), seen)
					}
					if src.logins() != 2 {
						t.Errorf("%d logins, want 2", src.logins())
					}
					m.mu.Lock()
					defer m.mu.Unlock()
					if len(m.replays) != 1 || m.replays[outcome] != 1 {
						t.Errorf("outcomes %v, want one %s", m.replays, outcome)
					}
				})
			})
		}
	}
}

// tablePlan refuses by 401 and by gRPC's 16.
func tablePlan() *testPlan {
	plan := grpcPlan()
	byStatus, byEnd := bearerPlan().judge, plan.judge
	plan.judge = func(req, ans exchange.Head, body []byte) exchange.Verdict {
		if v := byStatus(req, ans, body); len(v.Refused) > 0 {
			return v
		}
		return byEnd(req, ans, body)
	}
	return plan
}

// tableBody is a request's body; nil: none.
func tableBody(text string, chunked, open bool) io.Reader {
	switch {
	case open:
		in, out := io.Pipe()
		go io.WriteString(out, text)
		return in
	case chunked:
		return io.MultiReader(strings.NewReader(text)) // net/http does not know its length
	case text != "":
		return strings.NewReader(text)
	}
	return http.NoBody
}

// meaning says whether an answer is the upstream's welcome or its refusal.
func meaning(t *testing.T, ans *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(ans.Body)
	ans.Body.Close()
	if err != nil {
		t.Errorf("read the answer: %v", err)
	}
	switch {
	case ans.StatusCode == 401 || ans.Header.Get("Grpc-Status") == "16":
		return "refused"
	case ans.Header.Get("Grpc-Status") == "0":
		return "welcome"
	case ans.Request.Method == "HEAD" && ans.StatusCode == 200 && ans.ContentLength == 7 && len(text) == 0:
		return "welcome"
	case ans.Request.Header.Get("Range") != "" && ans.StatusCode != 206:
		return "not a part"
	}
	return string(text)
}

// handshake opens a WebSocket and returns the first words of the upstream.
func handshake(t *testing.T, c *memoryClient) string {
	t.Helper()
	conn := c.dial()
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: front.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	back := bufio.NewReader(conn)
	ans, err := http.ReadResponse(back, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Body.Close()
	if ans.StatusCode != 101 {
		return map[bool]string{true: "refused", false: ans.Status}[ans.StatusCode == 401]
	}
	text := make([]byte, len("welcome"))
	if _, err := io.ReadFull(back, text); err != nil {
		t.Error(err)
	}
	return string(text)
}

// TestNothingIsReplayedAfterTheSwitch: a rule that takes even a 101 for a refusal
// renews the token and lets the connection be.
func TestNothingIsReplayedAfterTheSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := bearerPlan()
		plan.judge = func(_, ans exchange.Head, _ []byte) (v exchange.Verdict) {
			if ans.Status == 101 {
				v.Refused = []exchange.Refusal{{Signal: exchange.SignalStatus}}
			}
			return v
		}
		src, up := &source{t: t}, &refusing{good: "token1"}
		c := inMemory(t, sides{}, plan, up, &counters{}, quickSlot(t, src))
		time.Sleep(time.Second)
		if got := handshake(t, c); got != "welcome" {
			t.Errorf("the client got %q", got)
		}
		settled()
		if up.seen.Load() != 1 || src.logins() != 2 {
			t.Errorf("the upstream saw %d requests after %d logins", up.seen.Load(), src.logins())
		}
	})
}
