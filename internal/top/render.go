package top

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"attache/internal/terminal"
)

// view is what a picture is made of.
type view struct {
	url    string
	now    *status // the last answer; nil: there was none
	before *status // one that is compared with it; nil: its start is
	// lost is why the last question got no answer; "": it got one.
	lost    string
	lostFor time.Duration // since the last answer, or since the first question
	every   time.Duration // from question to question
	zone    *time.Location
	live    bool // the picture is drawn again and again, and keys are read
}

// line is a line of a picture: texts in styles. All of them are clean.
type line []part

type part struct {
	style terminal.Style
	text  string
}

// block is a row of a table, and notes that belong to it, which are left out where
// there is little room.
type block struct {
	row     line
	notes   []part
	trouble int // 0: none
}

// noteLines is how many lines a note of a row has at most, as long as there is more
// than one picture.
const noteLines = 2

// render draws a view in at most height lines of at most width columns; a height
// of 0 is as much as it takes.
func render(v view, width, height int, paint terminal.Painter) string {
	if height <= 0 {
		height = math.MaxInt32
	}
	lines := head(v, width)
	if v.now != nil {
		lines = append(lines, body(v, width, height-len(lines))...)
	}
	if len(lines) > height {
		lines = lines[:height]
	}
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		l.write(&b, width, paint)
	}
	return b.String()
}

// write writes a line, cut to so many columns.
func (l line) write(b *strings.Builder, width int, paint terminal.Painter) {
	for len(l) > 0 && strings.TrimRight(l[len(l)-1].text, " ") == "" {
		l = l[:len(l)-1]
	}
	for i, s := range l {
		text := terminal.Cut(s.text, width)
		if i == len(l)-1 {
			text = strings.TrimRight(text, " ")
		}
		b.WriteString(paint.Paint(s.style, text))
		if width -= terminal.Width(text); text != s.text {
			break
		}
	}
}

// head says who is shown, how it is, and whether it still answers.
func head(v view, width int) []line {
	if v.now == nil {
		lines := []line{{{terminal.Bold, "attache at " + v.url}}}
		if v.lost == "" {
			return append(lines, line{{0, "asking"}})
		}
		return append(append(lines, lostLines(v, width)...),
			wrapped(0, "", "Is it running? -c FILE names the configuration that has its admin address, --url another address.", width, 3)...)
	}
	s := v.now
	first := line{{terminal.Bold, strings.TrimSpace("attache " + string(s.Version))}, {0, "  up " + span(s.Now.Sub(s.Started)) + "  "}, health(v)}
	if n := troubled(s); n > 0 {
		first = append(first, part{terminal.Bad, fmt.Sprintf("  %d of %d tokens in trouble", n, len(s.Tokens))})
	}
	right := s.Now.In(v.zone).Format(time.TimeOnly)
	if v.live {
		right = "q quits  " + right
	}
	used := 0
	for _, p := range first {
		used += terminal.Width(p.text)
	}
	if gap := width - used - len(right); gap >= 2 {
		first = append(first, part{terminal.Faint, strings.Repeat(" ", gap) + right})
	}
	return slices.Concat([]line{first}, lostLines(v, width), configLines(s, width))
}

// troubled counts the tokens in trouble.
func troubled(s *status) (n int) {
	for i := range s.Tokens {
		if s.Tokens[i].trouble() > 0 {
			n++
		}
	}
	return n
}

func health(v view) part {
	switch h := v.now.Health; {
	case v.lost != "":
		return part{terminal.Bad, "no answer"}
	case !h.Live:
		return part{terminal.Bad, "its token scheduler stands still"}
	case h.Draining:
		return part{terminal.Notice, "draining"}
	case !h.Startup:
		return part{terminal.Bad, "not ready"}
	}
	return part{terminal.Good, "ready"}
}

func lostLines(v view, width int) []line {
	if v.lost == "" {
		return nil
	}
	text := fmt.Sprintf("no answer from %s for %s: %s; asking every %s", v.url, span(v.lostFor), v.lost, v.every)
	return wrapped(terminal.Bad, "", text, width, 3)
}

