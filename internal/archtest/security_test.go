package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// securityRules is how many rules docs/security.md has.
const securityRules = 11

var (
	ruleHeading = regexp.MustCompile(`(?m)^## (\d+)\. `)
	heldBy      = regexp.MustCompile("(?m)^\\* `([a-z0-9/]+)`: ((?:`(?:Test|Fuzz)[A-Z0-9]\\w*`[,\\s]*)+)$")
	testName    = regexp.MustCompile("`((?:Test|Fuzz)[A-Z0-9]\\w*)`")
)

// TestSecurityRulesAreHeld: docs/security.md names for every rule the tests that
// hold it, and each of them exists and does something.
func TestSecurityRulesAreHeld(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	starts := ruleHeading.FindAllStringSubmatchIndex(page, -1)
	if len(starts) != securityRules {
		t.Errorf("the page has %d rules, want %d", len(starts), securityRules)
	}
	named := 0
	for i, at := range starts {
		if number := page[at[2]:at[3]]; number != strconv.Itoa(i+1) {
			t.Errorf("rule %s stands where %d should be", number, i+1)
		}
		end := len(page)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		lists := heldBy.FindAllStringSubmatch(page[at[0]:end], -1)
		if len(lists) == 0 {
			t.Errorf("no test holds rule %d", i+1)
		}
		for _, list := range lists {
			exist := testFunctions(t, list[1])
			for _, name := range testName.FindAllStringSubmatch(list[2], -1) {
				if named++; !exist[name[1]] {
					t.Errorf("rule %d: package %s has no test %s, or an empty one", i+1, list[1], name[1])
				}
			}
		}
	}
	if all := len(testName.FindAllString(page, -1)); all != named {
		t.Errorf("%d of %d names of tests are in no list of the form \"* `package`: `TestName`, …\"", all-named, all)
	}
}

// testFunctions returns the names of the tests and fuzz targets of a package
// that have a body.
func testFunctions(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("package %s has no tests: %v", pkg, err)
	}
	found := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				found[f.Name.Name] = f.Body != nil && len(f.Body.List) > 0
			}
		}
	}
	return found
}
