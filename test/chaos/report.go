package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"attache/internal/machine"
	"attache/internal/picture"
)

// report is what a run of the bench came to.
type report struct {
	Started   time.Time
	Took      float64
	Seed      uint64
	Processes int
	Machine   machine.Machine
	Results   []*result
}

func (rep *report) find(key string) *result {
	for _, r := range rep.Results {
		if r.Key == key {
			return r
		}
	}
	return nil
}

// verdict is nil if all was as it should be.
func (rep *report) verdict() error {
	var wrong []error
	for _, r := range rep.Results {
		for _, text := range r.Wrong {
			wrong = append(wrong, fmt.Errorf("%s: %s", r.Key, text))
		}
	}
	return errors.Join(wrong...)
}

// row is one line of a table of two columns.
type row struct {
	what  string
	value string
}

// rows are the figures of a part.
func (r *result) rows() []row {
	rows := []row{
		{"requests", fmt.Sprintf("%s in %.0f s", picture.Thousands(r.Requests), r.Seconds)},
		{"failed", picture.Thousands(r.failed())},
	}
	for _, c := range ordered(r.Causes) {
		rows = append(rows, row{"  " + string(c), picture.Thousands(r.Causes[c])})
	}
	if r.Direct != r.failed() || r.Moved > 0 {
		rows = append(rows, row{"failed without a balancer or a second try", picture.Thousands(r.Direct)})
	}
	rows = append(rows,
		row{"refused by the vendor, repaired", picture.Thousands(r.Refused)},
		row{"longest time without an answer", fmt.Sprintf("%.0f ms, at %.0f s", r.GapMS, r.GapAt)},
		row{"slowest good answer", fmt.Sprintf("%.0f ms", r.SlowestMS)},
		row{"logins", fmt.Sprintf("%s, the ideal %s", picture.Thousands(r.Logins), picture.Thousands(r.ideal()))},
		row{"  first of a token", picture.Thousands(r.Reasons[firstLogin])},
		row{"  one for each lifetime", picture.Thousands(r.Reasons[lifetimeOver])},
		row{"  one for each revocation", picture.Thousands(r.Reasons[wasRevoked])},
	)
	for _, reason := range ordered(r.Reasons) {
		switch reason {
		case firstLogin, lifetimeOver, wasRevoked:
			continue
		}
		if strings.HasPrefix(reason, unexplained) {
			continue // each is told as wrong
		}
		rows = append(rows, row{"  more " + reason, picture.Thousands(r.Reasons[reason])})
	}
	if r.Spoiled > 0 {
		rows = append(rows, row{"logins that the vendor failed", picture.Thousands(r.Spoiled)})
	}
	rows = append(rows, row{"refresh tokens used twice", picture.Thousands(r.Reused)})
	if len(r.Faults) > 0 {
		n, least := 0, 1<<30
		for _, times := range r.Faults {
			n += times
			least = min(least, times)
		}
		rows = append(rows, row{"faults", fmt.Sprintf("%d of %s", n, plural(len(r.Faults), "kind"))}, row{"  of the rarest kind", picture.Thousands(int64(least))})
	}
	return rows
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ordered returns the keys, those with the largest counts first.
func ordered[K ~string](counts map[K]int64) []K {
	var keys []K
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b K) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	return keys
}

// text is the part for a terminal of 80 columns.
func (r *result) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s (%s)\n", r.Title, r.who())
	for _, line := range r.rows() {
		fmt.Fprintf(&b, "  %-53s %s\n", cut(line.what, 53), line.value)
	}
	for _, text := range r.Mistakes {
		fmt.Fprintf(&b, "  ! %s\n", text)
	}
	for _, text := range r.Wrong {
		fmt.Fprintf(&b, "  WRONG %s\n", text)
	}
	return b.String()
}

// who says which processes took part.
func (r *result) who() string {
	var who []string
	if r.Shared > 0 {
		who = append(who, fmt.Sprintf("%d processes, one Redis", r.Shared))
	}
	if r.Filed > 0 {
		who = append(who, fmt.Sprintf("%d with a file", r.Filed))
	}
	return strings.Join(who, "; ")
}

func (rep *report) text() string {
	wrong := 0
	for _, r := range rep.Results {
		wrong += len(r.Wrong)
	}
	if wrong == 0 {
		return fmt.Sprintf("\nAll as it should be. Seed %d, %.0f s.\n", rep.Seed, rep.Took)
	}
	return fmt.Sprintf("\n%d things are not as they should be. Seed %d, %.0f s.\n", wrong, rep.Seed, rep.Took)
}

func cut(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
