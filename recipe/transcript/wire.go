package transcript

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"attache/internal/exchange"
	"attache/recipe"
)

// canned is a RoundTripper that notes the request and returns one answer.
type canned struct {
	answer []byte
	sent   string
	then   string // the method and address of a second request, which gets no answer
}

var errNoAnswer = errors.New("the transcript has one answer at a time")

func (c *canned) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.sent != "" {
		c.then = req.Method + " " + req.URL.String()
		return nil, errNoAnswer
	}
	body := ""
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(data)
	}
	c.sent = rawRequest(req.Method, req.URL.String(), req.Header, body)
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(c.answer)), req)
}

// rawRequest writes a request as transcripts have it, with a newline at its
// end.
func rawRequest(method, url string, h http.Header, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\n", method, url)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if body != "" {
		b.WriteString("\n" + body)
	}
	return strings.TrimSuffix(b.String(), "\n") + "\n"
}

// split cuts a message into its head and its body, of which one newline at the
// end is not a part.
func split(text string) (head, body string) {
	head, body, _ = strings.Cut(text, "\n\n")
	return strings.TrimSuffix(head, "\n"), strings.TrimSuffix(body, "\n")
}

// rawAnswer makes the bytes of an answer of its text.
func rawAnswer(text string, compressed bool) []byte {
	head, body := split(text)
	if compressed {
		var b bytes.Buffer
		w := gzip.NewWriter(&b) // into memory: it cannot fail
		_, _ = io.WriteString(w, body)
		_ = w.Close()
		body = b.String()
		head += "\nContent-Encoding: gzip"
	}
	return []byte(head + "\n\n" + body)
}

// readAnswer reads an answer's text, for calls: its body is as it would be
// after decoding.
func readAnswer(text string, compressed bool) (status int, h http.Header, body []byte, err error) {
	head, plain := split(text)
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head+"\n\n")), nil)
	if err != nil {
		return 0, nil, nil, err
	}
	resp.Body.Close()
	if compressed {
		resp.Header.Set("Content-Encoding", "gzip")
	}
	return resp.StatusCode, resp.Header, []byte(plain), nil
}

// zeros is a source of randomness without surprises.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func readRequest(text string) (*http.Request, string, error) {
	head, body := split(text)
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\n\n")))
	return req, body, err
}

func headOf(req *http.Request) exchange.Head {
	return exchange.Head{Method: req.Method, Host: req.URL.Host, Path: req.URL.EscapedPath(), RawQuery: req.URL.RawQuery, Header: req.Header.Clone()}
}

// strip removes what the plan says, as the proxy does.
func strip(req *http.Request, plan *recipe.Plan) {
	keep := func(in exchange.Place, name string, n int) bool {
		return n == 1 && slices.ContainsFunc(plan.KeepOne(), func(k exchange.Name) bool {
			return k.In == in && (k.Name == name || in == exchange.Header && strings.EqualFold(k.Name, name))
		})
	}
	for _, n := range plan.Strip() {
		switch n.In {
		case exchange.Header:
			for name, values := range req.Header {
				if exchange.Fold(exchange.Name{Name: name}) == exchange.Fold(n) && !keep(n.In, name, len(values)) {
					delete(req.Header, name)
				}
			}
		case exchange.Query:
			var pairs []string
			for pair := range strings.SplitSeq(req.URL.RawQuery, "&") {
				if name, _, _ := strings.Cut(pair, "="); name != n.Name && pair != "" {
					pairs = append(pairs, pair)
				}
			}
			req.URL.RawQuery = strings.Join(pairs, "&")
		case exchange.Cookie:
			stripCookie(req.Header, n.Name)
		}
	}
}

func stripCookie(h http.Header, unwanted string) {
	var kept []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			if name, _, _ := strings.Cut(pair, "="); name != unwanted && pair != "" {
				kept = append(kept, pair)
			}
		}
	}
	h.Del("Cookie")
	if len(kept) > 0 {
		h.Set("Cookie", strings.Join(kept, "; "))
	}
}

// inject adds what the plan says, as the proxy does.
func inject(req *http.Request, fields []exchange.Field) {
	for _, f := range fields {
		switch f.In {
		case exchange.Header:
			if !f.IfAbsent || req.Header.Get(f.Name) == "" {
				req.Header.Set(f.Name, f.Value)
			}
		case exchange.Query:
			if req.URL.RawQuery != "" {
				req.URL.RawQuery += "&"
			}
			req.URL.RawQuery += f.Name + "=" + f.Value
		case exchange.Cookie:
			req.Header.Add("Cookie", f.Name+"="+f.Value)
		}
	}
}
