package picture

import (
	"fmt"
	"strings"
)

// Sheet draws a panel with a heading at its left and a note at its right; either
// may be empty.
func (p *Picture) Sheet(x, y, width, height float64, heading, note string) {
	p.Rect(Panel, x, y, width, height, 8)
	if heading != "" {
		p.Text(Case, x+16, y+25, Start, heading)
	}
	if note != "" {
		p.Text(Note, x+width-16, y+25, End, note)
	}
}

// Plot is where values are drawn: a rectangle from 0, at its lower left corner,
// to the greatest values that have a place.
type Plot struct {
	Left, Right, Top, Bottom float64
	MaxX, MaxY               float64
}

// X is the place of a value on the horizontal axis.
func (a Plot) X(v float64) float64 { return a.Left + v/a.MaxX*(a.Right-a.Left) }

// Y is the place of a value on the vertical axis.
func (a Plot) Y(v float64) float64 { return a.Bottom - v/a.MaxY*(a.Bottom-a.Top) }

// Heights draws a line across the plot at each of the values, with its label at
// the left.
func (p *Picture) Heights(a Plot, label func(v float64) string, values ...float64) {
	for _, v := range values {
		p.Line(Grid, a.Left, a.Y(v), a.Right, a.Y(v))
		p.Text(Note, a.Left-8, a.Y(v)+4, End, label(v))
	}
}

// Ticks writes the values below the plot.
func (p *Picture) Ticks(a Plot, label func(v float64) string, values ...float64) {
	for _, v := range values {
		p.Text(Note, a.X(v), a.Bottom+17, Middle, label(v))
	}
}

// Area fills what is below a line of steps, all of one width, which together are
// as wide as the plot.
func (p *Picture) Area(h Hue, a Plot, steps []float64) {
	if len(steps) == 0 {
		return
	}
	var d strings.Builder
	last := number(a.Bottom)
	fmt.Fprintf(&d, "M%s %s", number(a.Left), last)
	for i, v := range steps {
		if y := number(a.Y(v)); y != last {
			fmt.Fprintf(&d, "H%sV%s", number(a.Left+float64(i)/float64(len(steps))*(a.Right-a.Left)), y)
			last = y
		}
	}
	fmt.Fprintf(&d, "H%sV%sZ", number(a.Right), number(a.Bottom))
	p.Path(h.Fill(), d.String())
}

// Curve draws straight lines from point to point, each with a dot.
func (p *Picture) Curve(h Hue, a Plot, points [][2]float64) {
	var d strings.Builder
	for i, at := range points {
		d.WriteString(map[bool]string{true: "M", false: "L"}[i == 0])
		fmt.Fprintf(&d, "%s %s", number(a.X(at[0])), number(a.Y(at[1])))
	}
	p.Path(h.Line(), d.String())
	for _, at := range points {
		p.Rect(h.head(), a.X(at[0])-3.5, a.Y(at[1])-3.5, 7, 7, 3.5)
	}
}

// Bar draws a horizontal bar.
func (p *Picture) Bar(h Hue, x, y, width, height float64) {
	p.Rect(h.Fill(), x, y, width, height, min(2, width/2))
}

// Reach draws a thin line from the least to the greatest of values whose middle a
// bar shows.
func (p *Picture) Reach(x1, x2, y float64) {
	p.Line(Halo, x1, y, x2, y)
	p.Line(Range, x1, y, x2, y)
}

// At draws a dashed line at a value.
func (p *Picture) At(x1, y1, x2, y2 float64) {
	p.Line(Halo, x1, y1, x2, y2)
	p.Line(Rule, x1, y1, x2, y2)
}
