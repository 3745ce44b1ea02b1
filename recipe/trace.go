package recipe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"attache/refresher"
)

// Trace is like [Source.Fetch] and also tells what happened, whether or not
// the login succeeds.
func (t *TokenProgram) Trace(ctx context.Context, rt http.RoundTripper, in refresher.Input) (Transcript, refresher.Token, error) {
	return t.Source(rt, "attache").trace(ctx, in)
}

func (s *Source) trace(ctx context.Context, in refresher.Input) (Transcript, refresher.Token, error) {
	tr := &tracer{}
	token, warnings, err := s.obtain(ctx, in, tr)
	tr.out.Warnings = warnings
	return tr.out, token, err
}

// Transcript tells what happened during a login: what was sent, what came
// back, what was taken from it. It holds no secret: secrets are replaced
// before the request is written down, and what an answer holds is scrubbed,
// masked where it looks like a token, and cut.
type Transcript struct {
	Steps    []Step
	Warnings []string

	scrub func(string) string
}

// Step is a part of a transcript.
type Step struct {
	Title string
	Lines []string
}

// Write writes the transcript as text. mark returns a title as it is to be
// written; nil: as it is.
func (t Transcript) Write(w io.Writer, mark func(title string) string) error {
	if mark == nil {
		mark = func(title string) string { return title }
	}
	var b strings.Builder
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "%s\n", mark(s.Title))
		for _, l := range s.Lines {
			fmt.Fprintf(&b, "    %s\n", l)
		}
	}
	for _, text := range t.Warnings {
		fmt.Fprintf(&b, "%s: %s\n", mark("Warning"), text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tracer collects a transcript. A nil tracer does nothing.
type tracer struct{ out Transcript }

//
//go:noinline
func (tr *tracer) step(title string, lines ...string) {
	if tr != nil {
		tr.out.Steps = append(tr.out.Steps, Step{title, lines})
	}
}

// request writes down the request: it is built a second time, with a word in
// place of each secret, so that no spelling of one can slip through.
func (tr *tracer) request(a *attempt) {
	if tr == nil {
		return
	}
	req, err := a.t.decl.request.build(context.Background(), maskedValues{a}, a.s.userAgent)
	if err != nil {
		tr.step("Sent", "(cannot be shown: "+a.scrub(err.Error(), maxMessage)+")")
		return
	}
	if a.t.decl.request.basic != nil && req.Header.Get("Authorization") != "" {
		req.Header.Set("Authorization", "Basic redacted")
	}
	body := ""
	if req.Body != nil {
		data, _ := io.ReadAll(req.Body) // from memory: it cannot fail
		body = string(data)
		req.Body = http.NoBody
	}
	head, _ := httputil.DumpRequest(req, false)
	lines := []string{req.Method + " " + req.URL.String()}
	for _, l := range strings.Split(strings.TrimSpace(string(head)), "\r\n")[1:] {
		if !strings.HasPrefix(l, "Host: ") {
			lines = append(lines, l)
		}
	}
	slices.Sort(lines[1:])
	if body != "" {
		lines = append(lines, "", body)
	}
	tr.step("Sent", cutLines(a.scrubLines(strings.Join(lines, "\n")))...)
}

// maskedValues shows a word for everything that is secret.
type maskedValues struct{ *attempt }

func (m maskedValues) value(ref *reference) (string, bool) {
	text, ok := m.attempt.value(ref)
	hidden := false
	switch ref.kind {
	case refParam:
		hidden = m.secretParam(ref.param)
	case refLet:
		hidden = m.t.decl.lets[ref.let].secret()
	case refToken, refOwn:
		hidden = true
	}
	if ok && hidden {
		return "redacted", true
	}
	return text, ok
}

// secretParam reports whether a parameter is secret, another credential's
// token, or derived from one that is. What begins a url is shown all the same:
// without it there would be no url.
func (m maskedValues) secretParam(i int) bool {
	c := m.t.cred
	switch p := &c.recipe.Params[i]; {
	case p.Type == TypeURL:
		return false
	case p.Secret || c.bindings[i].kind == bindToken:
		return true
	case c.bindings[i].kind == bindDerived:
		return slices.ContainsFunc(p.deflt.refs(), func(ref *reference) bool { return m.secretParam(ref.param) })
	}
	return false
}

// maxTraced bounds each line of a transcript, in bytes.
const maxTraced = 2000

// cutLines returns the lines of a text, each bounded, without control characters
// and those that turn the direction of text: they could play tricks on a terminal.
func cutLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		l = strings.Map(func(r rune) rune {
			if r == '\t' || unicode.IsGraphic(r) {
				return r
			}
			return -1
		}, l)
		if len(l) > maxTraced {
			l = strings.ToValidUTF8(l[:maxTraced], "") + "…"
		}
		lines[i] = l
	}
	return lines[:min(len(lines), 100)]
}

