package schema

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"attache/internal/config"
	"attache/internal/shape"
	"attache/recipe"
)

// compile checks a schema against the schema of schemas.
func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is a YAML document as an editor gives it to a schema; ok is false for
// what YAML or attache refuses as such.
func asJSON(text string) (v any, ok bool) {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) != nil || len(doc.Content) != 1 {
		return nil, false
	}
	return nodeAsJSON(doc.Content[0])
}

func nodeAsJSON(n *yaml.Node) (any, bool) {
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if _, twice := object[n.Content[i].Value]; twice {
				return nil, false
			}
			v, ok := nodeAsJSON(n.Content[i+1])
			if !ok {
				return nil, false
			}
			object[n.Content[i].Value] = v
		}
		return object, true
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			v, ok := nodeAsJSON(item)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	case yaml.ScalarNode:
		switch {
		case n.Anchor != "":
			return nil, false
		case n.Tag == "!!null":
			return nil, true
		case n.Tag == "!!bool":
			return n.Value == "true", true
		case (n.Tag == "!!int" || n.Tag == "!!float") && json.Valid([]byte(n.Value)):
			return json.Number(n.Value), true
		}
		return n.Value, true
	}
	return nil, false
}

// The schemas are valid, and are JSON that a parser reads as it was written.
func TestSchemasAreValid(t *testing.T) {
	for name, text := range map[string][]byte{"config": Config(), "recipe": Recipe()} {
		compile(t, text)
		if !json.Valid(text) {
			t.Errorf("the schema %s is not valid JSON", name)
		}
		for _, keyword := range regexp.MustCompile(`"(description|default)": ""|\]\(|undefined|%!`).FindAllString(string(text), -1) {
			t.Errorf("the schema %s has %s", name, keyword)
		}
	}
}

// Whatever attache accepts, the schemas accept: examples, presets, documentation
// and test files.
func TestWhatIsRightIsAccepted(t *testing.T) {
	schemas := map[string]*jsonschema.Schema{"config": compile(t, Config()), "recipe": compile(t, Recipe())}
	seen := map[string]int{}
	for _, f := range rightFiles(t) {
		kind := "config"
		if strings.HasPrefix(f.text, "recipe:") || strings.Contains(f.text, "\nrecipe:") {
			kind = "recipe"
		}
		seen[kind]++
		v, ok := asJSON(f.text)
		if !ok {
			t.Errorf("%s is no YAML", f.name)
			continue
		}
		if err := schemas[kind].Validate(v); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	if seen["config"] < 80 || seen["recipe"] < 40 {
		t.Errorf("found only %v", seen)
	}
}

type file struct{ name, text string }

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func rightFiles(t *testing.T) []file {
	t.Helper()
	var files []file
	for _, pattern := range []string{
		"../../examples/*/attache.yaml", "../../examples/*/*/attache.yaml", "../config/testdata/good/*.yaml", "../config/testdata/recipes/*.yaml",
		"../../recipe/testdata/recipes/*.yaml", "../../recipe/presets/*.yaml", "../../recipe/presets/*/*.yaml",
	} {
		paths := glob(t, pattern)
		for _, path := range paths {
			files = append(files, file{path, read(t, path)})
		}
	}
	for _, path := range glob(t, "../../recipe/testdata/renewal/*.txtar") {
		for _, f := range txtar.Parse([]byte(read(t, path))).Files {
			if f.Name == "recipe.yaml" && bytes.HasPrefix(f.Data, []byte("recipe:")) {
				files = append(files, file{path, string(f.Data)})
			}
		}
	}
	whole := regexp.MustCompile(`^(listen|handout|certificates|credentials|routes|recipe|admin|drain|log|probes|store):`)
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../../docs/recipes/*.md", "../../examples/*/README.md"} {
		for _, path := range glob(t, pattern) {
			for _, m := range yamlBlock.FindAllStringSubmatch(read(t, path), -1) {
				if whole.MatchString(m[1]) {
					files = append(files, file{path + "\n" + m[1], m[1]})
				}
			}
		}
	}
	return files
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: nothing is there: %v", pattern, err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// plainMistake is how a bad file tells of one of its own mistakes that a schema
// sees as well: its lines begin with its name, or with f. Those of a recipe file
// that it names do not.
var plainMistake = regexp.MustCompile(`(?m)^#!? ([a-z-]+[.]yaml|f):.*(: unknown key|got (a map|a list|nothing)$|: want a (map|list), got|is not one of)`)

// Of the files that attache refuses, a schema accepts those alone that only a
// parser can see through, and never one with an unknown key or a wrong kind.
func TestWhatIsWrongIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		schema        *jsonschema.Schema
		parserAlone   map[string]string
	}{
		{"config", "../config/testdata/bad/*.yaml", compile(t, Config()), configParserAlone()},
		{"recipe", "../../recipe/testdata/bad/*.yaml", compile(t, Recipe()), recipeParserAlone()},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := c.parserAlone
			refused := 0
			for _, path := range glob(t, c.pattern) {
				text := read(t, path)
				name := strings.TrimSuffix(filepath.Base(path), ".yaml")
				why, listed := left[name]
				delete(left, name)
				v, ok := asJSON(text)
				switch {
				case !ok && why != notYAML:
					t.Errorf("%s is no YAML for an editor; list it as such", path)
				case !ok:
				case c.schema.Validate(v) != nil:
					refused++
					if listed {
						t.Errorf("%s: the schema sees the mistake; take the file out of the list", path)
					}
				case !listed:
					t.Errorf("%s: the schema sees no mistake. Let it, or list the file with the reason", path)
				case plainMistake.MatchString(text):
					t.Errorf("%s has an unknown key or a wrong kind that the schema does not see", path)
				}
			}
			for name := range left {
				t.Errorf("there is no file %s; take it out of the list", name)
			}
			if refused < 10 {
				t.Errorf("the schema refused only %d files", refused)
			}
		})
	}
}

