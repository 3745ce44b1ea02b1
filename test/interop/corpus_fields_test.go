package interop

import (
	"fmt"
	"strings"
)

// chunkCases are bodies in chunks that readers end at different places.
func chunkCases() []rawCase {
	var cases []rawCase
	chunked := func(name, body string, holds int) {
		cases = append(cases, rawCase{"chunks: " + name, post("Transfer-Encoding: chunked\r\n", body), holds, false})
	}
	for _, size := range []string{"-5", "+5", "0x5", "5g", "g", "", "5.", "5,", "5_", "\"5\"", "5\x00", "5\v", "ffffffffffffffff5", "10000000000000005",
		"100000005", "fffffffffffffffb", "7fffffffffffffff", "8000000000000005", "\u0665", " 5", "\t5"} {
		holds := 0
		chunked(fmt.Sprintf("size %+q", size), size+"\r\nhello\r\n0\r\n\r\n"+inner, holds)
	}
	// Zeros in front are digits; whitespace before an extension is to be
	// tolerated.
	for _, size := range []string{"05", "0000000000000005", "5;x", "5;x=y", "5;x=\"y\"", "5 ;x", "5; x = y", "5\t;x", "5 ", "5\t", "5;", "5;;", "5;=y", "5;x=\"a;b\"", "5;\x01"} {
		chunked(fmt.Sprintf("size %+q", size), size+"\r\nhello\r\n0\r\n\r\n"+inner, 2)
	}
	for _, size := range []string{"00", "000000000000000000000", "0;x", "0 ", "-0", "0x0", "+0"} {
		chunked(fmt.Sprintf("last size %+q", size), "5\r\nhello\r\n"+size+"\r\n\r\n"+inner, 2)
	}
	chunked("LF behind the size", "5\nhello\r\n0\r\n\r\n"+inner, 2)
	chunked("LF behind the data", "5\r\nhello\n0\r\n\r\n"+inner, 2)
	chunked("LF behind the last size", "5\r\nhello\r\n0\n\r\n"+inner, 2)
	chunked("LF at the end", "5\r\nhello\r\n0\r\n\n"+inner, 2)
	chunked("LF alone everywhere", "5\nhello\n0\n\n"+inner, 2)
	chunked("CR behind the size", "5\rhello\r\n0\r\n\r\n"+inner, 0)
	chunked("CR CR LF behind the size", "5\r\r\nhello\r\n0\r\n\r\n"+inner, 0)
	chunked("no CRLF behind the data", "5\r\nhello0\r\n\r\n"+inner, 0)
	chunked("other bytes for CRLF", "5\r\nhelloXX0\r\n\r\n"+inner, 0)
	chunked("more data than said", "5\r\nhello, world\r\n0\r\n\r\n"+inner, 0)
	chunked("less data than said", "9\r\nhello\r\n0\r\n\r\n"+inner, 0)
	chunked("no last chunk", "5\r\nhello\r\n"+inner, 0)
	chunked("no empty line", "5\r\nhello\r\n0\r\n"+inner, 1)
	chunked("LF in an extension", "5;x\nhello\r\n0\r\n\r\n"+inner, 2)
	chunked("LF in an extension hides a chunk", "2;\nxx\r\n{inner-size}\r\n"+inner+"\r\n0\r\n\r\n", 1)
	chunked("CR in an extension", "5;x\ry\r\nhello\r\n0\r\n\r\n"+inner, 0)
	chunked("request in an extension", "5;"+strings.ReplaceAll(inner, "\r\n", "\n")+"\r\nhello\r\n0\r\n\r\n", 0)
	chunked("request in an extension's quotes", "5;x=\""+strings.ReplaceAll(inner, "\r\n", " ")+"\"\r\nhello\r\n0\r\n\r\n", 1)
	chunked("long extension", "5;"+strings.Repeat("x", 20_000)+"\r\nhello\r\n0\r\n\r\n"+inner, 2)
	chunked("many extensions", strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\nh\r\n", 100)+"0\r\n\r\n"+inner, 2)
	chunked("many zeros", strings.Repeat("0", 5000)+"5\r\nhello\r\n0\r\n\r\n"+inner, 2)
	chunked("empty line before the size", "\r\n5\r\nhello\r\n0\r\n\r\n"+inner, 0)
	cases = append(cases,
		rawCase{"HTTP/1.0 in chunks", strings.Replace(post("Transfer-Encoding: chunked\r\n", chunkedInner), "HTTP/1.1", "HTTP/1.0", 1), 1, false},
		rawCase{"HTTP/1.0 in chunks, kept alive", strings.Replace(post("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+inner), "HTTP/1.1", "HTTP/1.0", 1), 1, false},
		rawCase{"HTTP/1.0 with both lengths", strings.Replace(post("Connection: keep-alive\r\nContent-Length: {inner+5}\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+inner), "HTTP/1.1", "HTTP/1.0", 1), 1, false},
		rawCase{"HTTP/1.0 with a length", strings.Replace(post("Content-Length: 5\r\n", "hello"+inner), "HTTP/1.1", "HTTP/1.0", 1), 1, true})
	return cases
}

// trailerCases try to get fields past the head.
func trailerCases() []rawCase {
	var cases []rawCase
	for _, line := range []string{"X-Trailer: x", "Content-Length: 500", "Transfer-Encoding: chunked", "Host: other.example", "Authorization: " + clientToken,
		"authorization: " + clientToken, "AUTHORIZATION:" + clientToken, "Author_ization: x", "Proxy-Authorization: " + clientToken, "Connection: close", "Trailer: Authorization",
		"Upgrade: h2c", "Expect: 100-continue", "Authorization : " + clientToken, " Authorization: " + clientToken, "Authorization", ": " + clientToken,
		"X: y\nAuthorization: " + clientToken, "X: y\rAuthorization: " + clientToken, "X: \x00", "X\x00: y", "X: y\r\n Authorization: hidden", inner[:strings.Index(inner, "\r\n")]} {
		for _, announced := range []string{"", "Trailer: X-Trailer\r\n", "Trailer: Authorization, Content-Length, X-Trailer\r\n"} {
			cases = append(cases, rawCase{fmt.Sprintf("trailer %+q announced by %q", line, announced),
				post("Transfer-Encoding: chunked\r\n"+announced, "5\r\nhello\r\n0\r\n"+line+"\r\n\r\n"+inner), 2, false})
		}
	}
	return cases
}

// byteCases have a byte where it does not belong.
func byteCases() []rawCase {
	var cases []rawCase
	for _, c := range []byte{0, 1, 7, 8, '\t', '\n', '\v', '\f', '\r', 0x1b, ' ', 0x7f, 0x80, 0x85, 0xa0, 0xff} {
		b := string([]byte{c})
		// Who takes the byte for the end of a line finds the fields behind it.
		hidden := "Authorization: hidden"
		for _, place := range []struct{ name, raw string }{
			{"in a name", get("X" + b + "Other: x\r\nConnection: close\r\n")},
			{"before a name", get(b + "X-Other: x\r\nConnection: close\r\n")},
			{"behind a name", get("X-Other" + b + ": x\r\nConnection: close\r\n")},
			{"in a value", get("X-Other: x" + b + "x\r\nConnection: close\r\n")},
			{"before a value", get("X-Other:" + b + "x\r\nConnection: close\r\n")},
			{"behind a value", get("X-Other: x" + b + "\r\nConnection: close\r\n")},
			{"before hidden fields", get("X-Other: x" + b + hidden + b + "Content-Length: 0\r\nConnection: close\r\n")},
			{"in the name of a token", get("Authorization" + b + ": " + clientToken + "\r\nConnection: close\r\n")},
			{"in the path", target("GET", "/a"+b+"b"+"?access_token="+clientToken, "HTTP/1.1")},
			{"in the query", target("GET", "/?a"+b+"b&access_token="+clientToken, "HTTP/1.1")},
			{"in a query's name", target("GET", "/?access_token"+b+"=x", "HTTP/1.1")},
			{"in the method", target("G"+b+"ET", "/", "HTTP/1.1")},
			{"before the method", b + target("GET", "/", "HTTP/1.1")},
			{"in the version", target("GET", "/", "HTTP/1.1"+b)},
			{"between method and target", "GET" + b + strings.TrimPrefix(target("GET", "/", "HTTP/1.1"), "GET ")},
			{"in Host", strings.Replace(get("Connection: close\r\n"), "127.0.0.1", "127.0"+b+".0.1", 1)},
		} {
			cases = append(cases, rawCase{fmt.Sprintf("byte %#02x %s", c, place.name), place.raw, 1, false})
		}
	}
	return cases
}

// fieldCases have fields that are none.
func fieldCases() []rawCase {
	var cases []rawCase
	for _, lines := range []string{": x\r\n", " : x\r\n", "X-Other\r\n", "X-Other:\r\n", "X-Other x\r\n", "X Other: x\r\n", "X-Other : x\r\n", "X-Other\t: x\r\n",
		"\"X-Other\": x\r\n", "X(Other): x\r\n", "X,Other: x\r\n", "X/Other: x\r\n", "X-Other: x\r\n folded\r\n", "X-Other: x\r\n\tfolded\r\n", "X-Other: x\r\n \r\n",
		"X-Other: x\r\n Authorization: hidden\r\n", "X-Other: x\n", "X-Other: x\r", "X-Other: x\n\r\n", "X-Other: x\r\r\n", "X-Other: x\r\n\r", "=: x\r\n", "{}: x\r\n", "X-\u00c4: x\r\n"} {
		cases = append(cases, rawCase{fmt.Sprintf("field %+q", lines), get(lines + "Connection: close\r\n"), 1, false})
	}
	first := "GET " + ownTarget + " HTTP/1.1\r\n"
	cases = append(cases,
		rawCase{"first field is folded", first + " X: y\r\n" + ownFields + "\r\n", 1, false},
		rawCase{"first field is blank", first + " \r\n" + ownFields + "\r\n", 1, false},
		rawCase{"lines end with LF", strings.ReplaceAll(get("Connection: close\r\n"), "\r\n", "\n"), 1, false},
		rawCase{"lines end with CR", strings.ReplaceAll(get("Connection: close\r\n"), "\r\n", "\r"), 0, false},
		rawCase{"lines end with LF CR", strings.ReplaceAll(get("Connection: close\r\n"), "\r\n", "\n\r"), 0, false})
	return cases
}

// hostCases have no Host, or a strange one, or several.
func hostCases() []rawCase {
	without := func(lines string) string {
		return "GET " + ownTarget + " HTTP/1.1\r\n" + lines + "X-Id: {id}.1\r\nConnection: close\r\n\r\n"
	}
	cases := []rawCase{
		{"no Host", without(""), 0, false},
		{"no Host in HTTP/1.0", strings.Replace(without(""), "HTTP/1.1", "HTTP/1.0", 1), 1, false},
		{"two equal Hosts", without("Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n"), 1, false},
		{"two Hosts", without("Host: 127.0.0.1\r\nHost: other.example\r\n"), 0, false},
		{"two Hosts, other first", without("Host: other.example\r\nHost: 127.0.0.1\r\n"), 0, false},
		{"space before the colon", without("Host: 127.0.0.1\r\nHost : other.example\r\n"), 0, false},
		{"folded Host", without("Host:\r\n 127.0.0.1\r\n"), 1, false},
		{"Host behind a space", without(" Host: 127.0.0.1\r\n"), 1, false},
		{"Host named by Connection", without("Host: 127.0.0.1\r\nConnection: Host\r\n"), 1, false},
	}
	for _, host := range []string{"", "other.example", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "127.0.0.1/", "127.0.0.1/path", "127.0.0.1?q", "127.0.0.1#f", "user@127.0.0.1", "127.0.0.1@other.example",
		"127.0.0.1, other.example", "127.0.0.1 other.example", "[::1]", "[::1", "::1", "[::1]:80:80", "localhost.", "LOCALHOST", "a.localhost", "localhost\\", "local%68ost", "http://127.0.0.1", "\u212aelvin.localhost", "127.1", "0", "2130706433"} {
		cases = append(cases, rawCase{fmt.Sprintf("Host %+q", host), without("Host: " + host + "\r\n"), 1, false})
	}
	return cases
}
