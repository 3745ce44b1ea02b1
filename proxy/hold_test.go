package proxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
)

// pieces is a body that arrives piece by piece: a pause before each, then err.
type pieces struct {
	pause []time.Duration
	text  []string
	err   error
	shut  chan struct{}
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		if len(p.pause) > 0 {
			p.sleep()
		}
		return 0, p.err
	}
	p.sleep()
	n := copy(b, p.text[0])
	if p.text[0] = p.text[0][n:]; p.text[0] == "" {
		p.text = p.text[1:]
	} else {
		p.pause = append([]time.Duration{0}, p.pause...)
	}
	return n, nil
}

func (p *pieces) sleep() {
	select {
	case <-time.After(p.pause[0]):
	case <-p.shut:
	}
	p.pause = p.pause[1:]
}

func (p *pieces) Close() error {
	select {
	case <-p.shut:
	default:
		close(p.shut)
	}
	return nil
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

// timedWriter records when what was written.
type timedWriter struct {
	*httptest.ResponseRecorder
	start, first time.Time
	writes       []time.Duration
}

func (w *timedWriter) Write(p []byte) (int, error) {
	if w.first.IsZero() {
		w.first = time.Now()
	}
	w.writes = append(w.writes, time.Since(w.start))
	return w.ResponseRecorder.Write(p)
}

func (w *timedWriter) Flush() {
	if w.first.IsZero() {
		w.first = time.Now()
	}
}

// holdCase is an answer that arrives piece by piece, and what becomes of it.
type holdCase struct {
	name   string
	want   exchange.BodyWant
	header []string
	pause  []time.Duration
	text   []string
	err    error

	judged string        // "-": without a body
	first  time.Duration // when the client sees the first bytes, of the head or the body
	status int
	writes []time.Duration // when; nil: not looked at
}

func holdCases() []holdCase {
	const sec = time.Second
	large := `{"a":"` + strings.Repeat("x", 70<<10) + `"}`
	return []holdCase{
		{name: "a JSON value, then silence", want: exchange.JSONBody, pause: []time.Duration{0, sec / 2, time.Hour}, text: []string{` {"a":`, `1} tail`}, err: io.EOF,
			judged: `{"a":1}`, first: sec / 2},
		{name: "not JSON is not held", want: exchange.JSONBody, pause: []time.Duration{0, time.Hour}, text: []string{"<html>", "x"}, err: io.EOF, judged: "-"},
		{name: "text up to its end", want: exchange.TextBody, pause: []time.Duration{0, sec / 2}, text: []string{"token ", "expired"}, err: io.EOF,
			judged: "token expired", first: sec / 2},
		{name: "one second", want: exchange.JSONBody, pause: []time.Duration{0, sec + 1}, text: []string{`{"a":`, `1}`}, err: io.EOF, judged: "-", first: sec},
		{name: "one second of text", want: exchange.TextBody, pause: []time.Duration{0, 2 * sec, sec}, text: []string{`a`, `b`, `c`}, err: io.EOF, judged: "-", first: sec,
			writes: []time.Duration{sec, 2 * sec, 3 * sec}},
		{name: "no body for long", want: exchange.JSONBody, pause: []time.Duration{time.Minute}, text: []string{`{}`}, err: io.EOF, judged: "-", first: sec},
		{name: "64 KiB", want: exchange.JSONBody, pause: []time.Duration{0}, text: []string{large}, err: io.EOF, judged: "-"},
		{name: "incomplete JSON", want: exchange.JSONBody, pause: []time.Duration{0}, text: []string{`{"a":`}, err: io.EOF, judged: "-"},
		{name: "gzip", want: exchange.JSONBody, header: []string{"Content-Encoding", "gzip"}, pause: []time.Duration{0}, text: []string{zipped(`{"a":1}`)}, err: io.EOF, judged: `{"a":1}`},
		{name: "a gzip bomb", want: exchange.JSONBody, header: []string{"Content-Encoding", "gzip"}, pause: []time.Duration{0}, text: []string{zipped(`[` + strings.Repeat(" ", 1<<20) + "]")}, err: io.EOF, judged: "-"},
		{name: "gzip of nothing at all", want: exchange.JSONBody, header: []string{"Content-Encoding", "gzip"}, pause: []time.Duration{0, time.Hour},
			text: []string{"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + strings.Repeat("\x00\x00\x00\xff\xff", 20<<10), "x"}, err: io.EOF, judged: "-"},
		{name: "not gzip in truth", want: exchange.JSONBody, header: []string{"Content-Encoding", "gzip"}, pause: []time.Duration{0}, text: []string{`{"a":1}`}, err: io.EOF, judged: "-"},
		{name: "another coding", want: exchange.JSONBody, header: []string{"Content-Encoding", "br"}, pause: []time.Duration{0}, text: []string{`{"a":1}`}, err: io.EOF, judged: "-"},
		{name: "server-sent events", want: exchange.JSONBody, header: []string{"Content-Type", "text/event-stream; charset=utf-8"}, pause: []time.Duration{0}, text: []string{`{"a":1}`}, err: io.EOF, judged: "-"},
		{name: "ndjson", want: exchange.JSONBody, header: []string{"Content-Type", "application/x-ndjson"}, pause: []time.Duration{0}, text: []string{`{"a":1}`}, err: io.EOF, judged: "-"},
		{name: "gRPC", want: exchange.JSONBody, header: []string{"Content-Type", "application/grpc+json"}, pause: []time.Duration{0}, text: []string{`{"a":1}`}, err: io.EOF, judged: "-"},
		{name: "a part", want: exchange.JSONBody, status: 206, pause: []time.Duration{0}, text: []string{`{"a":1}`}, err: io.EOF, judged: "-"},
		{name: "broken while held", want: exchange.JSONBody, pause: []time.Duration{0}, text: []string{`{"a":`}, err: errors.New("reset"), judged: "never", status: 502},
	}
}

func TestHold(t *testing.T) {
	for _, tc := range holdCases() {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tc.status == 0 {
					tc.status = 200
				}
				whole := strings.Join(tc.text, "")
				judged := "never"
				plan := &testPlan{
					bodies: true,
					wants:  func(_, _ exchange.Head) exchange.BodyWant { return tc.want },
					judge: func(_, _ exchange.Head, body []byte) (v exchange.Verdict) {
						if judged = string(body); body == nil {
							judged = "-"
						}
						return v
					},
				}
				rt := fakeTransport(func(*http.Request) (*http.Response, error) {
					ans := respond(tc.status, "", tc.header...)
					if tc.status == 502 {
						ans.StatusCode = 200
					}
					ans.ContentLength = -1
					ans.Body = &pieces{pause: tc.pause, text: tc.text, err: tc.err, shut: make(chan struct{})}
					return ans, nil
				})
				w := &timedWriter{ResponseRecorder: httptest.NewRecorder(), start: time.Now()}
				newProxy(t, plan, rt, nil).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if judged != tc.judged {
					t.Errorf("judged %q, want %q", judged, tc.judged)
				}
				if w.Code != tc.status {
					t.Errorf("status %d, want %d", w.Code, tc.status)
				}
				if tc.status == 502 {
					return
				}
				if w.Body.String() != whole {
					t.Errorf("the client got %d bytes, want the original %d", w.Body.Len(), len(whole))
				}
				if got := w.first.Sub(w.start); got != tc.first {
					t.Errorf("first bytes after %v, want %v", got, tc.first)
				}
				if tc.writes != nil && !slices.Equal(w.writes, tc.writes) {
					t.Errorf("pieces after %v, want %v", w.writes, tc.writes)
				}
			})
		})
	}
}