// answer writes down the answer.
func (tr *tracer) answer(a *attempt, ans *answer) {
	if tr != nil {
		tr.received(a, ans, string(ans.body))
	}
}

// unread writes down an answer whose body could not be read.
func (tr *tracer) unread(a *attempt, ans *answer, err error) {
	if tr != nil {
		tr.received(a, ans, "("+err.Error()+")")
	}
}

func (tr *tracer) received(a *attempt, ans *answer, body string) {
	h, _ := ans.header.(http.Header)
	tr.step("Received", ShownAnswer(ans.status, h, body, a.scrubLines)...)
}

// ShownAnswer returns the lines in which an answer is shown: what scrub removes
// is masked, and so is what could be a token although no recipe knows it.
func ShownAnswer(status int, h http.Header, body string, scrub func(string) string) []string {
	lines := []string{fmt.Sprintf("%d %s", status, http.StatusText(status))}
	for name, values := range h {
		for _, v := range values {
			lines = append(lines, name+": "+shownHeader(name, v))
		}
	}
	slices.Sort(lines[1:])
	if body != "" {
		lines = append(lines, "", body)
	}
	text := scrub(strings.Join(lines, "\n"))
	text = secretMember().ReplaceAllString(text, `${1}"[masked]"`)
	return cutLines(maskWords(text))
}

// shownHeader returns what is shown of a header of an answer. Any of them may
// hold a token that the recipe does not know, so only those that explain
// something are shown as they are.
func shownHeader(name, value string) string {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Date", "Retry-After", "Server":
		return value
	case "Location": // a redirect explains a failed login; its query repeats what was sent
		place, query, _ := strings.Cut(value, "?")
		if query != "" {
			place += "?[masked]"
		}
		return place
	case "Set-Cookie":
		cookie, _, _ := strings.Cut(value, "=")
		return cookie + "=[masked]"
	}
	return fmt.Sprintf("[%d characters]", len(value))
}

var (
	secretMember = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)("[^"]*(?:token|secret|passw|ticket|session|credential|key)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"`)
	})
	secretName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)token|secret|passw|ticket|session|credential|key`)
	})
	longWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[A-Za-z0-9_+/=.%~-]{24,}`) })
)

// accepted writes down what was taken from the answer.
func (tr *tracer) accepted(from *extractor, t refresher.Token, life lifetimeChoice) {
	if tr == nil {
		return
	}
	lines := []string{fmt.Sprintf("value: %s, %d bytes, from %s", t.Value, len(t.Value.Reveal()), from)}
	for name, text := range t.Outputs {
		lines = append(lines, fmt.Sprintf("output %s: %s", name, text))
	}
	slices.Sort(lines[1:])
	for _, why := range life.skipped {
		lines = append(lines, "not usable as lifetime: "+why)
	}
	d := life.d.String()
	if life.d == 0 {
		d = "until refused"
	}
	tr.step("Taken", append(lines, fmt.Sprintf("lifetime: %s, from %s", d, life.from))...)
}
