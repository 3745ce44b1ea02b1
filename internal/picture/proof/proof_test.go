package proof_test

import (
	"slices"
	"strings"
	"testing"

	"attache/internal/picture"
	"attache/internal/picture/proof"
)

// drawn is a picture that has everything once.
func drawn(more func(p *picture.Picture)) string {
	p := picture.New("A picture for a test", "It shows a panel, a bar, a line and a few words about them.")
	y := p.Head("Heading", "what explains it")
	p.Sheet(20, y, 400, 150, "a case", "a note")
	p.Bar(picture.Own, 40, y+50, 100, 13)
	p.Reach(60, 160, y+56)
	p.Arrow(picture.Request, picture.Point{X: 40, Y: y + 100}, picture.Point{X: 200, Y: y + 100})
	p.Text(picture.Request.Words(), 120, y+92, picture.Middle, "along the arrow")
	p.Box(picture.Token, 220, y+70, 160, 60, "a box", "with a line")
	if more != nil {
		more(p)
	}
	return p.SVG(300)
}

func TestWhatIsRightHasNoFault(t *testing.T) {
	for _, fault := range proof.Read(drawn(nil)) {
		t.Error(fault)
	}
}

// An area is what is below its steps, not the rectangle around them.
func TestNextToAnAreaIsNotOnIt(t *testing.T) {
	svg := drawn(func(p *picture.Picture) {
		p.Area(picture.Own, picture.Plot{Left: 500, Right: 800, Top: 150, Bottom: 250, MaxX: 1, MaxY: 1}, []float64{1, 0.1, 1})
		p.Text(picture.Text, 650, 200, picture.Middle, "between")
	})
	for _, fault := range proof.Read(svg) {
		t.Error(fault)
	}
}

func TestFaultsAreFound(t *testing.T) {
	with := func(more func(p *picture.Picture)) string { return drawn(more) }
	instead := func(old, new string) string {
		svg := drawn(nil)
		if !strings.Contains(svg, old) {
			t.Fatalf("the picture has no %q", old)
		}
		return strings.ReplaceAll(svg, old, new)
	}
	for name, tt := range map[string]struct{ svg, fault string }{
		"pale text on a light page": {instead(".note { fill: #526075", ".note { fill: #94a3b8"), `"a note": a contrast of 2.6 on a light page; 4.5 is the least`},
		"dark text on a dark page":  {instead(".note { fill: #9aa4af", ".note { fill: #526075"), `"a note": a contrast of 2.7 on a dark page; 4.5 is the least`},
		"a pale bar":                {instead(".fill-own { fill: #4f46e5", ".fill-own { fill: #a5b4fc"), `rect fill-own: a contrast of 2.0 on a light page; 3.0 is the least`},
		"a pale line":               {instead("stroke: #60a5fa", "stroke: #30363d"), `path line-request: a contrast of 1.4 on a dark page; 3.0 is the least`},
		"text on a bar": {with(func(p *picture.Picture) { p.Text(picture.Text, 50, 145, picture.Start, "on") }),
			`"on": a contrast of 1.6 on a light page; 4.5 is the least`},
		"a line over a bar without a halo": {with(func(p *picture.Picture) { p.Line(picture.Range, 110, 132, 110, 142) }),
			`line range: a contrast of 2.8 on a light page; 3.0 is the least`},
		"no word of dark pages": {instead("(prefers-color-scheme: dark)", "(prefers-contrast: more)"), "the style says nothing of dark pages"},
		"text beyond the frame": {with(func(p *picture.Picture) { p.Text(picture.Text, 850, 280, picture.Start, "too long") }), `"too long": leaves the frame`},
		"a bar beyond the frame": {with(func(p *picture.Picture) { p.Bar(picture.Own, 880, 250, 40, 10) }),
			`rect fill-own: is not inside the picture`},
		"text over text":         {with(func(p *picture.Picture) { p.Text(picture.Text, 40, 42, picture.Start, "again") }), `"again": overlaps "Heading"`},
		"a line through text":    {with(func(p *picture.Picture) { p.Line(picture.Grid, 30, 20, 60, 60) }), `"Heading": is crossed by line grid`},
		"text that leaves a box": {instead(">with a line<", ">with a line that is much too long for it<"), `"with a line that is much too long for it": is crossed by rect box-token`},
		"a font of its own":      {instead("Arial", "Comic Sans"), `the font "Comic Sans" is none of a system's`},
		"no description":         {instead("It shows a panel, a bar, a line and a few words about them.", "A panel."), `the title is "A picture for a test" and the description "A panel.": too short for who does not see it`},
		"no title of its own":    {instead("title desc", "desc"), "the picture does not name its title and description"},
		"no viewBox":             {instead(`viewBox="0 0 900 300"`, ""), `the viewBox is ""`},
		"another size":           {instead(`height="300"`, `height="200"`), "the viewBox is 0 0 900 300, and the size 900 by 200"},
		"a script":               {instead("</svg>", "<script>alert(1)</script></svg>"), "<script> has no place in a picture"},
		"an image from outside":  {instead("</svg>", `<image href="https://example.com/a.png"/></svg>`), "<image> has an attribute href"},
		"a link":                 {instead("<rect class=\"panel\"", `<rect xmlns:a="http://www.w3.org/1999/xlink" a:class="x" class="panel"`), "<rect> has an attribute class"},
		"a document type":        {"<!DOCTYPE svg [<!ENTITY a 'b'>]>" + drawn(nil), "there is an instruction before the picture"},
		"a pale area": {with(func(p *picture.Picture) {
			p.Area(picture.Own, picture.Plot{Left: 500, Right: 600, Top: 200, Bottom: 250, MaxX: 1, MaxY: 1}, []float64{1, 1})
			p.Area(picture.Request, picture.Plot{Left: 520, Right: 580, Top: 220, Bottom: 240, MaxX: 1, MaxY: 1}, []float64{1, 1})
		}), "path fill-request: a contrast of 1.2 on a light page; 3.0 is the least"},
		"an event":              {instead("<title ", `<title onclick="x()" `), "<title> has an attribute onclick"},
		"a style from outside":  {instead("<style>", "<style>@import url(https://example.com);"), `the style has "@import url(https://example.com);"`},
		"a colour from outside": {instead("fill: #526075", "fill: url(https://example.com/#a)"), `the style of note: "url(https://example.com/#a)" is no colour of the form #rrggbb`},
		"see-through":           {instead("font-size: 12px", "fill-opacity: 0.1"), `the style of note: "fill-opacity: 0.1" is not understood`},
		"a class without style": {instead(`class="case"`, `class="cas"`), `<text> has a class "cas" without a style`},
		"a group":               {instead("</svg>", "<g><text>x</text></g></svg>"), "<text> is inside <g>"},
		"a place that is none":  {instead(`y="38"`, `y="NaN"`), `"Heading": is not inside the picture`},
		"a curve":               {instead("M40 ", "C1 1 2 2 3 3M40 "), `a path has "C1 1 2 2 3 3"`},
		"no picture":            {"", "this is no picture"},
	} {
		if faults := proof.Read(tt.svg); !slices.Contains(faults, tt.fault) {
			t.Errorf("%s: %q is not among the faults:\n\t%s", name, tt.fault, strings.Join(faults, "\n\t"))
		}
	}
}
