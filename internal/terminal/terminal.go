// Package terminal owns what attache knows of terminals: whether something is one
// and how large, whether colours are wanted and which there are, how many columns
// a text takes, what of a foreign text may reach one, and how a whole screen is
// taken over and given back.
package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Moves reports whether w is a terminal whose cursor can be moved. getenv is
// [os.Getenv].
func Moves(w io.Writer, getenv func(string) string) bool {
	return Is(w) && getenv("TERM") != "dumb"
}

// Size returns how many columns and lines the terminal w has: 80 and 24 if it is
// none, or does not tell.
func Size(w io.Writer) (columns, lines int) {
	if f, ok := w.(*os.File); ok {
		columns, lines, _ = term.GetSize(int(f.Fd()))
	}
	if columns <= 0 || lines <= 0 {
		return 80, 24
	}
	return columns, lines
}

// Style is a meaning that a text may have beyond its words. The zero value is
// none. No style says what the words do not: many see no colours.
type Style uint8

// The styles. They use the terminal's own 16 colours, and of those the ones that
// can be read on black as well as on white: neither yellow nor dark blue.
const (
	Bold   Style = iota + 1 // a heading
	Good                    // as it should be
	Notice                  // worth a look
	Bad                     // somebody has to do something
	Faint                   // of little weight
)

// sgr returns a style's parameters of SGR (ECMA-48).
func (s Style) sgr() string {
	return [...]string{"", "1", "32", "35", "1;31", "2"}[s]
}

// Painter is whether texts are coloured; the zero value leaves them as they are.
type Painter bool

// Colors returns the painter for w: colours are for terminals, unless the
// environment has NO_COLOR or a TERM that is dumb. getenv is [os.Getenv].
func Colors(w io.Writer, getenv func(string) string) Painter {
	return Painter(Moves(w, getenv) && getenv("NO_COLOR") == "")
}

// Paint puts text into a style.
func (p Painter) Paint(s Style, text string) string {
	if !p || s == 0 || text == "" {
		return text
	}
	return "\x1b[" + s.sgr() + "m" + text + "\x1b[m"
}
