package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// laneAnswer is what an upstream does with a request. Lines end with "\n", which
// stands for CRLF; "\x00" for a line feed alone.
type laneAnswer struct {
	raw   string
	early bool // before it has read the request's body
	ends  bool // the connection, after it
}

// laneAnswers are those that a fuzzed choice picks from: of every kind that a lane
// may treat in a way of its own.
func laneAnswers() []laneAnswer {
	const ok = "HTTP/1.1 200 OK\n"
	return []laneAnswer{
		{raw: ok + "Content-Type: text/plain\nContent-Length: 5\n\nhello"},
		{raw: ok + "Content-Length: 0\n\n"},
		{raw: ok + "Transfer-Encoding: chunked\n\n5\nhello\n3;x=y\nabc\n0\n\n"},
		{raw: ok + "Transfer-Encoding: chunked\nTrailer: X-Sum, X-Hidden\n\n5\nhello\n0\nX-Sum: 1\nX-Hidden: 2\nX-More: 3\n\n"},
		{raw: ok + "Transfer-Encoding: chunked\n\n5\nhello\n0\nX-Sum: 1\nSet-Cookie: sid=1\n\n"},
		{raw: ok + "Content-Type: text/plain\n\nuntil it closes", ends: true},
		{raw: "HTTP/1.1 204 No Content\nX-A: 1\n\n"},
		{raw: "HTTP/1.1 204 No Content\nContent-Length: 5\n\n"},
		{raw: "HTTP/1.1 304 Not Modified\nContent-Type: text/plain\nContent-Length: 5\nEtag: x\n\n"},
		{raw: "HTTP/1.1 103 Early Hints\nLink: </a>\nX-Hidden: 1\n\nHTTP/1.1 100 Continue\n\n" + ok + "Content-Length: 2\n\nok"},
		{raw: "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\n", ends: true},
		{raw: "HTTP/1.1 401 Unauthorized\nWww-Authenticate: Bearer\nContent-Length: 2\n\nno"},
		{raw: "HTTP/1.1 401 Unauthorized\nTransfer-Encoding: chunked\n\n2\nno\n0\n\n"},
		{raw: ok + "Content-Type: application/json\nContent-Length: 17\n\n{\"error\":\"token\"}"},
		{raw: ok + "Content-Type: application/json\nTransfer-Encoding: chunked\n\n11\n{\"error\":\"token\"}\n0\n\n"},
		{raw: zippedAnswer(`{"error":"token"}`)},
		{raw: zippedAnswer(`{"error":"none"}`)},
		{raw: ok + "Set-Cookie: sid=1; Path=/\nSet-Cookie: a=1\nSet-Cookie: b=2; Path=/base\nContent-Length: 0\n\n"},
		{raw: "HTTP/1.1 302 Found\nLocation: http://up.example/base/x?access_token=injected%2F3\nContent-Location: /base/y\nContent-Length: 0\n\n"},
		{raw: ok + "Date: Thu, 01 Jan 2026 00:00:00 GMT\nDate: yesterday\nServer: up\nContent-Length: 2\n\nok"},
		{raw: ok + "Content-Length: 5\nContent-Length: 5\n\nhello"},
		{raw: ok + "Content-Length: 5\nContent-Length: 6\n\nhello!"},
		{raw: ok + "Transfer-Encoding: chunked\n\n5\nhello\nzz\nabc\n0\n\n"},
		{raw: ok + "Transfer-Encoding: chunked\n\n5\nhelloX\n0\n\n"},
		{raw: ok + "Content-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n"},
		{raw: ok + "Content-Type: text/pl", ends: true},
		{raw: ok + "Content-Length: 10\n\nhello", ends: true},
		{raw: ok + "Transfer-Encoding: chunked\n\n5\nhel", ends: true},
		{raw: "HTTP/1.1 413 Content Too Large\nContent-Length: 3\n\nbig", early: true},
		{raw: "HTTP/1.1 413 Content Too Large\nConnection: close\nContent-Length: 3\n\nbig", early: true, ends: true},
		{raw: "HTTP/1.0 200 OK\nContent-Length: 2\n\nok", ends: true},
		{raw: "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 2\n\nok"},
		{raw: ok + "Connection: X-Hop, keep-alive\nX-Hop: 1\nKeep-Alive: timeout=5\nX-A: 1\nContent-Length: 2\n\nok"},
		{raw: ok + "Connection: close\nContent-Length: 2\n\nok", ends: true},
		{raw: ok + "Content-Length: 2\n\nokHTTP/1.1 200 OK\nContent-Length: 4\n\nevil"},
		{raw: ok + "X-A: 1\x00X-B: 2\nContent-Length: 2\n\nok"},
		{raw: ok + "X-A: 1\n 2\nContent-Length: 2\n\nok"},
		{raw: ok + "X-A : 1\nContent-Length: 2\n\nok"},
		{raw: "HTTP/1.1 099 Odd\nContent-Length: 2\n\nok"},
		{raw: "HTTP/1.1 999\nContent-Length: 2\n\nok"},
		{raw: "HTTP/2 200\n\n"},
		{raw: "", ends: true},
		{raw: ok + "Content-Length: 100000\n\n" + strings.Repeat("0123456789", 10000)},
		{raw: ok + "Transfer-Encoding: chunked\n\n186a0\n" + strings.Repeat("0123456789", 10000) + "\n0\n\n"},
		{raw: ok + "Trailer: X-Sum\nContent-Length: 2\n\nok"},
		{raw: ok + "Proxy-Status: attache; error=x\nProxy-Status: cdn\nAlt-Svc: h2\nUpgrade: h2\nTe: x\nProxy-Authenticate: x\nContent-Length: 2\n\nok"},
		{raw: ok + "Content-Type: text/event-stream\nContent-Length: 9\n\ndata: x\x00\x00"},
		{raw: ok + "Content-Type: text/event-stream\nTransfer-Encoding: chunked\n\n9\ndata: x\x00\x00\n0\n\n"},
		{raw: "HTTP/1.1 500\nContent-Type:\nContent-Length: 2\n\nno"},
		{raw: "HTTP/1.1 206 Partial Content\nContent-Range: bytes 0-1/3\nContent-Length: 2\n\nok"},
		{raw: "HTTP/1.1 205 Reset Content\nContent-Length: 0\n\n"},
		{raw: ok + "access-token: injected-2\nX-Echo: Bearer injected-1 token1\nX-Query: injected%2F3 injected/3\nX-Hidden: 1\nContent-Length: 2\n\nok"},
		{raw: ok + "Access-Control-Allow-Origin: *\nVary: Origin\nVary: Accept\nX_A: 1\nContent-Length: 2\n\nok"},
	}
}

