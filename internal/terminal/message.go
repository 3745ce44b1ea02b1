package terminal

import (
	"io"
	"os"
	"strings"
)

// Columns returns how wide lines may be that go to w: as the terminal that it is,
// and 0, which is as wide as they are, if it is none.
func Columns(w io.Writer) int {
	if !Is(w) {
		return 0
	}
	columns, _ := Size(w)
	return columns
}

// Say writes a message for people to w: lead in a style, and text. A terminal gets
// its lines broken at spaces and hung under their beginning, so that no word is
// torn apart; anything else gets each line as it is, for grep. Either gets nothing
// but text.
func Say(w io.Writer, style Style, lead, text string) error {
	columns, paint := Columns(w), Colors(w, os.Getenv)
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		line = strings.TrimRight(lead+OneLine(line), " ")
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		rows := []string{line[len(indent):]}
		if columns > 0 && Width(line) > columns {
			rows = hang(rows[0], columns-len(indent))
		}
		for i, row := range rows {
			if head, ok := strings.CutPrefix(row, lead); ok && i == 0 {
				row = paint.Paint(style, lead) + head
			}
			b.WriteString(indent + row + "\n")
		}
		lead = ""
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// hang breaks text into lines, of which those behind the first are indented.
func hang(text string, columns int) []string {
	const indent = "  "
	rows := Wrap(text, columns, 0)[:1]
	for _, row := range Wrap(text[len(rows[0]):], columns-len(indent), 0) {
		rows = append(rows, indent+row)
	}
	return rows
}

// Cell is a text of a table, in a style.
type Cell struct {
	Style Style
	Text  string
}

// columnGap is how many spaces are between the columns of a table.
const columnGap = 3

// Table writes rows with their cells in columns, in which nothing is broken. If w
// is a terminal too narrow for it, the last column's texts are broken into lines
// under each other, or stand under their row.
func Table(w io.Writer, rows [][]Cell) error {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(OneLine(c.Text)))
		}
	}
	columns, paint := Columns(w), Colors(w, os.Getenv)
	var b strings.Builder
	for _, row := range rows {
		used := 0
		line := ""
		for i, c := range row {
			text := OneLine(c.Text)
			if i < len(widths)-1 {
				line += paint.Paint(c.Style, text) + strings.Repeat(" ", widths[i]-Width(text)+columnGap)
				used += widths[i] + columnGap
				continue
			}
			var indent int
			var lines []string
			if indent, lines = lastCell(text, used, columns); indent < used {
				line = strings.TrimRight(line, " ") + "\n" + strings.Repeat(" ", indent)
			}
			for n, text := range lines {
				lines[n] = paint.Paint(c.Style, text)
			}
			line += strings.Join(lines, "\n"+strings.Repeat(" ", indent))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lastCell breaks a text that begins in column used of so many; 0: there is no
// end. The indent that it returns is less than used if the text has to begin in a
// line of its own.
func lastCell(text string, used, columns int) (indent int, lines []string) {
	const leastColumn = 28 // narrower ones are not read
	switch {
	case columns == 0 || used+Width(text) <= columns:
		return used, []string{text}
	case columns-used < leastColumn && used > 4:
		used = 4
	}
	return used, Wrap(text, columns-used, 0)
}
