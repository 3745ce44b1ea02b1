package demo

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"attache/internal/terminal"
)

// canvas is where the table is drawn: on a terminal in the place of the one
// before, elsewhere behind it. Errors of writing are nobody's concern: the demo
// goes on without a viewer.
type canvas struct {
	out   io.Writer
	moves bool
	paint terminal.Painter

	above          string // what stands above the table
	drawn          int    // lines of the table that stand there
	columns, lines int    // of the terminal when it was drawn
}

func newCanvas(out io.Writer, getenv func(string) string) canvas {
	return canvas{out: out, moves: terminal.Moves(out, getenv), paint: terminal.Colors(out, getenv)}
}

// every is how long a table stands.
func (c *canvas) every() time.Duration {
	if c.moves {
		return 250 * time.Millisecond
	}
	return 5 * time.Second
}

// begin writes what stands above the table.
func (c *canvas) begin(above string) {
	c.above = above
	c.columns, c.lines = terminal.Size(c.out)
	io.WriteString(c.out, above)
}

// draw draws the table. One that is taller than the terminal, or has a line that is
// wider, would leave lines behind that nothing can reach, so that it is cut. After a
// change of size nobody knows where its lines are: everything is drawn anew.
func (c *canvas) draw(v view) {
	if !c.moves {
		io.WriteString(c.out, render(v, c.paint, math.MaxInt32, math.MaxInt32))
		return
	}
	columns, lines := terminal.Size(c.out)
	text := render(v, c.paint, columns, lines-1) // the cursor stands below it
	before := ""
	switch {
	case columns != c.columns || lines != c.lines:
		before = "\x1b[H\x1b[J" + c.above
	case c.drawn > 0:
		before = fmt.Sprintf("\r\x1b[%dA\x1b[J", c.drawn) // Ctrl-C may have left its name behind
	}
	c.drawn, c.columns, c.lines = strings.Count(text, "\n"), columns, lines
	io.WriteString(c.out, before+text)
}
