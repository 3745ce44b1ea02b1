package page

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What the page loads and asks for is all of its own origin, and the policy that
// it is served with is never violated.
func TestNothingLeavesTheOrigin(t *testing.T) {
	f := serve(t, failing(), everyEvent()...)
	b := open(t, f.URL, look{})
	b.until(`document.querySelectorAll('.event').length === 16`)
	f.questions(b, 1)
	b.quiet()
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := map[string]bool{}
	for _, r := range b.requests {
		u, err := url.Parse(r)
		if err != nil || u.Scheme+"://"+u.Host != f.URL {
			t.Errorf("the page asked for %s", r)
			continue
		}
		asked[u.Path] = true
	}
	for _, path := range []string{"/", "/page.css", "/page.js", "/tools.js", "/token.js", "/icon.svg", "/api/status", "/api/events"} {
		if !asked[path] {
			t.Errorf("%s was not asked for; are requests recorded?", path)
		}
	}
	for path := range asked {
		if path == "/favicon.ico" {
			t.Error("the page has no icon")
		}
	}
}

// The test above would see a violation.
func TestViolationsAreSeen(t *testing.T) {
	b := open(t, serve(t, well()).URL, look{})
	eval[any](b, `document.body.setAttribute('style', 'color: red'), null`)
	if p := b.complaints(); len(p) != 1 || !strings.Contains(p[0], "Content Security Policy") {
		t.Errorf("an inline style made the browser complain %q", p)
	}
}

func TestFilesAreSmallAndPlain(t *testing.T) {
	paths, err := filepath.Glob(files + "/*")
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		size += len(data)
		text := string(data)
		for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", " style=", "'style'", " onclick="} {
			if strings.Contains(text, word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		for _, m := range strings.SplitAfter(text, "http")[1:] {
			if !strings.Contains(text, "http://www.w3.org/2000/svg") || strings.HasPrefix(m, "s://") {
				t.Errorf("%s names another origin", path)
			}
		}
	}
	if len(paths) != 6 || size > 45<<10 {
		t.Errorf("%d files have %d bytes, more than %d", len(paths), size, 45<<10)
	}
}

// What the page says of a state, in words.
func TestPageTells(t *testing.T) {
	for name, tt := range map[string]struct {
		status document
		want   []string
	}{
		"well": {well(), []string{"All 5 tokens are well", "4 fresh", "1 per user", "/etc/attache/attache.yaml", "ok, 52 min ago",
			"aicc.access", "generation 9", "187 fresh", "214 users", "29 min 00 s", "88 d"}},
		"failing": {failing(), []string{"2 of 5 tokens need attention", "failing 9×", "9 logins failed in a row (throttled).", "login answered 429, Retry-After 60",
			"attache waits as long as it asks for", "6 min ago", "4 requests", "1 expired"}},
		"blocked": {blocked(), []string{"not started", "not ready", "1 blocked", "no token yet", "12 requests",
			"The configuration of 13:10:40 stays in service.", "did you mean channel_key?", "failed, 7 min ago"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, serve(t, tt.status).URL, look{})
			text := eval[string](b, `document.body.textContent`)
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not say %q:\n%s", want, text)
				}
			}
			b.quiet()
		})
	}
}

// A token in trouble comes first, the worst before the others.
func TestTroubleComesFirst(t *testing.T) {
	b := open(t, serve(t, blocked()).URL, look{})
	got := eval[[]string](b, `[...document.querySelectorAll('h3')].map((x) => x.textContent)`)
	want := "openim.user wechat.channel aicc.access aicc.messaging qiniu.access"
	if strings.Join(got, " ") != want {
		t.Errorf("the order is %q, want %s", got, want)
	}
}

