package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"attache/internal/exchange"
	"attache/refresher"

	"github.com/google/go-cmp/cmp"
)

// echo answers 200 and keeps the last request as it would be written.
type echo struct {
	wire string
	req  *http.Request
}

func (e *echo) Send(r *http.Request, _ func(int, http.Header)) (*http.Response, error) {
	quiet(r) // or net/http adds a User-Agent
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		return nil, err
	}
	e.wire, e.req = wire.String(), r
	return respond(200, "ok"), nil
}

// raw sends a request as it came off the wire, without a network.
func raw(t *testing.T, h http.Handler, text string) *httptest.ResponseRecorder {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n"))))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestForwardedBytes(t *testing.T) {
	for _, tc := range []struct{ name, request, want string }{
		{"the design's example", "GET /aicc/poll?x=1 HTTP/1.1\nHost: localhost:8484\n\n",
			"GET /base/poll?x=1 HTTP/1.1\nHost: up.example\n\n"},
		{"nothing is decoded, cleaned or merged", "GET /aicc//a%2Fb%41;x=(1)/?b&&a=%zz&=+ HTTP/1.1\nHost: localhost\n\n",
			"GET /base//a%2Fb%41;x=(1)/?b&&a=%zz&=+ HTTP/1.1\nHost: up.example\n\n"},
		{"an empty query stays", "GET /aicc/? HTTP/1.1\nHost: localhost\n\n",
			"GET /base/? HTTP/1.1\nHost: up.example\n\n"},
		{"forwarding headers pass, none is added",
			"GET /aicc/ HTTP/1.1\nHost: localhost\nForwarded: for=1\nUser-Agent: app/1\nVia: 1.1 a\nX-Forwarded-For: 1\nX-Forwarded-Host: h\nX-Forwarded-Proto: https\n\n",
			"GET /base/ HTTP/1.1\nHost: up.example\nUser-Agent: app/1\nForwarded: for=1\nVia: 1.1 a\nX-Forwarded-For: 1\nX-Forwarded-Host: h\nX-Forwarded-Proto: https\n\n"},
		{"fields of the connection go",
			"GET /aicc/ HTTP/1.1\nHost: localhost\nConnection: close, X-Gone\nX-Gone: 1\nKeep-Alive: 1\nProxy-Authorization: Bearer caller\nProxy-Connection: a\nTe: trailers, gzip\nUpgrade: TLS/1.0\nHttp2-Settings: x\nX-Here: 1\n\n",
			"GET /base/ HTTP/1.1\nHost: up.example\nTe: trailers\nX-Here: 1\n\n"},
		{"a body and its length", "POST /aicc HTTP/1.1\nHost: localhost\nContent-Length: 3\nContent-Type: text/x\n\nabc",
			"POST /base HTTP/1.1\nHost: up.example\nContent-Length: 3\nContent-Type: text/x\n\nabc"},
		{"a body without a length", "POST /aicc/x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n",
			"POST /base/x HTTP/1.1\nHost: up.example\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n"},
		{"trailers", "POST /aicc/x HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nTrailer: X-Sum, Authorization\n\n3\nabc\n0\nX-Sum: 6\nAuthorization: evil\n\n",
			"POST /base/x HTTP/1.1\nHost: up.example\nTransfer-Encoding: chunked\nTrailer: X-Sum\n\n3\nabc\n0\nX-Sum: 6\n\n"},
		{"an upgrade to WebSocket", "GET /aicc/ws HTTP/1.1\nHost: localhost\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket\nSec-Websocket-Key: k\n\n",
			"GET /base/ws HTTP/1.1\nHost: up.example\nConnection: Upgrade\nSec-Websocket-Key: k\nUpgrade: websocket\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var up echo
			p := newProxy(t, &testPlan{strip: []exchange.Name{header("Authorization")}}, &up, nil, func(r *Route) { r.Path = "/aicc/" })
			w := raw(t, p, tc.request)
			if w.Code != 200 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(tc.want, strings.ReplaceAll(up.wire, "\r\n", "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusedForms(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		want          int
	}{
		{"absolute form", "GET http://evil.example/aicc/ HTTP/1.1\nHost: localhost\n\n", 400},
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\nHost: evil.example:443\n\n", 501},
		{"TRACE", "TRACE /aicc/ HTTP/1.1\nHost: localhost\n\n", 501},
		{"asterisk", "OPTIONS * HTTP/1.1\nHost: localhost\n\n", 400},
		{"dot segment", "GET /aicc/../x HTTP/1.1\nHost: localhost\n\n", 400},
		{"encoded dot segment", "GET /aicc/.%2E/x HTTP/1.1\nHost: localhost\n\n", 400},
		{"fragment", "GET /aicc/#x HTTP/1.1\nHost: localhost\n\n", 400},
		{"h2c", "GET /aicc/ HTTP/1.1\nHost: localhost\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\n\n", 400},
		{"h2c behind websocket", "GET /aicc/ HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket, h2c\n\n", 400},
		{"upgrade with a body", "GET /aicc/ HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 1\n\na", 400},
		{"semicolon", "GET /aicc/?a=1;token=2 HTTP/1.1\nHost: localhost\n\n", 400},
		{"stray percent sign", "GET /aicc/?a=%zz HTTP/1.1\nHost: localhost\n\n", 400},
		{"no route", "GET /aiccx HTTP/1.1\nHost: localhost\n\n", 404},
		{"method", "PATCH /aicc/ HTTP/1.1\nHost: localhost\n\n", 405},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rt := fakeTransport(func(*http.Request) (*http.Response, error) {
				t.Error("the request reached the upstream")
				return respond(200, ""), nil
			})
			p := newProxy(t, &testPlan{query: true}, rt, nil, func(r *Route) {
				r.Path, r.Methods = "/aicc", []string{"GET", "OPTIONS", "CONNECT", "POST", "TRACE"}
			})
			w := raw(t, p, tc.request)
			if w.Code != tc.want {
				t.Errorf("status %d, want %d", w.Code, tc.want)
			}
			if !strings.HasPrefix(w.Header().Get("Proxy-Status"), "attache; error=") {
				t.Errorf("Proxy-Status is %q", w.Header().Get("Proxy-Status"))
			}
			if allow := w.Header().Get("Allow"); tc.want == 405 && allow != "CONNECT, GET, OPTIONS, POST, TRACE" {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
}

// everywhere injects into header, query and cookie, and an operation id unless
// the client gives one.
func everywhere() *testPlan {
	id := header("operationID")
	return &testPlan{
		query: true,
		strip: []exchange.Name{
			header("access-token"), header("user_id"), id,
			{In: exchange.Query, Name: "access_token"}, {In: exchange.Cookie, Name: "sid"},
		},
		keepOne: []exchange.Name{id},
		fields: func(dst []exchange.Field, _ refresher.Params, _ []refresher.Token) []exchange.Field {
			return append(dst,
				exchange.Field{In: exchange.Header, Name: "access-token", Value: "good"},
				exchange.Field{In: exchange.Header, Name: "operationID", Value: "ours", IfAbsent: true},
				exchange.Field{In: exchange.Query, Name: "access_token", Value: "go%2Fod"},
				exchange.Field{In: exchange.Cookie, Name: "sid", Value: "good"})
		},
	}
}

func TestInjection(t *testing.T) {
	var up echo
	p := newProxy(t, everywhere(), &up, nil)
	raw(t, p, `GET /x?a=1&Access%5ftoken=evil&b HTTP/1.1
Host: localhost
Connection: access-token, cookie2
ACCESS-TOKEN: evil
Access_Token: evil
User_Id: 7
Cookie: a=1; sid=evil
OperationID: theirs
X-A: 1

`)
	want := `GET /base/x?a=1&b&access_token=go%2Fod HTTP/1.1
Host: up.example
Access-Token: good
Cookie: a=1; sid=good
Operationid: theirs
X-A: 1

`
	if diff := cmp.Diff(want, strings.ReplaceAll(up.wire, "\r\n", "\n")); diff != "" {
		t.Error(diff)
	}
	raw(t, p, "GET / HTTP/1.1\nHost: localhost\nOperationID: one\nOperationID: two\n\n")
	if got := up.req.Header["Operationid"]; len(got) != 1 || got[0] != "ours" {
		t.Errorf("two values of a default leave %q", got)
	}
}

func TestAcceptEncodingIsReducedForJudges(t *testing.T) {
	for _, bodies := range []bool{true, false} {
		var up echo
		p := newProxy(t, &testPlan{bodies: bodies}, &up, nil)
		get(p, "/", "Accept-Encoding", "gzip, br")
		want := "gzip, br"
		if bodies {
			want = "gzip"
		}
		if got := up.req.Header.Get("Accept-Encoding"); got != want {
			t.Errorf("with body rules %v: Accept-Encoding %q, want %q", bodies, got, want)
		}
		get(p, "/")
		if strings.Contains(up.wire, "Accept-Encoding") || strings.Contains(up.wire, "User-Agent") {
			t.Errorf("headers were added: %s", up.wire)
		}
	}
}

func TestPlanSeesTheRequestAsSentUpstream(t *testing.T) {
	plan := everywhere()
	var client, sent exchange.Head
	plan.params = func(h exchange.Head) (refresher.Params, error) {
		client = h
		if h.Header.Get("Access-Token") != "evil" {
			t.Error("parameters are not read from the client's own header")
		}
		return nil, nil
	}
	plan.judge = func(req, ans exchange.Head, _ []byte) exchange.Verdict {
		sent = req
		if req.Header.Get("Access-Token") != "" || req.Header.Get("X-A") != "1" || ans.Header.Get("X-B") != "2" || ans.Status != 200 {
			t.Error("a judge does not see the stripped request and the answer")
		}
		return exchange.Verdict{}
	}
	rt := fakeTransport(func(*http.Request) (*http.Response, error) { return respond(200, "", "X-B", "2"), nil })
	get(newProxy(t, plan, rt, nil, func(r *Route) { r.Path = "/aicc" }), "/aicc/x?access_token=evil&a=1", "Access-Token", "evil", "X-A", "1")
	if client.Path != "/aicc/x" || client.RawQuery != "access_token=evil&a=1" || client.Host != "example.com" {
		t.Errorf("the client's head is %+v", client)
	}
	if sent.Path != "/base/x" || sent.RawQuery != "a=1" || sent.Host != "up.example" || sent.Method != "GET" {
		t.Errorf("the upstream's head is %+v", sent)
	}
}

func TestParamErrorNamesTheParameter(t *testing.T) {
	plan := &testPlan{params: func(exchange.Head) (refresher.Params, error) {
		return nil, &exchange.ParamError{Name: header("X-User-Id"), Text: "is missing"}
	}}
	w := get(newProxy(t, plan, &echo{}, nil), "/")
	want := `{"type":"about:blank","title":"Bad Request","status":400,"detail":"header X-User-Id is missing","parameter":"X-User-Id"}` + "\n"
	if w.Code != 400 || w.Body.String() != want {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
}

func TestBodyReadErrorIsTheClientsFault(t *testing.T) {
	rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
		_, err := io.ReadAll(r.Body)
		return nil, err
	})
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("abc"), failingReader{}))
	w := httptest.NewRecorder()
	newProxy(t, &testPlan{}, rt, nil).ServeHTTP(w, r)
	if w.Code != 400 || strings.Contains(w.Body.String(), "torn") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
