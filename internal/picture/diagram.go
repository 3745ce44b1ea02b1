package picture

import (
	"fmt"
	"math"
	"strings"
)

// Point is a place in a picture.
type Point struct{ X, Y float64 }

// Box draws a box with a heading in its middle and lines of text below that. With
// neither it is empty.
func (p *Picture) Box(h Hue, x, y, width, height float64, heading string, lines ...string) {
	p.Rect(h.Box(), x, y, width, height, 8)
	if heading == "" {
		return
	}
	// The block of text is centred; letters stand on their base line.
	top := y + height/2 - float64(len(lines))*8.5 + 5
	p.Text(h.Strong(), x+width/2, top, Middle, heading)
	for i, line := range lines {
		p.Text(Note, x+width/2, top+17*float64(i+1), Middle, line)
	}
}

// Badge draws a sign, of one or two letters, in a circle around a place.
func (p *Picture) Badge(h Hue, x, y float64, sign string) {
	p.Rect(h.Box(), x-11, y-11, 22, 22, 11)
	p.Text(h.Strong(), x, y+4.5, Middle, sign)
}

// length and half the width of an arrow's head
const headLength, headHalf = 9, 4.5

// Arrow draws lines from point to point, with a head at the last one.
func (p *Picture) Arrow(h Hue, points ...Point) { p.arrow(h.Line(), h, points) }

// DashedArrow is [Picture.Arrow] with dashed lines.
func (p *Picture) DashedArrow(h Hue, points ...Point) { p.arrow(h.Dashed(), h, points) }

func (p *Picture) arrow(ink Ink, h Hue, points []Point) {
	tip, before := points[len(points)-1], points[len(points)-2]
	long := math.Hypot(tip.X-before.X, tip.Y-before.Y)
	dx, dy := (tip.X-before.X)/long, (tip.Y-before.Y)/long
	neck := Point{tip.X - dx*headLength, tip.Y - dy*headLength}
	var d strings.Builder
	for i, at := range points {
		if i == len(points)-1 {
			at = neck
		}
		d.WriteString(map[bool]string{true: "M", false: "L"}[i == 0])
		fmt.Fprintf(&d, "%s %s", number(at.X), number(at.Y))
	}
	p.Path(ink, d.String())
	p.Path(h.head(), fmt.Sprintf("M%s %sL%s %sL%s %sZ", number(tip.X), number(tip.Y),
		number(neck.X-dy*headHalf), number(neck.Y+dx*headHalf), number(neck.X+dy*headHalf), number(neck.Y-dx*headHalf)))
}

// Party is one of those that a [Sequence] is about.
type Party struct {
	Hue  Hue
	Name string
	Note string // below the name
}

// Step is something that a party sends to another.
type Step struct {
	From, To int // of the parties
	Hue      Hue
	Text     string
	Times    int  // how many arrows; 0: one
	Answer   bool // dashed
	// Beside is the party at whose right the text stands; 0: the one of the two
	// that is further left.
	Beside int
}

// Sequence is who sends what to whom, from top to bottom.
type Sequence struct {
	Parties []Party
	Steps   []Step
}

// Measures of a sequence.
const (
	partyWidth, partyHeight = 150, 52
	arrowGap                = 7 // between arrows of one step
	stepHead, stepFoot      = 30 /* for its text */, 12
)

// Column is the place of a party's line.
func (s Sequence) Column(i int) float64 {
	left := Edge + partyWidth/2.0
	return left + float64(i)*(Width-2*left)/float64(len(s.Parties)-1)
}

// Sequence draws one, and returns the height of each step's first arrow, and
// where it ends.
func (p *Picture) Sequence(s Sequence, y float64) (rows []float64, bottom float64) {
	bottom = y + partyHeight + 4
	for _, step := range s.Steps {
		bottom += stepHead
		rows = append(rows, bottom)
		bottom += float64(max(step.Times, 1)-1)*arrowGap + stepFoot
	}
	bottom += 6
	for i, party := range s.Parties {
		x := s.Column(i)
		p.Line(Grid, x, y+partyHeight, x, bottom)
		var notes []string
		if party.Note != "" {
			notes = []string{party.Note}
		}
		p.Box(party.Hue, x-partyWidth/2, y, partyWidth, partyHeight, party.Name, notes...)
	}
	return rows, bottom
}

// Steps draws the arrows of a sequence at rows, as [Picture.Sequence] returned
// them. What is drawn on the parties' lines in between lies below the arrows.
func (p *Picture) Steps(s Sequence, rows []float64) {
	for i, step := range s.Steps {
		from, to := s.Column(step.From), s.Column(step.To)
		away := math.Copysign(lifeHalf+1, to-from) // from the line, which may be thick
		for n := range max(step.Times, 1) {
			y := rows[i] + float64(n)*arrowGap
			if step.Answer {
				p.DashedArrow(step.Hue, Point{from + away, y}, Point{to - away, y})
			} else {
				p.Arrow(step.Hue, Point{from + away, y}, Point{to - away, y})
			}
		}
		beside := step.Beside
		if beside == 0 {
			beside = min(step.From, step.To)
		}
		x := (s.Column(beside) + s.Column(beside+1)) / 2
		p.Text(step.Hue.Words(), x, rows[i]-8, Middle, step.Text)
	}
}

// half the width of a thick part of a party's line
const lifeHalf = 5

// Life thickens a party's line between two heights, in a hue.
func (p *Picture) Life(s Sequence, party int, h Hue, from, to float64) {
	p.Rect(h.Fill(), s.Column(party)-lifeHalf, from, 2*lifeHalf, to-from, 3)
}
