package top

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
)

// fake is an admin listener that answers what it is told to.
func fake(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL + "/api/status"
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

// TestHostileAnswers: whatever an answer holds, nothing but text reaches the
// terminal: every text of a status is replaced by what a terminal would obey.
func TestHostileAnswers(t *testing.T) {
	const hostile = "\x1b]0;title\x07\x1b[2J\u009b31m\u202e\r\n\x00\b<\u200b>"
	data, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	replaced := 0
	var poison func(v any) any
	poison = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				v[name] = poison(member)
			}
		case []any:
			for i := range v {
				v[i] = poison(v[i])
			}
		case string:
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				replaced++
				return v + hostile
			}
		}
		return v
	}
	if data, err = json.Marshal(poison(doc)); err != nil || replaced < 50 {
		t.Fatalf("%d texts were replaced: %v", replaced, err)
	}
	var out bytes.Buffer
	err = Run(t.Context(), Options{URL: fake(t, says(string(data))), Once: true, Out: &out, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "]0;title[2J31m; <>") {
		t.Errorf("the texts do not show:\n%s", &out)
	}
	for _, r := range out.String() {
		if !unicode.IsPrint(r) && r != '\n' {
			t.Errorf("%U reaches the terminal", r)
		}
	}
}

// TestUselessAnswers: the error says in one line what is wrong.
func TestUselessAnswers(t *testing.T) {
	good, err := os.ReadFile("testdata/quiet.json")
	if err != nil {
		t.Fatal(err)
	}
	const began = `{"now": "2026-01-01T00:00:00Z", "started": "2026-01-01T00:00:00Z", `
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"good":     {says(string(good)), ""},
		"no JSON":  {says("<html>\x1b[31m"), "what answers there is no attache: invalid character '<' looking for beginning of value"},
		"null":     {says("null"), "what answers there is no attache"},
		"other":    {says(`{"version": "1", "now": "2026-01-01T00:00:00Z"}`), "what answers there is no attache"},
		"kind":     {says(`{"version": {}, "now": "2026-01-01T00:00:00Z"}`), "what answers there is no attache: json: cannot unmarshal object into Go struct field status.version of type string"},
		"status":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "it answers 503 Service Unavailable"},
		"odd":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) }, "it answers 799"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/else", http.StatusFound) }, "it answers 302 Found"},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(good)
			z.Close()
		}, "what answers there is no attache: invalid character '\\x1f' looking for beginning of value"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, io.LimitReader(zeros{}, 2*answerSize))
		}, "its answer is longer than 16 MiB"},
		"a list without end": {says(began + `"tokens": [` + strings.Repeat("{},", 10_000) + "{}]}"),
			"what answers there is no attache: a list has more than 10000 elements"},
		"a list in a list": {says(began + `"tokens": [{"marks": [` + strings.Repeat("{},", 100) + "{}]}]}"),
			"what answers there is no attache: a list has more than 100 elements"},
		"routes":         {says(began + `"routes": [` + strings.Repeat("{},", 10_000) + "{}]}"), "what answers there is no attache: a list has more than 10000 elements"},
		"buckets":        {says(began + `"routes": [{"duration": {"buckets": [` + strings.Repeat("{},", 100) + "{}]}}]}"), "what answers there is no attache: a list has more than 100 elements"},
		"a list of else": {says(began + `"tokens": [0, 0]}`), "what answers there is no attache: json: cannot unmarshal number into Go struct field status.tokens of type top.token"},
		"no list":        {says(began + `"tokens": 0}`), "what answers there is no attache: a list is none"},
		"no lists":       {says(began + `"tokens": null, "routes": []}`), ""},
		"long header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 100<<10))
		}, "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 65536 bytes; aborted"},
	} {
		_, err := newClient(fake(t, c.answer)).ask(t.Context())
		if got := errorText(err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestPhasesAreFew: words that are no phase take no room.
func TestPhasesAreFew(t *testing.T) {
	s, err := newClient(fake(t, says(`{"now": "2026-01-01T00:00:00Z", "started": "2026-01-01T00:00:00Z",
		"tokens": [{"phases": {"x": 1, "y": 2, "fresh": 3, "blocked": 4, "z": 5, "u": 6}}]}`))).ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := s.Tokens[0].Phases; len(p) != 5 || p["fresh"] != 3 || p["blocked"] != 4 || p["x"] != 0 {
		t.Errorf("the phases are %v", p)
	}
}

// TestSlowAnswers: an answer that does not come in time is given up, as is one that
// comes byte by byte.
func TestSlowAnswers(t *testing.T) {
	for _, begins := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient("http://127.0.0.1/api/status")
			c.transport.RegisterProtocol("http", slow{begins})
			start := time.Now()
			_, err := c.ask(t.Context())
			if got, want := errorText(err), "no answer within 3s"; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if took := time.Since(start); took != answerTime {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// slow answers nothing, or nothing but the head of an answer.
type slow struct{ begins bool }

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.begins {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(slowBody{r})}, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

type slowBody struct{ r *http.Request }

func (s slowBody) Read([]byte) (int, error) {
	<-s.r.Context().Done()
	return 0, s.r.Context().Err()
}

func TestTextsAreBounded(t *testing.T) {
	long := strings.Repeat("应", maxText)
	if got := foreign(long); len(got) > maxText+3 || !strings.HasSuffix(got, "应…") {
		t.Errorf("%d bytes remain, ending in %q", len(got), got[len(got)-12:])
	}
	if got := foreign(strings.Repeat("\x80", maxText+1)); got != "…" {
		t.Errorf("of bytes that are no text there remains %q", got)
	}
}

func TestPasswordsAreNotShown(t *testing.T) {
	for target, want := range map[string]string{
		"http://127.0.0.1:8485/api/status":            "http://127.0.0.1:8485",
		"http://user:hunter2@host/attache/api/status": "http://user:xxxxx@host/attache",
	} {
		if got := shownURL(target); got != want {
			t.Errorf("%s is shown as %s, want %s", target, got, want)
		}
	}
	var user, password string
	url := fake(t, func(_ http.ResponseWriter, r *http.Request) { user, password, _ = r.BasicAuth() })
	newClient(strings.Replace(url, "://", "://user:hunter2@", 1)).ask(t.Context())
	if user != "user" || password != "hunter2" {
		t.Errorf("user %q, password %q", user, password)
	}
}
