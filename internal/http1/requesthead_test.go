package http1

import (
	"bufio"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// What a head may be.
const (
	plain   = "plain"
	unusual = "unusual"
	refused = "refused"
	unended = "unended"
)

// kindOf parses the head that text begins with.
func kindOf(h *RequestHead, text string) string {
	n, err := HeadEnd([]byte(text))
	if err == nil && n > 0 {
		err = h.Parse(text[:n])
	} else if err == nil {
		return unended
	}
	_, malformed := errors.AsType[*ProtocolError](err)
	switch {
	case err == nil:
		return plain
	case err == ErrUnusual:
		return unusual
	case malformed:
		return refused
	}
	return err.Error()
}

// TestRequestHead: what is plain, what is for others, and what is for nobody.
func TestRequestHead(t *testing.T) {
	get := func(fields string) string { return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
	target := func(t string) string { return "GET " + t + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	host := func(h string) string { return "GET / HTTP/1.1\r\nHost: " + h + "\r\n\r\n" }
	for want, texts := range map[string][]string{
		plain: {
			get(""), get("A: b\r\nA: c\r\nb:\r\n"), get("A: \x80\xff\ttab\r\n"), get("Content-Length: 0\r\n"), get("content-length: 9223372036854775807\r\n"),
			get("Transfer-Encoding: chunked\r\n"), get("TRANSFER-ENCODING: Chunked\r\n"), get("Connection: close\r\n"), get("Connection: Keep-Alive\r\nconnection: CLOSE\r\n"),
			get("Keep-Alive: 5\r\n"), target("/?"), target("/a%2Fb%2f?a=%zz%"), target("/a?b?c"), target("/a//b"), target("/\xe9"), target("/;[]|\"<>\\^`{}"),
			"post / HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / HTTP/1.1\r\nhOST: a\r\n\r\n", host("a:80"), host("[::1]:80"), host("A_b-c.d"),
		},
		unusual: {
			get("Upgrade: x\r\n"), get("Expect: 100-continue\r\n"), get("TE: trailers\r\n"), get("Trailer: a\r\n"), get("HTTP2-Settings: a\r\n"),
			get("Connection: upgrade\r\n"), get("Connection: close, te\r\n"), get("Connection: \r\n"), get("Connection: a\r\n"),
			get("Transfer-Encoding: gzip, chunked\r\n"), get("Transfer-Encoding: identity\r\n"), get("Transfer-Encoding: chunked, chunked\r\n"), get("Transfer-Encoding:\r\n"),
			target("*"), target("//a//b"), target("//"), target("http://a/"), target("a"), target("a:80"), target("/#a"), target("/?#"), target("/%"), target("/%2"), target("/%zz"), target(""),
			"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "GET / http/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", "GET / \r\nHost: a\r\n\r\n",
			"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACK / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
			host(""), host("a/b"), host("a@b"), host("a b"), host("\xe9"), host("a%20"), host("a,b"),
		},
		refused: {
			get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), get("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), get("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n"),
			get("Content-Length: 1\r\nContent-Length: 1\r\n"), get("Content-Length: 1\r\ncontent-length: 2\r\n"), get("Content-Length: 1, 1\r\n"), get("Content-Length:\r\n"),
			get("Content-Length: +1\r\n"), get("Content-Length: -1\r\n"), get("Content-Length: 0x1\r\n"), get("Content-Length: 1 1\r\n"), get("Content-Length: 9223372036854775808\r\n"), get("Content-Length: 00000000000000000001\r\n"),
			get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
			get("Host: a\r\n"), get("host: b\r\n"), "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r\n",
			get("A: b\n"), "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n", "\n", "\r\n", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
			get("A: b\rc\r\n"), get("A: b\r\r\n"), "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", get("A: \x00\r\n"), "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", target("/\x7f"), target("/\t"), get("A: \x7f\r\n"),
			get("A: b\r\n c\r\n"), get("A: b\r\n\tc\r\n"), "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
			get("A : b\r\n"), get("Content-Length : 1\r\n"), get(": b\r\n"), get("A\r\n"), get("A b: c\r\n"), get("A\xe9: b\r\n"), get("A(: b\r\n"),
			"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET\r\nHost: a\r\n\r\n", "GET /\r\nHost: a\r\n\r\n", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", " / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\r\n\r\n",
			get(strings.Repeat("A: b\r\n", maxFields)),
		},
		unended: {"", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"},
	} {
		var h RequestHead // one for all, as on a connection
		for _, text := range texts {
			if got := kindOf(&h, text); want == unusual && text == target("") {
				if got == plain {
					t.Error("a request without a target is plain")
				}
			} else if got != want {
				t.Errorf("%.200q is %s, not %s", text, got, want)
			}
		}
	}
}

// TestRequestHeadsLeaveNothingBehind: a head says nothing about the next one.
func TestRequestHeadsLeaveNothingBehind(t *testing.T) {
	var used RequestHead
	for _, before := range []string{
		"PUT /x HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nConnection: close\r\nA: b\r\nC: d\r\n\r\n",
		"PUT /x HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\n\r\n",
		"PUT /x HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
		"PUT /x HTTP/1.1\r\nHost: b\r\nA\r\n\r\n", "PUT /x HTTP/1.0\r\n\r\n", "\r\n",
	} {
		kindOf(&used, before)
		var fresh RequestHead
		const text = "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"
		if kindOf(&fresh, text) != plain || kindOf(&used, text) != plain {
			t.Fatal("it is not plain")
		}
		got, want := used, fresh
		if !reflect.DeepEqual(got.Fields.Header(), want.Fields.Header()) {
			t.Errorf("after %q: %v", before, got.Fields)
		}
		got.Fields, want.Fields = Fields{}, Fields{}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("after %q: %+v", before, got)
		}
	}
}

// FuzzRequestHead: whatever is plain net/http reads the same, and so does this, be it
// cut anywhere.
func FuzzRequestHead(f *testing.F) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /a%2F?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
		"PUT /x HTTP/1.1\r\nhost: [::1]\r\nTransfer-Encoding: chunked\r\nConnection: close\r\na: b\r\nA: c \r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nCookie: a=b\r\nPragma: no-cache\r\n\r\n", "GET //a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xff HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var h RequestHead
		got := kindOf(&h, text)
		if n, err := HeadEnd([]byte(text)); err == nil && n > 0 {
			if i := strings.Index(text, "\r\n\r\n"); !strings.HasPrefix(text, "\r\n") && i+4 != n || strings.Count(text[:n], "\n") != strings.Count(text[:n], "\r\n") {
				t.Errorf("it ends at %d", n)
			}
		}
		if got != plain {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if h.Method != r.Method || h.Target != r.RequestURI || h.Host != r.Host || h.Length != r.ContentLength || h.Close != r.Close {
			t.Errorf("%+v\nnet/http: %+v", h, r)
		}
		want := r.Header
		for _, name := range []string{"Connection", "Content-Length"} {
			delete(want, name)
		}
		header := h.Fields.Header()
		if header["Pragma"] != nil { // from which net/http makes another field
			delete(want, "Cache-Control")
			delete(header, "Cache-Control")
		}
		if !reflect.DeepEqual(header, want) {
			t.Errorf("%q\nnet/http: %q", header, want)
		}
	})
}
