package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	exported  = regexp.MustCompile(`(?m)^export (.*)$`)
	inTable   = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|")
	inExample = regexp.MustCompile(`\{env: ([A-Z_]+)\}`)
)

// TestExamples loads every example with the environment of its README, which
// has to name exactly the variables that the example takes.
func TestExamples(t *testing.T) {
	paths, _ := filepath.Glob("../../examples/*/attache.yaml")
	if len(paths) < 4 {
		t.Fatalf("there are only the examples %v", paths)
	}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			example, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			readme, err := os.ReadFile(filepath.Join(filepath.Dir(path), "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			var set []string
			for _, line := range exported.FindAllStringSubmatch(string(readme), -1) {
				for assignment := range strings.FieldsSeq(line[1]) {
					name, value, _ := strings.Cut(assignment, "=")
					t.Setenv(name, value)
					set = append(set, name)
				}
			}
			used := names(inExample, example)
			if told := names(inTable, readme); !slices.Equal(told, used) || !slices.Equal(slices.Sorted(slices.Values(set)), used) {
				t.Errorf("the example takes %v, the README's table has %v and its commands set %v", used, told, set)
			}
			cfg, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(cfg.Warnings) > 0 {
				t.Errorf("warnings: %s", strings.Join(cfg.Warnings, "\n"))
			}
			for _, c := range cfg.Credentials {
				for _, s := range c.Program.Secrets() {
					if strings.Contains(string(example), s.Reveal()) {
						t.Errorf("a secret of %s stands in the example", c.Name)
					}
				}
			}
			for _, r := range cfg.Routes {
				if len(r.Plan.Slots()) == 0 {
					t.Errorf("route %s injects no token", r.Name)
				}
			}
		})
	}
}

// names returns what the first group of re matches in text, sorted, each once.
func names(re *regexp.Regexp, text []byte) []string {
	var list []string
	for _, m := range re.FindAllSubmatch(text, -1) {
		list = append(list, string(m[1]))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