// TestHeadAnswersAreNotHeld: there is no body to wait for.
func TestHeadAnswersAreNotHeld(t *testing.T) {
	plan := &testPlan{bodies: true, wants: func(_, _ exchange.Head) exchange.BodyWant {
		t.Error("a rule was asked for a body")
		return exchange.JSONBody
	}}
	rt := fakeTransport(func(*http.Request) (*http.Response, error) {
		ans := respond(200, "")
		ans.ContentLength = 7
		return ans, nil
	})
	if w := do(newProxy(t, plan, rt, nil), "HEAD", "/", ""); w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

// TestBodyRefusalIsRepaired: a refusal that hides in a 200.
func TestBodyRefusalIsRepaired(t *testing.T) {
	for name, encode := range map[string]func(string) string{"plain": func(s string) string { return s }, "gzip": zipped} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{t: t}
				slot := addToken(t, startEngine(t), "access", src)
				plan := bearerPlan()
				plan.bodies = true
				plan.wants = func(_, ans exchange.Head) exchange.BodyWant { return exchange.JSONBody }
				plan.judge = func(_, _ exchange.Head, body []byte) (v exchange.Verdict) {
					if strings.Contains(string(body), "42001") {
						v.Refused = []exchange.Refusal{{Signal: exchange.SignalBody}}
					}
					return v
				}
				rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
					text := `{"errcode":42001}`
					if r.Header.Get("Authorization") == "Bearer token2" {
						text = `{"errcode":0}`
					}
					ans := respond(200, encode(text))
					if name == "gzip" {
						ans.Header.Set("Content-Encoding", "gzip")
					}
					return ans, nil
				})
				p := newProxy(t, plan, rt, []Slot{slot})
				time.Sleep(time.Second)
				if w := get(p, "/"); w.Body.String() != encode(`{"errcode":0}`) || src.logins() != 2 {
					t.Errorf("body %q after %d logins", w.Body, src.logins())
				}
			})
		})
	}
}

