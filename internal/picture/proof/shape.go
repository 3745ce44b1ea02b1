package proof

import (
	"math"
	"regexp"
	"strings"

	"attache/internal/picture"
)

type point struct{ x, y float64 }

// box is a rectangle between two corners.
type box struct{ x1, y1, x2, y2 float64 }

func (b box) holds(p point) bool { return p.x >= b.x1 && p.x <= b.x2 && p.y >= b.y1 && p.y <= b.y2 }

func (b box) meets(o box) bool { return b.x1 < o.x2 && o.x1 < b.x2 && b.y1 < o.y2 && o.y1 < b.y2 }

func (b box) shrunk(by float64) box { return box{b.x1 + by, b.y1 + by, b.x2 - by, b.y2 - by} }

// shape is an element that is painted.
type shape struct {
	name, class, text string
	style             style
	bounds            box
	outlines          [][]point // lines from point to point
}

// The part of a font's size that letters rise above their base line, and that
// they hang below it.
const ascent, descent = 0.78, 0.22

func (d *document) shape(name string, attributes map[string]string, text string) {
	s := &shape{name: name, class: attributes["class"], text: text}
	rules, ok := d.rules[s.class]
	if !ok {
		d.fault("<%s> has a class %q without a style", name, s.class)
	}
	s.style = rules
	at := func(key string) float64 { return numberOf(attributes[key]) }
	switch name {
	case "rect":
		x, y, w, h := at("x"), at("y"), at("width"), at("height")
		s.outlines = [][]point{{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}, {x, y}}}
	case "line":
		s.outlines = [][]point{{{at("x1"), at("y1")}, {at("x2"), at("y2")}}}
	case "path":
		s.outlines = d.path(attributes["d"])
	case "text":
		width := picture.TextWidth(text, rules.size, rules.bold)
		x, y := at("x"), at("y")
		switch attributes["text-anchor"] {
		case "middle":
			x -= width / 2
		case "end":
			x -= width
		}
		s.bounds = box{x, y - rules.size*ascent, x + width, y + rules.size*descent}
	}
	if name != "text" {
		s.bounds = boundsOf(s.outlines)
	}
	// NaN, of what is no number, is not within anything.
	if b := s.bounds; !(b.x1 >= 0 && b.y1 >= 0 && b.x2 >= b.x1 && b.y2 >= b.y1) {
		d.fault("%s: is not inside the picture", s)
		return
	}
	d.shapes = append(d.shapes, s)
}

func boundsOf(outlines [][]point) box {
	b := box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, line := range outlines {
		for _, p := range line {
			b = box{min(b.x1, p.x), min(b.y1, p.y), max(b.x2, p.x), max(b.y2, p.y)}
		}
	}
	return b
}

// String names a shape in a fault.
func (s *shape) String() string {
	if s.name == "text" {
		return `"` + s.text + `"`
	}
	return s.name + " " + s.class
}

var command = regexp.MustCompile(`([MLHVZ])([0-9. -]*)`)

// path reads what package picture writes: M, L, H, V and Z, all absolute.
func (d *document) path(text string) [][]point {
	if rest := command.ReplaceAllString(text, ""); rest != "" {
		d.fault("a path has %q", rest)
	}
	var all [][]point
	var at, begin point
	for _, m := range command.FindAllStringSubmatch(text, -1) {
		var v []float64
		for number := range strings.FieldsSeq(m[2]) {
			v = append(v, numberOf(number))
		}
		if want := map[string]int{"M": 2, "L": 2, "H": 1, "V": 1, "Z": 0}[m[1]]; len(v) != want {
			d.fault("a path has %q", m[0])
			return all
		}
		switch m[1] {
		case "M":
			at = point{v[0], v[1]}
			begin = at
			all = append(all, nil)
		case "L":
			at = point{v[0], v[1]}
		case "H":
			at.x = v[0]
		case "V":
			at.y = v[0]
		case "Z":
			at = begin
		}
		if len(all) == 0 {
			d.fault("a path does not begin with M")
			return all
		}
		all[len(all)-1] = append(all[len(all)-1], at)
	}
	return all
}

// covers reports whether a shape's inside is painted at p.
func (s *shape) covers(p point) bool {
	if !s.bounds.holds(p) {
		return false
	}
	inside := false
	for _, line := range s.outlines {
		for i := range line {
			a, b := line[i], line[(i+1)%len(line)]
			if (a.y > p.y) != (b.y > p.y) && p.x < a.x+(p.y-a.y)/(b.y-a.y)*(b.x-a.x) {
				inside = !inside
			}
		}
	}
	return inside
}

// reaches reports whether a shape's line is painted at p.
func (s *shape) reaches(p point, width float64) bool {
	b := s.bounds.shrunk(-width / 2)
	if !b.holds(p) {
		return false
	}
	for _, line := range s.outlines {
		for i := 1; i < len(line); i++ {
			if distance(p, line[i-1], line[i]) <= width/2 {
				return true
			}
		}
	}
	return false
}

// distance is that of p from the line between a and b.
func distance(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	along := 0.0
	if long := dx*dx + dy*dy; long > 0 {
		along = max(0, min(1, ((p.x-a.x)*dx+(p.y-a.y)*dy)/long))
	}
	return math.Hypot(p.x-a.x-along*dx, p.y-a.y-along*dy)
}

// samples returns points on a shape's line, no further than that apart.
func (s *shape) samples(apart float64) []point {
	var all []point
	for _, line := range s.outlines {
		for i := 1; i < len(line); i++ {
			a, b := line[i-1], line[i]
			n := max(1, math.Ceil(math.Hypot(b.x-a.x, b.y-a.y)/apart))
			for k := 0.5; k < n; k++ {
				all = append(all, point{a.x + k/n*(b.x-a.x), a.y + k/n*(b.y-a.y)})
			}
		}
	}
	return all
}

// grid returns points spread over a box.
func (b box) grid(columns, rows int) []point {
	var all []point
	for i := range columns {
		for k := range rows {
			all = append(all, point{b.x1 + (float64(i)+0.5)/float64(columns)*(b.x2-b.x1), b.y1 + (float64(k)+0.5)/float64(rows)*(b.y2-b.y1)})
		}
	}
	return all
}
