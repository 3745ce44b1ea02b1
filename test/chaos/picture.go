package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"attache/internal/picture"
)

// Measures of the picture in its own units.
const (
	plotLeft   = 176
	plotRight  = picture.Width - picture.Edge - 20
	goodHeight = 110
	badHeight  = 64
	laneHeight = 23
	barLeft    = 470
	barRoom    = 300 // for the longest bar
)

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

// drawPicture draws the requests of a part over time, the faults below, and why
// requests failed. Equal results give equal bytes.
func drawPicture(r *result) string {
	p := picture.New("Requests, failures and faults over time", described(r)+".")
	y := p.Head(picture.Thousands(r.Requests)+" requests while everything breaks", described(r)+".")
	y = drawRequests(p, r, y)
	y = drawFaults(p, r, y)
	if len(r.Causes) > 0 {
		y = drawCauses(p, r, y)
	}
	return p.SVG(y)
}

// drawRequests draws what was answered and what failed in each second, below y,
// and returns where the next panel may begin.
func drawRequests(p *picture.Picture, r *result, y float64) float64 {
	const height = 40 + goodHeight + 22 + badHeight + 20
	p.Sheet(picture.Edge, y, picture.Width-2*picture.Edge, height, "Answers a second", "")
	top := y + 40
	for _, row := range []struct {
		name   string
		hue    picture.Hue
		of     func(second) int
		height float64
	}{
		{"good answers", picture.Own, func(s second) int { return s.Good }, goodHeight},
		{"failed", picture.Trouble, func(s second) int { return s.Failed }, badHeight},
	} {
		most, steps := 1, make([]float64, len(r.Timeline))
		for i, s := range r.Timeline {
			most, steps[i] = max(most, row.of(s)), float64(row.of(s))
		}
		a := picture.Plot{Left: plotLeft, Right: plotRight, Top: top, Bottom: top + row.height, MaxX: 1, MaxY: float64(most)}
		p.Text(row.hue.Strong(), picture.Edge+16, a.Bottom-row.height/2+5, picture.Start, row.name)
		p.Heights(a, picture.Thousands[float64], 0, float64(most))
		p.Area(row.hue, a, steps)
		top = a.Bottom + 22
	}
	return y + height + picture.Edge
}

// drawFaults draws a lane for each kind of thing that was broken.
func drawFaults(p *picture.Picture, r *result, y float64) float64 {
	height := 40 + float64(len(lanes()))*laneHeight + 32
	p.Sheet(picture.Edge, y, picture.Width-2*picture.Edge, height, "What was broken, and when", "")
	seconds := max(float64(len(r.Timeline)), 1)
	a := picture.Plot{Left: plotLeft, Right: plotRight, Top: y + 40, Bottom: y + height - 30, MaxX: seconds, MaxY: 1}
	for i, l := range lanes() {
		top := a.Top + float64(i)*laneHeight
		p.Text(picture.Text, picture.Edge+16, top+13, picture.Start, l.name)
		p.Line(picture.Grid, a.Left, top+18.5, a.Right, top+18.5)
		for _, f := range r.Plan {
			if slices.Contains(l.kinds, f.Kind) && f.At.Seconds() < seconds {
				from := a.X(f.At.Seconds())
				p.Bar(picture.Plain, from, top+2, min(max(a.X(f.At.Seconds()+f.For.Seconds())-from, 2), a.Right-from), 14)
			}
		}
	}
	var minutes []float64
	for at := 0.0; at <= seconds; at += 60 {
		minutes = append(minutes, at)
	}
	p.Ticks(a, func(v float64) string { return fmt.Sprintf("%.0f s", v) }, minutes...)
	return y + height + picture.Edge
}

// drawCauses draws a bar for each reason why requests failed.
func drawCauses(p *picture.Picture, r *result, y float64) float64 {
	causes := ordered(r.Causes)
	height := 40 + float64(len(causes))*laneHeight + 10
	bad := r.unexcused()
	p.Sheet(picture.Edge, y, picture.Width-2*picture.Edge, height, "Why requests failed",
		fmt.Sprintf("explained by the faults above: %s of %s", picture.Thousands(r.failed()-bad), picture.Thousands(r.failed())))
	for i, c := range causes {
		top := y + 40 + float64(i)*laneHeight
		hue, ink, name := picture.Plain, picture.Text, string(c)
		if slices.Contains(unexcused(), c) {
			hue, ink, name = picture.Trouble, picture.Trouble.Strong(), name+", which must not be"
		}
		long := max(float64(r.Causes[c])/float64(r.Causes[causes[0]])*barRoom, 1.5)
		p.Text(ink, picture.Edge+16, top+12, picture.Start, name)
		p.Bar(hue, barLeft, top+1, long, 13)
		p.Text(ink, barLeft+long+8, top+12, picture.Start, picture.Thousands(r.Causes[c]))
	}
	return y + height + picture.Edge
}

// keep writes what the picture is drawn of.
func (r *result) keep(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// described says in words what the picture shows.
func described(r *result) string {
	n := 0
	for _, times := range r.Faults {
		n += times
	}
	return fmt.Sprintf("%s requests in %.0f s, %s failed, %d faults of %s", picture.Thousands(r.Requests), r.Seconds, picture.Thousands(r.failed()), n, plural(len(r.Faults), "kind"))
}
