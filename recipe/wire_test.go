package recipe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/refresher"
)

// file returns the content of a file of the transcript.
func (tr *transcript) file(name string) (string, bool) {
	for _, f := range tr.ar.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

// set replaces the content of the file.
func (tr *transcript) set(name, text string) {
	for i := range tr.ar.Files {
		if tr.ar.Files[i].Name == name {
			tr.ar.Files[i].Data = []byte(strings.TrimSuffix(text, "\n") + "\n")
		}
	}
}

// exchanges calls f for every answer, and writes what it returns into the want
// that follows.
func (tr *transcript) exchanges(t *testing.T, f func(answer string) string) {
	t.Helper()
	for i, file := range tr.ar.Files {
		if file.Name != "answer" {
			continue
		}
		if i+1 >= len(tr.ar.Files) || tr.ar.Files[i+1].Name != "want" {
			t.Fatal("an answer without a want behind it")
		}
		tr.ar.Files[i+1].Data = []byte(f(string(file.Data)))
	}
}

// canned is a RoundTripper that notes the request and returns one answer.
type canned struct {
	answer []byte
	sent   string
	err    error
}

func (c *canned) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = string(data)
	}
	c.sent = rawRequest(req.Method, req.URL.String(), req.Header, body)
	if c.err != nil {
		return nil, c.err
	}
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(c.answer)), req)
}

// rawRequest writes a request as transcripts have it.
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
	return b.String()
}

// rawAnswer makes the bytes of an answer of its text.
func (tr *transcript) rawAnswer(text string) []byte {
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	if tr.gzip {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, body)
		w.Close()
		body = b.String()
		head += "\nContent-Encoding: gzip"
	}
	return []byte(strings.TrimSuffix(head, "\n") + "\n\n" + body)
}

// zeros is a source of randomness without surprises.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func parseRawRequest(t *testing.T, text string) (*http.Request, string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.TrimSuffix(head, "\n") + "\n\n")))
	if err != nil {
		t.Fatal(err)
	}
	return req, strings.TrimSuffix(body, "\n")
}

func requestHead(req *http.Request) exchange.Head {
	return exchange.Head{Method: req.Method, Host: req.URL.Host, Path: req.URL.EscapedPath(), RawQuery: req.URL.RawQuery, Header: req.Header.Clone()}
}

// stripNames removes what the plan says, as the proxy does.
func stripNames(req *http.Request, plan *Plan) {
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
		}
	}
}

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

func readTokens(v yamldoc.Value) map[string]refresher.Token {
	tokens := map[string]refresher.Token{}
	for _, e := range v.Entries() {
		if e.Value.IsMap() {
			o := e.Value.Object("value", "outputs")
			value, _ := o.Get("value").Text()
			tok := refresher.Token{Value: secret.New(value), Outputs: map[string]secret.String{}}
			for _, out := range o.Get("outputs").Entries() {
				text, _ := out.Value.Text()
				tok.Outputs[out.Name] = secret.New(text)
			}
			tokens[e.Name] = tok
			continue
		}
		value, _ := e.Value.Text()
		tokens[e.Name] = refresher.Token{Value: secret.New(value)}
	}
	return tokens
}

// readOrigins reads parameters as the configuration has them, as far as tests
// need it.
func readOrigins(v yamldoc.Value) map[string]Origin {
	with := map[string]Origin{}
	for _, e := range v.Entries() {
		o := Origin{At: e.Value}
		if e.Value.IsMap() {
			m := e.Value.Object("header", "query", "decode", "env", "file", "credential")
			text := func(key string) string { s, _ := m.Get(key).Text(); return s }
			switch {
			case m.Has("header"):
				o.Request = exchange.Name{In: exchange.Header, Name: text("header")}
			case m.Has("query"):
				o.Request = exchange.Name{In: exchange.Query, Name: text("query")}
			case m.Has("env"):
				o.Ref = secret.Env(text("env"))
			case m.Has("file"):
				o.Ref = secret.File(text("file"))
			case m.Has("credential"):
				o.Credential, o.Token, _ = strings.Cut(text("credential"), ".")
			}
			o.Percent = text("decode") == "percent"
		} else {
			text, _ := e.Value.Text()
			o.Ref = secret.Literal(text)
		}
		with[e.Name] = o
	}
	return with
}
