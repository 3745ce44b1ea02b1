package proof

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// The schemes of a page.
const (
	light = iota
	dark
	schemes
)

func schemeName(scheme int) string { return [...]string{"light", "dark"}[scheme] }

// colour is one of sRGB; none is nil.
type colour struct{ r, g, b float64 }

// style is what a class of the style sheet says.
type style struct {
	fill, stroke [schemes]*colour
	strokeWidth  float64
	size         float64
	bold         bool
}

var (
	darkPart    = regexp.MustCompile(`(?s)@media \(prefers-color-scheme: dark\) \{(.*?\})\s*\}`)
	rule        = regexp.MustCompile(`(?s)\s*\.([a-z-]+) \{ (.*?) \}\s*`)
	hexadecimal = regexp.MustCompile(`^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$`)
)

// parseStyle reads the style sheet. What it does not understand is a fault: a
// reference to something outside, for instance.
func (d *document) parseStyle(sheet string) {
	d.rules = map[string]style{}
	inDark := darkPart.FindStringSubmatch(sheet)
	if inDark == nil {
		d.fault("the style says nothing of dark pages")
		inDark = []string{"", ""}
	}
	for scheme, part := range []string{strings.Replace(sheet, inDark[0], "", 1), inDark[1]} {
		if rest := rule.ReplaceAllString(part, ""); rest != "" {
			d.fault("the style has %q", rest)
		}
		for _, m := range rule.FindAllStringSubmatch(part, -1) {
			s := d.rules[m[1]]
			if s.strokeWidth == 0 {
				s.strokeWidth = 1
			}
			for declaration := range strings.SplitSeq(m[2], "; ") {
				if err := s.set(scheme, declaration); err != nil {
					d.fault("the style of %s: %v", m[1], err)
				}
			}
			d.rules[m[1]] = s
		}
	}
}

func (s *style) set(scheme int, declaration string) error {
	property, value, _ := strings.Cut(declaration, ": ")
	switch property {
	case "fill", "stroke":
		c, err := parseColour(value)
		if err != nil {
			return err
		}
		for i := scheme; i < schemes; i++ { // what is said of light pages holds on dark ones, unless they say otherwise
			if property == "fill" {
				s.fill[i] = c
			} else {
				s.stroke[i] = c
			}
		}
	case "stroke-width":
		s.strokeWidth = numberOf(value)
	case "font-size":
		s.size = numberOf(strings.TrimSuffix(value, "px"))
	case "font-weight":
		s.bold = numberOf(value) >= 600
	case "stroke-dasharray":
	default:
		return fmt.Errorf("%q is not understood", declaration)
	}
	return nil
}

func parseColour(text string) (*colour, error) {
	if text == "none" {
		return nil, nil
	}
	m := hexadecimal.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is no colour of the form #rrggbb", text)
	}
	part := func(hex string) float64 {
		n, _ := strconv.ParseUint(hex, 16, 8) // the expression let nothing else through
		return float64(n) / 255
	}
	return &colour{part(m[1]), part(m[2]), part(m[3])}, nil
}

// numberOf returns what a text says; NaN, which every comparison finds fault
// with, if that is no number.
func numberOf(text string) float64 {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// luminance is the relative one of WCAG.
func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast is that of WCAG, from 1 to 21.
func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
