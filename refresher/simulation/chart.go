package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Measures of the picture in its own units.
const (
	chartWidth  = 1000
	chartHead   = 92
	chartLeft   = 70 // of the axis
	chartRight  = 968
	chartPlot   = 120 // height of a panel's plot
	chartPanel  = 186
	chartHours  = 12
	chartFleet  = 10_000
	chartBucket = 20 * time.Second
)

const chartStyle = `
    .ground { fill: #f8fafc; stroke: #cbd5e1 }
    .panel { fill: #ffffff; stroke: #e2e8f0 }
    text { fill: #334155; font-size: 13px }
    .title { fill: #0f172a; font-size: 20px; font-weight: 700 }
    .case { fill: #0f172a; font-size: 15px; font-weight: 600 }
    .note { fill: #64748b; font-size: 12px }
    .area { fill: #4f46e5; fill-opacity: 0.85 }
    .grid { stroke: #cbd5e1; stroke-width: 1 }
    .mean { stroke: #0f172a; stroke-width: 1.5; stroke-dasharray: 3 3 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117; stroke: #30363d }
      .panel { fill: #161b22; stroke: #30363d }
      text { fill: #c9d1d9 }
      .title, .case { fill: #f0f6fc }
      .note { fill: #9aa4af }
      .area { fill: #818cf8 }
      .grid { stroke: #30363d }
      .mean { stroke: #f0f6fc }
    }
`

// Picture draws the logins a second at the vendor, a panel for each jitter. The
// scale is the same in all of them.
func Picture() string {
	series, most := make([][]float64, 0, 3), 0.0
	for _, jitter := range pageJitters() {
		f := Fleet{Replicas: chartFleet, Lifetime: pageLifetime, Jitter: jitter, Rollout: pageRollout}
		s := buckets(f.Alone(pageSeed, chartHours*time.Hour))
		series = append(series, s)
		most = max(most, slices.Max(s[1:]))
	}
	top := 200.0
	for top < most {
		top += 50
	}
	height := chartHead + len(series)*chartPanel + 14
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif">
  <title id="title">What jitter does to the logins of many replicas</title>
  <desc id="desc">%s</desc>
  <style>%s  </style>
  <rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="14"/>
  <text class="title" x="24" y="40">Logins a second at the vendor, %s replicas without a store</text>
  <text class="note" x="24" y="64">All start within a minute; tokens live an hour and are renewed after 80 %% of it, less the jitter. Means over %d s. The dashed line is the mean of the %d hours.</text>
`, chartWidth, height, chartWidth, height, describe(series), chartStyle, chartWidth-1, height-1, thousands(chartFleet), int(chartBucket.Seconds()), chartHours)
	for i, s := range series {
		chartPanelOf(&b, pageJitters()[i], s, top, chartHead+i*chartPanel)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// buckets makes means a second of counts a second.
func buckets(logins []int) []float64 {
	size := int(chartBucket / time.Second)
	means := make([]float64, len(logins)/size)
	for i := range means {
		for _, n := range logins[i*size : (i+1)*size] {
			means[i] += float64(n) / float64(size)
		}
	}
	return means
}

// renewals returns the highest mean of the first renewal, and that of the last
// two hours.
func renewals(s []float64) (first, last float64) {
	hour := int(time.Hour / chartBucket)
	return slices.Max(s[hour/2 : hour]), slices.Max(s[len(s)-2*hour:])
}

func describe(series [][]float64) string {
	var parts []string
	for i, s := range series {
		first, last := renewals(s)
		parts = append(parts, fmt.Sprintf("With a jitter of %s the first renewal brings %.0f logins a second, and the last hours up to %.0f.", percent(pageJitters()[i]), first, last))
	}
	return strings.Join(parts, " ")
}

func chartPanelOf(b *strings.Builder, jitter float64, s []float64, top float64, y int) {
	first, last := renewals(s)
	name := "jitter " + percent(jitter)
	switch jitter {
	case 0:
		name = "no jitter"
	case pageJitter:
		name += ", what attache does"
	}
	fmt.Fprintf(b, `  <g transform="translate(0 %d)">
    <rect class="panel" x="20" width="960" height="%d" rx="10"/>
    <text class="case" x="36" y="24">%s</text>
    <text class="note" x="964" y="24" text-anchor="end">first renewal: up to %.0f a second; last two hours: up to %.0f</text>
`, y, chartPanel-16, name, first, last)
	const base = 34 + chartPlot
	at := func(v float64) float64 { return base - v/top*chartPlot }
	for _, v := range []float64{0, top / 2, top} {
		fmt.Fprintf(b, "    <line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", chartLeft, at(v), chartRight, at(v))
		fmt.Fprintf(b, "    <text class=\"note\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n", chartLeft-8, at(v)+4, v)
	}
	width := float64(chartRight - chartLeft)
	fmt.Fprintf(b, "    <path class=\"area\" d=\"M%d %d", chartLeft, base)
	sum := 0.0
	for i, v := range s {
		sum += v
		x0, x1 := float64(i)/float64(len(s)), float64(i+1)/float64(len(s))
		if v > 0 || i > 0 && s[i-1] > 0 || i+1 < len(s) && s[i+1] > 0 { // long times without any are one line
			fmt.Fprintf(b, "L%.1f %.1fL%.1f %.1f", chartLeft+x0*width, at(v), chartLeft+x1*width, at(v))
		}
	}
	fmt.Fprintf(b, "L%d %dZ\"/>\n", chartRight, base)
	mean := at(sum / float64(len(s)))
	fmt.Fprintf(b, "    <line class=\"mean\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", chartLeft, mean, chartRight, mean)
	for h := 0; h <= chartHours; h += 2 {
		fmt.Fprintf(b, "    <text class=\"note\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d h</text>\n", chartLeft+float64(h)/chartHours*width, base+14, h)
	}
	b.WriteString("  </g>\n")
}
