package interop

import (
	"fmt"
	"strings"
)

// targetCases have targets of every form.
func targetCases() []rawCase {
	var cases []rawCase
	const q = "?access_token=" + clientToken
	for _, path := range []string{"", "/", "//", "//other.example/", "///", "/../", "/..", "/a/../b", "/./", "/a/..;/b", "/%2e%2e/", "/%2E./", "/.%2e/", "/%252e%252e/", "/a%2fb", "/a%2f..%2fb", "/a%5cb",
		"/\\", "\\", "/a\\..\\b", "/%00", "/%0d%0aX:y", "/%0d%0a%0d%0aGET%20/inner%20HTTP/1.1", "/%", "/%zz", "/%2", "/\u00e4", "/%c3%a4", "/\xff", "/a;b=c", "/a b", "/ ", "/\"<>", "/{}|^`", "/a#fragment", "*", "a", "a/b", "?", ".", "..",
		"http://127.0.0.1/", "http://127.0.0.1", "http://other.example/", "https://127.0.0.1/", "HTTP://127.0.0.1/", "http:///", "http:/a", "http:", "http://", "http://user@127.0.0.1/", "http://127.0.0.1#@other.example/", "file:///etc", "127.0.0.1:80", "other.example:443", "://", "mailto:a@b"} {
		cases = append(cases, rawCase{fmt.Sprintf("target %+q", path), target("GET", path+q, "HTTP/1.1"), 1, false})
	}
	for _, t := range []string{"*", "127.0.0.1:80", "other.example:443", "/", "http://127.0.0.1/"} {
		for _, method := range []string{"OPTIONS", "CONNECT", "HEAD", "PRI"} {
			cases = append(cases, rawCase{method + " " + t, target(method, t, "HTTP/1.1"), 1, false})
		}
	}
	cases = append(cases,
		// A refused CONNECT is followed by requests; haproxy ignores its length.
		rawCase{"CONNECT with a request as body", "CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + ownFields + "Content-Length: {inner}\r\n\r\n" + inner, 2, false},
		rawCase{"CONNECT, then a request", "CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + ownFields + "\r\n" + inner, 2, false},
		rawCase{"fragment with a token", target("GET", "/"+q+"#access_token="+clientToken, "HTTP/1.1"), 1, false},
		rawCase{"request in the target", target("GET", "/ HTTP/1.1\nX-Id: {id}.2\n\nGET /", "HTTP/1.1"), 0, false})
	return cases
}

// lineCases have strange request lines.
func lineCases() []rawCase {
	var cases []rawCase
	// What is no HTTP/1 some servers take for the nearest version.
	for _, version := range []string{"HTTP/1.0", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "HTTP/1.10", "HTTP/1.01"} {
		cases = append(cases, rawCase{"version " + version, target("GET", ownTarget, version), 1, false})
	}
	for _, version := range []string{"HTTP/0.9", "HTTP/2", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTP/01.1", "HTTP/ 1.1", "http/1.1", "HTP/1.1", "HTTPS/1.1", "HTTP 1.1", "ICY/1.1", "", "x"} {
		cases = append(cases, rawCase{fmt.Sprintf("version %q", version), target("GET", ownTarget, version), 0, false})
	}
	rest := "\r\n" + ownFields + "Connection: close\r\n\r\n"
	for _, line := range []string{"GET /", "GET", "", " ", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET\t/\tHTTP/1.1", "GET / HTTP/1.1 HTTP/1.1", "GET / HTTP/1.1\tx", "/ GET HTTP/1.1", "GET HTTP/1.1", "HTTP/1.1 200 OK"} {
		cases = append(cases, rawCase{fmt.Sprintf("request line %q", line), line + rest, 1, false})
	}
	for _, method := range []string{"get", "Get", "GE T", "G\u00cbT", "GET,POST", "G(T", "\"GET\"", "GET:", "X", "-", "M-SEARCH", strings.Repeat("A", 1000)} {
		cases = append(cases, rawCase{fmt.Sprintf("method %+.20q", method), target(method, ownTarget, "HTTP/1.1"), 1, false})
	}
	cases = append(cases,
		rawCase{"HTTP/0.9", "GET /{id}\r\n", 0, false},
		rawCase{"HTTP/0.9, then a request", "GET /{id}\r\n" + inner, 0, false},
		rawCase{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 0, false},
		rawCase{"preface of HTTP/2, then a request", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner, 0, false},
		rawCase{"start of TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 0, false},
		rawCase{"PROXY protocol", "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + get("Connection: close\r\n"), 0, false})
	return cases
}

// expectCases have expectations and upgrades.
func expectCases() []rawCase {
	var cases []rawCase
	for _, expect := range []string{"100-continue", "100-Continue", "100-continue ", "\t100-continue", "100-continue, x", "x, 100-continue", "100-continue;q=1", "100 continue", "200-ok", "x", "", "100-continue\r\nExpect: 100-continue", "100-continue\r\nExpect: x", "\v100-continue"} {
		cases = append(cases,
			rawCase{fmt.Sprintf("Expect %q with a body", expect), post("Expect: "+expect+"\r\nContent-Length: 5\r\n", "hello"+inner), 2, false},
			rawCase{fmt.Sprintf("Expect %q with the body left out", expect), post("Expect: "+expect+"\r\nContent-Length: {inner}\r\n", inner), 1, false},
			rawCase{fmt.Sprintf("GET with Expect %q", expect), get("Expect: "+expect+"\r\n") + inner, 2, false})
	}
	const settings = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	const socket = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for _, lines := range []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + settings,
		"Connection: Upgrade\r\nUpgrade: h2c\r\n" + settings,
		"Upgrade: h2c\r\n" + settings,
		"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n" + settings + socket,
		"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n" + settings + socket,
		"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n" + settings + socket,
		"Connection: Upgrade\r\nUpgrade: \th2c\r\n" + settings,
		"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
		"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
		"Connection: Upgrade\r\nUpgrade: connect-udp\r\n",
		"Connection: Upgrade\r\nUpgrade:\r\n",
		"Connection: Upgrade\r\n",
		"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" + socket,
		"Connection: Upgrade\r\nUpgrade: websocket\r\n" + socket + "Content-Length: 0\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 9999\r\n",
	} {
		cases = append(cases,
			rawCase{fmt.Sprintf("upgrade %.60q", lines), get(lines) + inner, 2, false},
			rawCase{fmt.Sprintf("upgrade %.60q and the preface of HTTP/2", lines), get(lines) + preface + inner, 1, false},
			rawCase{fmt.Sprintf("upgrade %.60q with a body", lines), post("Content-Length: {inner}\r\n"+lines, inner), 1, false})
	}
	return cases
}

// spellingCases send names that upstreams may take for the injected one or for
// one that frames the message.
func spellingCases() []rawCase {
	var cases []rawCase
	for _, name := range []string{"authorization", "AUTHORIZATION", "aUTHORIZATION", "Authorization ", " Authorization", "Authorization\t", "X_Api_Key", "x_api-key", "X-API_KEY", "X.Api.Key"} {
		cases = append(cases, rawCase{fmt.Sprintf("token as %q", name), get(name + ": " + clientToken + "\r\nConnection: close\r\n"), 1, false})
	}
	for _, options := range []string{"authorization", "Authorization, close", "close, authorization", "authorization\r\nConnection: Authorization", "content-length", "Content-Length, close", "transfer-encoding", "host", "accept, host", "keep-alive, authorization",
		"connection", "te", ",,,", "close close", "clo se", "\"close\"", "authorization;x", "", "*", "upgrade", "close\x00"} {
		lines := fmt.Sprintf("Connection: %s\r\n", options)
		cases = append(cases,
			rawCase{fmt.Sprintf("Connection %+q", options), get(lines) + inner, 2, false},
			rawCase{fmt.Sprintf("Connection %+q with a length", options), post(lines+"Content-Length: {inner}\r\n", inner), 1, false},
			rawCase{fmt.Sprintf("Connection %+q with chunks", options), post(lines+"Transfer-Encoding: chunked\r\n", chunkedInner), 1, false})
	}
	for _, name := range []string{"Content_Length", "content_length", "CONTENT_LENGTH", "Transfer_Encoding", "TRANSFER_ENCODING", "X_Id", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "X-Original-URL", "X-HTTP-Method-Override", "X-Forwarded-Host"} {
		cases = append(cases, rawCase{"field " + name, get(name+": 7\r\n") + inner, 2, false},
			rawCase{"field " + name + " beside a length", post(name+": 7\r\nContent-Length: 5\r\n", "hello"+inner), 2, false})
	}
	return cases
}

// queryCases send the injected parameter in other spellings.
func queryCases() []rawCase {
	var cases []rawCase
	for _, name := range []string{"access_token", "ACCESS_TOKEN", "Access_Token", "access%5ftoken", "%61ccess_token", "%41CCESS_TOKEN", "access_token%", "access_token[]", "access_token%5b%5d", "access_token[x]", "+access_token", "%20access_token",
		"access_token+", "access_token%20", "access_token%00", "access_token\t", "access%255ftoken", "acc\u0435ss_token", ";access_token", "x;access_token", "&&access_token", "?access_token", "#access_token", "access_token.x", "access.token", "access-token"} {
		cases = append(cases,
			rawCase{fmt.Sprintf("query %+q", name), target("GET", "/?"+name+"=x", "HTTP/1.1"), 1, false},
			rawCase{fmt.Sprintf("query %+q twice", name), target("GET", "/?"+name+"=x&a=b&"+name+"=y&"+name, "HTTP/1.1"), 1, false})
	}
	return cases
}

// sizeCases are larger than servers like.
func sizeCases() []rawCase {
	long := func(n int) string { return strings.Repeat("x", n) }
	return []rawCase{
		{"path of 8 KiB", target("GET", "/"+long(8<<10), "HTTP/1.1"), 1, true},
		{"path of 100 KiB", target("GET", "/"+long(100<<10), "HTTP/1.1"), 1, false},
		{"path of 1 MiB", target("GET", "/"+long(1<<20), "HTTP/1.1"), 1, false},
		{"value of 16 KiB", get("Connection: close\r\nX-Other: " + long(16<<10) + "\r\n"), 1, true},
		{"value of 1 MiB", get("Connection: close\r\nX-Other: " + long(1<<20) + "\r\n"), 1, false},
		{"name of 16 KiB", get("Connection: close\r\n" + long(16<<10) + ": x\r\n"), 1, false},
		{"500 fields", get("Connection: close\r\n" + strings.Repeat("X-Other: x\r\n", 500)), 1, true},
		{"20,000 fields", get("Connection: close\r\n" + strings.Repeat("X-Other: x\r\n", 20_000)), 1, false},
		{"method of 100 KiB", target(long(100<<10), "/", "HTTP/1.1"), 1, false},
		{"1 MiB of empty lines", strings.Repeat("\r\n", 512<<10) + get("Connection: close\r\n"), 1, false},
		{"1 MiB without an end of line", long(1 << 20), 0, false},
		{"trailers of 1 MiB", post("Transfer-Encoding: chunked\r\n", "0\r\nX-Other: "+long(1<<20)+"\r\n\r\n"+inner), 2, false},
		{"chunk extension of 1 MiB", post("Transfer-Encoding: chunked\r\n", "5;"+long(1<<20)+"\r\nhello\r\n0\r\n\r\n"+inner), 2, false},
	}
}
