package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

// In a bubble it is midnight on January 1st, 2000; events are numbered from its
// milliseconds on.
const firstID = 946684800000

func event(kind refresher.EventKind) refresher.Event {
	return refresher.Event{Kind: kind, Credential: "c", Token: "t"}
}

// numbered are n events with ids that follow after.
func numbered(j *Journal, n int) {
	for range n {
		j.Observe(event(refresher.Evicted))
	}
}

func TestEventsAsTheyAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		h := f.admin(t).Handler(nil)
		c := read(t, h, t.Context(), "GET")
		if c.flushes != 1 || c.header.Get("Content-Type") != "text/event-stream" || c.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d flushes, %v", c.flushes, c.header)
		}
		c.want("")
		now := time.Now()
		whole := refresher.Event{
			Credential: "im", Token: "user", Generation: 7, ExpiresAt: now.Add(time.Hour), DueAt: now.Add(30 * time.Minute),
			NextAttempt: now.Add(90 * time.Second), Duration: 1234567 * time.Nanosecond, Class: refresher.Throttled, Failures: 2,
			Err: errors.New("slow \"down\" <please>\r\n\u2028"), Signal: exchange.SignalGRPC, By: "r1", Rejection: refresher.Stale, Op: "load",
		}
		head := func(n int, kind string) string {
			return fmt.Sprintf("id: %d\ndata: {\"id\":%[1]d,\"at\":\"2000-01-01T00:00:0%dZ\",\"kind\":%q", firstID+n, n, kind)
		}
		const im, token, failure = `,"credential":"im","token":"user"`, `,"generation":7,"expires":"2000-01-01T01:00:00Z","due":"2000-01-01T00:30:00Z"`,
			`,"error":"slow \"down\" <please>\r\n\u2028"`
		wants := map[refresher.EventKind]string{
			refresher.LoggedIn:    "logged_in" + token + `,"took_ms":1.234`,
			refresher.Adopted:     "adopted" + token,
			refresher.LoginFailed: "login_failed" + `,"took_ms":1.234,"class":"throttled"` + failure + `,"failures":2,"next_attempt":"2000-01-01T00:01:30Z"`,
			refresher.Refused:     "refused" + `,"generation":7,"signal":"grpc","by":"r1","outcome":"stale"`,
			refresher.Renewed:     "renewed" + token,
			refresher.Evicted:     "evicted",
			refresher.StoreFailed: "store_failed" + failure + `,"op":"load"`,
			refresher.Revoked:     "revoked" + failure,
		}
		for _, kind := range refresher.EventKinds() {
			f.journal.Observe(tellsOnly(whole, kind))
			time.Sleep(time.Second)
			name, rest, _ := strings.Cut(wants[kind], ",")
			if rest != "" {
				rest = "," + rest
			}
			c.want(head(int(kind), name) + im + rest + "}\n\n")
		}
		f.journal.Reloaded("attache.yaml", "SIGHUP", nil)
		time.Sleep(time.Second)
		c.want(head(8, "reloaded") + `,"by":"SIGHUP","file":"attache.yaml"}` + "\n\n")
		f.journal.Reloaded("attache.yaml", "once more", errors.New("line 1: no"))
		time.Sleep(time.Second)
		c.want(head(9, "reload_failed") + `,"error":"line 1: no","by":"once more","file":"attache.yaml"}` + "\n\n")
		c.leave()
		<-c.done
	})
}

// tellsOnly is an event with the fields that the engine sets for its kind.
func tellsOnly(ev refresher.Event, kind refresher.EventKind) refresher.Event {
	ev.Kind = kind
	if kind != refresher.LoggedIn && kind != refresher.LoginFailed {
		ev.Duration = 0
	}
	if kind != refresher.LoginFailed && kind != refresher.StoreFailed && kind != refresher.Revoked {
		ev.Err = nil
	}
	if kind != refresher.Refused {
		ev.By = ""
	}
	if kind != refresher.StoreFailed {
		ev.Op = ""
	}
	return ev
}

