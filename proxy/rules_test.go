package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// These tests hold rules of docs/security.md from end to end: bytes of a client
// go in, and what counts is what the upstream, or nobody, gets.

// TestConnectionListsCannotTouchWhatIsInjected: a name in Connection removes the
// client's field of that name, before anything is injected. Trailers can neither
// replace nor repeat what is.
func TestConnectionListsCannotTouchWhatIsInjected(t *testing.T) {
	const names = "Authorization, access-token, ACCESS_TOKEN, operationID, Idempotency-Key, Cookie, sid, user_id"
	for i, plan := range wirePlans() {
		w := newWire(t, plan)
		for _, list := range append(strings.Split(names, ", "), names, "close, "+names, "keep-alive,,"+names+",") {
			for _, body := range []string{"", "Transfer-Encoding: chunked\r\nTrailer: " + names + "\r\n"} {
				request := "POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: " + list + "\r\n"
				for name := range strings.SplitSeq(names, ", ") {
					request += name + ": sid=evil\r\n"
				}
				request += body + "\r\n"
				if body != "" {
					request += "3\r\nabc\r\n0\r\n"
					for name := range strings.SplitSeq(names, ", ") {
						request += name + ": sid=evil\r\n"
					}
					request += "\r\n"
				}
				got := w.send(t, []byte(request))
				if got.broken != nil || len(got.requests) != 1 {
					t.Fatalf("plan %d: %d requests, %v", i, len(got.requests), got.broken)
				}
				checkInjection(t, plan, got.requests[0], accepted([]byte(request)))
			}
		}
	}
}

// TestRedirectsPassThrough: a redirect goes to the client as it is. Whoever it
// names gets no request, and so no credential.
func TestRedirectsPassThrough(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		var foreign, own atomic.Int64
		other := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { foreign.Add(1) }), false)
		plan := everywhere()
		plan.judge = func(_, ans exchange.Head, _ []byte) exchange.Verdict { return exchange.Verdict{} }
		s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own.Add(1)
			status, to := 0, ""
			fmt.Sscanf(r.URL.Path, "/base/%d/%s", &status, &to)
			w.Header().Set("Location", map[string]string{"other": other.URL + "/x", "own": "/base/next"}[to])
			w.WriteHeader(status)
		}), h2)
		for _, status := range []int{300, 301, 302, 303, 307, 308, 399} {
			for to, want := range map[string]string{"other": other.URL + "/x", "own": "/route/next"} {
				before := own.Load()
				ans, err := noRedirects(s).Post(fmt.Sprintf("%s/route/%d/%s", s.URL, status, to), "text/plain", strings.NewReader("abc"))
				if err != nil {
					t.Fatal(err)
				}
				ans.Body.Close()
				if got := ans.Header.Get("Location"); ans.StatusCode != status || got != want {
					t.Errorf("%d to %s: the client gets %d, %q, want %q", status, to, ans.StatusCode, got, want)
				}
				if sent := own.Load() - before; sent != 1 || foreign.Load() != 0 {
					t.Errorf("%d to %s: the upstream got %d requests, the other server %d", status, to, sent, foreign.Load())
				}
			}
		}
	})
}

// TestRequestsCannotChooseTheUpstream: whatever a request says of hosts, the one
// of the configuration is dialled and named in Host (strictReader looks).
func TestRequestsCannotChooseTheUpstream(t *testing.T) {
	w := newWire(t, &testPlan{})
	for _, tc := range []struct{ line, fields, target string }{
		{"GET /x HTTP/1.1", "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\nX-Original-Url: http://evil.example/", "/x"},
		{"GET /x HTTP/1.1", "Host: user:password@evil.example", ""},
		{"GET //evil.example/x HTTP/1.1", "Host: localhost", "//evil.example/x"},
		{"GET //user@evil.example:443/x|y HTTP/1.1", "Host: localhost", "http://up.example//user@evil.example:443/x|y"},
		{"GET /\\evil.example/x HTTP/1.1", "Host: localhost", "/\\evil.example/x"},
		{"GET /%5cevil.example/@evil.example/x HTTP/1.1", "Host: localhost", "/%5cevil.example/@evil.example/x"},
		{"GET /http://evil.example/x HTTP/1.1", "Host: localhost", "/http://evil.example/x"},
		{"GET /x?//evil.example/ HTTP/1.1", "Host: localhost", "/x?//evil.example/"},
		{"GET /x HTTP/1.0", "", "/x"},
		{"GET @evil.example/x HTTP/1.1", "Host: localhost", ""},
		{"GET :80@evil.example/x HTTP/1.1", "Host: localhost", ""},
		{"GET .evil.example/x HTTP/1.1", "Host: localhost", ""},
		{"GET \\\\evil.example/x HTTP/1.1", "Host: localhost", ""},
		{"GET http://evil.example/x HTTP/1.1", "Host: evil.example", ""},
		{"GET unix:/run/x.sock HTTP/1.1", "Host: localhost", ""},
		{"GET //evil.example/../x HTTP/1.1", "Host: localhost", ""},
		{"CONNECT evil.example:443 HTTP/1.1", "Host: evil.example:443", ""},
		{"OPTIONS * HTTP/1.1", "Host: evil.example", ""},
	} {
		request := tc.line + "\r\n" + tc.fields + "\r\n\r\n"
		if tc.fields == "" {
			request = tc.line + "\r\n\r\n"
		}
		w.expectTarget(t, tc.line, w.send(t, []byte(request)), tc.target)
	}
}

