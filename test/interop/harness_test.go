package interop

import (
	"path/filepath"
	"strings"
	"testing"
)

func twoSuites() []suite {
	return []suite{
		{name: "b", version: "v1", tests: 3, passed: 2, exceptions: []exception{{"b/3", "it may"}}},
		{name: "a", tests: 5, passed: 5},
	}
}

func TestPageIsTheSameInAnyOrderOfTests(t *testing.T) {
	suites := twoSuites()
	first := render(suites)
	if second := render([]suite{suites[1], suites[0]}); second != first {
		t.Errorf("the order of the suites shows:\n%s\n%s", first, second)
	}
	for _, want := range []string{"| a | own |  | 5 | 5 | none |\n| b | v1 |  | 3 | 2 | 1, below |\n", "\nb:\n\n* b/3: it may\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("the page lacks %q:\n%s", want, first)
		}
	}
}

func TestPageIsComparedButForWhatIsMeasured(t *testing.T) {
	found := render(twoSuites())
	if d := firstDifference(found+renderMeasured([]figure{{"speed", "1"}}), found); d != "" {
		t.Errorf("a page differs from itself: %s", d)
	}
	worse := twoSuites()
	worse[1].passed = 4
	d := firstDifference(found+renderMeasured(nil), render(worse))
	if !strings.Contains(d, "| a | own |  | 5 | 5 |") || !strings.Contains(d, "| a | own |  | 5 | 4 |") {
		t.Errorf("the difference is told as %q", d)
	}
	if d := firstDifference(found, render(twoSuites()[:1])); d == "" {
		t.Error("a suite that did not run is not missed")
	}
}

func TestToolsAreFoundOnThePath(t *testing.T) {
	if path := needTool(t, "go"); filepath.Base(path) != "go" {
		t.Errorf("go is %s", path)
	}
}
