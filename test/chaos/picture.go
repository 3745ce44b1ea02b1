package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Measures of the picture in its own units.
const (
	pictureWidth = 1000
	plotLeft     = 168
	plotWidth    = 806
	plotTop      = 96
	goodHeight   = 120
	badTop       = plotTop + goodHeight + 34
	badHeight    = 70
	lanesTop     = badTop + badHeight + 40
	laneHeight   = 24
)

const pictureStyle = `
    .ground { fill: #f8fafc; stroke: #cbd5e1 }
    text { fill: #334155; font-size: 13px }
    .title { fill: #0f172a; font-size: 20px; font-weight: 700 }
    .note { fill: #64748b; font-size: 12px }
    .good { fill: #4f46e5 }
    .bad { fill: #dc2626 }
    .fault { fill: #94a3b8 }
    .line { stroke: #cbd5e1; stroke-width: 1 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #30363d }
      text { fill: #c9d1d9 }
      .title { fill: #f0f6fc }
      .note { fill: #9aa4af }
      .good { fill: #818cf8 }
      .bad { fill: #f87171 }
      .fault { fill: #6e7681 }
      .line { stroke: #30363d }
    }
`

// lane is one row of faults in the picture.
type lane struct {
	name  string
	kinds []kind
}

func lanes() []lane {
	all := []lane{
		{"Redis itself", []kind{redisKilled, redisEmptied, redisPaused}},
		{"attache killed", []kind{killed}},
		{"attache paused", []kind{paused}},
		{"wrong clocks", []kind{clockWrong}},
		{"login server", []kind{thirdFails, throttled, slowLogins, loginsRefused, loginsHang}},
		{"tokens revoked", []kind{revoked}},
		{"files and disks", []kind{diskFull, fileKilled, fileDamaged}},
	}
	for _, l := range links() {
		row := lane{name: "network to " + string(l)}
		for _, t := range toxins() {
			row.kinds = append(row.kinds, onLink(t, l))
		}
		all = append(all, row)
	}
	return all
}

// picture draws the requests of a part over time, and the faults below. Equal
// results give equal bytes.
func picture(r *result) string {
	height := lanesTop + len(lanes())*laneHeight + 34
	seconds := max(float64(len(r.Timeline)), 1)
	mostGood, mostBad := 1, 1
	for _, s := range r.Timeline {
		mostGood, mostBad = max(mostGood, s.Good), max(mostBad, s.Failed)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif">
  <title id="title">Requests, failures and faults over time</title>
  <desc id="desc">%s</desc>
  <style>%s  </style>
  <rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="14"/>
  <text class="title" x="24" y="40">%s requests while everything breaks</text>
  <text class="note" x="24" y="64">%s. The table says why they failed.</text>
`, pictureWidth, height, pictureWidth, height, html.EscapeString(described(r)), pictureStyle, pictureWidth-1, height-1, thousands(r.Requests), html.EscapeString(described(r)))
	x := func(at float64) float64 { return plotLeft + at/seconds*plotWidth }
	width := plotWidth / seconds
	columns(&b, "good", "good answers", r.Timeline, func(s second) int { return s.Good }, mostGood, plotTop, goodHeight, x, width)
	columns(&b, "bad", "failed", r.Timeline, func(s second) int { return s.Failed }, mostBad, badTop, badHeight, x, width)
	for i, l := range lanes() {
		y := lanesTop + i*laneHeight
		fmt.Fprintf(&b, "  <text x=\"24\" y=\"%d\">%s</text>\n  <line class=\"line\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", y+13, l.name, plotLeft, plotLeft+plotWidth, y+laneHeight-4, y+laneHeight-4)
		for _, f := range r.Plan {
			if slices.Contains(l.kinds, f.Kind) && f.At.Seconds() < seconds {
				fmt.Fprintf(&b, "  <rect class=\"fault\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"14\" rx=\"1\"/>\n", x(f.At.Seconds()), y+2, max(f.For.Seconds()/seconds*plotWidth, 2))
			}
		}
	}
	for at := 0.0; at <= seconds; at += 60 {
		fmt.Fprintf(&b, "  <text class=\"note\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f s</text>\n", x(at), height-14, at)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// columns draws a number for each second.
func columns(b *strings.Builder, class, name string, all []second, of func(second) int, most, top, height int, x func(float64) float64, width float64) {
	bottom := top + height
	fmt.Fprintf(b, "  <text x=\"24\" y=\"%d\">%s</text>\n  <text class=\"note\" x=\"24\" y=\"%d\">up to %s a second</text>\n", top+14, name, top+32, thousands(int64(most)))
	fmt.Fprintf(b, "  <line class=\"line\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", plotLeft, plotLeft+plotWidth, bottom, bottom)
	fmt.Fprintf(b, "  <path class=\"%s\" d=\"M%d %d", class, plotLeft, bottom)
	for i, s := range all {
		y := float64(bottom) - float64(of(s))/float64(most)*float64(height)
		fmt.Fprintf(b, "L%.1f %.1fh%.2f", x(float64(i)), y, width)
	}
	fmt.Fprintf(b, "L%d %dZ\"/>\n", plotLeft+plotWidth, bottom)
}

// described says in words what the picture shows.
func described(r *result) string {
	n := 0
	for _, times := range r.Faults {
		n += times
	}
	return fmt.Sprintf("%s requests in %.0f s, %s failed, %d faults of %d kinds", thousands(r.Requests), r.Seconds, thousands(r.failed()), n, len(r.Faults))
}