// expectTarget fails the test unless the upstream got one request for target, or
// none if that is empty, and nobody else was dialled.
func (w *wire) expectTarget(t *testing.T, what string, got forwarded, target string) {
	t.Helper()
	if got.broken != nil {
		t.Errorf("%s: %v", what, got.broken)
	}
	var targets []string
	for _, r := range got.requests {
		targets = append(targets, r.target)
	}
	if strings.Join(targets, " ") != target {
		t.Errorf("%s: the upstream gets %q, want %q", what, targets, target)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.dialed, wireHost+":80")
	if len(w.dialed) > 0 {
		t.Errorf("%s: somebody else was dialled: %v", what, w.dialed)
	}
}

// TestHTTP2CannotChooseTheUpstream sends frames by hand, with pseudo-headers
// that no client library lets through.
func TestHTTP2CannotChooseTheUpstream(t *testing.T) {
	w := newWire(t, &testPlan{})
	s := httptest.NewUnstartedServer(w.handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	for _, tc := range []struct{ fields, target string }{
		{":method GET|:scheme http|:authority localhost|:path /x", "/x"},
		{":method GET|:scheme https|:authority evil.example|:path /x|host evil.example", "/x"},
		{":method GET|:scheme ftp|:authority user@evil.example|:path /x", ""},
		{":method GET|:scheme http|:authority localhost|:path //evil.example/x", "//evil.example/x"},
		{":method GET|:scheme http|:authority localhost|:path http://evil.example/x", ""},
		{":method GET|:scheme http|:authority localhost|:path @evil.example/x", ""},
		{":method GET|:scheme http|:authority localhost|:path \\\\evil.example/x", ""},
		{":method GET|:scheme http|:authority localhost|:path /x\x20HTTP/1.1", ""},
		{":method GET|:scheme http|:authority localhost|:path /x\r\nX-Injected: 1", ""},
		{":method GET|:scheme http|:authority localhost|:path /a/%2e%2e/x", ""},
		{":method GET|:scheme http|:authority localhost|:path *", ""},
		{":method GET|:scheme http|:authority localhost|:path /x|:path /y", ""},
		{":method GET|:scheme http|:authority localhost|:path /x|connection upgrade|upgrade h2c", ""},
		{":method GET|:scheme http|:authority localhost|:path /x|x-a 1\r\nx-injected: 1", ""},
		{":method CONNECT|:authority evil.example:443", ""},
		{":method CONNECT|:protocol websocket|:scheme http|:authority evil.example|:path /x", ""},
	} {
		askHTTP2(t, s.Listener.Addr().String(), tc.fields)
		w.expectTarget(t, tc.fields, w.collect(t), tc.target)
	}
}

// net/http lets these pass, and takes them for requests of another length: what
// one hop mends the next may read otherwise.
func TestHTTP2LengthsThatDisagree(t *testing.T) {
	w := newWire(t, &testPlan{})
	s := httptest.NewUnstartedServer(w.handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	const request = ":method POST|:scheme http|:authority localhost|:path /x" // without a body
	for _, tc := range []struct{ fields, target string }{
		{request + "|content-length 0", "/x"},
		{request + "|content-length 5", ""},
		{request + "|content-length four", ""},
		{request + "|content-length -1", ""},
		{request + "|content-length 0|content-length 0", ""},
	} {
		askHTTP2(t, s.Listener.Addr().String(), tc.fields)
		w.expectTarget(t, tc.fields, w.collect(t), tc.target)
	}
}

// askHTTP2 sends one request of "name value|name value" and waits until the
// server has answered, reset it, or given up the connection.
func askHTTP2(t *testing.T, address, fields string) {
	t.Helper()
	conn := dialTest(t, address)
	defer conn.Close()
	frame := func(kind, flags byte, stream uint32, payload []byte) []byte {
		head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		return append(binary.BigEndian.AppendUint32(append(head, flags), stream), payload...)
	}
	var block []byte // RFC 7541 section 6.2.2: literals, nothing indexed
	for field := range strings.SplitSeq(fields, "|") {
		name, value, _ := strings.Cut(field, " ")
		block = append(append(block, 0, byte(len(name))), name...)
		block = append(append(block, byte(len(value))), value...)
	}
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out = append(out, frame(4, 0, 0, nil)...)         // SETTINGS
	out = append(out, frame(1, 0x1|0x4, 1, block)...) // HEADERS, END_STREAM and END_HEADERS
	if _, err := io.Copy(conn, bytes.NewReader(out)); err != nil {
		t.Fatal(err)
	}
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			return // given up
		}
		length := binary.BigEndian.Uint32(head) >> 8
		if _, err := io.CopyN(io.Discard, conn, int64(length)); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == 3 && stream == 1, kind == 7: // RST_STREAM, GOAWAY
			return
		case (kind == 0 || kind == 1) && stream == 1 && flags&0x1 != 0: // the answer's end
			return
		}
	}
}

