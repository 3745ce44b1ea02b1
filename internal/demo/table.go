package demo

import (
	"fmt"
	"strings"
	"time"

	"attache/internal/terminal"
	"attache/refresher"
)

// view is what the table shows at one moment.
type view struct {
	elapsed   time.Duration
	rows      []row
	incidents []incident
	troubles  int
}

type row struct {
	name              string
	requests, failed  uint64
	generation        uint64
	expires           time.Duration // negative: past
	hasExpiry         bool
	users             int // live tokens of end users; 0: the route has none
	replays           uint64
	logins, calledFor uint64
	slowest           time.Duration
}

func (v view) failures() (n uint64) {
	for _, r := range v.rows {
		n += r.failed
	}
	return n
}

// view reads everything once.
func (d *demo) view() view {
	v := view{elapsed: time.Since(d.started)}
	v.incidents, v.troubles = d.trouble.latest()
	pools := d.app.Tokens()
	for i, vendor := range d.vendors {
		c := d.traffic.routes[i]
		r := row{
			name: vendor.name, requests: c.requests.Load(), failed: c.failures.Load(), replays: d.app.Replays(vendor.name),
			logins: vendor.logins(), calledFor: vendor.calledFor(v.elapsed), slowest: time.Duration(c.slowest.Load()),
		}
		for _, p := range pools {
			if p.Credential == vendor.name {
				r.addPool(p)
			}
		}
		v.rows = append(v.rows, r)
	}
	return v
}

func (r *row) addPool(p refresher.PoolStatus) {
	if p.Keyed {
		r.users += p.Instances
		return
	}
	r.generation = p.Single.Generation
	if !p.Single.ExpiresAt.IsZero() {
		r.expires, r.hasExpiry = time.Until(p.Single.ExpiresAt), true
	}
}

// cell is a text of the table, in so many columns: of a negative number at the left
// of them, and of 0 in its own.
type cell struct {
	style terminal.Style
	text  string
	width int
}

// heading is what stands above the rows.
func heading() []cell {
	return []cell{{0, "route", -8}, {0, "requests", 10}, {0, "failed", 8}, {0, "token", 7}, {0, "expires", 9}, {0, "replays", 9}, {0, " logins (at most)", 0}}
}

// cells are those of a row, under the heading's.
func (r row) cells() []cell {
	cells := heading()
	for i, text := range []string{
		r.name, fmt.Sprint(r.requests), fmt.Sprint(r.failed), fmt.Sprintf("#%d", r.generation), expiry(r), fmt.Sprint(r.replays),
		fmt.Sprintf(" %8d (%d)", r.logins, r.calledFor),
	} {
		cells[i].text = text
	}
	if r.failed > 0 {
		cells[2].style = terminal.Bad
	}
	if r.logins > r.calledFor {
		cells[6].style = terminal.Bad
	}
	if r.users > 0 {
		cells = append(cells, cell{0, fmt.Sprintf("  %d users", r.users), 0})
	}
	return cells
}

// tableLine writes cells as far as whole ones fit into so many columns.
func tableLine(cells []cell, columns int, style terminal.Style, paint terminal.Painter) string {
	line := ""
	for _, c := range cells {
		text := c.text
		switch {
		case c.width > 0:
			text = terminal.Right(text, c.width)
		case c.width < 0:
			text = terminal.Left(text, -c.width)
		}
		if columns -= len(text); columns < 0 {
			break
		}
		line += paint.Paint(max(c.style, style), text)
	}
	return strings.TrimRight(line, " ")
}

// render draws the table in lines of at most so many columns, and not more of them
// than there may be: the rows come first.
func render(v view, paint terminal.Painter, columns, lines int) string {
	table := []string{tableLine(heading(), columns, terminal.Bold, paint)}
	for _, r := range v.rows {
		table = append(table, tableLine(r.cells(), columns, 0, paint))
	}
	table = append(table, "", paint.Paint(terminal.Bold, terminal.Cut(fmt.Sprintf("broken on purpose: %d", v.troubles), columns)))
	const last = 1 // an empty line
	room := max(0, lines-len(table)-last)
	for _, in := range v.incidents[max(0, len(v.incidents)-room):] {
		table = append(table, describe(in, columns, paint))
	}
	return strings.Join(append(table[:min(len(table), max(0, lines-last))], ""), "\n") + "\n"
}

// describe tells of an incident in one line.
func describe(in incident, columns int, paint terminal.Painter) string {
	what := fmt.Sprintf("%6.1fs  %s", in.at.Seconds(), in.what)
	healed := ""
	switch {
	case in.note != "":
		what += ": " + in.note
	case in.healed > 0:
		healed = fmt.Sprintf(": healed in %d ms", in.healed.Milliseconds())
	default:
		what += " …"
	}
	return terminal.Cut(what, max(0, columns-len(healed))) + paint.Paint(terminal.Good, terminal.Cut(healed, columns))
}

func expiry(r row) string {
	switch {
	case !r.hasExpiry:
		return "-"
	case r.expires < 0:
		return "renewing"
	}
	return fmt.Sprintf("%.1fs", r.expires.Seconds())
}

// summary is the last line of a demo.
func summary(v view) string {
	var requests, replays, logins, calledFor uint64
	var slowest time.Duration
	for _, r := range v.rows {
		requests += r.requests
		replays += r.replays
		logins += r.logins
		calledFor += r.calledFor
		slowest = max(slowest, r.slowest)
	}
	return fmt.Sprintf("demo: %d requests in %.0fs through %d routes, %d failed; %d broken on purpose; %d replays, %d logins (at most %d called for); slowest answer %d ms",
		requests, v.elapsed.Seconds(), len(v.rows), v.failures(), v.troubles, replays, logins, calledFor, slowest.Milliseconds())
}