// wholeBody is a body that came along with its head.
type wholeBody struct{ *strings.Reader }

func (wholeBody) Whole() bool  { return true }
func (wholeBody) Close() error { return nil }

// What rules look at of a body that is here as a whole is what they would look
// at if it came in pieces.
func TestWholeBodyIsJudgedInPlace(t *testing.T) {
	for _, tc := range []struct {
		name, text, coding string
		want               exchange.BodyWant
		judged             string // "-": without a body
	}{
		{"JSON", ` {"a":1} tail`, "", exchange.JSONBody, `{"a":1}`},
		{"incomplete JSON", `{"a":`, "", exchange.JSONBody, "-"},
		{"no JSON", "<html>", "", exchange.JSONBody, "-"},
		{"text", "token expired", "", exchange.TextBody, "token expired"},
		{"JSON for a rule about text", `{"a":1} tail`, "", exchange.TextBody, `{"a":1}`},
		{"gzip", zipped(`{"a":1}`), "gzip", exchange.JSONBody, `{"a":1}`},
		{"no gzip in truth", `{"a":1}`, "gzip", exchange.JSONBody, "-"},
		{"the longest", `["` + strings.Repeat("x", holdBytes-4) + `"]`, "", exchange.JSONBody, `["` + strings.Repeat("x", holdBytes-4) + `"]`},
	} {
		judged := "never"
		plan := &testPlan{
			bodies: true,
			wants:  func(_, _ exchange.Head) exchange.BodyWant { return tc.want },
			judge: func(_, _ exchange.Head, body []byte) (v exchange.Verdict) {
				if judged = string(body); body == nil {
					judged = "-"
				}
				return v
			},
		}
		rt := fakeTransport(func(*http.Request) (*http.Response, error) {
			ans := respond(http.StatusOK, "")
			if tc.coding != "" {
				ans.Header.Set("Content-Encoding", tc.coding)
			}
			ans.ContentLength, ans.Body = int64(len(tc.text)), wholeBody{strings.NewReader(tc.text)}
			return ans, nil
		})
		w := httptest.NewRecorder()
		newProxy(t, plan, rt, nil).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if judged != tc.judged {
			t.Errorf("%s: judged %.40q, want %.40q", tc.name, judged, tc.judged)
		}
		if w.Body.String() != tc.text {
			t.Errorf("%s: the client got %d bytes, want the original %d", tc.name, w.Body.Len(), len(tc.text))
		}
	}
}
