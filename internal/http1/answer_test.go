package http1

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAnswers: what is read, and whether the connection is used again.
func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, method, answer string
		body, trailer        string
		length               int64
		reused               bool
	}{
		{"counted", "GET", ok, "ok", "", 2, true},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", "", 0, true},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "", "", 0, true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n", "a0123456789", "", -1, true},
		{"padded chunk size", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1  \r\na\r\n0\r\n\r\n", "a", "", -1, true},
		{"announced trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, x-none\r\n\r\n1\r\na\r\n0\r\nx-sum: 5\r\n\r\n", "a", "map[X-None:[] X-Sum:[5]]", -1, true},
		{"trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx-sum: 5\r\nX-Sum: 6\r\n\r\n", "", "map[X-Sum:[5 6]]", -1, true},
		{"until the end", "GET", "HTTP/1.1 200 OK\r\n\r\nall of it", "all of it", "", -1, false},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", "ok", "", 2, false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", "", 2, false},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "", "", 7, true},
		{"HEAD of chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", "", -1, true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "", "", 0, true},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "", "", 0, false},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", "", 0, true},
		{"interim", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok, "ok", "", 2, true},
		{"more than asked for", "GET", ok + "HTTP/1.1 200 OK\r\n", "ok", "", 2, false},
		{"more after chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\n", "", "", -1, false},
		{"more after nothing", "GET", "HTTP/1.1 204 No Content\r\n\r\n0", "", "", 0, false},
		{"more after HEAD", "HEAD", ok, "", "", 2, false},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprint(tc.name, "/", piece), func(t *testing.T) {
				c, s := scriptedClient(tc.answer, piece)
				ans, text, err := fetch(c, request(t.Context(), tc.method, ""))
				if err != nil {
					t.Fatal(err)
				}
				if text != tc.body || ans.ContentLength != tc.length {
					t.Errorf("length %d, body %q", ans.ContentLength, text)
				}
				if got := fmt.Sprint(ans.Trailer); got != tc.trailer && len(ans.Trailer)+len(tc.trailer) > 0 {
					t.Errorf("trailer %s", got)
				}
				// What is not read yet only a real socket tells.
				if reused := c.idleCount() == 1; reused != tc.reused && s.text == "" {
					t.Errorf("the connection is reused: %t", reused)
				}
			})
		}
	}
}

// TestHostileAnswers: what could be read in two ways, or has no end, is refused
// or ends the connection. The error tells nothing of it.
func TestHostileAnswers(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	chunks := func(s string) string { return head + "Transfer-Encoding: chunked\r\n\r\n" + s }
	for name, answer := range map[string]string{
		"nothing":                       "",
		"no HTTP":                       "SSH-2.0-OpenSSH secret\r\n",
		"no HTTP, no line":              "secret",
		"HTTP/2":                        "HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.2":                      "HTTP/1.2 200 OK\r\n\r\n",
		"an empty line first":           "\r\n" + ok,
		"status of two digits":          "HTTP/1.1 20 OK\r\n\r\n",
		"status of four digits":         "HTTP/1.1 2000 OK\r\n\r\n",
		"status with a sign":            "HTTP/1.1 +20 OK\r\n\r\n",
		"status below 100":              "HTTP/1.1 099 OK\r\n\r\n",
		"two spaces":                    "HTTP/1.1  200 OK\r\n\r\n",
		"control character in a reason": "HTTP/1.1 200 O\x01K\r\n\r\n",
		"LF only":                       "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"one LF only":                   head + "X-Secret: 1\nContent-Length: 2\r\n\r\nok",
		"short line with LF":            head + "X\nContent-Length: 2\r\n\r\nok",
		"LF before the end":             head + "Content-Length: 2\r\n\nok",
		"CR in a value":                 head + "X: secret\rContent-Length: 2\r\n\r\nok",
		"NUL in a value":                head + "X: secret\x00\r\nContent-Length: 2\r\n\r\nok",
		"DEL in a value":                head + "X: secret\x7f\r\nContent-Length: 2\r\n\r\nok",
		"space before a colon":          head + "Content-Length : 2\r\n\r\nok",
		"space before a field":          head + " X: secret\r\nContent-Length: 2\r\n\r\nok",
		"folded field":                  head + "X: secret\r\n more\r\nContent-Length: 2\r\n\r\nok",
		"folded with a tab":             head + "X: secret\r\n\tmore\r\nContent-Length: 2\r\n\r\nok",
		"no colon":                      head + "secret\r\n\r\n",
		"no name":                       head + ": secret\r\n\r\n",
		"name with a space":             head + "X Y: secret\r\n\r\n",
		"two lengths":                   head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
		"one length twice":              head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
		"list of lengths":               head + "Content-Length: 2, 2\r\n\r\nok",
		"empty length":                  head + "Content-Length:\r\n\r\n",
		"negative length":               head + "Content-Length: -1\r\n\r\nok",
		"length with a plus":            head + "Content-Length: +2\r\n\r\nok",
		"length in hex":                 head + "Content-Length: 0x2\r\n\r\nok",
		"length too large":              head + "Content-Length: 9223372036854775808\r\n\r\nok",
		"length and chunks":             head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks in HTTP/1.0":            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"unknown coding":                head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked twice":                 head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"empty coding":                  head + "Transfer-Encoding:\r\n\r\n",
		"hidden coding":                 head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"too short":                     head + "Content-Length: 3\r\n\r\nok",
		"no chunk size":                 chunks("\r\n"),
		"chunk size is no number":       chunks("g\r\n"),
		"chunk size with 0x":            chunks("0x1\r\na\r\n0\r\n\r\n"),
		"negative chunk size":           chunks("-1\r\na\r\n0\r\n\r\n"),
		"space before a chunk size":     chunks(" 1\r\na\r\n0\r\n\r\n"),
		"huge chunk size":               chunks("fffffffffffffffff\r\n"),
		"chunk line with LF":            chunks("1\na\r\n0\r\n\r\n"),
		"CR in a chunk line":            chunks("1;\ra\r\na\r\n0\r\n\r\n"),
		"NUL in an extension":           chunks("1;\x00\r\na\r\n0\r\n\r\n"),
		"long chunk line":               chunks("1;" + strings.Repeat("x", 5000) + "\r\na\r\n0\r\n\r\n"),
		"chunk longer than its size":    chunks("1\r\nab\r\n0\r\n\r\n"),
		"chunk ends in LF":              chunks("1\r\na\n0\r\n\r\n"),
		"no last chunk":                 chunks("1\r\na\r\n"),
		"no end of the trailer":         chunks("0\r\nX: y\r\n"),
		"more framing than data":        chunks(strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\na\r\n", 40) + "0\r\n\r\n"),
		"length in the trailer":         chunks("0\r\nContent-Length: 2\r\n\r\n"),
		"coding in the trailer":         chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
		"bad field in the trailer":      chunks("0\r\nX : y\r\n\r\n"),
		"framing announced":             head + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n",
		"endless head":                  head + strings.Repeat("X: y\r\n", 1<<20),
		"endless line":                  head + "X: " + strings.Repeat("y", 2<<20),
		"many fields":                   head + strings.Repeat("X:\r\n", 5000) + "\r\n",
		"endless trailer":               chunks("0\r\n" + strings.Repeat("X: y\r\n", 1<<20)),
		"flood of interim answers":      strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 101) + ok,
		"long interim answers":          strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("y", 20<<10)+"\r\n\r\n", 60) + ok,
	} {
		for _, piece := range []int{1, 1 << 20} {
			if piece == 1 && len(answer) > 1<<16 {
				continue
			}
			c, _ := scriptedClient(answer, piece)
			_, text, err := fetch(c, request(t.Context(), "GET", ""))
			switch {
			case err == nil:
				t.Errorf("%s: accepted with %q", name, text)
			case c.idleCount() != 0:
				t.Errorf("%s: the connection is kept", name)
			case strings.Contains(err.Error(), "secret"):
				t.Errorf("%s: the error is %q", name, err)
			}
		}
	}
}

