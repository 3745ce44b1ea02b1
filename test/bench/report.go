package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"attache/internal/picture"
)

// caseOf returns a case by its name; one that is gone since the results were
// written is only its name.
func caseOf(name string) loadCase {
	for _, c := range cases() {
		if c.Name == name {
			return c
		}
	}
	return loadCase{Name: name, Title: name}
}

// caseTable shows all figures of a case: medians over the rounds.
func caseTable(c caseResult) string {
	rows := [][]string{{caseOf(c.Name).Title, "CPU µs/request", "user", "system", "ratio to nginx (interval)", "requests/s", "p50 ms", "p99 ms",
		"RSS idle", "loaded", "start ms", "limit"}}
	var notes strings.Builder
	for i := range c.Proxies {
		p := &c.Proxies[i]
		if reason, ok := p.valid(); !ok {
			rows = append(rows, []string{title(p.Name), "invalid"})
			fmt.Fprintf(&notes, "%s: %s\n", title(p.Name), reason)
			continue
		}
		rows = append(rows, append([]string{title(p.Name)}, figures(c, p)...))
	}
	return plainTable(rows) + notes.String()
}

// figures are the columns of caseTable after the name.
func figures(c caseResult, p *proxyResult) []string {
	ratio := "–"
	if r, ok := c.ratio(p.Name); ok {
		ratio = withInterval(r, ratioUnit.of)
	}
	part := func(of func(sample) float64) string {
		return fmt.Sprintf("%.1f", p.of(func(s sample) float64 { return of(s) / float64(s.Answers) }))
	}
	return []string{
		fmt.Sprintf("%.1f", p.of(sample.cost)),
		part(func(s sample) float64 { return s.UserMicros }),
		part(func(s sample) float64 { return s.SystemMicros }),
		ratio,
		picture.Thousands(p.of(func(s sample) float64 { return float64(s.Answers) / s.Seconds })),
		fmt.Sprintf("%.2f", p.of(func(s sample) float64 { return s.P50 })/1000),
		fmt.Sprintf("%.2f", p.of(func(s sample) float64 { return s.P99 })/1000),
		mebibytes(float64(p.IdleBytes)), mebibytes(float64(p.loaded())), fmt.Sprintf("%.0f", p.StartMS), p.limits(caseOf(c.Name)),
	}
}

// loaded is the most memory that a round ended with.
func (p *proxyResult) loaded() int64 {
	var most int64
	for _, s := range p.Samples {
		most = max(most, s.ResidentBytes)
	}
	return most
}

// limits says what bounded the requests per second in most rounds.
func (p *proxyResult) limits(c loadCase) string {
	if c.Rate > 0 {
		return "the rate"
	}
	counts := map[string]int{}
	for _, s := range p.Samples {
		counts[s.limit()]++
	}
	for _, l := range []string{"proxy", "load"} {
		if counts[l]*2 > len(p.Samples) {
			return l
		}
	}
	return "–"
}

func mebibytes(n float64) string { return fmt.Sprintf("%.1f MiB", n/(1<<20)) }

// plainTable aligns rows for a terminal: names left, figures right.
func plainTable(rows [][]string) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0 && len(row) > 1:
				b.WriteString(cell + pad)
			case i == 0:
				b.WriteString(cell)
			default:
				b.WriteString("  " + pad + cell)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// markdownTable makes a table of Markdown.
func markdownTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		for len(row) < len(rows[0]) {
			row = append(row, "")
		}
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|---:", len(row)-1) + "|\n")
		}
	}
	return b.String()
}

// mainRows are CPU µs for each request of the baseline, and what the others cost
// in relation to it: a row for each case and a column for each proxy.
func mainRows(r *results) [][]string {
	names := namesOf(r)
	head := []string{""}
	for _, name := range names {
		head = append(head, title(name))
	}
	rows := [][]string{head}
	for _, c := range r.Cases {
		row := []string{caseOf(c.Name).Title}
		for _, name := range names {
			row = append(row, costCell(c, name))
		}
		rows = append(rows, row)
	}
	return rows
}

func costCell(c caseResult, name string) string {
	p := c.proxy(name)
	if p == nil {
		return "–"
	}
	if _, ok := p.valid(); !ok {
		return "invalid"
	}
	if ratio, ok := c.ratio(name); ok {
		return withInterval(ratio, ratioUnit.of)
	}
	return fmt.Sprintf("%.1f µs", p.of(sample.cost))
}

// namesOf returns the proxies of all cases in their order, without partners,
// which are no contenders.
func namesOf(r *results) []string {
	var names []string
	for _, c := range r.Cases {
		for _, p := range c.Proxies {
			if !isPartner(p.Name) && !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

func mainTable(r *results) string {
	return "CPU per request: nginx in µs, the others as a multiple of it:\n" + plainTable(mainRows(r))
}

func goalsTable(r *results) string {
	return "Goals of attache:\n" + plainTable(goalRows(r)) + levelWarning(r)
}

// The generated parts of a page stand between comments; what is around them is
// written by hand.
const (
	resultsPart        = "bench:results"
	configurationsPart = "bench:configurations"
)

// replacePart puts text between the two comments of a part.
func replacePart(page, part, text string) (string, error) {
	begin, end := "<!-- "+part+" -->\n", "<!-- /"+part+" -->"
	before, rest, found1 := strings.Cut(page, begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found1 || !found2 {
		return "", fmt.Errorf("write results into the page: it has no %q … %q", strings.TrimSpace(begin), end)
	}
	return before + begin + text + end + after, nil
}

// writeDocs rewrites the generated parts of the page, and the picture.
func writeDocs(dir string, r *results) error {
	path := filepath.Join(dir, "performance.md")
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := replacePart(string(page), resultsPart, resultsText(r))
	if err != nil {
		return err
	}
	if text, err = replacePart(text, configurationsPart, shownConfigs()); err != nil {
		return err
	}
	drawn, err := drawPicture(text)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "pictures", "performance.svg"), []byte(drawn), 0o644); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