// A token is in trouble here exactly if it is in attache top, where
// TestTroubleOfTokens has the same cases.
func TestTroubleIsThatOfTop(t *testing.T) {
	users := func(failures int, phases map[string]int) token {
		return token{Keyed: true, Waiters: 1, Failures: failures, Instances: 9, Phases: phases}
	}
	cases := []struct {
		token   token
		trouble bool
	}{
		{token{Phase: "fresh", Required: true, Waiters: 3}, false},
		{token{Phase: "due"}, false},
		{token{Phase: "due", Failures: 1}, true},
		{token{Phase: "empty"}, false},
		{token{Phase: "empty", Required: true}, true},
		{token{Phase: "empty", Waiters: 1}, true},
		{token{Phase: "empty", Failures: 1}, true},
		{token{Phase: "expired"}, true},
		{token{Phase: "blocked"}, true},
		{users(0, map[string]int{"expired": 2, "empty": 1}), false},
		{users(1, map[string]int{"fresh": 1}), true},
		{users(1, map[string]int{"fresh": 8, "expired": 1}), true},
		{users(0, map[string]int{"fresh": 8, "blocked": 1}), true},
	}
	status := well()
	status.Tokens = nil
	for i, c := range cases {
		c.token.Credential, c.token.Token, c.token.Marks = strconv.Itoa(i), "t", []mark{}
		status.Tokens = append(status.Tokens, c.token)
	}
	b := open(t, serve(t, status).URL, look{})
	for i, c := range cases {
		row := fmt.Sprintf(`[...document.querySelectorAll('.token')].find((x) => x.querySelector('h3').textContent === '%d.t')`, i)
		if got := eval[bool](b, row+`.hasAttribute('data-trouble')`); got != c.trouble {
			t.Errorf("%+v: in trouble: %v, want %v", c.token, got, c.trouble)
		}
	}
	b.quiet()
}

// Rates, latencies and what rises come from the difference of two answers.
func TestRoutesShowTheDifference(t *testing.T) {
	status := well()
	status.Routes = []route{{Name: "r", Host: "a.example", Path: "/x/", Methods: []string{"GET"}, Upstream: "https://b.example", Credentials: []string{"wechat"}, Optional: true,
		Requests: 1000, Duration: duration{1000, 900, []bucket{{0.1, 0}, {0.2, 0}, {1, 1000}}}}}
	f := serve(t, status)
	b := open(t, f.URL, look{})
	cells := `[...document.querySelectorAll('#route-list td')].map((x) => x.innerText.replace('\n', ' ')).join(' | ')`
	if got, want := eval[string](b, cells), "a.example/x/ GET → https://b.example | wechat (optional) | – | – | – | 0 | 0 | 0"; got != want {
		t.Errorf("at first: %s, want %s", got, want)
	}
	f.change(func(d *document) {
		d.Now = d.Now.Add(10e9)
		r := &d.Routes[0]
		// 50 more below 0.1 s, 40 below 0.2 s, 10 below 1 s.
		r.Requests, r.Errors, r.Replays, r.Duration = 1100, 2, 5, duration{1100, 910, []bucket{{0.1, 50}, {0.2, 90}, {1, 1100}}}
	})
	b.until(`document.querySelector('.rising')`)
	if got, want := eval[string](b, cells), "a.example/x/ GET → https://b.example | wechat (optional) | 10 | 100 ms | 600 ms | 2 ↑ | 5 | 0"; got != want {
		t.Errorf("then: %s, want %s", got, want)
	}
	f.change(func(d *document) { d.Routes[0].Requests = 1; d.Routes[0].Errors = 0 })
	b.until(`!document.querySelector('.rising')`)
	if got, want := eval[string](b, cells), "a.example/x/ GET → https://b.example | wechat (optional) | – | – | – | 0 | 5 | 0"; got != want {
		t.Errorf("as another route of that name: %s, want %s", got, want)
	}
	f.change(func(d *document) {
		d.Now, d.Started = d.Now.Add(20e9), d.Now.Add(10e9)
		r := &d.Routes[0]
		r.Requests, r.Replays, r.Duration = 5000, 6, duration{5000, 40, []bucket{{0.1, 5000}}}
	})
	b.until(`document.querySelector('#route-list td:nth-child(7)').textContent === '6'`)
	if got, want := eval[string](b, cells), "a.example/x/ GET → https://b.example | wechat (optional) | – | – | – | 0 | 6 | 0"; got != want {
		t.Errorf("after attache started anew: %s, want %s", got, want)
	}
}

// Times are local, and say with date and zone which instant they mean.
func TestTimesAreLocal(t *testing.T) {
	b := open(t, serve(t, well(), happened()...).URL, look{})
	b.until(`document.querySelector('.event time')`)
	got := eval[[]string](b, `(({textContent, dateTime, title}) => [textContent, dateTime, title])(document.querySelector('.event time'))`)
	if got[0] != "13:58:40" || got[1] != "2026-11-27T12:58:40.000Z" || !strings.HasPrefix(got[2], "Friday, 27 November 2026 at 13:58:40 CET") {
		t.Errorf("a time is shown as %q", got)
	}
}

// The browser's clock does not matter.
func TestClockOfAttacheCounts(t *testing.T) {
	b := open(t, serve(t, well()).URL, look{realTime: true})
	b.until(`/^(29 min 00|28 min 5)/.test(document.querySelector('.facts time[datetime]').textContent)`)
}
