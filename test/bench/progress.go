package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress tells on the terminal what runs and how long it still takes. It
// writes between measurements only.
type progress struct {
	w        io.Writer
	terminal bool // lines may be written over
	begun    time.Time
	steps    int // of all: a start and each round, for each proxy and case
	done     int
	expected time.Duration
}

func newProgress(w io.Writer, opt *options) *progress {
	p := &progress{
		w: w, begun: time.Now(), expected: opt.estimate(),
		steps: opt.allTurns() * (opt.Rounds + 1),
	}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	fmt.Fprintf(w, "%s, %d proxies, %s of %g s: about %s\n",
		count(len(opt.Cases), "case"), len(opt.Proxies), count(opt.Rounds, "round"), opt.Seconds, p.expected.Round(time.Second))
	return p
}

// show says what runs now.
func (p *progress) show(c loadCase, of proxy, what string) {
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s: %s, %s; %s left", c.Title, of.Title, what, p.left())
	}
	p.done++
}

// left estimates the time to the end: first from the settings, then from what
// the steps so far took.
func (p *progress) left() time.Duration {
	total := p.expected
	if took := time.Since(p.begun); p.done*5 > p.steps {
		total = took * time.Duration(p.steps) / time.Duration(p.done)
	}
	return max(total-time.Since(p.begun), 0).Round(time.Second)
}

// roundDone writes a line for each round.
func (p *progress) roundDone(c loadCase, found caseResult, round int) {
	var costs []string
	for _, r := range found.Proxies {
		cost := "failed"
		if r.Failure == "" {
			cost = fmt.Sprintf("%.1f", r.Samples[len(r.Samples)-1].cost())
		}
		costs = append(costs, title(r.Name)+" "+cost)
	}
	p.clear()
	fmt.Fprintf(p.w, "%s, round %d: CPU µs per request: %s (%s left)\n", c.Title, round+1, strings.Join(costs, "; "), p.left())
}

// caseDone writes a case's table.
func (p *progress) caseDone(found caseResult) {
	p.clear()
	fmt.Fprintf(p.w, "\n%s\n", caseTable(found))
}

func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
