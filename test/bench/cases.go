package main

import (
	"fmt"
	"strings"
)

// users is how many users have a token in the case of that name.
const users = 10_000

// loadCase is one kind of traffic.
type loadCase struct {
	Name  string
	Title string // of its table
	About string // what is sent and what comes back
	// Path decides what the upstream answers; see answers.
	Path        string
	PostBytes   int // length of the request's body; 0: a GET
	AnswerBytes int
	Connections int
	Rate        int  // requests a second in an open loop; 0: closed loop
	TLS         bool // to the upstream
	Chunked     bool // the upstream answers in chunks, without a length
	JudgesJSON  bool // attache looks into the answer's body
	PerUser     bool // attache has a token for each user
}

// cases lists all cases in the order in which they run.
func cases() []loadCase {
	small := loadCase{Path: "/small", AnswerBytes: 200, Connections: 64}
	with := func(name, title, about string, change func(*loadCase)) loadCase {
		c := small
		c.Name, c.Title, c.About = name, title, about
		change(&c)
		return c
	}
	return []loadCase{
		with("small", "200 bytes", "GET, 200 bytes come back", func(*loadCase) {}),
		with("large", "10 KB", "GET, 10 KB come back", func(c *loadCase) { c.Path, c.AnswerBytes = "/large", 10_000 }),
		with("post", "1 KB POST", "POST of 1 KB, 200 bytes come back", func(c *loadCase) { c.PostBytes = 1000 }),
		with("tls", "TLS upstream", "GET, 200 bytes, TLS 1.3 to the upstream", func(c *loadCase) { c.TLS = true }),
		with("tls-large", "10 KB, TLS upstream", "GET, 10 KB, TLS 1.3 to the upstream", func(c *loadCase) {
			c.Path, c.AnswerBytes, c.TLS = "/large", 10_000, true
		}),
		with("open", "4,000 a second", "GET, 200 bytes, 4,000 requests a second whatever the answers do", func(c *loadCase) { c.Rate = 4000 }),
		with("open-tls", "4,000 a second, TLS upstream", "GET, 200 bytes, 4,000 requests a second whatever the answers do, TLS 1.3 to the upstream", func(c *loadCase) {
			c.Rate, c.TLS = 4000, true
		}),
		with("chunked", "1 KB in chunks", "GET, 1 KB that the upstream sends in four chunks", func(c *loadCase) {
			c.Path, c.AnswerBytes, c.Chunked = "/chunked", 1000, true
		}),
		with("json", "judged JSON", "GET, 1 KB of JSON; attache looks for a refusal in it, the others pass it on", func(c *loadCase) {
			c.Path, c.AnswerBytes, c.JudgesJSON = "/json", 1000, true
		}),
		with("users", "10,000 users", "GET, 200 bytes; attache adds one of 10,000 users' tokens, the others always the same", func(c *loadCase) { c.PerUser = true }),
		with("busy", "512 connections", "GET, 200 bytes, 512 connections instead of 64", func(c *loadCase) { c.Connections = 512 }),
	}
}

// plain is attache's plain case, with which its others are compared.
func plain() loadCase { return cases()[0] }

func caseNames() []string {
	var names []string
	for _, c := range cases() {
		names = append(names, c.Name)
	}
	return names
}

// requests returns the bytes of what is sent to the proxy at host; with a
// token per user one for each user, else one.
func (c loadCase) requests(host string) [][]byte {
	if !c.PerUser {
		return [][]byte{c.request(host, "")}
	}
	all := make([][]byte, users)
	for i := range all {
		all[i] = c.request(host, fmt.Sprintf("X-User-Id: user-%d\r\n", i))
	}
	return all
}

// request has an Authorization header, which the proxies have to remove.
func (c loadCase) request(host, header string) []byte {
	method, body := "GET", ""
	if c.PostBytes > 0 {
		method, body = "POST", strings.Repeat("x", c.PostBytes)
		header += fmt.Sprintf("Content-Type: text/plain\r\nContent-Length: %d\r\n", c.PostBytes)
	}
	return []byte(method + " " + c.Path + " HTTP/1.1\r\nHost: " + host +
		"\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer " + clientToken + "\r\n" + header + "\r\n" + body)
}

// answers returns what the upstream answers, by path.
func answers() map[string][]byte {
	answer := func(contentType, body string) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			contentType, len(body), body)
	}
	json := `{"code":0,"message":"ok","data":{"items":[`
	const tail = `"last"]}}`
	const item = `"an item of the list",`
	for len(json)+len(item)+len(tail) <= 1000 {
		json += item
	}
	json += strings.Repeat(" ", 1000-len(json)-len(tail)) + tail
	var chunks strings.Builder
	for range 4 {
		fmt.Fprintf(&chunks, "%x\r\n%s\r\n", 250, strings.Repeat("c", 250))
	}
	return map[string][]byte{
		"/chunked": []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n" + chunks.String() + "0\r\n\r\n"),
		"/small": answer("text/plain", strings.Repeat("s", 200)),
		"/large": answer("text/plain", strings.Repeat("l", 10_000)),
		"/json":  answer("application/json", json),
	}
}

// clientToken is what clients send of their own accord; no upstream may see it.
const clientToken = "sent-by-the-client"

// sharedToken is added by every proxy, and tokenOf is what attache adds for a
// user. Both have 200 bytes, as signed tokens often have.
func sharedToken() string { return tokenOf("shared") }

func tokenOf(user string) string {
	return (strings.ReplaceAll(user, "-", "") + "." + strings.Repeat("abcdefghij", 20))[:200]
}
