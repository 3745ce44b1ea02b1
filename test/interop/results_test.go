package interop

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write docs/conformance.md instead of comparing it")

// suite is what one suite found, a line of docs/conformance.md. Its figures must
// be the same in every run; what varies goes through measured.
type suite struct {
	name    string // what was held against attache, and how
	version string // of the software; empty if the suite is this repository's own
	lane    lane   // that it ran in; empty if it ran once, because no lane matters
	tests   int
	passed  int
	// exceptions are the tests that did not pass and need not, each with its
	// reason. The suite's test fails on any other.
	exceptions []exception
}

type exception struct{ test, reason string }

// results collects from all tests what conclude writes. It is the one variable
// that tests share, because only TestMain knows when all have ended.
var results struct {
	mu       sync.Mutex
	suites   []suite
	measured []figure
	missing  []string
}

type figure struct{ name, value string }

// record adds a suite to the page. It fails the test if the figures do not add up.
func record(t testing.TB, s suite) {
	t.Helper()
	if s.tests == 0 || s.passed+len(s.exceptions) != s.tests {
		t.Errorf("%s: %d tests, but %d passed and %d are known exceptions", s.name, s.tests, s.passed, len(s.exceptions))
		return
	}
	slices.SortFunc(s.exceptions, func(a, b exception) int { return cmp.Compare(a.test, b.test) })
	results.mu.Lock()
	defer results.mu.Unlock()
	results.suites = append(results.suites, s)
}

// measured adds a figure that varies from run to run to the page's last part,
// such as a duration or a share of memory. It is written with -update, and never
// compared.
func measured(t testing.TB, name, value string) {
	t.Logf("measured %s: %s", name, value)
	results.mu.Lock()
	defer results.mu.Unlock()
	results.measured = append(results.measured, figure{name, value})
}

// needTool returns the path of a program, or skips the test loudly; then the page
// is neither compared nor written.
func needTool(t testing.TB, name string) string {
	t.Helper()
	// Debian keeps servers where only root's PATH looks.
	for _, file := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(file); err == nil {
			return path
		}
	}
	results.mu.Lock()
	results.missing = append(results.missing, name)
	results.mu.Unlock()
	t.Skipf("missing tool: %s; `make interop` installs it when root runs it on Debian", name)
	return ""
}

const page = "../../docs/conformance.md"

// measuredTitle begins the part of the page that varies.
const measuredTitle = "\n## Measured\n"

// conclude compares the page with what all tests found, or writes it. It returns
// the exit code.
func conclude(w io.Writer) int {
	if reason := partial(); reason != "" {
		fmt.Fprintf(w, "docs/conformance.md is neither compared nor written: %s\n", reason)
		return 0
	}
	results.mu.Lock()
	defer results.mu.Unlock()
	found := render(results.suites)
	if *update {
		if err := os.WriteFile(page, []byte(found+renderMeasured(results.measured)), 0o644); err != nil {
			fmt.Fprintln(w, err)
			return 1
		}
		return 0
	}
	text, err := os.ReadFile(page)
	if err != nil {
		fmt.Fprintln(w, err)
		return 1
	}
	if difference := firstDifference(string(text), found); difference != "" {
		fmt.Fprintf(w, "FAIL: docs/conformance.md is not what the suites found; if this is right, `make interop UPDATE=1` writes it.\n%s\n", difference)
		return 1
	}
	return 0
}

// partial returns why this run does not say what all suites find, if so.
func partial() string {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return "-" + strings.TrimPrefix(name, "test.") + " chose some of the tests"
		}
	}
	if testing.Short() {
		return "-short leaves tests out"
	}
	results.mu.Lock()
	defer results.mu.Unlock()
	if len(results.missing) > 0 {
		return "missing tools: " + strings.Join(results.missing, "; ")
	}
	return ""
}

// firstDifference compares the page's deterministic part with what was found. It
// returns the first line that differs, or nothing.
func firstDifference(text, found string) string {
	text, _, _ = strings.Cut(text, measuredTitle)
	had, have := strings.Split(strings.TrimRight(text, "\n"), "\n"), strings.Split(strings.TrimRight(found, "\n"), "\n")
	for i := range max(len(had), len(have)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(had) {
			a = had[i]
		}
		if i < len(have) {
			b = have[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n  page:  %s\n  found: %s", i+1, a, b)
		}
	}
	return ""
}

const introduction = `# Conformance

What attache was held against that others wrote: conformance suites, and libraries and servers on both sides of it. Every suite talks to the
real binary over loopback; the storage of certificates and the store of tokens in Redis are tried as packages. ` + "`make interop`" + ` runs them all and compares the table with what it found, so the table is true of this very
tree; ` + "`make interop UPDATE=1`" + ` writes this page.

What the [lanes](configuration.md#lane) serve in ways of their own is tried in both: each suite ran once with either and found the same, or half of its reloads or
processes had either. The others are about what no lane touches.

| suite | version | lane | tests | passed | known exceptions |
|---|---|---|---:|---:|---|
`

// render writes the part of the page that is the same in every run. Tests end in
// any order, so the suites are sorted.
func render(suites []suite) string {
	suites = merged(suites)
	slices.SortStableFunc(suites, func(a, b suite) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.lane, b.lane)) })
	var b strings.Builder
	b.WriteString(introduction)
	for _, s := range suites {
		known := "none"
		if n := len(s.exceptions); n > 0 {
			known = fmt.Sprintf("%d, below", n)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %s |\n", s.name, cmp.Or(s.version, "own"), s.lane, s.tests, s.passed, known)
	}
	b.WriteString("\n## Known exceptions\n")
	some := false
	for _, s := range suites {
		for i, e := range s.exceptions {
			if i == 0 {
				fmt.Fprintf(&b, "\n%s:\n\n", heading(s))
			}
			fmt.Fprintf(&b, "* %s: %s\n", e.test, e.reason)
			some = true
		}
	}
	if !some {
		b.WriteString("\nThere are none.\n")
	}
	return b.String()
}

// heading names a suite whose exceptions follow. The lane is told where the other
// one has found something else.
func heading(s suite) string {
	if s.lane == "" || s.lane == both {
		return s.name
	}
	return s.lane.figure(s.name)
}

func renderMeasured(figures []figure) string {
	var b strings.Builder
	b.WriteString(measuredTitle)
	fmt.Fprintf(&b, "\nThese figures vary with the machine and the run; nothing compares them. They are from %s.\n", machine())
	if len(figures) == 0 {
		return b.String()
	}
	figures = slices.Clone(figures)
	slices.SortStableFunc(figures, func(a, b figure) int { return cmp.Compare(a.name, b.name) })
	b.WriteString("\n| figure | value |\n|---|---|\n")
	for _, f := range figures {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, f.value)
	}
	return b.String()
}

// machine describes where the figures were measured.
func machine() string {
	cpu := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range bytes.Lines(text) {
			if name, value, ok := bytes.Cut(line, []byte(":")); ok && strings.TrimSpace(string(name)) == "model name" {
				cpu = string(bytes.TrimSpace(value))
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version())
}

// moduleVersion returns the version that go.mod has of a module, so that the page
// cannot name another.
func moduleVersion(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(strings.TrimPrefix(line, "require ")); len(fields) >= 2 && fields[0] == path {
			return strings.TrimSuffix(fields[1], "+incompatible")
		}
	}
	t.Fatalf("go.mod does not require %s", path)
	return ""
}
