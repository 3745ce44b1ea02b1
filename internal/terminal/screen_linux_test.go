package terminal_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"attache/internal/terminal"
	"attache/internal/terminal/terminaltest"
)

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestColorsOfTerminals(t *testing.T) {
	pty := terminaltest.Open(t, 132, 43)
	if columns, lines := terminal.Size(pty.Slave); columns != 132 || lines != 43 {
		t.Errorf("the terminal has %d columns and %d lines", columns, lines)
	}
	for _, c := range []struct {
		environment   map[string]string
		colors, moves bool
	}{
		{map[string]string{"TERM": "xterm-256color"}, true, true},
		{map[string]string{}, true, true}, // as on Windows
		{map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false, true},
		{map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true, true},
		{map[string]string{"TERM": "dumb"}, false, false},
	} {
		getenv := environment(c.environment)
		if got := terminal.Colors(pty.Slave, getenv); bool(got) != c.colors {
			t.Errorf("%v: colours: %v", c.environment, got)
		}
		if got := terminal.Moves(pty.Slave, getenv); got != c.moves {
			t.Errorf("%v: moves: %v", c.environment, got)
		}
	}
	// A terminal that does not know its size.
	pty.Resize(0, 0)
	if columns, lines := terminal.Size(pty.Slave); columns != 80 || lines != 24 {
		t.Errorf("without a size it has %d columns and %d lines", columns, lines)
	}
}

// TestScreen: a screen is drawn without a trace of the one before, keys end it,
// and what stood on the terminal comes back.
func TestScreen(t *testing.T) {
	pty := terminaltest.Open(t, 20, 4)
	pty.Slave.WriteString("$ attache top\n")
	before := pty.Modes()
	shell := pty.Wait("the shell", func(s *terminaltest.Screen) bool { return s.String() == "$ attache top" })

	screen, err := terminal.OpenScreen(pty.Slave, pty.Slave)
	if err != nil {
		t.Fatal(err)
	}
	if pty.Modes() == before {
		t.Error("keys are not read one by one")
	}
	shows := func(text, want string) {
		t.Helper()
		if err := screen.Draw(text); err != nil {
			t.Fatal(err)
		}
		s := pty.Wait(want, func(s *terminaltest.Screen) bool { return s.String() == want })
		if !s.Alternate || !s.NoCursor || !s.NoWrap || s.Scrolled != 0 || s.Unknown != "" {
			t.Errorf("the screen is %+v", s)
		}
	}
	full := strings.Repeat("x", 20)
	shows(full+"\n"+full+"\n"+full+"\n"+full, full+"\n"+full+"\n"+full+"\n"+full)
	shows("a\n"+full+"\nc", "a\n"+full+"\nc")
	shows("one", "one")

	pty.Type("q")
	<-screen.Quit()
	pty.Type("\x03")
	<-screen.Quit()

	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	<-screen.Changed()

	// A shell that had the terminal meanwhile leaves its own modes.
	raw := pty.Modes()
	pty.SetModes(before)
	pty.Slave.WriteString("\x1b[?25h\x1b[?7h")
	if err := syscall.Kill(os.Getpid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	<-screen.Changed()
	shows("goes on", "goes on")
	if pty.Modes() != raw {
		t.Error("after a stop keys are not read one by one")
	}

	if err := screen.Close(); err != nil {
		t.Fatal(err)
	}
	after := pty.Wait("the shell again", func(s *terminaltest.Screen) bool { return !s.Alternate })
	if after.String() != shell.String() || after.NoCursor || after.NoWrap || pty.Modes() != before {
		t.Errorf("it is left as %+v:\n%s", after, after.String())
	}
}

// TestScreenWithoutKeys: where the input is no terminal it is left alone.
func TestScreenWithoutKeys(t *testing.T) {
	pty := terminaltest.Open(t, 20, 4)
	before := pty.Modes()
	screen, err := terminal.OpenScreen(strings.NewReader("q"), pty.Slave)
	if err != nil {
		t.Fatal(err)
	}
	if pty.Modes() != before {
		t.Error("the terminal's modes changed")
	}
	if err := screen.Close(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := terminal.OpenScreen(strings.NewReader(""), &b); err == nil {
		t.Error("a buffer was taken for a terminal")
	}
}
