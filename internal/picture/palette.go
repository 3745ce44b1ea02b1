package picture

import (
	"fmt"
	"strings"
)

// Ink is a way to draw something: a class of the picture's style sheet.
type Ink string

// Inks that have no meaning of their own.
const (
	Ground  Ink = "ground"  // the paper
	Panel   Ink = "panel"   // a sheet on it
	Grid    Ink = "grid"    // lines that help the eye; nothing is lost without them
	Halo    Ink = "halo"    // below a line that crosses something, so that both stay visible
	Heading Ink = "heading" // of the picture
	Case    Ink = "case"    // heading of a panel or a box
	Text    Ink = "text"    // what has to be read
	Note    Ink = "note"    // what explains it
	Rule    Ink = "rule"    // a dashed line at a value
	Range   Ink = "range"   // from the least to the greatest
)

// Hue is a meaning that has a colour. No meaning is told by its colour alone.
type Hue string

// The hues.
const (
	Plain   Hue = "plain"   // others, and whatever is not meant
	Own     Hue = "own"     // attache itself
	Request Hue = "request" // the way of requests
	Token   Hue = "token"   // the way of tokens; one that is good
	Trouble Hue = "trouble" // refusals and failures
	Due     Hue = "due"     // what is about to happen
)

// Words is the ink of text in that hue, Strong of the same in bold.
func (h Hue) Words() Ink { return Ink("words-" + h) }

// Strong is the ink of bold text in that hue.
func (h Hue) Strong() Ink { return Ink("strong-" + h) }

// Line is the ink of lines in that hue.
func (h Hue) Line() Ink { return Ink("line-" + h) }

// Dashed is the ink of dashed lines in that hue.
func (h Hue) Dashed() Ink { return Ink("dashed-" + h) }

// Fill is the ink of bars and areas in that hue.
func (h Hue) Fill() Ink { return Ink("fill-" + h) }

// head is the ink of arrows' heads and of dots on a line.
func (h Hue) head() Ink { return Ink("head-" + h) }

// Box is the ink of boxes in that hue that text stands in.
func (h Hue) Box() Ink { return Ink("box-" + h) }

// pair is a colour on a light and on a dark page.
type pair struct{ light, dark string }

// tones are the colours of a hue: of text, of lines, bars and areas, and of the
// inside of boxes.
type tones struct{ text, line, fill, tint pair }

func hues() map[Hue]tones {
	return map[Hue]tones{
		Plain:   {pair{"#334155", "#c9d1d9"}, pair{"#64748b", "#8b949e"}, pair{"#7c8aa0", "#76808c"}, pair{"#ffffff", "#161b22"}},
		Own:     {pair{"#3730a3", "#c7d2fe"}, pair{"#4f46e5", "#818cf8"}, pair{"#4f46e5", "#818cf8"}, pair{"#eef2ff", "#1b1f3b"}},
		Request: {pair{"#1e40af", "#93c5fd"}, pair{"#1d4ed8", "#60a5fa"}, pair{"#2563eb", "#60a5fa"}, pair{"#dbeafe", "#11233f"}},
		Token:   {pair{"#166534", "#86efac"}, pair{"#15803d", "#3fb950"}, pair{"#15803d", "#3fb950"}, pair{"#dcfce7", "#0f2a1a"}},
		Trouble: {pair{"#991b1b", "#fca5a5"}, pair{"#dc2626", "#f87171"}, pair{"#dc2626", "#f87171"}, pair{"#fee2e2", "#371517"}},
		Due:     {pair{"#92400e", "#fcd34d"}, pair{"#b45309", "#e3a008"}, pair{"#b45309", "#e3a008"}, pair{"#fef3c7", "#32270b"}},
	}
}

// look is what an ink looks like. A colour that is not given is none.
type look struct {
	ink          Ink
	fill, stroke pair
	more         string // what is the same on all pages
}

// looks lists all inks in the order of the style sheet.
func looks() []look {
	strong, frame := pair{"#0f172a", "#f0f6fc"}, pair{"#cbd5e1", "#30363d"}
	all := []look{
		{Ground, pair{"#f8fafc", "#0d1117"}, frame, ""},
		{Panel, pair{"#ffffff", "#161b22"}, pair{"#e2e8f0", "#30363d"}, ""},
		{Grid, pair{}, frame, "stroke-width: 1"},
		{Halo, pair{}, pair{"#ffffff", "#161b22"}, "stroke-width: 4.5"},
		{Heading, strong, pair{}, "font-size: 20px; font-weight: 700"},
		{Case, strong, pair{}, "font-size: 15px; font-weight: 600"},
		{Text, pair{"#334155", "#c9d1d9"}, pair{}, "font-size: 13px"},
		{Note, pair{"#526075", "#9aa4af"}, pair{}, "font-size: 12px"},
		{Rule, pair{}, strong, "stroke-width: 1.5; stroke-dasharray: 3 3"},
		{Range, pair{}, strong, "stroke-width: 1.5"},
	}
	colours := hues()
	for _, h := range []Hue{Plain, Own, Request, Token, Trouble, Due} {
		c := colours[h]
		all = append(all,
			look{h.Words(), c.text, pair{}, "font-size: 13px"},
			look{h.Strong(), c.text, pair{}, "font-size: 13px; font-weight: 700"},
			look{h.Line(), pair{}, c.line, "stroke-width: 2"},
			look{h.Dashed(), pair{}, c.line, "stroke-width: 2; stroke-dasharray: 5 4"},
			look{h.head(), c.line, pair{}, ""},
			look{h.Fill(), c.fill, pair{}, ""},
			look{h.Box(), c.tint, c.line, "stroke-width: 1.5"})
	}
	return all
}

// sheet returns the style sheet for those inks.
func sheet(used map[Ink]bool) string {
	var light, dark strings.Builder
	for _, l := range looks() {
		if !used[l.ink] {
			continue
		}
		more := ""
		if l.more != "" {
			more = "; " + l.more
		}
		fmt.Fprintf(&light, "    .%s { %s%s }\n", l.ink, l.colours(func(p pair) string { return p.light }), more)
		fmt.Fprintf(&dark, "      .%s { %s }\n", l.ink, l.colours(func(p pair) string { return p.dark }))
	}
	return light.String() + "    @media (prefers-color-scheme: dark) {\n" + dark.String() + "    }\n"
}

func (l look) colours(of func(pair) string) string {
	fill := of(l.fill)
	if fill == "" {
		fill = "none"
	}
	if stroke := of(l.stroke); stroke != "" {
		return "fill: " + fill + "; stroke: " + stroke
	}
	return "fill: " + fill
}