// The parameters of a built-in recipe are known where it is used.
func TestParametersOfPresets(t *testing.T) {
	s := compile(t, Config())
	for text, good := range map[string]bool{
		`{recipe: openim, with: {endpoint: "http://x", secret: {env: S}, platform_id: 1, user_id: u}}`:               true,
		`{recipe: openim, with: {endpoint: {env: E}, secret: {file: f}, platform_id: "1", user_id: {header: X-U}}}`:  true,
		`{recipe: openim, with: {endpoint: {credential: a.b}, secret: {query: q}, platform_id: 1, user_id: 7}}`:      true,
		`{recipe: openim, with: {endpoint: "http://x", secret: {env: S}, platform_id: one, user_id: u}}`:             false,
		`{recipe: openim, with: {endpoint: ftp, secret: {env: S}, platform_id: 1, user_id: u}}`:                      false,
		`{recipe: openim, with: {endpoint: "http://x", secret: {env: S}, platform_id: 1, user_id: u, user_name: x}}`: false,
		`{recipe: openim, with: {endpoint: "http://x", secret: {env: S}, platform_id: 1}}`:                           false,
		`{recipe: openim, with: {endpoint: "http://x", secret: {env: S, file: f}, platform_id: 1, user_id: u}}`:      false,
		`{recipe: openim}`:       false,
		`{recipe: gcp/metadata}`: true,
		`{recipe: api-key, with: {api_key: {env: K}, in: query key}}`:     true,
		`{recipe: api-key, with: {api_key: {env: K}, in: query nokey}}`:   false,
		`{recipe: ./own.yaml, with: {anything: {header: X}}}`:             true,
		`{recipe: ./own.yaml, with: {anything: {header: X, nothing: 1}}}`: false,
		`{recipe: opneim}`: false,
	} {
		v, ok := asJSON("credentials: {c: " + text + "}")
		if !ok {
			t.Fatalf("%s is no YAML", text)
		}
		if err := s.Validate(v); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Names are unique within a schema, or one object would stand for another; and
// every key is explained.
func TestShapesAreWhole(t *testing.T) {
	for _, root := range []shape.Object{config.Shape(), recipe.Shape()} {
		byName := map[string]string{}
		var visit func(o shape.Object)
		var below func(t *shape.Type)
		visit = func(o shape.Object) {
			keys := strings.Join(o.Names(), " ")
			if before, seen := byName[o.Name]; seen {
				if before != keys || o.Name == "" {
					t.Errorf("two shapes have the name %q: %s, and %s", o.Name, before, keys)
				}
				return
			}
			byName[o.Name] = keys
			for _, k := range o.Keys {
				if k.Doc == "" || strings.HasSuffix(k.Doc, ".") || strings.Contains(k.Doc, "|") {
					t.Errorf("%s.%s: the text %q is empty, ends with a full stop or has a bar, which ends a cell", o.Name, k.Name, k.Doc)
				}
				below(k.Type)
			}
			for _, name := range o.Exactly {
				if _, ok := o.Key(name); !ok {
					t.Errorf("%s has no key %s", o.Name, name)
				}
			}
		}
		below = func(t *shape.Type) {
			if t.Object != nil {
				visit(t.Object())
			}
			for _, of := range t.Of {
				below(of)
			}
		}
		visit(root)
	}
}
