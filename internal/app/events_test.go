package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"attache/internal/emulator"
)

// happened is an event of /api/events.
type happened struct {
	ID         uint64
	Kind       string
	Credential string
	Token      string
	Generation uint64
	Error      string
	By         string
	File       string
}

// eventStream reads /api/events.
type eventStream struct {
	t    *testing.T
	body io.ReadCloser
	text *bufio.Reader
	all  strings.Builder // everything that came
}

// events opens a stream; h2 over HTTP/2 without TLS.
func (w *world) events(h2 bool, lastID string) *eventStream {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+w.app.AdminAddr()+"/api/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{Protocols: protocols}
	w.t.Cleanup(transport.CloseIdleConnections)
	ans, err := transport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ans.Body.Close() })
	if ans.StatusCode != http.StatusOK || ans.Header.Get("Content-Type") != "text/event-stream" || (ans.ProtoMajor == 2) != h2 {
		w.t.Fatalf("events: %s %d %v", ans.Proto, ans.StatusCode, ans.Header)
	}
	return &eventStream{t: w.t, body: ans.Body, text: bufio.NewReader(ans.Body)}
}

// next waits for the next event.
func (s *eventStream) next() (ev happened) {
	s.t.Helper()
	for {
		line, err := s.text.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%v after\n%s", err, s.all.String())
		}
		s.all.WriteString(line)
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &ev); err != nil {
				s.t.Fatalf("%v in %s", err, line)
			}
			return ev
		}
	}
}

// until skips to the next event of a kind.
func (s *eventStream) until(kind string) happened {
	s.t.Helper()
	for {
		if ev := s.next(); ev.Kind == kind {
			return ev
		}
	}
}

// untilAsked skips to the next reload of that outcome that somebody asked for:
// the file may have been noticed, and read half-written, before that.
func (s *eventStream) untilAsked(kind string) happened {
	s.t.Helper()
	for {
		if ev := s.until(kind); ev.By == "POST /-/reload" {
			return ev
		}
	}
}

// wantEnd wants the stream to end as an answer does that is complete.
func (s *eventStream) wantEnd() {
	s.t.Helper()
	if rest, err := io.ReadAll(s.text); err != nil {
		s.t.Errorf("the stream was cut off: %v after %q", err, rest)
	}
}