func configLines(s *status, width int) []line {
	c := s.Config
	if c == nil {
		return nil
	}
	text := fmt.Sprintf("%s, loaded %s ago", c.File, span(s.Now.Sub(c.Loaded)))
	lines := []line{{{0, text}}}
	if r := c.LastReload; r != nil && !r.OK {
		why := fmt.Sprintf("A reload %s ago changed nothing: %s", span(s.Now.Sub(r.At)), r.Error)
		lines = append(lines, wrapped(terminal.Bad, "", why, width, 3)...)
	}
	return lines
}

// body fills room lines with tokens, routes and events. Those of which nothing
// fits are left out from the end.
func body(v view, width, room int) []line {
	const space = 1 // lines between tables
	tokens, routes := tokenTable(v, width), routeTable(v, width)
	need := space + tokens.height() + space + len(routes.blocks) + 1
	if need > room {
		least := min(1+len(routes.blocks), max(room/3, 3)) // for the routes
		if room < 8 {
			least = 0
		}
		lines := append([]line{nil}, tokens.fit(room-2*space-least)...)
		return append(append(lines, nil), routes.fit(room-len(lines)-space)...)
	}
	lines := append([]line{nil}, tokens.fit(need)...)
	lines = append(append(lines, nil), routes.fit(need)...)
	if left := room - len(lines) - space; left >= 2 {
		if events := eventLines(v, left-1, width); len(events) > 0 {
			lines = append(append(lines, nil), events...)
		}
	}
	return lines
}

// table is a heading with its rows.
type table struct {
	what    string // "tokens"
	heading line
	blocks  []block
	width   int
	// most is how many lines a note takes; 0: as many as it takes.
	most int
}

// height is how many lines a table takes with all notes.
func (t table) height() int {
	n := 1
	for _, b := range t.blocks {
		n += 1 + len(t.notes(b, math.MaxInt32))
	}
	return n
}

// notes returns a row's notes in at most so many lines.
func (t table) notes(b block, room int) []line {
	var lines []line
	for _, n := range b.notes {
		most := room - len(lines)
		if t.most > 0 {
			most = min(most, t.most)
		}
		if most > 0 {
			lines = append(lines, wrapped(n.style, "  ", n.text, t.width, most)...)
		}
	}
	return lines
}

// fit returns a table of at most room lines. If there is too little room for all
// notes, the rows in trouble share what there is. If not even all rows fit, those
// in trouble come first, and the last line says what is hidden.
func (t table) fit(room int) []line {
	if room < 2 {
		return nil
	}
	if len(t.blocks) == 0 {
		return []line{t.heading, {{terminal.Faint, "none"}}}
	}
	lines := []line{t.heading}
	urgent := make([]int, len(t.blocks)) // rows, those in trouble first
	for i := range urgent {
		urgent[i] = i
	}
	slices.SortStableFunc(urgent, func(a, b int) int { return cmp.Compare(t.blocks[b].trouble, t.blocks[a].trouble) })
	if rows := room - 1; len(t.blocks) > rows {
		for _, i := range urgent[:rows-1] {
			lines = append(lines, t.blocks[i].row)
		}
		return append(lines, t.hidden(urgent[rows-1:]))
	}
	share := t.shares(urgent, room-1-len(t.blocks))
	for i, b := range t.blocks {
		lines = append(append(lines, b.row), t.notes(b, share[i])...)
	}
	return lines
}

// shares divides spare lines among the notes of the rows, one after the other and
// again.
func (t table) shares(urgent []int, spare int) []int {
	share := make([]int, len(t.blocks))
	for given := true; given; {
		given = false
		for _, i := range urgent {
			if spare > 0 && len(t.notes(t.blocks[i], share[i]+1)) > share[i] {
				share[i]++
				spare--
				given = true
			}
		}
	}
	return share
}

// hidden tells of rows that are not shown.
func (t table) hidden(rows []int) line {
	troubled := 0
	for _, i := range rows {
		if t.blocks[i].trouble > 0 {
			troubled++
		}
	}
	text := fmt.Sprintf("%d more %s", len(rows), t.what)
	if troubled > 0 {
		return line{{terminal.Bad, fmt.Sprintf("%s, %d of them in trouble", text, troubled)}}
	}
	return line{{terminal.Faint, text + ", none of them in trouble"}}
}

// wrapped breaks a text into lines with an indent; 0 lines: as many as it takes.
func wrapped(style terminal.Style, indent, text string, width, lines int) []line {
	var out []line
	for _, row := range terminal.Wrap(text, width-len(indent), lines) {
		out = append(out, line{{0, indent}, {style, row}})
	}
	return out
}
