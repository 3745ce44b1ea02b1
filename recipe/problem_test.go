package recipe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"attache/internal/yamldoc"
)

// TestBadRecipes reads testdata/bad/*.yaml. The lines at a file's end that
// begin with "#! " are the problems that it must give, each with its position.
// The flag -update writes them anew.
func TestBadRecipes(t *testing.T) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text, want := splitWanted(string(data))
			rep := &yamldoc.Report{}
			if _, ok := Parse(rep, "f", []byte(text)); ok {
				t.Error("Parse is content")
			}
			got := problemLines(rep)
			if *update {
				if err := os.WriteFile(name, []byte(text+got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

// TestSameProblemsTwice: a report that has a recipe's problems already must not
// make the recipe pass.
func TestSameProblemsTwice(t *testing.T) {
	rep := &yamldoc.Report{}
	for range 2 {
		if _, ok := Parse(rep, "f", []byte("recipe: x\ntokens: {t: {}}\n")); ok {
			t.Error("Parse is content")
		}
	}
	good := "recipe: y\ninject: [{header: X, value: y}]\n"
	if _, ok := Parse(rep, "g", []byte(good)); !ok {
		t.Error("another file's problems make a good recipe fail")
	}
}

func splitWanted(text string) (yaml, want string) {
	i := strings.Index(text, "#! ")
	if i < 0 {
		return text, ""
	}
	return text[:i], text[i:]
}

func problemLines(rep *yamldoc.Report) string {
	err := rep.Err()
	if err == nil {
		return ""
	}
	return "#! " + strings.ReplaceAll(err.Error(), "\n", "\n#! ") + "\n"
}

// TestBadBindings reads testdata/badbind/*.txtar: a recipe, a configuration
// and the problems that they give together. The configuration has credentials,
// each with recipe (a preset; default: the file recipe.yaml), with and
// refresh, and may have a route.
func TestBadBindings(t *testing.T) {
	t.Setenv("RECIPE_TEST_EMPTY", "")
	files, _ := filepath.Glob("testdata/badbind/*.txtar")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var want *txtar.File
			c := config{rep: &yamldoc.Report{}}
			for i := range ar.Files {
				switch f := &ar.Files[i]; f.Name {
				case "recipe.yaml":
					c.recipe, _ = Parse(c.rep, "recipe.yaml", f.Data)
				case "config.yaml":
					c.data = f.Data
				case "want":
					want = f
				}
			}
			c.load()
			if !c.rep.Failed() {
				t.Error("nothing was found wrong")
			}
			got := strings.ReplaceAll(problemLines(c.rep), "#! ", "")
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(strings.Split(string(want.Data), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

// config is as much of a configuration as these tests need.
type config struct {
	rep    *yamldoc.Report
	recipe *Recipe // used where a credential names none
	data   []byte
	creds  map[string]*Credential
	plan   *Plan
}

func (c *config) load() {
	c.creds = map[string]*Credential{}
	root, ok := yamldoc.Parse(c.rep, "config.yaml", c.data)
	if !ok {
		return
	}
	top := root.Object(keys("credentials", "route"))
	for _, e := range top.Get("credentials").Entries() {
		o := e.Value.Object(keys("recipe", "with", "refresh"))
		r := c.recipe
		if name, ok := o.Get("recipe").Text(); ok {
			r, _ = Preset(name)
		}
		if r == nil {
			continue
		}
		cred, ok := Bind(c.rep, r, BindConfig{
			Name: e.Name, At: e.Value, With: readOrigins(o.Get("with")), Refresh: o.Get("refresh"),
			Lookup: func(name string) *Credential { return c.creds[name] },
		})
		if ok {
			c.creds[e.Name] = cred
		}
	}
	if !top.Has("route") || c.rep.Failed() {
		return
	}
	route := top.Get("route")
	o := route.Object(keys("use", "inject", "refused", "renewed", "allow"))
	cfg := RouteConfig{
		Name: "r", At: route, Inject: o.Get("inject"), Refused: o.Get("refused"), Renewed: o.Get("renewed"),
		Allow: parseNames(o.Get("allow")),
	}
	for _, v := range o.Get("use").List(false) {
		name, _ := v.Text()
		cfg.Use = append(cfg.Use, c.creds[name])
	}
	c.plan, _ = NewPlan(c.rep, cfg)
}

// loadConfig makes what the texts say, which must be right.
func loadConfig(t testing.TB, recipe, text string) *config {
	t.Helper()
	c := config{rep: &yamldoc.Report{}, data: []byte(text)}
	if recipe != "" {
		c.recipe, _ = Parse(c.rep, "recipe.yaml", []byte(recipe))
	}
	c.load()
	if err := c.rep.Err(); err != nil {
		t.Fatal(err)
	}
	return &c
}