// What happens is told to whoever listens, over HTTP/1.1 and HTTP/2, until attache
// stops, which no stream delays.
func TestEventsEndToEnd(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	text := addresses + "drain: {delay: 0s, timeout: 20s}\ncredentials:" + openIMCredential("im", url, "openIM123", "u1") +
		fmt.Sprintf("routes: [{path: /, upstream: %q, use: [im]}]\n", url)
	l := runFile(t, t.TempDir(), text)
	streams := []*eventStream{l.events(false, ""), l.events(true, "")}
	each := func(check func(s *eventStream) happened, want happened) {
		t.Helper()
		for _, s := range streams {
			got := check(s)
			if got.ID == 0 {
				t.Errorf("%+v has no number", got)
			}
			got.ID = 0
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
	until := func(kind string) func(*eventStream) happened {
		return func(s *eventStream) happened { return s.until(kind) }
	}
	each(until("logged_in"), happened{Kind: "logged_in", Credential: "im", Token: "user", Generation: 1})

	renew := func(query string, want int) {
		t.Helper()
		if code := rawPost(t, l.app.AdminAddr(), "/-/renew"+query, "Host: "+l.app.AdminAddr()); code != want {
			t.Errorf("renew%s: %d, want %d", query, code, want)
		}
	}
	renew("?credential=im&token=user", http.StatusAccepted)
	each(until("logged_in"), happened{Kind: "logged_in", Credential: "im", Token: "user", Generation: 2})
	renew("?credential=im&token=nothing", http.StatusNotFound)
	renew("", http.StatusBadRequest)

	must(t, emu, emulator.Action{Do: emulator.Expire}, 2)
	l.good(l.do("POST", "/user/get_users_info", `{}`), `"errCode":0`)
	each(until("refused"), happened{Kind: "refused", Credential: "im", Token: "user", Generation: 2, By: "/"})
	each(until("logged_in"), happened{Kind: "logged_in", Credential: "im", Token: "user", Generation: 3})

	l.reloaded(text + "log: {requests: none}\n")
	each(func(s *eventStream) happened { return s.untilAsked("reloaded") }, happened{Kind: "reloaded", By: "POST /-/reload", File: l.file})
	if code, _ := l.reload(text + "nonsense: 1\n"); code != http.StatusUnprocessableEntity {
		t.Errorf("a wrong file is answered %d", code)
	}
	for _, s := range streams {
		if ev := s.untilAsked("reload_failed"); !strings.Contains(ev.Error, "nonsense") {
			t.Errorf("%+v", ev)
		}
	}
	last := l.events(false, "")
	seen := last.until("refused")
	again := l.events(false, fmt.Sprint(seen.ID))
	if ev := again.next(); ev.ID != seen.ID+1 || ev.Kind != "logged_in" {
		t.Errorf("after event %d came %+v", seen.ID, ev)
	}
	l.stop()
	for _, s := range append(streams, last, again) {
		s.wantEnd()
	}
	if strings.Contains(l.logs.String(), "cut off") {
		t.Errorf("streams were cut off:\n%s", l.logs)
	}
}

// Where the configuration moves the admin listener, streams of the old one end,
// and their clients come to the new one.
func TestEventStreamsEndWithTheirListener(t *testing.T) {
	text := func(address string) string {
		return fmt.Sprintf("listen: 127.0.0.1:0\nadmin: %s\nroutes: [{path: /, upstream: %q}]\n", address, hello(t))
	}
	l := runFile(t, t.TempDir(), text("127.0.0.1:0"))
	s := l.events(false, "")
	l.reloaded(text(freeAddress(t)))
	s.wantEnd()
	if ev := l.events(true, "").until("reloaded"); ev.File != l.file {
		t.Errorf("%+v", ev)
	}
}

// Status, marks and totals are those of the requests that passed.
func TestStatusCounts(t *testing.T) {
	emu, url := vendor(t, emulator.OpenIM, emulator.Options{})
	l := runFile(t, t.TempDir(), addresses+"credentials:"+openIMCredential("im", url, "openIM123", "u1")+
		fmt.Sprintf("routes: [{path: /, upstream: %q, use: [im]}, {path: /gone, upstream: \"http://127.0.0.1:1\"}]\n", url))
	l.good(l.do("POST", "/user/get_users_info", `{}`), `"errCode":0`)
	must(t, emu, emulator.Action{Do: emulator.Expire}, 1)
	l.good(l.do("POST", "/user/get_users_info", `{}`), `"errCode":0`)
	l.do("GET", "/gone", "")
	type route struct {
		Name                                   string
		Requests, Errors, Replays, Unavailable uint64
		Duration                               struct {
			Count   uint64
			Sum     float64
			Buckets []struct {
				Le    float64
				Count uint64
			}
		}
	}
	var doc struct {
		Renew  bool
		Tokens []struct {
			Marks []struct{ Kind, Outcome string }
		}
		Routes []route
	}
	// The answer is counted when it has ended, which the client may see first.
	l.until("the requests are counted", func() bool {
		doc.Routes, doc.Tokens = nil, nil
		if err := json.Unmarshal([]byte(l.admin("/api/status").body), &doc); err != nil {
			t.Fatal(err)
		}
		return len(doc.Routes) == 2 && doc.Routes[0].Requests == 2 && doc.Routes[1].Requests == 1
	})
	one, gone := doc.Routes[0], doc.Routes[1]
	if one.Errors != 0 || one.Replays != 1 || one.Unavailable != 0 || one.Duration.Count != 2 || one.Duration.Sum <= 0 || len(one.Duration.Buckets) != 16 {
		t.Errorf("%+v", one)
	}
	if gone.Errors != 1 || gone.Replays != 0 {
		t.Errorf("%+v", gone)
	}
	if !doc.Renew || len(doc.Tokens) != 1 || fmt.Sprint(doc.Tokens[0].Marks) != "[{logged_in } {refused renewed} {logged_in }]" {
		t.Errorf("%+v", doc)
	}
}
