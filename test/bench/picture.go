package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"attache/internal/picture"
)

// Measures of the picture in its own units.
const (
	panelWidth = (picture.Width - 3*picture.Edge) / 2
	panelHead  = 38
	rowHeight  = 23
	barHeight  = 13
	barLeft    = 114 // from the panel's edge
	barRoom    = 170 // for the longest bar
)

// chart is what the picture shows.
type chart struct {
	rounds string
	panels []chartPanel
}

// chartPanel is one case.
type chartPanel struct {
	title, baseline string // the latter is what nginx cost
	bars            []chartBar
}

// chartBar is one proxy in a case.
type chartBar struct {
	name, label string
	ratio       interval // 0 without one: label says why
}

var (
	roundsText = regexp.MustCompile(`(\d+ rounds?) of `)
	mainRow    = regexp.MustCompile(`(?m)^\|  \|(.*)\|\n\|---.*\n((?:\|.*\n)+)`)
	caseText   = regexp.MustCompile(`(?s)<details><summary>All figures: ([^\n]*)</summary>\n(.*?)</details>`)
	ratioCell  = regexp.MustCompile(`^([\d.]+) \(([\d.]+)–([\d.]+)\)$`)
)

// drawPicture draws the ratios to nginx as bars, a panel for each case. It takes
// them from the page's generated part, so that page and picture cannot differ and
// the picture can be drawn anew without the run's results. Equal pages give equal
// bytes.
func drawPicture(page string) (string, error) {
	c, err := readChart(page)
	if err != nil {
		return "", err
	}
	return c.draw(), nil
}

// readChart reads what resultsText wrote.
func readChart(page string) (chart, error) {
	var c chart
	if m := roundsText.FindStringSubmatch(page); m != nil {
		c.rounds = m[1]
	}
	overview := mainRow.FindStringSubmatch(page)
	if overview == nil {
		return c, fmt.Errorf("draw the picture: the page has no table of costs")
	}
	names, shown := cells(overview[1]), map[string][]string{}
	for line := range strings.Lines(overview[2]) {
		row := cells(strings.Trim(line, "|\n"))
		shown[row[0]] = row[1:]
	}
	for _, m := range caseText.FindAllStringSubmatch(page, -1) {
		row := shown[m[1]]
		if len(row) != len(names) {
			return c, fmt.Errorf("draw the picture: the table of costs has no row %q as wide as its head", m[1])
		}
		p := chartPanel{title: m[1], baseline: "nginx was not measured"}
		for i, name := range names {
			switch {
			case name != title(baseline):
				p.bars = append(p.bars, readBar(name, row[i], m[2]))
			case row[i] == "invalid":
				p.baseline = "nginx is not valid"
			case row[i] != "–":
				p.baseline = "nginx: " + row[i] + " µs"
			}
		}
		c.panels = append(c.panels, p)
	}
	return c, nil
}

// readBar makes a bar of a cell of the overview, "31.3 (2.6)", and of the proxy's
// row in the table with all figures of the case.
func readBar(name, cell, table string) chartBar {
	switch cell {
	case "–":
		return chartBar{name: name, label: "not measured"}
	case "invalid":
		return chartBar{name: name, label: "invalid"}
	}
	for line := range strings.Lines(table) {
		row := cells(strings.Trim(line, "|\n"))
		if row[0] != name || len(row) < 5 {
			continue
		}
		m := ratioCell.FindStringSubmatch(row[4])
		if m == nil {
			break
		}
		cost, ratio, _ := strings.Cut(strings.TrimSuffix(cell, ")"), " (")
		number := func(s string) float64 {
			v, _ := strconv.ParseFloat(s, 64) // the expression lets little else through; the rest is 0, and no bar
			return v
		}
		return chartBar{name: name, label: ratio + "× · " + cost + " µs", ratio: interval{number(m[1]), number(m[2]), number(m[3])}}
	}
	return chartBar{name: name, label: "no ratio"}
}

func cells(row string) []string {
	all := strings.Split(strings.Trim(row, "|"), "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

func (c chart) draw() string {
	p := picture.New("CPU time per request in relation to nginx", c.description())
	top := p.Head("CPU time per request, nginx = 1",
		"Shorter is better. Median of "+c.rounds+"; the thin line spans all rounds.",
		"The dashed line is nginx; what “nginx again” differs from it by is noise.")
	bars := 0
	for _, panel := range c.panels {
		bars = max(bars, len(panel.bars))
	}
	height := float64(panelHead + bars*rowHeight + 12)
	for i, panel := range c.panels {
		x := picture.Edge + float64(i%2)*(panelWidth+picture.Edge)
		y := top + float64(i/2)*(height+picture.Edge)
		panel.draw(p, x, y, height, barRoom/c.longest())
	}
	rows := float64((len(c.panels) + 1) / 2)
	return p.SVG(top + rows*(height+picture.Edge))
}

// longest returns the ratio that the longest bar stands for.
func (c chart) longest() float64 {
	most := 2.0
	for _, panel := range c.panels {
		for _, bar := range panel.bars {
			most = max(most, bar.ratio.Max)
		}
	}
	return math.Ceil(most*2) / 2
}

// description says in words what the picture shows.
func (c chart) description() string {
	var parts []string
	for _, panel := range c.panels {
		for _, bar := range panel.bars {
			if ratio, _, ok := strings.Cut(bar.label, "× · "); ok && bar.name == "attache" {
				parts = append(parts, panel.title+": "+ratio+" times")
			}
		}
	}
	return "The CPU time of attache for a request, as a multiple of nginx's. " + strings.Join(parts, "; ") + "."
}

func (c chartPanel) draw(p *picture.Picture, x, y, height, scale float64) {
	p.Sheet(x, y, panelWidth, height, c.title, c.baseline)
	left := x + barLeft
	for i, b := range c.bars {
		top := y + panelHead + float64(i)*rowHeight
		hue, ink := picture.Plain, picture.Text
		if b.name == "attache" {
			hue, ink = picture.Own, picture.Own.Strong()
		}
		p.Text(ink, x+16, top+12, picture.Start, b.name)
		if b.ratio.Median == 0 {
			p.Text(picture.Note, left+scale+10, top+12, picture.Start, b.label)
			continue
		}
		p.Bar(hue, left, top+1, b.ratio.Median*scale, barHeight)
		// The label stands beyond the dashed line.
		p.Text(ink, left+max(b.ratio.Median, b.ratio.Max, 1)*scale+8, top+12, picture.Start, b.label)
	}
	p.At(left+scale, y+panelHead-3, left+scale, y+height-9)
	for i, b := range c.bars {
		if b.ratio.Median > 0 {
			p.Reach(left+b.ratio.Min*scale, left+b.ratio.Max*scale, y+panelHead+float64(i)*rowHeight+1+barHeight/2.0)
		}
	}
}
