package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"attache/internal/picture"
)

// The goals.
const (
	mostHeap  = 1024                  // bytes of an instance beside its token
	longest   = 10 * time.Millisecond // that anything stops
	alikeness = 1.15                  // differences below that mean nothing
)

// of returns the median over the rounds of a figure of phase i.
func (r *results) of(i int, figure func(phase) time.Duration) time.Duration {
	var all []time.Duration
	for _, round := range r.Rounds {
		all = append(all, figure(round[i]))
	}
	return median(all)
}

// text is the generated part of the page.
func (r *results) text() string {
	var b strings.Builder
	b.WriteString(r.circumstances() + "\n")
	b.WriteString(table(r.goals()) + "\n")
	b.WriteString("Microseconds of a request that finds its token, and of what else takes its turn. The longest are those of the usual quarter of a second, in parentheses those of all:\n\n")
	b.WriteString(table(r.phases()) + "\n")
	b.WriteString("The rest:\n\n")
	b.WriteString(table(r.rest()))
	return b.String()
}

func (r *results) circumstances() string {
	m := r.Machine
	kind := ""
	if m.Virtual {
		kind = ", a virtual machine"
	}
	return fmt.Sprintf("Measured on %s in %.0f s: %s, %d cores%s, %.0f GB, %s. %d rounds. Load average before %s, after %s.\n",
		r.Started.Format("2 January 2006"), r.Took.Seconds(), m.CPU, m.Cores, kind, float64(m.MemoryBytes)/1e9, m.Kernel, len(r.Rounds), m.LoadBefore, m.LoadAfter)
}

// goals says what is wanted, and by how much it is missed.
func (r *results) goals() [][]string {
	rows := [][]string{{"", "goal", "measured", ""}}
	beside := r.Memory.Whole - r.Memory.Inputs
	rows = append(rows, []string{"heap of a live instance beside its token and parameters", "under 1,024 bytes", picture.Thousands(beside), verdict(beside, mostHeap, "bytes")})
	last := len(r.Rounds[0]) - 1
	for _, stop := range []struct {
		what string
		took time.Duration
	}{
		{"longest request that finds its token, in the usual quarter of a second", r.of(last, func(p phase) time.Duration { return p.Found.Usual })},
		{"longest one for which an instance is made and another evicted, likewise", r.of(last, func(p phase) time.Duration { return p.Made.Usual })},
		{"longest stop of the garbage collector in any round", r.pause()},
	} {
		took := stop.took
		rows = append(rows, []string{stop.what, "under 10 ms", millis(took), verdict(float64(took)/1e6, float64(longest)/1e6, "ms")})
	}
	ratio := float64(r.of(2, hit)) / float64(r.of(1, hit))
	rows = append(rows, []string{"a request while all refresh, by one while none does (median)", "1.0, and up to 1.15 means nothing", fmt.Sprintf("%.2f", ratio), verdict(ratio, alikeness, "")})
	s := r.Storm
	return append(rows, []string{fmt.Sprintf("logins within %.0f s of a storm", stormTime.Seconds()), "at most " + picture.Thousands(s.Bound), picture.Thousands(s.Logins), verdict(float64(s.Logins), float64(s.Bound)+1, "")})
}

// pause returns the longest stop of the garbage collector.
func (r *results) pause() (longest time.Duration) {
	for _, round := range r.Rounds {
		for _, p := range round {
			longest = max(longest, p.Pause)
		}
	}
	return longest
}

func hit(p phase) time.Duration { return p.Hit }

// verdict says by how much a figure misses its limit.
func verdict(figure, limit float64, unit string) string {
	if figure < limit {
		return "met"
	}
	return strings.TrimSpace(fmt.Sprintf("missed by %.1f %s", figure-limit, unit))
}

func (r *results) phases() [][]string {
	rows := [][]string{{"what goes on", "median", "99.9 %", "longest", "instance made: longest", "control: longest"}}
	for i, p := range r.Rounds[0] {
		row := []string{p.Name, micros(r.of(i, hit)), micros(r.of(i, func(p phase) time.Duration { return p.HitP999 }))}
		for _, figure := range []func(phase) extremes{
			func(p phase) extremes { return p.Found },
			func(p phase) extremes { return p.Made },
			func(p phase) extremes { return p.Control },
		} {
			usual := r.of(i, func(p phase) time.Duration { return figure(p).Usual })
			ever := r.of(i, func(p phase) time.Duration { return figure(p).Ever })
			cell := micros(usual) + " (" + micros(ever) + ")"
			if ever == 0 {
				cell = "–"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

func (r *results) rest() [][]string {
	last := len(r.Rounds[0]) - 1
	var commits, makes, claims []time.Duration
	for _, one := range r.Removals {
		commits, makes, claims = append(commits, one.Commit), append(makes, one.Make), append(claims, one.Claim)
	}
	m, s := r.Memory, r.Storm
	return [][]string{
		{"", ""},
		{"heap of an instance with its token and parameters", picture.Thousands(m.Whole) + " bytes"},
		{"of it a token of 200 bytes and the parameters", picture.Thousands(m.Inputs) + " bytes"},
		{"more once its token was refused and renewed", picture.Thousands(m.After-m.Whole) + " bytes"},
		{"goroutines for all instances together", fmt.Sprintf("%.0f", m.Others)},
		{fmt.Sprintf("CPU time of a refresh, at %s a second", picture.Thousands(r.RefreshRate)), micros(median(r.Refreshes)) + " µs"},
		{"CPU time of a refusal", micros(s.Refusal) + " µs"},
		{"CPU time of a scrape: the status of all", millis(r.of(last, func(p phase) time.Duration { return p.Scrape }))},
		{"CPU time of a reload that changes the policy of all", millis(r.of(last, func(p phase) time.Duration { return p.Reload }))},
		{"CPU time of a reload that removes the token", millis(median(commits))},
		{"longest that an instance of another token took to be made meanwhile", millis(median(makes))},
		{"longest request once the token is back, which takes its instance over", millis(median(claims))},
		{"storm: requests that got a token", picture.Thousands(s.Served)},
		{"storm: requests that were told when to come again", picture.Thousands(s.Told) + ", after at most " + millis(s.Longest)},
		{"storm: goroutines at most, those of the requests included", picture.Thousands(s.Goroutines)},
	}
}

func micros(d time.Duration) string {
	if us := float64(d) / 1e3; us < 100 {
		return fmt.Sprintf("%.2f", us)
	}
	return picture.Thousands(float64(d) / 1e3)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

// table makes a table of Markdown, which can be read in a terminal as well.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|---:", len(row)-1) + "|\n")
		}
	}
	return b.String()
}

const partBegin, partEnd = "<!-- scale:results -->\n", "<!-- /scale:results -->\n"

// fillPage returns the page with text between its marks.
func fillPage(page, text string) (string, error) {
	head, rest, begins := strings.Cut(page, partBegin)
	_, tail, ends := strings.Cut(rest, partEnd)
	if !begins || !ends {
		return "", fmt.Errorf("the page has no place for the results, between %q and %q", partBegin, partEnd)
	}
	return head + partBegin + "\n" + text + "\n" + partEnd + tail, nil
}

func writePage(path, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	filled, err := fillPage(string(page), text)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(filled), 0o644)
}
