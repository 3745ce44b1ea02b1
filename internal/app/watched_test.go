//go:build unix

package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"attache/internal/config"
	"attache/internal/exchange"
	"attache/refresher"
)

// BenchmarkWatched measures what it takes of a core to be looked at: 200
// credentials and as many routes, 50 events a second, and what one page asks for,
// the status every two seconds and the stream of events. Each round is a real
// second. The clients run in the same process, so their part is in the figure.
//
//	go test ./internal/app -run '^$' -bench Watched -benchtime 20x
func BenchmarkWatched(b *testing.B) {
	for _, pages := range []int{0, 1} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			a := manyCredentials(b, 200)
			server := httptest.NewServer(a.admin.Handler(nil))
			defer server.Close()
			defer a.admin.Drain()
			get := func(path string) io.ReadCloser {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+path, nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Accept", "application/json") // as the page asks
				ans, err := http.DefaultClient.Do(r)
				if err != nil || ans.StatusCode != http.StatusOK {
					b.Fatal(path, ans, err)
				}
				return ans.Body
			}
			for range pages {
				stream := get("/api/events")
				go func() {
					for lines := bufio.NewScanner(stream); lines.Scan(); {
					}
				}()
			}
			seconds, size := 0, int64(0)
			cpu, began := cpuTime(b), time.Now()
			for b.Loop() {
				tick := time.NewTicker(20 * time.Millisecond)
				for i := range 50 {
					<-tick.C
					a.journal.Observe(anEvent(seconds*50 + i))
				}
				tick.Stop()
				if seconds++; seconds%2 == 0 {
					for range pages {
						body := get("/api/status")
						size, _ = io.Copy(io.Discard, body)
						body.Close()
					}
				}
			}
			b.ReportMetric(100*float64(cpuTime(b)-cpu)/float64(time.Since(began)), "%core")
			b.ReportMetric(float64(size), "bytes/status")
		})
	}
}

// anEvent is the nth event of many credentials.
func anEvent(n int) refresher.Event {
	now := time.Now()
	ev := refresher.Event{
		Kind:       []refresher.EventKind{refresher.LoggedIn, refresher.Refused, refresher.LoggedIn, refresher.LoginFailed}[n%4],
		Credential: fmt.Sprint("c", n%200), Token: "bearer", Generation: uint64(n), ExpiresAt: now.Add(time.Hour), DueAt: now.Add(time.Minute),
		NextAttempt: now.Add(time.Minute), Duration: time.Millisecond, By: "r1", Signal: exchange.SignalStatus,
	}
	if ev.Kind == refresher.LoginFailed {
		ev.Err = errors.New("login.example.com answered 503 with an HTML page of 936 bytes")
	}
	return ev
}

// manyCredentials is an app that does not run, with full marks for n tokens.
func manyCredentials(b *testing.B, n int) *App {
	var text strings.Builder
	text.WriteString("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ncredentials:\n")
	for i := range n {
		fmt.Fprintf(&text, "  c%d: {recipe: bearer, with: {token: secret%d}}\n", i, i)
	}
	text.WriteString("routes:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - {name: r%d, path: /r%d/, upstream: \"http://127.0.0.1:1\", use: [c%d]}\n", i, i, i)
	}
	cfg, err := config.Parse("test.yaml", []byte(text.String()), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	a, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, d := range *a.doors.Load() {
			d.socket.Close()
		}
	})
	for i := range 24 * 4 * n {
		a.journal.Observe(anEvent(i))
	}
	for i := range n {
		a.metrics.Route(fmt.Sprint("r", i)).Done("GET", 200, time.Duration(i)*time.Millisecond, exchange.Trace{})
	}
	return a
}

// cpuTime is what the process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
