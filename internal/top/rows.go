package top

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"attache/internal/terminal"
)

// Columns of the tables. Names and lives take what the others leave.
const (
	phaseColumns = 8
	genColumns   = 6
	wideColumns  = 7 // a duration, a rate
	fewColumns   = 5 // failures, requests that wait
	countColumns = 9 // a total, and what is new
	leastName    = 12
	leastLife    = 10
	mostLife     = 48
	wideTable    = 100 // columns from which on there is room for more,
	narrowTable  = 70  // and up to which there is too little
)

// tokenColumns is how wide columns are; a life of 0 has no room.
type tokenColumns struct{ name, life int }

// tokenTable has a row for each token, with its last error and what to do about it.
func tokenTable(v view, width int) table {
	longest := leastName
	for i := range v.now.Tokens {
		longest = max(longest, terminal.Width(v.now.Tokens[i].name()))
	}
	var c tokenColumns
	room := width - terminal.Width(c.row("", "", "")+c.times("", "", "")+c.few("")+c.few("")) - 1
	c.name = max(leastName, min(longest, max(room*5/8, room-mostLife)))
	if c.life = min(room-c.name, mostLife); c.life < leastLife {
		c.life = 0
	}
	t := table{what: "tokens", width: width, heading: line{{terminal.Bold,
		c.row("TOKEN", "PHASE", "LIFE") + c.times("GEN", "EXPIRES", "NEXT") + c.few("FAILS") + c.few("WAIT")}}}
	if v.live {
		t.most = noteLines
	}
	for i := range v.now.Tokens {
		t.blocks = append(t.blocks, c.block(v, &v.now.Tokens[i]))
	}
	return t
}

func (c tokenColumns) row(name, phase, life string) string {
	text := terminal.Left(name, c.name) + "  " + terminal.Left(phase, phaseColumns)
	if c.life > 0 {
		text += " " + terminal.Left(life, c.life)
	}
	return text
}

func (c tokenColumns) times(generation, expires, next string) string {
	return " " + terminal.Right(generation, genColumns) + " " + terminal.Right(expires, wideColumns) + " " + terminal.Right(next, wideColumns)
}

func (c tokenColumns) few(text string) string { return " " + terminal.Right(text, fewColumns) }

// count is few for a number, and empty for 0.
func (c tokenColumns) count(n int) string {
	if n <= 0 {
		return c.few("")
	}
	return c.few(number(uint64(n)))
}

func (c tokenColumns) block(v view, t *token) block {
	b := block{trouble: t.trouble()}
	name := t.name()
	if tail := "." + string(t.Token); terminal.Width(name) > c.name && len(tail) < c.name/2 {
		name = terminal.Cut(string(t.Credential), c.name-terminal.Width(tail)) + tail
	}
	b.row = line{{0, terminal.Left(name, c.name) + "  "}}
	if t.Keyed {
		b.row = append(b.row, c.users(t)...)
	} else {
		b.row = append(b.row, c.single(v, t)...)
	}
	b.row = append(b.row, part{terminal.Bad, c.count(t.Failures)}, part{terminal.Notice, c.count(t.Waiters)})
	if e := t.LastError; e != nil {
		b.notes = []part{{terminal.Bad, string(e.Class + ": " + e.Text)}, {0, string(e.Advice)}}
	}
	return b
}

// single is a row between name and failures.
func (c tokenColumns) single(v view, t *token) line {
	style, now := phaseStyle(t), v.now.Now
	l := line{{style, terminal.Left(string(t.Phase), phaseColumns)}}
	if c.life > 0 {
		bar := life(c.life, now, t.Issued, t.Due, t.Expires)
		switch {
		case bar != "":
		case t.Issued.IsZero():
			style, bar = terminal.Faint, "no token"
		default:
			style, bar = terminal.Faint, "until refused"
		}
		l = append(l, part{0, " "}, part{style, terminal.Left(bar, c.life)})
	}
	return append(l, part{0, c.times("#"+number(t.Generation), until(now, t.Expires), until(now, t.NextAttempt))})
}

// users is a row between name and failures: how many users have a token, and in
// which phases those are.
func (c tokenColumns) users(t *token) line {
	columns := phaseColumns + terminal.Width(c.times("", "", ""))
	if c.life > 0 {
		columns += 1 + c.life
	}
	words := line{{0, number(uint64(max(t.Instances, 0))) + " users"}}
	separator := ": "
	for _, w := range []part{{terminal.Bad, "blocked"}, {0, "expired"}, {terminal.Good, "fresh"}, {0, "due"}, {0, "empty"}} {
		if n := t.Phases[w.text]; n > 0 {
			words = append(words, part{0, separator}, part{w.style, number(uint64(n)) + " " + w.text})
			separator = ", "
		}
	}
	var l line
	for _, w := range words {
		text := terminal.Cut(w.text, columns)
		l = append(l, part{w.style, text})
		if columns -= terminal.Width(text); text != w.text {
			break
		}
	}
	return append(l, part{0, strings.Repeat(" ", columns)})
}

// until is how long it is to a time; "-": there is none.
func until(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case !t.After(now):
		return "now"
	}
	return span(t.Sub(now))
}

