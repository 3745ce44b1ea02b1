package proof

import (
	"slices"

	"attache/internal/picture"
)

// decoration has the inks without which nothing is lost: paper, and lines that
// help the eye. They need no contrast.
func decoration() []string {
	return []string{string(picture.Ground), string(picture.Panel), string(picture.Grid), string(picture.Halo)}
}

// wide is from which width on a line can be a ground for others.
const wide = 4

// below returns the colour on which shape i is painted at p, or nil where there
// is nothing.
func (d *document) below(i int, p point, scheme int) *colour {
	for k := i - 1; k >= 0; k-- {
		s := d.shapes[k]
		if s.name == "text" {
			continue
		}
		if c := s.style.stroke[scheme]; c != nil && s.style.strokeWidth >= wide && s.reaches(p, s.style.strokeWidth) {
			return c
		}
		if c := s.style.fill[scheme]; c != nil && s.covers(p) {
			return c
		}
	}
	return nil
}

// checkContrast holds a shape against what lies below it.
func (d *document) checkContrast(i int) {
	s := d.shapes[i]
	if slices.Contains(decoration(), s.class) {
		return
	}
	for scheme := range schemes {
		own, points, least := s.style.stroke[scheme], s.samples(4), float64(leastGraphic)
		switch {
		case s.name == "text":
			own, points, least = s.style.fill[scheme], s.bounds.grid(12, 3), leastText
		case own == nil:
			own, points = s.style.fill[scheme], s.inside()
		}
		if own == nil {
			d.fault("%s: has no colour on a %s page", s, schemeName(scheme))
			continue
		}
		for _, p := range points {
			ground := d.below(i, p, scheme)
			if ground == nil {
				d.fault("%s: there is no ground below it on a %s page", s, schemeName(scheme))
			} else if c := contrast(*own, *ground); c < least {
				d.fault("%s: a contrast of %.1f on a %s page; %.1f is the least", s, c, schemeName(scheme), least)
			}
		}
	}
}

// inside returns points of a filled shape. Of a path they are on its line, half of
// which is within it.
func (s *shape) inside() []point {
	if s.name == "path" {
		return s.samples(8)
	}
	return s.bounds.grid(5, 2)
}

// margin is how far text stays away from the frame.
const margin = 6

// checkPlaces finds texts that leave the frame, overlap each other, or are
// crossed by a line.
func (d *document) checkPlaces() {
	frame := box{margin, margin, d.width - margin, d.height - margin}
	for i, s := range d.shapes {
		if s.bounds.x2 > d.width || s.bounds.y2 > d.height {
			d.fault("%s: is not inside the picture", s)
		}
		if s.name != "text" {
			continue
		}
		if b := s.bounds; b.x1 < frame.x1 || b.y1 < frame.y1 || b.x2 > frame.x2 || b.y2 > frame.y2 {
			d.fault("%s: leaves the frame", s)
		}
		for _, other := range d.shapes[:i] {
			if other.name == "text" && other.bounds.shrunk(0.5).meets(s.bounds.shrunk(0.5)) {
				d.fault("%s: overlaps %s", s, other)
			}
		}
		for _, other := range d.shapes {
			if other.name != "text" && other.style.stroke[light] != nil && other.crosses(s.bounds.shrunk(1)) {
				d.fault("%s: is crossed by %s", s, other)
			}
		}
	}
}

// crosses reports whether a shape's line goes through a box.
func (s *shape) crosses(b box) bool {
	return s.bounds.shrunk(-1).meets(b) && slices.ContainsFunc(s.samples(2), b.holds)
}
