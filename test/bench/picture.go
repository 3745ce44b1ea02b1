package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of the picture in its own units.
const (
	pictureWidth = 1000
	pictureHead  = 92
	panelWidth   = 470
	panelGap     = 20
	panelHead    = 40
	rowHeight    = 23
	barHeight    = 13
	barLeft      = 122 // from the panel's edge
	barRoom      = 220 // for the longest bar
)

const pictureStyle = `
    .ground { fill: #f8fafc; stroke: #cbd5e1 }
    .panel { fill: #ffffff; stroke: #e2e8f0 }
    text { fill: #334155; font-size: 13px }
    .title { fill: #0f172a; font-size: 20px; font-weight: 700 }
    .case { fill: #0f172a; font-size: 15px; font-weight: 600 }
    .note { fill: #64748b; font-size: 12px }
    .bar { fill: #94a3b8 }
    .own { fill: #4f46e5 }
    .ours { fill: #3730a3; font-weight: 700 }
    .one { stroke: #0f172a; stroke-width: 1.5; stroke-dasharray: 3 3 }
    .range { stroke: #0f172a; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #30363d }
      .panel { fill: #161b22; stroke: #30363d }
      text { fill: #c9d1d9 }
      .title, .case { fill: #f0f6fc }
      .note { fill: #9aa4af }
      .bar { fill: #6e7681 }
      .own { fill: #818cf8 }
      .ours { fill: #c7d2fe }
      .one, .range { stroke: #f0f6fc }
    }
`

// picture draws the ratios to nginx as bars, a panel for each case. Equal
// results give equal bytes.
func picture(r *results) string {
	bars := 0
	for _, name := range namesOf(r) {
		if name != baseline {
			bars++
		}
	}
	panelHeight := panelHead + bars*rowHeight + 14
	rows := (len(r.Cases) + 1) / 2
	height := pictureHead + rows*(panelHeight+panelGap) + 10
	scale := barRoom / longest(r)

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif">
  <title id="title">CPU time per request in relation to nginx</title>
  <desc id="desc">%s</desc>
  <style>%s  </style>
  <rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="14"/>
  <text class="title" x="24" y="40">CPU time per request, nginx = 1</text>
  <text class="note" x="24" y="64">Shorter is better. Median of %s; the thin line spans all rounds. The dashed line is nginx; “nginx again” shows the noise.</text>
`, pictureWidth, height, pictureWidth, height, html.EscapeString(description(r)), pictureStyle, pictureWidth-1, height-1, count(r.Settings.Rounds, "round"))
	for i, c := range r.Cases {
		x := panelGap + i%2*(panelWidth+panelGap)
		y := pictureHead + i/2*(panelHeight+panelGap)
		panel(&b, c, namesOf(r), x, y, panelHeight, scale)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// longest returns the ratio that the longest bar stands for.
func longest(r *results) float64 {
	most := 2.0
	for _, c := range r.Cases {
		for _, p := range c.Proxies {
			if ratio, ok := c.ratio(p.Name); ok {
				most = max(most, ratio.Max)
			}
		}
	}
	return math.Ceil(most*2) / 2
}

// description says in words what the picture shows.
func description(r *results) string {
	var parts []string
	for _, c := range r.Cases {
		if ratio, ok := c.ratio("attache"); ok {
			parts = append(parts, fmt.Sprintf("%s: %.1f times", caseOf(c.Name).Title, ratio.Median))
		}
	}
	return "The CPU time of attache for a request, as a multiple of nginx's. " + strings.Join(parts, "; ") + "."
}

func panel(b *strings.Builder, c caseResult, names []string, x, y, height int, scale float64) {
	note := "nginx is not valid"
	if p := c.proxy(baseline); p == nil {
		note = "nginx was not measured"
	} else if _, ok := p.valid(); ok {
		note = fmt.Sprintf("nginx: %.1f µs", p.of(sample.cost))
	}
	fmt.Fprintf(b, `  <g transform="translate(%d %d)">
    <rect class="panel" width="%d" height="%d" rx="10"/>
    <text class="case" x="16" y="25">%s</text>
    <text class="note" x="%d" y="25" text-anchor="end">%s</text>
`, x, y, panelWidth, height, html.EscapeString(caseOf(c.Name).Title), panelWidth-16, note)
	row := 0
	for _, name := range names {
		if name != baseline {
			bar(b, c, name, panelHead+row*rowHeight, scale)
			row++
		}
	}
	one := barLeft + scale
	fmt.Fprintf(b, "    <line class=\"one\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n  </g>\n", one, panelHead-4, one, height-10)
}

func bar(b *strings.Builder, c caseResult, name string, y int, scale float64) {
	barClass, textClass := "bar", ""
	if name == "attache" {
		barClass, textClass = "bar own", ` class="ours"`
	}
	base := y + 12 // of the text
	fmt.Fprintf(b, "    <text%s x=\"16\" y=\"%d\">%s</text>\n", textClass, base, html.EscapeString(title(name)))
	p := c.proxy(name)
	if p == nil {
		fmt.Fprintf(b, "    <text class=\"note\" x=\"%.1f\" y=\"%d\">not measured</text>\n", barLeft+scale+8, base)
		return
	}
	ratio, ok := c.ratio(name)
	if !ok {
		word := "no ratio"
		if _, ok := p.valid(); !ok {
			word = "invalid"
		}
		fmt.Fprintf(b, "    <text class=\"note\" x=\"%.1f\" y=\"%d\">%s</text>\n", barLeft+scale+8, base, word)
		return
	}
	middle := float64(y) + float64(barHeight)/2 + 1
	right := barLeft + max(ratio.Median, ratio.Max, 1)*scale // beyond the dashed line
	fmt.Fprintf(b, "    <rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", barClass, barLeft, y+1, ratio.Median*scale, barHeight)
	fmt.Fprintf(b, "    <line class=\"range\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", barLeft+ratio.Min*scale, middle, barLeft+ratio.Max*scale, middle)
	fmt.Fprintf(b, "    <text%s x=\"%.1f\" y=\"%d\">%.1f× · %.1f µs</text>\n", textClass, right+8, base, ratio.Median, p.of(sample.cost))
}
