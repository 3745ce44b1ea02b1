package yamldoc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Problem is one mistake in a file.
type Problem struct {
	File      string
	Line, Col int    // from 1; 0 when the mistake belongs to no place in the file
	Path      string // where in the structure: "credentials.aicc.with.locale"; may be empty
	Text      string
}

// Place returns "file:line:col:", as compilers write it.
func (p Problem) Place() string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d:%d:", p.File, p.Line, p.Col)
	}
	return p.File + ":"
}

// String returns "file:line:col: path: text" in one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Place() + " ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(oneLine(p.Text))
	return b.String()
}

// oneLine escapes what is not printable: texts quote names from files, and a
// name with a line break in it must not look like another problem.
func oneLine(text string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if !strings.ContainsFunc(text, odd) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if odd(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Problems is a list of mistakes as an error: one line each, in the order of
// the files.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Sorted returns a copy of ps in the order of files and places. Problems of
// one place keep their order.
func (ps Problems) Sorted() Problems {
	order := make([]*Problem, len(ps)) // pointers sort with code that others need too
	for i := range ps {
		order[i] = &ps[i]
	}
	slices.SortStableFunc(order, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	var sorted Problems
	for _, p := range order {
		sorted = append(sorted, *p)
	}
	return sorted
}

// Report collects the problems of one or more documents. The zero value is an
// empty report. It is not safe for concurrent use.
type Report struct {
	problems Problems
	seen     map[Problem]bool
	more     int // beyond maxProblems
}

// maxProblems bounds what is told of a file that is no configuration at all: it
// goes to a log, and stays as the reason of a failed reload.
const maxProblems = 200

// Add notes a problem. The same problem noted again counts once: whoever reads
// a value twice need not care.
//
//go:noinline
func (r *Report) Add(p Problem) {
	if r.seen[p] {
		return
	}
	if len(r.problems) == maxProblems {
		r.more++
		return
	}
	if r.seen == nil {
		r.seen = map[Problem]bool{}
	}
	r.seen[p] = true
	r.problems = append(r.problems, p)
}

// Failed reports whether there is any problem.
func (r *Report) Failed() bool { return len(r.problems) > 0 }

// Len returns the number of problems so far; compare it before and after a
// step to learn whether the step went well.
func (r *Report) Len() int { return len(r.problems) + r.more }

// Err returns the problems as [Problems], sorted by place, or nil. After the first
// 200 it only says how many more there are.
func (r *Report) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	list := r.problems.Sorted()
	if r.more > 0 {
		last := list[len(list)-1]
		list = append(list, Problem{File: last.File, Line: last.Line, Col: last.Col, Text: fmt.Sprintf("there are %d more mistakes", r.more)})
	}
	return list
}