// A vendor may name the user whose login it refuses.
func TestEventsNameNoUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		a := f.admin(t)
		for _, kind := range []refresher.EventKind{refresher.LoginFailed, refresher.Revoked} {
			ev := event(kind)
			ev.Keyed, ev.Err, ev.Class = true, errors.New("anna is locked"), refresher.Permanent
			f.journal.Observe(ev)
		}
		long := event(refresher.LoginFailed)
		long.Err = errors.New(strings.Repeat("ä", 10000))
		f.journal.Observe(long)
		c := read(t, a.Handler(nil), t.Context(), "GET")
		text := c.take()
		if strings.Contains(text, "anna") || !strings.Contains(text, `"class":"permanent"`) {
			t.Error(text)
		}
		if got := events(t, text)[2].Error; got != strings.Repeat("ä", maxText/2)+"…" {
			t.Errorf("a long text has %d bytes", len(got))
		}
		c.leave()
		<-c.done
	})
}

func TestEventsBeginAfterTheLastSeen(t *testing.T) {
	const kept = 200
	gap := func(n int) string { return fmt.Sprintf("event: gap\ndata: {\"missed\": %d}\n\n", n) }
	tests := []struct {
		last        string
		before      int // events so far
		first, want int // number and count of those that come
		gap         string
	}{
		{"", 0, 0, 0, ""},
		{"", 3, 0, 3, ""},
		{"", 500, 300, kept, ""},
		{fmt.Sprint(firstID + 1), 3, 2, 1, ""},
		{fmt.Sprint(firstID + 2), 3, 3, 0, ""},
		{fmt.Sprint(firstID + 299), 500, 300, kept, ""},
		{fmt.Sprint(firstID + 298), 500, 300, kept, gap(1)},
		{fmt.Sprint(firstID), 500, 300, kept, gap(299)},
		// Of a process before this one: all that happened since its end.
		{fmt.Sprint(firstID - 1), 3, 0, 3, ""},
		{"0", 3, 0, 3, ""},
		{fmt.Sprint(firstID - 1000), 500, 300, kept, gap(300)},
		// Never seen here, or nonsense.
		{fmt.Sprint(firstID + 3), 3, 0, 3, ""},
		{"18446744073709551615", 500, 300, kept, ""},
		{"18446744073709551616", 3, 0, 3, ""},
		{"-1", 3, 0, 3, ""},
		{"1e3", 3, 0, 3, ""},
		{"x\u2028y", 3, 0, 3, ""},
		{strings.Repeat("9", 50000), 3, 0, 3, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.20s of %d", tt.last, tt.before), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				a := f.admin(t)
				numbered(f.journal, tt.before)
				c := read(t, a.Handler(nil), t.Context(), "GET", "Last-Event-ID", tt.last)
				text := c.take()
				rest, ok := strings.CutPrefix(text, tt.gap)
				if !ok || strings.Contains(rest, "gap") {
					t.Errorf("begins with %.60q, want %q", text, tt.gap)
				}
				list := events(t, text)
				if len(list) != tt.want {
					t.Fatalf("%d events, want %d", len(list), tt.want)
				}
				for i, doc := range list {
					if want := uint64(firstID + tt.first + i); doc.ID != want {
						t.Fatalf("event %d has the number %d, want %d", i, doc.ID, want)
					}
				}
				c.leave()
				<-c.done
			})
		})
	}
}

// Whoever reads late learns how much was missed, and the journal stays as small
// as ever.
func TestEventsGapWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		c := read(t, f.admin(t).Handler(nil), t.Context(), "GET")
		time.Sleep(time.Second)
		numbered(f.journal, 1) // is sent at once, and the next ones only after a pause
		c.take()
		numbered(f.journal, 250)
		time.Sleep(time.Second)
		text := c.take()
		if !strings.HasPrefix(text, "event: gap\ndata: {\"missed\": 50}\n\nid: ") {
			t.Errorf("begins with %.60q", text)
		}
		if list := events(t, text); len(list) != 200 || list[0].ID != firstID+51 || list[199].ID != firstID+250 {
			t.Errorf("%d events", len(list))
		}
		c.leave()
		<-c.done
	})
}

func TestEventsAreFlushedTenTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		c := read(t, f.admin(t).Handler(nil), t.Context(), "GET")
		for range 1000 {
			numbered(f.journal, 1)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if got := len(events(t, c.take())); got != 1000 {
			t.Errorf("%d events came, want 1000", got)
		}
		for i := range c.writes[1:] {
			if gap := c.writes[i+1].Sub(c.writes[i]); gap < 100*time.Millisecond || gap > 120*time.Millisecond {
				t.Fatalf("%v between two writes", gap)
			}
		}
		c.leave()
		<-c.done
	})
}

func TestEventsStayAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		c := read(t, f.admin(t).Handler(nil), t.Context(), "GET")
		time.Sleep(15 * time.Second)
		c.want("")
		time.Sleep(time.Second)
		c.want(":\n\n")
		time.Sleep(time.Minute)
		c.want(strings.Repeat(":\n\n", 4))
		numbered(f.journal, 1)
		if got := events(t, c.take()); len(got) != 1 {
			t.Errorf("%d events after a silence", len(got))
		}
		c.leave()
		<-c.done
	})
}

func TestEventStreamsEnd(t *testing.T) {
	ends := map[string]func(a *Admin, c *reader, listener context.CancelFunc){
		"the client leaves":  func(_ *Admin, c *reader, _ context.CancelFunc) { c.leave() },
		"attache drains":     func(a *Admin, _ *reader, _ context.CancelFunc) { a.Drain(); a.Drain() },
		"the listener goes":  func(_ *Admin, _ *reader, listener context.CancelFunc) { listener() },
		"the client is dead": func(a *Admin, c *reader, _ context.CancelFunc) { c.die(); numbered(a.cfg.Journal, 1) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				a := f.admin(t)
				listener, close := context.WithCancel(t.Context())
				defer close()
				c := read(t, a.Handler(nil), WithLifetime(t.Context(), listener), "GET")
				defer c.leave()
				time.Sleep(time.Minute)
				if c.ended() {
					t.Fatal("it ended by itself")
				}
				end(a, c, close)
				if name == "the client is dead" {
					time.Sleep(4 * time.Second)
					if c.ended() {
						t.Error("it was given up too early")
					}
					time.Sleep(2 * time.Second)
				}
				if !c.ended() {
					t.Fatal("it goes on")
				}
			})
		})
	}
}

func TestEventStreamsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		a := f.admin(t)
		h := a.Handler(nil)
		var all []*reader
		for range 16 {
			c := read(t, h, t.Context(), "GET")
			if c.ended() {
				t.Fatalf("stream %d: %d", len(all), c.status)
			}
			all = append(all, c)
		}
		if c := read(t, h, t.Context(), "GET"); !c.ended() || c.status != http.StatusServiceUnavailable {
			t.Errorf("the 17th stream: %d", c.status)
		}
		all[3].leave()
		<-all[3].done
		for range 3 { // HEAD takes no place for long, and has no body
			if c := read(t, h, t.Context(), "HEAD"); !c.ended() || c.status != 0 || c.text.Len() > 0 || c.header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("HEAD: %d %v %q", c.status, c.header, c.text.String())
			}
		}
		all[3] = read(t, h, t.Context(), "GET")
		if all[3].ended() {
			t.Errorf("a place that became free is refused with %d", all[3].status)
		}
		a.Drain()
		for i, c := range all {
			if !c.ended() {
				t.Errorf("stream %d goes on", i)
			}
		}
		if c := read(t, h, t.Context(), "GET"); !c.ended() || c.status != http.StatusServiceUnavailable {
			t.Errorf("while draining: %d", c.status)
		}
	})
}
