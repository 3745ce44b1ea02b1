// Package archtest holds the rules of the whole repository that no compiler
// checks: who imports whom, how long a file may be, what the binary links and
// weighs.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root = "../.."
	ours = "attache/"
)

// goPackage is what `go list -deps -json` says of a package.
type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string // direct and indirect
}

// rule bounds what a package may need, directly or indirectly.
type rule struct {
	// Ours lists the packages of this module, without its name, that it may
	// need; nil: any.
	ours []string
	// ThirdParty lists the modules that it may need; nil: any.
	thirdParty []string
	// Never lists packages, or with a slash at the end whole trees, that it
	// must not need.
	never []string
	why   string
}

func rules() map[string]rule {
	return map[string]rule{
		"internal/secret": {
			ours: []string{}, thirdParty: []string{},
			why: "it is at the bottom",
		},
		"internal/exchange": {
			ours: []string{"internal/secret"}, thirdParty: []string{},
			never: []string{"net/http"},
			why:   "plain data that proxy and recipe share without knowing each other",
		},
		"internal/shape": {
			ours: []string{}, thirdParty: []string{},
			why: "it is plain data that parsers, schemas and the reference share",
		},
		"internal/http1": {
			ours: []string{"internal/rawio"}, thirdParty: []string{},
			why: "it is about bytes on the wire; what they mean is others' business",
		},
		"internal/rawio": {
			ours: []string{}, thirdParty: []string{},
			why: "it is about sockets; what goes through them is others' business",
		},
		"internal/picture": {
			ours: []string{}, thirdParty: []string{},
			why: "it owns a look; what is drawn is others' business",
		},
		"internal/cgroup": {
			ours: []string{}, thirdParty: []string{},
			why: "it reads files",
		},
		"internal/resident": {
			ours: []string{}, thirdParty: []string{},
			why: "it is about pages of memory",
		},
		"internal/watch": {
			ours: []string{}, thirdParty: []string{"github.com/fsnotify/fsnotify", "golang.org/x/sys"},
			why: "it looks at files; what is in them is others' business",
		},
		"internal/terminal": {
			ours: []string{}, thirdParty: []string{"golang.org/x/sys", "golang.org/x/term"},
			why: "it is about what a terminal shows, not about what that means",
		},
		"internal/top": {
			ours: []string{"internal/terminal"}, thirdParty: []string{"golang.org/x/sys", "golang.org/x/term"},
			why: "it may be of another version than the attache that it shows, so it knows the answers alone",
		},
		"internal/lanetest": {
			ours: []string{}, thirdParty: []string{},
			why: "tests of every package may import it, those of the proxy too, which know no configuration",
		},
		"internal/truststore": {
			ours: []string{}, thirdParty: []string{},
			why: "it takes a certificate and runs the system's own command",
		},
		"refresher": {
			ours:       []string{"internal/secret", "internal/exchange"},
			thirdParty: []string{"github.com/cenkalti/backoff/v4"},
			never:      []string{"net/http"},
			why:        "the engine is time and state; how a token is fetched, kept and shown is others' business",
		},
		"store": {
			ours:  []string{"refresher", "internal/exchange", "internal/redisclient", "internal/secret"},
			never: []string{"github.com/prometheus/"},
			why:   "it keeps what the engine gives it; who configures and watches that is others' business",
		},
		"recipe": {
			never: []string{ours + "proxy", ours + "store/", ours + "metrics", ours + "internal/config", ours + "internal/app", "github.com/prometheus/"},
			why:   "what a vendor wants must not depend on what moves the bytes",
		},
		"proxy": {
			never: []string{ours + "recipe", ours + "store/", ours + "metrics", ours + "internal/config", ours + "internal/app", ours + "internal/admin",
				"github.com/prometheus/", "go.yaml.in/"},
			why: "the data plane sees interfaces over internal/exchange",
		},
		"metrics": {
			ours: []string{"refresher", "internal/exchange", "internal/secret"},
			why:  "it watches",
		},
		"internal/admin": {
			ours:       []string{"refresher", "internal/exchange", "internal/secret"},
			thirdParty: []string{"github.com/cenkalti/backoff/v4"},
			why:        "it takes plain data and functions",
		},
		"internal/config": {
			never: []string{ours + "proxy", ours + "store/", ours + "metrics", ours + "internal/app", ours + "internal/admin", "github.com/prometheus/"},
			why:   "checking a configuration starts nothing",
		},
		"internal/redisclient": {
			ours:  []string{"internal/secret"},
			never: []string{"github.com/prometheus/"},
			why:   "it carries commands; what they mean is others' business",
		},
		"internal/certs": {
			ours:  []string{"internal/redisclient", "internal/secret"},
			never: []string{"github.com/prometheus/"},
			why:   "it takes plain data and functions",
		},
		"cmd/attache": {
			never: []string{"html/template", "k8s.io/client-go/", "github.com/spf13/viper", ours + "internal/picture", ours + "internal/lanetest"},
			why:   "they are heavy, reflection on templates stops the linker from dropping what is unused, and pictures are for the documentation, the choice of a lane by the environment for tests",
		},
	}
}

