package terminal_test

import (
	"strings"
	"testing"

	"attache/internal/terminal"
	"attache/internal/terminal/terminaltest"
)

// TestSay: a terminal gets lines broken at spaces, everybody else whole ones, and
// nobody more than text.
func TestSay(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	const text = "the first line is longer than the terminal is wide\n  the second, too, and it is indented\nshort \x1b[2J\n"
	var b strings.Builder
	if err := terminal.Say(&b, terminal.Bad, "attache: ", text); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "attache: the first line is longer than the terminal is wide\n  the second, too, and it is indented\nshort [2J\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	pty := terminaltest.Open(t, 30, 24)
	terminal.Say(pty.Slave, terminal.Bad, "attache: ", text)
	want := "attache: the first line is\n  longer than the terminal is\n  wide\n  the second, too, and it is\n    indented\nshort [2J"
	s := pty.Wait(want, func(s *terminaltest.Screen) bool { return s.String() == want })
	if s.Styled != 2 || s.Unknown != "" {
		t.Errorf("the screen is %+v", s)
	}
	t.Setenv("NO_COLOR", "1")
	terminal.Say(pty.Slave, terminal.Bad, "attache: ", "no colours")
	s = pty.Wait("the next line", func(s *terminaltest.Screen) bool { return s.String() == want+"\nattache: no colours" })
	if s.Styled != 2 {
		t.Error("there are colours although NO_COLOR is set")
	}
}

// TestTable: the last column is broken where there is a terminal, or goes under its
// row where there is no room beside it.
func TestTable(t *testing.T) {
	rows := [][]terminal.Cell{
		{{Text: "NAME"}, {Text: "RESULT"}},
		{{Text: "应用"}, {Style: terminal.Good, Text: "ok"}, {Text: "nothing to say"}},
		{{Text: "openim"}, {Style: terminal.Bad, Text: "transient"}, {Text: "no answer came: connect: connection refused, and that again and again"}},
		{{Text: "x"}, {Text: "y"}, {}},
	}
	var b strings.Builder
	if err := terminal.Table(&b, rows); err != nil {
		t.Fatal(err)
	}
	want := "NAME     RESULT\n应用     ok          nothing to say\n" +
		"openim   transient   no answer came: connect: connection refused, and that again and again\nx        y\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for columns, want := range map[int]string{
		100: strings.TrimSpace(want),
		60: `NAME     RESULT
应用     ok          nothing to say
openim   transient   no answer came: connect: connection
                     refused, and that again and again
x        y`,
		40: `NAME     RESULT
应用     ok          nothing to say
openim   transient
    no answer came: connect: connection
    refused, and that again and again
x        y`,
	} {
		pty := terminaltest.Open(t, columns, 24)
		if err := terminal.Table(pty.Slave, rows); err != nil {
			t.Fatal(err)
		}
		pty.Wait(want, func(s *terminaltest.Screen) bool { return s.String() == want })
	}
}