func zippedAnswer(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	io.WriteString(w, text)
	w.Close()
	var chunk strings.Builder
	for _, b := range out.Bytes() { // LF in it would be turned into CRLF
		if b == '\n' || b == 0 {
			b = ^b // then the body is no gzip, which is a case as well
		}
		chunk.WriteByte(b)
	}
	n := chunk.Len()
	digits := ""
	for ; n > 0; n /= 10 {
		digits = string(rune('0'+n%10)) + digits
	}
	return "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Encoding: gzip\nContent-Length: " + digits + "\n\n" + chunk.String()
}

// laneUpstream reads strictly, remembers, and answers by choice: two bytes for each
// request, which answer, and where it is cut in two.
type laneUpstream struct {
	answers []laneAnswer
	choice  []byte

	mu     sync.Mutex
	seen   []*strictRequest // served to their ends by goroutines of their own
	last   string           // the head of the last one
	broken error            // what it could not read
	early  bool             // it has answered before it had the whole body, and never got that
}

func (u *laneUpstream) serve(conn net.Conn) {
	s := strictReader{bufio.NewReader(conn)}
	for {
		r, err := s.head()
		if err != nil {
			u.failed(err, false)
			return
		}
		a, split := u.take(r)
		if a.early {
			if !send(conn, a, r.method, split) || a.ends {
				u.failed(nil, true)
				return
			}
		}
		if exactly(r.fields, "Expect") != nil {
			io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if err := s.rest(r); err != nil {
			u.failed(err, a.early)
			return
		}
		if !a.early && (!send(conn, a, r.method, split) || a.ends) {
			return
		}
	}
}

func (u *laneUpstream) failed(err error, early bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.early = u.early || early
	if errors.Is(err, errNotStrict) {
		u.broken = err
	}
}

// take remembers a request and returns the answer to it. One that got none comes again
// if its connection was used before, which is a matter of time; so it counts once, and
// gets none again.
func (u *laneUpstream) take(r *strictRequest) (a laneAnswer, split int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	head := requestText(r)
	if n := len(u.seen); n > 0 {
		if a, split = u.next(n - 1); a.raw == "" && head == u.last {
			return a, split
		}
	}
	u.seen, u.last = append(u.seen, r), head
	return u.next(len(u.seen) - 1)
}

func (u *laneUpstream) next(i int) (a laneAnswer, split int) {
	if len(u.choice) < 2 {
		return u.answers[0], 0
	}
	at := 2 * i % (len(u.choice) &^ 1)
	return u.answers[int(u.choice[at])%len(u.answers)], int(u.choice[at+1])
}

// send writes an answer, in two pieces unless split is 0. It reports whether all of it
// went.
func send(conn net.Conn, a laneAnswer, method string, split int) bool {
	raw := strings.ReplaceAll(strings.ReplaceAll(a.raw, "\n", "\r\n"), "\x00", "\n")
	if method == http.MethodHead {
		if head, _, ok := strings.Cut(raw, "\r\n\r\n"); ok && !strings.HasPrefix(raw, "HTTP/1.1 1") {
			raw = head + "\r\n\r\n"
		}
	}
	at := split * len(raw) / 256
	if strings.Contains(raw, "evil") { // what is too much comes at once, or nobody could see it here
		at = 0
	}
	if at > 0 {
		if _, err := io.WriteString(conn, raw[:at]); err != nil {
			return false
		}
	}
	_, err := io.WriteString(conn, raw[at:])
	return err == nil
}
