// Package picture owns the look of attache's pictures: the colours on a light and
// on a dark page, the frame with its heading, text and how wide it is, and the
// pieces that charts and diagrams are made of. What a picture shows is the
// business of those who draw it.
//
// A [Picture] is an SVG file that is shown by an img element: it brings all of its
// style along, follows the reader's colour scheme by itself, needs no font but the
// system's, and is the same bytes whenever it is drawn of the same. Lengths are
// pixels of a picture shown at its own size; y grows downwards. What comes later is
// painted over what came before.
//
// Package proof in the folder below reads pictures as a proofreader would.
package picture

import (
	"fmt"
	"html"
	"strings"
)

// Width is that of all pictures, so that their letters have one size on a page.
const Width = 900

// Edge is how far content stays away from the frame.
const Edge = 20

// Fonts are those that a system has. Pictures cannot bring their own.
const Fonts = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"

// Anchor says which end of a text its place is.
type Anchor string

// The anchors.
const (
	Start  Anchor = "start"
	Middle Anchor = "middle"
	End    Anchor = "end"
)

// Picture is one that is being drawn. It is for one goroutine.
type Picture struct {
	title, desc string
	body        strings.Builder
	used        map[Ink]bool
}

// New begins a picture. The title names it, and desc tells in words what it
// shows, for those who do not see it.
func New(title, desc string) *Picture {
	return &Picture{title: title, desc: desc, used: map[Ink]bool{}}
}

// Head writes the heading, and lines of explanation below it, and returns where
// the rest may begin.
func (p *Picture) Head(heading string, notes ...string) (y float64) {
	p.Text(Heading, Edge+4, 38, Start, heading)
	y = 38
	for i, note := range notes {
		y = 61 + float64(i)*18
		p.Text(Note, Edge+4, y, Start, note)
	}
	return y + 20
}

// SVG returns the picture, which is as high as that.
func (p *Picture) SVG(height float64) string {
	p.used[Ground] = true
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %s" width="%d" height="%s" role="img" aria-labelledby="title desc" font-family="%s">
  <title id="title">%s</title>
  <desc id="desc">%s</desc>
  <style>
%s  </style>
  <rect class="%s" x="0.5" y="0.5" width="%d" height="%s" rx="12"/>
%s</svg>
`, Width, number(height), Width, number(height), Fonts, html.EscapeString(p.title), html.EscapeString(p.desc), sheet(p.used), Ground, Width-1, number(height-1), p.body.String())
}

// Text writes s at a place on its base line.
func (p *Picture) Text(ink Ink, x, y float64, at Anchor, s string) {
	anchor := ""
	if at != Start {
		anchor = fmt.Sprintf(` text-anchor="%s"`, at)
	}
	p.element(ink, `text class="%s" x="%s" y="%s"%s>%s</text>`, ink, number(x), number(y), anchor, html.EscapeString(s))
}

// Line draws a straight line.
func (p *Picture) Line(ink Ink, x1, y1, x2, y2 float64) {
	p.element(ink, `line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, ink, number(x1), number(y1), number(x2), number(y2))
}

// Rect draws a rectangle with rounded corners, or with a radius of 0 without.
func (p *Picture) Rect(ink Ink, x, y, width, height, radius float64) {
	round := ""
	if radius > 0 {
		round = fmt.Sprintf(` rx="%s"`, number(radius))
	}
	p.element(ink, `rect class="%s" x="%s" y="%s" width="%s" height="%s"%s/>`, ink, number(x), number(y), number(width), number(height), round)
}

// Path draws what d says in the language of SVG's paths, of which only absolute
// M, L, H, V and Z are understood by the proofreader.
func (p *Picture) Path(ink Ink, d string) {
	p.element(ink, `path class="%s" d="%s"/>`, ink, d)
}

func (p *Picture) element(ink Ink, format string, args ...any) {
	p.used[ink] = true
	fmt.Fprintf(&p.body, "  <"+format+"\n", args...)
}
