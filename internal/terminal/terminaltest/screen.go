// Package terminaltest is a terminal for tests: what a program writes becomes the
// picture that a user would see, and keys and sizes reach the program as they do
// from a real one.
package terminaltest

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"attache/internal/terminal"
)

// Screen is what a terminal shows. It understands what attache writes, and no
// more: text, line breaks, and of ECMA-48 and DEC's private modes the sequences
// that move, erase and style. What it does not understand is in Unknown.
type Screen struct {
	columns, lines int
	cells          [][]string // "" behind a wide character
	row, column    int
	full           bool // the last column was written: the next text wraps
	pending        []byte
	main           *Screen // what stood there before the alternate screen; nil: this is it

	// NoWrap and NoCursor are the modes in force, Alternate whether the alternate
	// screen shows, and Styled how often a style was set.
	NoWrap, NoCursor, Alternate bool
	Styled                      int
	// Scrolled counts the lines that left at the top.
	Scrolled int
	// Unknown are the bytes that were not understood.
	Unknown string
}

// NewScreen makes an empty screen.
func NewScreen(columns, lines int) *Screen {
	s := &Screen{columns: columns, lines: lines}
	s.Resize(columns, lines)
	return s
}

// Resize changes the size. Lines that no longer fit are broken, as most terminals
// do, but for those of the alternate screen, which are cut off.
func (s *Screen) Resize(columns, lines int) {
	if !s.Alternate {
		s.breakLines(columns)
	}
	if extra := s.row + 1 - lines; extra > 0 {
		s.cells, s.row = s.cells[extra:], s.row-extra
		s.Scrolled += extra
	}
	s.columns, s.lines = columns, lines
	cells := make([][]string, lines)
	for i := range cells {
		cells[i] = blank(columns)
		if i < len(s.cells) {
			copy(cells[i], s.cells[i])
		}
	}
	s.cells, s.column, s.full = cells, min(s.column, columns-1), false
}

// breakLines breaks lines that are longer than so many columns.
func (s *Screen) breakLines(columns int) {
	var cells [][]string
	row := 0
	for i, line := range s.cells {
		used := len(line)
		for used > 0 && line[used-1] == " " {
			used--
		}
		for ; used > columns; used -= columns {
			cells = append(cells, line[:columns])
			line = line[columns:]
		}
		if cells = append(cells, line); i == s.row {
			row = len(cells) - 1
		}
	}
	s.cells, s.row = cells, row
}

func blank(columns int) []string {
	row := make([]string, columns)
	for i := range row {
		row[i] = " "
	}
	return row
}

// String returns the lines without spaces at their ends, and without the empty
// lines at the end.
func (s *Screen) String() string {
	var lines []string
	for _, row := range s.cells {
		lines = append(lines, strings.TrimRight(strings.Join(row, ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Write draws what a program wrote. A sequence may come in parts.
func (s *Screen) Write(p []byte) (int, error) {
	s.pending = append(s.pending, p...)
	for len(s.pending) > 0 {
		n := s.step(s.pending)
		if n == 0 {
			break // the rest is still to come
		}
		s.pending = s.pending[n:]
	}
	return len(p), nil
}

// step draws the first character or sequence and returns its length; 0: it is not
// whole.
func (s *Screen) step(p []byte) int {
	switch p[0] {
	case '\r':
		s.column, s.full = 0, false
		return 1
	case '\n':
		s.feed()
		return 1
	case 0x1b:
		return s.escape(p)
	}
	if !utf8.FullRune(p) {
		return 0
	}
	r, n := utf8.DecodeRune(p)
	if r < ' ' || r == utf8.RuneError || r >= 0x7f && r < 0xa0 {
		s.Unknown += string(p[:n])
		return n
	}
	s.put(string(r))
	return n
}

func (s *Screen) feed() {
	s.full = false
	if s.row++; s.row == s.lines {
		s.row--
		s.Scrolled++
		s.cells = append(s.cells[1:], blank(s.columns))
	}
}

func (s *Screen) put(char string) {
	width := terminal.Width(char)
	if width == 0 {
		s.cells[s.row][max(0, s.column-1)] += char
		return
	}
	if s.full || s.column+width > s.columns {
		if s.NoWrap {
			s.column = max(0, s.columns-width)
		} else {
			s.column = 0
			s.feed()
		}
	}
	for i := range width {
		s.cells[s.row][s.column+i] = ""
	}
	s.cells[s.row][s.column] = char
	s.column += width
	if s.full = s.column >= s.columns; s.full {
		s.column = s.columns - 1
	}
}

// escape obeys a control sequence: ESC [ parameters letter.
func (s *Screen) escape(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	end := 2
	for p[1] == '[' && end < len(p) && p[end] < '@' {
		end++
	}
	if p[1] != '[' {
		s.Unknown += string(p[:2])
		return 2
	}
	if end == len(p) {
		return 0
	}
	parameters := string(p[2:end])
	n, err := strconv.Atoi(parameters)
	if err != nil {
		n = 0
	}
	switch command := p[end]; {
	case command == 'm':
		s.Styled++
	case strings.HasPrefix(parameters, "?") && (command == 'h' || command == 'l'):
		s.mode(parameters[1:], command == 'h')
	case command == 'A':
		s.row, s.full = max(0, s.row-max(n, 1)), false
	case command == 'H' && parameters == "":
		s.row, s.column, s.full = 0, 0, false
	case command == 'K' && n == 0, command == 'J' && n == 0:
		copy(s.cells[s.row][s.column:], blank(s.columns-s.column))
		for i := s.row + 1; command == 'J' && i < s.lines; i++ {
			s.cells[i] = blank(s.columns)
		}
	default:
		s.Unknown += string(p[:end+1])
	}
	return end + 1
}

// mode sets one of DEC's private modes.
func (s *Screen) mode(number string, on bool) {
	switch number {
	case "7":
		s.NoWrap = !on
	case "25":
		s.NoCursor = !on
	case "1049":
		if on == s.Alternate {
			s.Unknown += "1049 twice"
			return
		}
		if s.Alternate = on; on {
			before := *s
			s.main, s.cells = &before, nil
			s.Resize(s.columns, s.lines)
			return
		}
		s.cells, s.row, s.column = s.main.cells, s.main.row, s.main.column
		s.Resize(s.columns, s.lines)
	default:
		s.Unknown += "mode " + number
	}
}
