package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"attache/internal/picture"
)

// progress tells how a part is going: a line on a terminal, the timeline of
// faults in a file.
type progress struct {
	out      io.Writer
	terminal bool
	title    string
	length   time.Duration
	last     time.Duration
	events   int
	latest   string
}

func newProgress(out io.Writer, p *part) *progress {
	return &progress{out: out, terminal: isTerminal(out), title: p.Key, length: p.length}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// event notes that a fault began.
func (p *progress) event(text string) {
	p.events++
	p.latest = text
}

// show tells the figures so far: each second on a terminal, else each ten.
func (p *progress) show(at time.Duration, requests, failed int64) {
	line := fmt.Sprintf("%-7s %3.0f/%.0fs %9s requests %7s failed %4d faults", p.title, at.Seconds(), p.length.Seconds(), picture.Thousands(requests), picture.Thousands(failed), p.events)
	switch {
	case p.terminal:
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
	case at-p.last >= 10*time.Second:
		p.last = at
		fmt.Fprintln(p.out, line)
	}
}

func (p *progress) done() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// writePlan keeps the timeline of a part.
func writePlan(dir string, r *result) (string, error) {
	path := filepath.Join(dir, r.Key+".timeline")
	text := fmt.Sprintf("%s, seed %d\n", r.Title, r.Seed)
	for _, f := range r.Plan {
		text += f.String() + "\n"
	}
	return path, os.WriteFile(path, []byte(text), 0o600)
}