func phaseStyle(t *token) terminal.Style {
	switch {
	case t.trouble() > 1:
		return terminal.Bad
	case t.trouble() > 0:
		return terminal.Notice
	case t.Phase == "fresh":
		return terminal.Good
	}
	return 0
}

// routeTable has a row for each route, with what happened on it lately.
func routeTable(v view, width int) table {
	title := "ROUTE, since start"
	if v.before != nil {
		title = "ROUTE, last " + v.now.Now.Sub(v.before.Now).Round(time.Second).String()
	}
	c := routeColumns{name: terminal.Width(title), counts: countColumns, requests: width >= wideTable, median: width > narrowTable}
	if c.requests {
		c.counts = 2*countColumns - 6
	}
	for _, r := range v.now.Routes {
		c.name = max(c.name, terminal.Width(string(r.Name)))
	}
	c.name = max(leastName, min(c.name, width-terminal.Width(c.row("", "", "", "", "")+c.count("")+c.count("")+c.count(""))+c.name))
	t := table{what: "routes", width: width}
	t.heading = line{{terminal.Bold, c.row(title, "REQUESTS", "RATE", "P50", "P95") + c.count("ERRORS") + c.count("REPLAYS") + c.count("NO TOKEN")}}
	for _, r := range v.now.Routes {
		f := flow(v.now, r, v.before)
		t.blocks = append(t.blocks, block{trouble: f.trouble(), row: line{
			{0, c.row(string(r.Name), number(r.Requests), perSecond(f.rate), f.p50.String(), f.p95.String())},
			c.counted(r.Errors, f.newErrors, terminal.Bad),
			c.counted(r.Replays, f.newReplays, terminal.Notice),
			c.counted(r.Unavailable, f.newUnavailable, terminal.Bad),
		}})
	}
	return t
}

// routeColumns is how wide columns are, and whether there is one for the total of
// requests, and for their median.
type routeColumns struct {
	name, counts     int
	requests, median bool
}

func (c routeColumns) row(name, requests, rate, p50, p95 string) string {
	text := terminal.Left(name, c.name)
	if c.requests {
		text += "  " + terminal.Right(requests, wideColumns+1)
	}
	text += " " + terminal.Right(rate, wideColumns)
	if c.median {
		text += " " + terminal.Right(p50, wideColumns)
	}
	return text + " " + terminal.Right(p95, wideColumns)
}

func (c routeColumns) count(text string) string { return " " + terminal.Right(text, c.counts) }

// counted is a total, and how many of it are new, which the style is for.
func (c routeColumns) counted(total, fresh uint64, style terminal.Style) part {
	if fresh == 0 {
		return part{0, c.count(number(total))}
	}
	return part{style, c.count(number(total) + " +" + number(fresh))}
}

// event is what happened to a token, once or several times in a row.
type event struct {
	mark
	name  string
	times int
}

// eventLines lists what happened to tokens, newest first, with a heading, in at
// most so many rows.
func eventLines(v view, rows, width int) []line {
	events := eventsOf(v.now.Tokens, min(rows, mostEvents))
	if len(events) == 0 {
		return nil
	}
	name := leastName
	for _, e := range events {
		name = max(name, terminal.Width(e.name))
	}
	name = min(name, width/2)
	lines := []line{{{terminal.Bold, "EVENTS, newest first"}}}
	for _, e := range events {
		style, what := e.describe()
		if e.times > 1 {
			what += fmt.Sprintf(" (%d times)", e.times)
		}
		lines = append(lines, line{{0, e.At.In(v.zone).Format(time.TimeOnly) + "  " + terminal.Left(e.name, name) + "  "}, {style, what}})
	}
	return lines
}

// eventsOf returns at most so many events, newest first. What happened to a token
// several times in a row is one.
func eventsOf(tokens []token, most int) []event {
	var all []*event
	for i := range tokens {
		for _, m := range tokens[i].Marks {
			all = append(all, &event{m, tokens[i].name(), 1})
		}
	}
	slices.SortStableFunc(all, func(a, b *event) int { return a.At.Compare(b.At) })
	var events []event
	for _, e := range slices.Backward(all) {
		if n := len(events); n > 0 && events[n-1].name == e.name && events[n-1].Kind == e.Kind && events[n-1].Outcome == e.Outcome {
			events[n-1].times++
			continue
		}
		if len(events) == most {
			break
		}
		events = append(events, *e)
	}
	return events
}

// mostEvents bounds the events where there is all the room that there may be.
const mostEvents = 20

// describe puts a mark into words.
func (m mark) describe() (terminal.Style, string) {
	switch m.Kind {
	case "logged_in":
		return terminal.Good, "logged in"
	case "adopted":
		return terminal.Good, "took a token from the store"
	case "renewed":
		return terminal.Good, "took a token from an answer"
	case "login_failed":
		return terminal.Bad, "a login failed"
	case "refused":
		switch m.Outcome {
		case "stale":
			return 0, "an old token was refused"
		case "over_budget":
			return terminal.Bad, "the token was refused; new ones did not help, so no login"
		}
		return terminal.Notice, "the token was refused"
	}
	return 0, strings.ReplaceAll(string(m.Kind), "_", " ")
}
