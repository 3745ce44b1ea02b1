package main

import (
	"fmt"
	"html"
	"os"
	"strings"

	"attache/internal/picture"
)

const (
	resultsBegin = "<!-- chaos:results -->"
	resultsEnd   = "<!-- /chaos:results -->"
)

// writePage replaces the generated part of the page.
func writePage(path string, rep *report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page, err := replaceResults(string(text), rep.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

func replaceResults(page, results string) (string, error) {
	head, rest, ok := strings.Cut(page, resultsBegin)
	_, tail, ok2 := strings.Cut(rest, resultsEnd)
	if !ok || !ok2 {
		return "", fmt.Errorf("there is no %s … %s", resultsBegin, resultsEnd)
	}
	return head + resultsBegin + "\n" + results + resultsEnd + tail, nil
}

// markdown is the generated part of the page.
func (rep *report) markdown() string {
	m := rep.Machine
	virtual := ""
	if m.Virtual {
		virtual = ", a virtual machine"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nRun on %s with seed %d, in %.0f s: %s, %d cores%s, %.0f GB, %s. Load average before %s.\n\n",
		rep.Started.Format("2 January 2006"), rep.Seed, rep.Took, m.CPU, m.Cores, virtual, float64(m.MemoryBytes)/1e9, m.Kernel, m.LoadBefore)
	b.WriteString(rep.summary())
	if rep.find("soak") != nil {
		b.WriteString("![Requests, failures and faults over time](pictures/reliability.svg)\n\n")
	}
	for _, r := range rep.Results {
		fmt.Fprintf(&b, "### %s\n\n%s%s", r.Title, r.about(), r.table())
		if len(r.Faults) > 1 {
			b.WriteString(r.faultTable())
		}
	}
	return b.String()
}

// summary is one line for each part.
func (rep *report) summary() string {
	var b strings.Builder
	b.WriteString("| | requests | failed | of these not to be | logins | ideal | longest time without an answer |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, r := range rep.Results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %.0f ms |\n", r.Title, picture.Thousands(r.Requests), picture.Thousands(r.failed()), picture.Thousands(r.unexcused()), picture.Thousands(r.Logins), picture.Thousands(r.ideal()), r.GapMS)
	}
	return b.String() + "\n"
}

// about says what ran.
func (r *result) about() string {
	return fmt.Sprintf("%s; users' tokens live %.0f s; %.0f requests a second for %.0f s.\n\n", r.who(), r.Lifetime, float64(r.Requests)/r.Seconds, r.Seconds)
}

func (r *result) table() string {
	var b strings.Builder
	b.WriteString("| | |\n|---|---:|\n")
	for _, line := range r.rows() {
		what := html.EscapeString(strings.TrimLeft(line.what, " "))
		if strings.HasPrefix(line.what, "  ") {
			what = "&nbsp;&nbsp;" + what
		}
		fmt.Fprintf(&b, "| %s | %s |\n", what, line.value)
	}
	return b.String() + "\n"
}

// faultTable says how often each kind happened.
func (r *result) faultTable() string {
	var b strings.Builder
	b.WriteString("<details><summary>Faults, and how often each happened</summary>\n\n| | |\n|---|---:|\n")
	counts := map[kind]int64{}
	for k, n := range r.Faults {
		counts[k] = int64(n)
	}
	for _, k := range ordered(counts) {
		fmt.Fprintf(&b, "| %s | %d |\n", k, r.Faults[k])
	}
	return b.String() + "\n</details>\n\n"
}
