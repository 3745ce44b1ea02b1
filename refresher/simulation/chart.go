package simulation

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"attache/internal/picture"
)

// Measures of the pictures in their own units.
const (
	plotHeight  = 112
	panelHeight = 182
	chartHours  = 12
	chartFleet  = 10_000
	chartBucket = 20 * time.Second
)

// Jitters draws the logins a second at the vendor, a panel for each jitter. The
// scale is the same in all of them.
func Jitters() string {
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
	p := picture.New("What jitter does to the logins of many replicas", describe(series))
	y := p.Head(fmt.Sprintf("Logins a second at the vendor, %s replicas without a store", picture.Thousands(chartFleet)),
		"All start within a minute; tokens live an hour and are renewed after 80 % of it, less the jitter.",
		fmt.Sprintf("Each step is the mean of %d s.", int(chartBucket.Seconds())))
	for i, s := range series {
		drawJitter(p, pageJitters()[i], s, top, y)
		y += panelHeight + picture.Edge
	}
	return p.SVG(y)
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

func drawJitter(p *picture.Picture, jitter float64, s []float64, top, y float64) {
	first, last := renewals(s)
	name := "jitter " + percent(jitter)
	switch jitter {
	case 0:
		name = "no jitter"
	case pageJitter:
		name += ", what attache does"
	}
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	p.Sheet(picture.Edge, y, picture.Width-2*picture.Edge, panelHeight, name,
		fmt.Sprintf("mean: %.1f a second; first renewal: up to %.0f; last two hours: up to %.0f", sum/float64(len(s)), first, last))
	a := picture.Plot{Left: 68, Right: picture.Width - picture.Edge - 20, Top: y + 42, Bottom: y + 42 + plotHeight, MaxX: chartHours, MaxY: top}
	whole := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	p.Heights(a, whole, 0, top/2, top)
	hue := picture.Plain
	if jitter == pageJitter {
		hue = picture.Own
	}
	p.Area(hue, a, s)
	p.Ticks(a, func(v float64) string { return whole(v) + " h" }, 0, 2, 4, 6, 8, 10, 12)
}

// Logins draws the logins an hour at the vendor over the size of a fleet, without
// a store and with one. Both axes are logarithmic.
func Logins() string {
	var alone, shared [][2]float64
	for _, n := range pageFleets() {
		size := math.Log10(float64(n))
		f := Fleet{Replicas: n, Lifetime: pageLifetime, Jitter: pageJitter, Rollout: pageRollout}
		alone = append(alone, [2]float64{size - 1, math.Log10(perHour(f.Alone(pageSeed, pageLength)))})
		f.Rollout = 0
		shared = append(shared, [2]float64{size - 1, math.Log10(f.Shared(pageSeed, pageLength).Logins)})
	}
	last := len(alone) - 1
	most, few := math.Pow(10, alone[last][1]), math.Pow(10, shared[last][1])
	p := picture.New("Logins of a fleet with a store and without",
		fmt.Sprintf("Without a store the logins an hour grow with the replicas, to %s of %s replicas. With a store they stay at %.1f, whatever the size.",
			picture.Thousands(most), picture.Thousands(pageFleets()[last]), few))
	y := p.Head("Logins an hour at the vendor", "One token that lives an hour. Each line across is ten times the one below it.")
	const height = 316
	p.Sheet(picture.Edge, y, picture.Width-2*picture.Edge, height, "", "")
	a := picture.Plot{Left: 104, Right: picture.Width - 170, Top: y + 44, Bottom: y + height - 52, MaxX: 4, MaxY: 5}
	power := func(by float64) func(v float64) string {
		return func(v float64) string { return picture.Thousands(math.Pow(10, v+by)) }
	}
	p.Heights(a, power(0), 0, 1, 2, 3, 4, 5)
	p.Ticks(a, power(1), 0, 1, 2, 3, 4)
	p.Text(picture.Text, (a.Left+a.Right)/2, a.Bottom+38, picture.Middle, "replicas")
	p.Curve(picture.Plain, a, alone)
	p.Curve(picture.Own, a, shared)
	for _, line := range []struct {
		hue   picture.Hue
		name  string
		value string
		at    float64
	}{
		{picture.Plain, "without a store", picture.Thousands(most), alone[last][1]},
		{picture.Own, "with a store", fmt.Sprintf("%.1f", few), shared[last][1]},
	} {
		p.Text(line.hue.Strong(), a.Right+14, a.Y(line.at)-13, picture.Start, line.name)
		p.Text(picture.Note, a.Right+14, a.Y(line.at)+4, picture.Start, line.value+" an hour")
	}
	return p.SVG(y + height + picture.Edge)
}