func TestImports(t *testing.T) {
	packages := listPackages(t)
	for name, r := range rules() {
		p, ok := packages[ours+name]
		if !ok {
			t.Errorf("package %s does not exist; rename or remove its rule", name)
			continue
		}
		for _, dep := range p.Deps {
			if offends(r, packages[dep], dep) {
				t.Errorf("%s needs %s: %s\n\t%s", name, dep, r.why, strings.Join(chain(packages, p.ImportPath, dep), " → "))
			}
		}
	}
}

func offends(r rule, p goPackage, path string) bool {
	if slices.ContainsFunc(r.never, func(e string) bool {
		tree, whole := strings.CutSuffix(e, "/")
		return path == tree || whole && strings.HasPrefix(path, e)
	}) {
		return true
	}
	own, isOurs := strings.CutPrefix(path, ours)
	switch {
	case isOurs:
		return r.ours != nil && !slices.Contains(r.ours, own)
	case p.Standard:
		return false
	default:
		return r.thirdParty != nil && !slices.ContainsFunc(r.thirdParty, func(module string) bool {
			return path == module || strings.HasPrefix(path, module+"/")
		})
	}
}

// Only internal/app knows everybody, so only the command may know it, and the
// demo, which is a command in a package of its own.
func TestOnlyTheCommandImportsApp(t *testing.T) {
	importers := map[string][]string{
		"internal/app":  {"cmd/attache", "internal/demo"},
		"internal/demo": {"cmd/attache"},
	}
	for path, p := range listPackages(t) {
		for imported, allowed := range importers {
			if slices.Contains(p.Imports, ours+imported) && !slices.Contains(allowed, strings.TrimPrefix(path, ours)) {
				t.Errorf("%s imports %s, which is for %v alone", path, imported, allowed)
			}
		}
	}
}

// go-redis weighs what is reachable of it, so that one package uses a little of it
// for all.
func TestOnlyOnePackageImportsGoRedis(t *testing.T) {
	users := []string{"internal/redisclient"}
	using := []string{"internal/certs", "store"}
	for path, p := range listPackages(t) {
		own, isOurs := strings.CutPrefix(path, ours)
		if !isOurs {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "github.com/redis/go-redis/") && !slices.Contains(users, own) {
				t.Errorf("%s imports %s, which is for %v alone", path, imported, users)
			}
			if imported == ours+"internal/redisclient" && !slices.Contains(using, own) {
				t.Errorf("%s imports %s, which is for %v alone", path, imported, using)
			}
		}
	}
}

// chain returns a shortest way of imports from one package to another.
func chain(packages map[string]goPackage, from, to string) []string {
	came := map[string]string{from: ""}
	queue := []string{from}
	for len(queue) > 0 && came[to] == "" {
		next := queue[0]
		queue = queue[1:]
		for _, imported := range packages[next].Imports {
			if _, seen := came[imported]; !seen {
				came[imported] = next
				queue = append(queue, imported)
			}
		}
	}
	way := []string{to}
	for at := came[to]; at != ""; at = came[at] {
		way = append(way, at)
	}
	slices.Reverse(way)
	return way
}

func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := map[string]goPackage{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// goFiles calls f with every Go file of the repository that is neither test
// nor test data.
func goFiles(t *testing.T, f func(path string)) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (name == "testdata" || name == "build" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			found++
			f(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 10 {
		t.Fatalf("only %d Go files found: the walk looks in the wrong place", found)
	}
}

// A file that needs more lines does more than one thing.
func TestFilesAreShort(t *testing.T) {
	const most = 400
	goFiles(t, func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n > most {
			t.Errorf("%s has %d lines, more than %d", path, n, most)
		}
	})
}
