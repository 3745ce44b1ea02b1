package top

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/terminal/terminaltest"
)

func xterm(name string) string { return map[string]string{"TERM": "xterm"}[name] }

// TestLive: a picture on a terminal follows what attache tells, says when it does
// not answer, and goes away without a trace.
func TestLive(t *testing.T) {
	good, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	var broken atomic.Bool
	url := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Write(good)
	})
	pty := terminaltest.Open(t, 80, 24)
	before := pty.Modes()
	pty.Slave.WriteString("$ attache top\n")
	run := func(ctx context.Context) <-chan error {
		ended := make(chan error, 1)
		go func() {
			ended <- Run(ctx, Options{URL: url, Interval: 10 * time.Millisecond, In: pty.Slave, Out: pty.Slave, Getenv: xterm})
		}()
		return ended
	}
	shows := func(want string) *terminaltest.Screen {
		t.Helper()
		return pty.Wait(want, func(s *terminaltest.Screen) bool { return strings.Contains(s.String(), want) })
	}
	left := func(how string) {
		t.Helper()
		s := pty.Wait("the shell", func(s *terminaltest.Screen) bool { return !s.Alternate })
		if s.String() != "$ attache top" || s.NoCursor || s.NoWrap || s.Unknown != "" || pty.Modes() != before {
			t.Errorf("after %s the terminal is left as %+v:\n%s", how, s, s.String())
		}
	}

	ended := run(t.Context())
	s := shows("4 of 8 tokens in trouble")
	if !s.Alternate || s.Scrolled > 0 || s.Styled == 0 {
		t.Errorf("the screen is %+v", s)
	}
	broken.Store(true)
	shows("no answer from " + shownURL(url) + " for ")
	if text := shows("it answers 502 Bad Gateway;\nasking every 10ms\n").String(); !strings.Contains(text, "\nshop.app ") {
		t.Errorf("what was known is gone:\n%s", text)
	}
	broken.Store(false)
	shows("  ready  ")
	pty.Type("q")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	left("q")

	ctx, cancel := context.WithCancel(t.Context())
	ended = run(ctx)
	shows("shop.app")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	left("a signal")
}

// TestOnce: where the cursor cannot be moved there is one picture, and an error if
// there is no answer.
func TestOnce(t *testing.T) {
	good, err := os.ReadFile("testdata/status.json")
	if err != nil {
		t.Fatal(err)
	}
	url := fake(t, says(string(good)))
	pty := terminaltest.Open(t, 80, 60)
	for _, c := range []struct {
		name   string
		once   bool
		getenv func(string) string
		styled bool
	}{
		{"--once", true, xterm, true},
		{"a dumb terminal", false, func(name string) string { return map[string]string{"TERM": "dumb"}[name] }, false},
	} {
		before := pty.Screen()
		if err := Run(t.Context(), Options{URL: url, Once: c.once, In: pty.Slave, Out: pty.Slave, Getenv: c.getenv}); err != nil {
			t.Fatal(err)
		}
		s := pty.Wait("all of it", func(s *terminaltest.Screen) bool {
			return strings.HasSuffix(s.String(), "openim.user                               took a token from the store")
		})
		if s.Alternate || s.Unknown != "" || (s.Styled > before.Styled) != c.styled {
			t.Errorf("%s: the screen is %+v", c.name, s)
		}
		pty.Slave.WriteString("\x1b[H\x1b[J")
		pty.Wait("nothing", func(s *terminaltest.Screen) bool { return s.String() == "" })
	}

	var out bytes.Buffer
	err = Run(t.Context(), Options{URL: "http://127.0.0.1:1/api/status", Out: &out, Getenv: xterm})
	if got, want := errorText(err), "http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused; -c FILE names the configuration that has the admin address, --url another address"; got != want || out.Len() > 0 {
		t.Errorf("%q, want %q", got, want)
	}
}
