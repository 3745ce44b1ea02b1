package app

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"attache/internal/terminal/terminaltest"
)

// TestLogOnATerminal: on a terminal the automatic format is the one for people, and
// no word is torn apart where a line ends.
func TestLogOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	pty := terminaltest.Open(t, 50, 24)
	log := NewLogger("auto", slog.LevelInfo, pty.Slave)
	log.Info("stopped")
	log.Warn("login failed", "credential", "im", "error", "im.example.com: dial tcp 127.0.0.1:1: connect: connection refused")
	log.Error("a message that is itself too long for one line of fifty columns", "a", 1)
	want := `TIME INFO  stopped
TIME WARN  login failed
    credential=im error="im.example.com: dial tcp
    127.0.0.1:1: connect: connection refused"
TIME ERROR a message that is itself too long
    for one line of fifty columns
    a=1`
	clock := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d `)
	s := pty.Wait(want, func(s *terminaltest.Screen) bool { return clock.ReplaceAllString(s.String(), "TIME ") == want })
	if s.Styled == 0 || s.Unknown != "" {
		t.Errorf("the screen is %+v", s)
	}
	NewLogger("text", slog.LevelInfo, pty.Slave).Info("as text")
	pty.Wait("a line for programs", func(s *terminaltest.Screen) bool { return strings.Contains(s.String(), `level=INFO msg="as`) })
}