// TestQueryTokenIsInNoPartOfAnAnswer: an upstream repeats the address it was
// asked for wherever an answer has room for it.
func TestQueryTokenIsInNoPartOfAnAnswer(t *testing.T) {
	eachProtocol(t, func(t *testing.T, h2 bool) {
		plan := everywhere()
		plan.fields = func(dst []exchange.Field, _ refresher.Params, _ []refresher.Token) []exchange.Field {
			return append(dst, exchange.Field{In: exchange.Query, Name: "access_token", Value: "QUERY%2FTOKEN"})
		}
		s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked := map[bool]string{false: "http://", true: "https://"}[h2] + r.Host + r.URL.RequestURI()
			h := w.Header()
			h.Set("Trailer", "Link, X-Asked, Set-Cookie")
			h.Set("Location", asked)
			h.Set("Content-Location", r.URL.RequestURI())
			h.Set("Refresh", "1; url="+asked)
			h.Set("X-Asked", r.URL.Query().Get("access_token"))
			h.Add("Set-Cookie", "asked="+r.URL.RawQuery)
			w.WriteHeader(302)
			io.WriteString(w, "moved")
			w.(http.Flusher).Flush()
			h.Set("Link", "<"+asked+">; rel=next")
			h.Set("X-Asked", r.URL.Query().Get("access_token"))
			h.Set("Set-Cookie", "asked="+r.URL.RawQuery)
			h.Set(http.TrailerPrefix+"X-Late", asked)
			h.Set(http.TrailerPrefix+"X-Fine", "1")
		}), h2)
		ans, err := noRedirects(s).Get(s.URL + "/route/x?a=1")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, ans.Body)
		ans.Body.Close()
		for part, fields := range map[string]http.Header{"head": ans.Header, "trailer": ans.Trailer} {
			var text strings.Builder
			fields.Write(&text)
			if strings.Contains(strings.ToUpper(text.String()), "TOKEN") {
				t.Errorf("the token is in the %s: %s", part, text.String())
			}
		}
		if ans.StatusCode != 302 || ans.Header.Get("Location") != "/route/x?a=1" || ans.Trailer.Get("X-Fine") != "1" {
			t.Errorf("status %d, Location %q, trailer %v", ans.StatusCode, ans.Header.Get("Location"), ans.Trailer)
		}
	})
}

// TestInjectedCookieIsNotSetByTrailers: what an upstream sets under the name of
// an injected cookie, or of a hidden one, is a token.
func TestInjectedCookieIsNotSetByTrailers(t *testing.T) {
	plan := everywhere()
	plan.hide = []exchange.Name{{In: exchange.Cookie, Name: "session"}}
	s := between(t, plan, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, cookie := range []string{"sid=secret", "session=secret", "other=1"} {
			w.Header().Add(http.TrailerPrefix+"Set-Cookie", cookie)
		}
		io.WriteString(w, "ok")
		w.(http.Flusher).Flush()
	}), false)
	ans, err := s.Client().Get(s.URL + "/route")
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Body.Close()
	io.Copy(io.Discard, ans.Body)
	if got := ans.Trailer["Set-Cookie"]; len(got) != 1 || got[0] != "other=1" {
		t.Errorf("the trailer sets %q", got)
	}
}

// dialTest connects to a server of the test. Only a hang comes near the
// deadline.
func dialTest(t *testing.T, address string) io.ReadWriteCloser {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}