// TestInterimAnswers: each is passed on in time and order, and an error of whom
// they are passed to ends the request.
func TestInterimAnswers(t *testing.T) {
	text := "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 Odd\r\nLink: b\r\n\r\n" + ok
	c, _ := scriptedClient(text, 3)
	var got []string
	ans, err := c.Do(request(t.Context(), "GET", ""), Options{OnInterim: func(status int, header http.Header) {
		got = append(got, fmt.Sprint(status, header["Link"]))
	}})
	if err != nil || ans.StatusCode != 200 || ans.Header["Link"] != nil || strings.Join(got, " ") != "103 [a] 199 [b]" {
		t.Errorf("%v, %v, %v", ans, err, got)
	}
}

// TestReadingInPieces: whatever the sizes of what comes and what is asked for.
func TestReadingInPieces(t *testing.T) {
	body := strings.Repeat("0123456789", 2000)
	answers := map[string]string{
		"counted": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"chunked": fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", body[:1], len(body)-1, body[1:]),
		"all":     "HTTP/1.1 200 OK\r\n\r\n" + body,
	}
	for name, answer := range answers {
		for _, piece := range []int{1, 4095, 4096, 1 << 20} {
			for _, size := range []int{1, 3, 4096, len(body), 1 << 20} {
				c, _ := scriptedClient(answer, piece)
				ans, err := c.Do(request(context.Background(), "GET", ""), Options{})
				if err != nil {
					t.Fatal(err)
				}
				var got strings.Builder
				if _, err := io.CopyBuffer(&got, struct{ io.Reader }{ans.Body}, make([]byte, size)); err != nil || got.String() != body {
					t.Errorf("%s in pieces of %d, read by %d: %d bytes, %v", name, piece, size, got.Len(), err)
				}
				if n, err := ans.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("after the end: %d, %v", n, err)
				}
			}
		}
	}
}

// TestBuffered: only if the next read cannot wait.
func TestBuffered(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for text, want := range map[string]bool{
		"Content-Length: 5\r\n\r\n":                    false,
		"Content-Length: 5\r\n\r\na":                   true,
		"\r\n":                                         false,
		"\r\na":                                        true,
		"Transfer-Encoding: chunked\r\n\r\n":           false,
		"Transfer-Encoding: chunked\r\n\r\n5":          false,
		"Transfer-Encoding: chunked\r\n\r\n5\r\n":      false,
		"Transfer-Encoding: chunked\r\n\r\n5\r\na":     true,
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n":  true,
		"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\na": true,
	} {
		c, _ := scriptedClient(head+text, 1<<20)
		ans, err := c.Do(request(t.Context(), "GET", ""), Options{})
		if err != nil {
			t.Fatal(err)
		}
		body := ans.Body.(*answerBody)
		if body.Buffered() != want {
			t.Errorf("%q: %t", text, !want)
		}
		if n, err := body.Read(make([]byte, 1)); want && n == 0 && err != io.EOF {
			t.Errorf("%q: %d, %v", text, n, err)
		}
		if ans.Body.Close(); body.Buffered() {
			t.Errorf("%q: after the end", text)
		}
	}
}
