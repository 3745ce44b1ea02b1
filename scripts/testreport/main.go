// Command testreport reads what `go test -json` writes and shows what people
// need to see: a line for each package, the whole output of what failed, and
// at the end everything that was skipped, which plain `go test` keeps to
// itself.
//
// A test that needs a program which is not on the machine skips itself with a
// text that begins with "missing tool:". With CI=true in the environment such a
// skip is a failure: there the tools have to be installed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	ok, err := report(os.Stdin, os.Stdout, os.Getenv("CI") == "true")
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// event is one line of input; see `go doc test2json` and `go help buildjson`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// packageRun is what was seen of a package so far.
type packageRun struct {
	order  []string // tests as they began; "" stands for the package itself
	output map[string]*strings.Builder
}

type skip struct {
	test, reason string
	missingTool  bool
}

// reporter collects until a package ends, since tests of several packages come
// mixed.
type reporter struct {
	w           io.Writer
	packages    map[string]*packageRun
	builds      map[string]*strings.Builder // output of builds, by import path
	skips       []skip
	passed      int
	failed      int // packages
	failedTests int
}

// report returns whether everything passed. With strict a skip for a missing
// tool is a failure.
func report(in io.Reader, w io.Writer, strict bool) (bool, error) {
	r := &reporter{w: w, packages: map[string]*packageRun{}, builds: map[string]*strings.Builder{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.take(e)
			} else {
				w.Write(line) // the go command itself has something to say
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, fmt.Errorf("read the test results: %w", err)
		}
	}
	return r.end(strict), nil
}

func (r *reporter) take(e event) {
	switch e.Action {
	case "build-output":
		if r.builds[e.ImportPath] == nil {
			r.builds[e.ImportPath] = &strings.Builder{}
		}
		r.builds[e.ImportPath].WriteString(e.Output)
		return
	case "build-fail":
		return // the package's own failure follows
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &packageRun{output: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	switch {
	case e.Action == "output":
		p.write(e.Test, e.Output)
	case e.Test == "":
		r.endPackage(p, e)
	case e.Action == "pass":
		delete(p.output, e.Test)
		r.passed++
	case e.Action == "fail":
		r.failedTests++
	case e.Action == "skip":
		r.skip(e, p.output[e.Test])
		delete(p.output, e.Test)
	}
}

func (p *packageRun) write(test, text string) {
	if p.output[test] == nil {
		p.output[test] = &strings.Builder{}
		p.order = append(p.order, test)
	}
	p.output[test].WriteString(text)
}

// endPackage takes a result of the package itself. Of one that failed it shows
// every test that neither passed nor was skipped: also those that a panic or a
// time-out cut short, which have no result of their own.
func (r *reporter) endPackage(p *packageRun, e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.w, "ok    %-40s %6.2fs\n", e.Package, e.Elapsed)
	case "fail":
		r.failed++
		if b := r.builds[e.FailedBuild]; b != nil {
			io.WriteString(r.w, b.String())
			delete(r.builds, e.FailedBuild)
		}
		for _, test := range p.order {
			if b := p.output[test]; b != nil && test != "" {
				io.WriteString(r.w, b.String())
			}
		}
		if b := p.output[""]; b != nil {
			io.WriteString(r.w, b.String())
		}
		fmt.Fprintf(r.w, "FAIL  %-40s %6.2fs\n", e.Package, e.Elapsed)
	case "skip": // it has no tests
	default: // "start"
		return
	}
	delete(r.packages, e.Package)
}

func (r *reporter) skip(e event, output *strings.Builder) {
	reason := "no reason given"
	if output != nil {
		for line := range strings.Lines(output.String()) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
				continue
			}
			// file_test.go:12: reason
			if parts := strings.SplitN(line, ": ", 2); len(parts) == 2 && strings.Contains(parts[0], ".go:") {
				line = parts[1]
			}
			reason = line
		}
	}
	r.skips = append(r.skips, skip{
		test:        e.Package + " " + e.Test,
		reason:      reason,
		missingTool: strings.HasPrefix(reason, "missing tool:"),
	})
}

func (r *reporter) end(strict bool) bool {
	ok := r.failed == 0
	for name := range r.packages {
		ok = false
		fmt.Fprintf(r.w, "FAIL  %s did not end\n", name)
	}
	fmt.Fprintln(r.w)
	for _, s := range r.skips {
		fmt.Fprintf(r.w, "SKIPPED: %s (%s)\n", s.test, s.reason)
		if strict && s.missingTool {
			ok = false
			fmt.Fprintln(r.w, "         with CI=true a missing tool is a failure: install it")
		}
	}
	// A package can fail without a test that does: it does not compile.
	fmt.Fprintf(r.w, "tests: %d passed, %d failed, %d skipped\n", r.passed, max(r.failedTests, r.failed), len(r.skips))
	return ok
}
