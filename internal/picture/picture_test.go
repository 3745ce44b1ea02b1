package picture_test

import (
	"strings"
	"testing"

	"attache/internal/picture"
	"attache/internal/picture/proof"
)

// Whatever is drawn in whichever hue can be read, on the ground, on a sheet and in
// a box, on light pages and on dark ones.
func TestPaletteIsLegible(t *testing.T) {
	p := picture.New("Every hue in every form", "A row for each hue, on the ground at the left and on a sheet at the right.")
	y := p.Head("Every hue in every form", "A note.")
	hues := []picture.Hue{picture.Plain, picture.Own, picture.Request, picture.Token, picture.Trouble, picture.Due}
	p.Sheet(460, y, 420, float64(len(hues))*70+20, "", "")
	for i, h := range hues {
		for _, x := range []float64{30, 480} {
			y := y + 10 + float64(i)*70
			p.Text(h.Words(), x, y+14, picture.Start, "words")
			p.Text(h.Strong(), x, y+34, picture.Start, "strong")
			p.Text(picture.Note, x, y+54, picture.Start, "note")
			p.Arrow(h, picture.Point{X: x + 70, Y: y + 10}, picture.Point{X: x + 130, Y: y + 10})
			p.DashedArrow(h, picture.Point{X: x + 70, Y: y + 30}, picture.Point{X: x + 130, Y: y + 30})
			p.Bar(h, x+70, y+42, 60, 13)
			p.Reach(x+100, x+160, y+48)
			p.Box(h, x+180, y, 120, 56, "a box", "with a line")
			p.Badge(h, x+330, y+28, "7")
		}
	}
	for _, fault := range proof.Read(p.SVG(y + float64(len(hues))*70 + 40)) {
		t.Error(fault)
	}
}

func TestEqualPicturesAreEqualBytes(t *testing.T) {
	draw := func() string {
		p := picture.New("Twice", "The same picture, drawn twice")
		y := p.Head("Twice")
		a := picture.Plot{Left: 60, Right: 800, Top: y, Bottom: y + 100, MaxX: 3, MaxY: 10}
		p.Heights(a, picture.Thousands[float64], 0, 10)
		p.Area(picture.Own, a, []float64{1, 1, 0, 7.04})
		p.Curve(picture.Plain, a, [][2]float64{{0, 0}, {3, 10}})
		_, bottom := p.Sequence(picture.Sequence{Parties: []picture.Party{{Hue: picture.Plain, Name: "A"}, {Hue: picture.Own, Name: "B"}}, Steps: []picture.Step{{To: 1, Hue: picture.Request, Text: "x"}}}, y+140)
		return p.SVG(bottom + 20)
	}
	first := draw()
	for range 20 {
		if draw() != first {
			t.Fatal("the same picture is other bytes")
		}
	}
	if want := `d="M60 158H60V148H430V158H615V87.6H800V158Z"`; !strings.Contains(first, want) {
		t.Errorf("the area is not %s:\n%s", want, first)
	}
}

// The style sheet has what the picture needs, and nothing else.
func TestStyleIsWhatIsUsed(t *testing.T) {
	p := picture.New("Few inks", "A picture with a line and nothing else")
	p.Line(picture.Rule, 10, 10, 90, 10)
	svg := p.SVG(100)
	if n := strings.Count(svg, ".rule {"); n != 2 {
		t.Errorf("the style of the line is there %d times: for light pages and for dark ones were wanted", n)
	}
	if strings.Contains(svg, ".heading {") {
		t.Error("the style of a heading is there, and no heading")
	}
}

func TestTextIsEscaped(t *testing.T) {
	p := picture.New(`<title> & "more"`, "<desc>")
	p.Text(picture.Text, 30, 30, picture.Start, `<script>&`)
	svg := p.SVG(100)
	for _, bad := range []string{"<script>", "<desc>&", "&<"} {
		if strings.Contains(svg, bad) {
			t.Errorf("the picture has %s:\n%s", bad, svg)
		}
	}
	for _, want := range []string{"&lt;title&gt; &amp; &#34;more&#34;", "&lt;desc&gt;", "&lt;script&gt;&amp;"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture does not have %s:\n%s", want, svg)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 999.6: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := picture.Thousands(n); got != want {
			t.Errorf("%v is written %s, and not %s", n, got, want)
		}
	}
}

// The widths are those that a browser measures in DejaVu Sans.
func TestTextWidth(t *testing.T) {
	for _, tt := range []struct {
		text string
		bold bool
		want float64
	}{
		{"", false, 0},
		{"attache", false, .613 + .392 + .392 + .613 + .550 + .634 + .615},
		{"attache", true, .675 + .478 + .478 + .675 + .593 + .712 + .678},
		{"2 µs", false, .636 + .318 + .838 + .521},
		{"登录", false, 2},
	} {
		if got := picture.TextWidth(tt.text, 10, tt.bold); got < tt.want*10-0.001 || got > tt.want*10+0.001 {
			t.Errorf("%q is %v wide, and not %v", tt.text, got, tt.want*10)
		}
	}
}
