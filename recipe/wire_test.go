package recipe

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/refresher"
)

var update = flag.Bool("update", false, "write golden files anew")

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

// zeros is a source of randomness without surprises.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// readOrigins reads parameters as the configuration has them, as far as tests
// need it.
func readOrigins(v yamldoc.Value) map[string]Origin {
	with := map[string]Origin{}
	for _, e := range v.Entries() {
		o := Origin{At: e.Value}
		if e.Value.IsMap() {
			m := e.Value.Object(keys("header", "query", "decode", "env", "file", "credential"))
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

// describeToken and describeFailure write what a login led to as transcripts
// have it; see package transcript.
func describeToken(tok refresher.Token, now time.Time, warnings []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "value: %s\n", tok.Value.Reveal())
	for _, name := range slices.Sorted(maps.Keys(tok.Outputs)) {
		fmt.Fprintf(&b, "output.%s: %s\n", name, tok.Outputs[name].Reveal())
	}
	life := "until_refused"
	if !tok.ExpiresAt.IsZero() {
		life = tok.ExpiresAt.Sub(now).String()
	}
	fmt.Fprintf(&b, "lifetime: %s\n", life)
	for _, w := range warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

func describeFailure(program *TokenProgram, err error) string {
	fe, ok := errors.AsType[*refresher.FetchError](err)
	if !ok {
		return fmt.Sprintf("not a FetchError: %v\n", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\ntext: %v\n", fe.Class, err)
	if fe.RetryAfter > 0 {
		fmt.Fprintf(&b, "retry_after: %v\n", fe.RetryAfter)
	}
	for _, i := range fe.Refused {
		fmt.Fprintf(&b, "refused: %s\n", program.Parents[i].Token)
	}
	return b.String()
}
