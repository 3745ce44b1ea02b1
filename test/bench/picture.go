package main

import (
	"errors"
	"math"
	"regexp"
	"slices"
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
	barLeft    = 166 // from the panel's edge
	barRoom    = 124 // for the longest bar
)

// chart is what the picture shows.
type chart struct {
	rounds, level string
	panels        []chartPanel
}

// chartPanel is one case.
type chartPanel struct {
	title, baseline string // the latter is what nginx cost
	bars            []chartBar
}

// chartBar is one proxy in a case.
type chartBar struct {
	name, label string
	ratio       interval // 0 without one: label says why; without its level
}

var (
	roundsText = regexp.MustCompile(`(\d+ rounds?) of .* at a level of confidence of ([\d.]+ %)`)
	caseText   = regexp.MustCompile(`(?s)<details><summary>All figures: ([^\n]*)</summary>\n(.*?)</details>`)
	ratioCell  = regexp.MustCompile(`^([\d.]+)(?: \(([\d.]+)–([\d.]+)\))?$`)
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

// readChart reads the tables with all figures that resultsText wrote.
func readChart(page string) (chart, error) {
	var c chart
	if m := roundsText.FindStringSubmatch(page); m != nil {
		c.rounds, c.level = m[1], m[2]
	}
	var names []string
	var tables []map[string][]string
	for _, m := range caseText.FindAllStringSubmatch(page, -1) {
		c.panels = append(c.panels, chartPanel{title: m[1]})
		table := map[string][]string{}
		for line := range strings.Lines(m[2]) {
			row := cells(strings.Trim(line, "|\n"))
			if !strings.HasPrefix(line, "| ") || row[0] == "" || row[0] == title(partnerName) {
				continue // no table, its head, or what is no contender
			}
			table[row[0]] = row
			if row[0] != title(baseline) && !slices.Contains(names, row[0]) {
				names = append(names, row[0])
			}
		}
		tables = append(tables, table)
	}
	if len(c.panels) == 0 {
		return c, errors.New("draw the picture: the page has no tables with all figures")
	}
	for i, table := range tables {
		c.panels[i].baseline = readBaseline(table[title(baseline)])
		for _, name := range names {
			c.panels[i].bars = append(c.panels[i].bars, readBar(name, table[name]))
		}
	}
	return c, nil
}

func readBaseline(row []string) string {
	switch {
	case row == nil:
		return "nginx was not measured"
	case row[1] == "invalid":
		return "nginx is not valid"
	}
	return "nginx: " + row[1] + " µs"
}

// readBar makes a bar of the proxy's row in the table with all figures of a case.
func readBar(name string, row []string) chartBar {
	switch {
	case row == nil:
		return chartBar{name: name, label: "not measured"}
	case row[1] == "invalid":
		return chartBar{name: name, label: "invalid"}
	case len(row) < 5:
		return chartBar{name: name, label: "no ratio"}
	}
	m := ratioCell.FindStringSubmatch(row[4])
	if m == nil {
		return chartBar{name: name, label: "no ratio"}
	}
	number := func(s string) float64 {
		v, _ := strconv.ParseFloat(s, 64) // the expression lets little else through; the rest is 0, and no bar
		return v
	}
	ratio := interval{Median: number(m[1]), Low: number(m[1]), High: number(m[1])}
	if m[2] != "" {
		ratio.Low, ratio.High = number(m[2]), number(m[3])
	}
	return chartBar{name: name, label: m[1] + "× · " + row[1] + " µs", ratio: ratio}
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
		c.legend(),
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

// legend says what bars and lines are.
func (c chart) legend() string {
	if c.level == "" {
		return "Shorter is better. One round."
	}
	return "Shorter is better. Median of " + c.rounds + "; the thin line is its interval, at a level of confidence of " + c.level + "."
}

// longest returns the ratio that the longest bar stands for.
func (c chart) longest() float64 {
	most := 2.0
	for _, panel := range c.panels {
		for _, bar := range panel.bars {
			most = max(most, bar.ratio.High)
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
		p.Text(ink, left+max(b.ratio.Median, b.ratio.High, 1)*scale+8, top+12, picture.Start, b.label)
	}
	p.At(left+scale, y+panelHead-3, left+scale, y+height-9)
	for i, b := range c.bars {
		if b.ratio.Median > 0 {
			p.Reach(left+b.ratio.Low*scale, left+b.ratio.High*scale, y+panelHead+float64(i)*rowHeight+1+barHeight/2.0)
		}
	}
}
