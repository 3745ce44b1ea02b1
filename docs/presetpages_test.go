package docs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"attache/recipe"
)

// The pages about the built-in recipes have their tables of parameters, tokens,
// and of what is injected and refused, from the recipes. What the vendor means by
// it, and what was not checked, is written by hand around them.
func TestRecipePagesAreGenerated(t *testing.T) {
	families := map[string][]*preset{}
	for _, name := range recipe.PresetNames() {
		family, _, _ := strings.Cut(name, "/")
		families[family] = append(families[family], readPreset(t, name))
	}
	for family, presets := range families {
		page := filepath.Join("recipes", family+".md")
		parts := map[string]func([]*preset) string{"parameters": parameters, "tokens": tokens, "injected": injected, "refused": refused}
		regenerate(t, page, func(part string) (string, bool) {
			f, ok := parts[part]
			if !ok {
				return "", false
			}
			delete(parts, part)
			return f(presets), true
		})
		for part := range parts {
			t.Errorf("docs/%s has no place for its %s: a line %q, and one %q", page, part, "<!-- generated: "+part+" -->", "<!-- end -->")
		}
		for _, p := range presets {
			for _, param := range p.recipe.Params {
				if param.About == "" {
					t.Errorf("the recipe %s says not about its parameter %s what it is: add about: …", p.name, param.Name)
				}
			}
		}
	}
}

// preset is a built-in recipe, as a recipe and as its text.
type preset struct {
	name   string
	recipe *recipe.Recipe
	doc    document
}

// document is the text of a recipe, as far as pages show it.
type document struct {
	Tokens                          pairs
	Inject, Strip, Refused, Renewed []yaml.Node
}

// pairs is a map in the order of the file.
type pairs []pair

type pair struct {
	name  string
	value *yaml.Node
}

func (p *pairs) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want a map", n.Line)
	}
	*p = pairsOf(n)
	return nil
}

// pairsOf returns the members of a map; of anything else none.
func pairsOf(n *yaml.Node) pairs {
	var list pairs
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			list = append(list, pair{n.Content[i].Value, n.Content[i+1]})
		}
	}
	return list
}

// get returns a member, or nil.
func (p pairs) get(name string) *yaml.Node {
	for _, m := range p {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// text returns a member that is a scalar, or "".
func (p pairs) text(name string) string {
	if n := p.get(name); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

func (p pairs) names() []string {
	var names []string
	for _, m := range p {
		names = append(names, m.name)
	}
	return names
}

func readPreset(t *testing.T, name string) *preset {
	t.Helper()
	r, ok := recipe.Preset(name)
	source, _ := recipe.PresetSource(name)
	p := &preset{name: name, recipe: r}
	if err := yaml.Unmarshal(source, &p.doc); err != nil || !ok {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

// rows gathers the rows of a page's recipes. One that several recipes have stands
// once and names them.
type rows struct {
	all     []*preset
	order   []string
	cells   map[string][]string
	recipes map[string][]string
}

func gather(presets []*preset, each func(p *preset, add func(cells ...string))) *rows {
	r := &rows{all: presets, cells: map[string][]string{}, recipes: map[string][]string{}}
	for _, p := range presets {
		each(p, func(cells ...string) {
			key := strings.Join(cells, "\x00")
			if _, seen := r.cells[key]; !seen {
				r.order = append(r.order, key)
				r.cells[key] = cells
			}
			if !slices.Contains(r.recipes[key], p.name) {
				r.recipes[key] = append(r.recipes[key], p.name)
			}
		})
	}
	// What has one name stands together, in the order in which names came first.
	first := map[string]int{}
	for i, key := range r.order {
		if _, seen := first[r.cells[key][0]]; !seen {
			first[r.cells[key][0]] = i
		}
	}
	slices.SortStableFunc(r.order, func(a, b string) int { return first[r.cells[a][0]] - first[r.cells[b][0]] })
	return r
}

// table writes the rows; the recipes are the second column, if a page has several
// and they differ.
func (r *rows) table(head ...string) string {
	var list [][]string
	for _, key := range r.order {
		cells := r.cells[key]
		list = append(list, append([]string{cells[0], r.who(key)}, cells[1:]...))
	}
	return table(append([]string{head[0], "recipes"}, head[1:]...), list)
}

// who names the recipes of a row: all, or those that have it, or all but those that
// have not, whichever is shorter.
func (r *rows) who(key string) string {
	if len(r.all) == 1 {
		return ""
	}
	var others []string
	for _, p := range r.all {
		if !slices.Contains(r.recipes[key], p.name) {
			others = append(others, p.name)
		}
	}
	switch have := r.recipes[key]; {
	case len(others) == 0:
		return "all"
	case len(r.all) <= 3:
		return codes(have)
	case len(others) < len(have):
		return "all but " + codes(short(others))
	default:
		return codes(short(have))
	}
}

// short leaves out what the names of a page have in common.
func short(names []string) []string {
	var list []string
	for _, name := range names {
		if _, rest, ok := strings.Cut(name, "/"); ok {
			name = rest
		}
		list = append(list, name)
	}
	return list
}

// codes writes words as code.
func codes(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

// parameters is the table of what a credential gives.
func parameters(presets []*preset) string {
	return gather(presets, func(p *preset, add func(...string)) {
		for i := range p.recipe.Params {
			param := &p.recipe.Params[i]
			add("`"+param.Name+"`", typeOf(param), given(param), param.About)
		}
	}).table("name", "type", "default", "meaning")
}

func typeOf(p *recipe.Param) string {
	words := map[recipe.ParamType]string{recipe.TypeInt: "whole number", recipe.TypeBool: "boolean", recipe.TypeURL: "URL", recipe.TypeDuration: "duration"}
	var facts []string
	switch {
	case p.Secret:
		facts = append(facts, "secret")
	case len(p.Enum) > 0:
		facts = append(facts, codes(p.Enum))
	case words[p.Type] != "":
		facts = append(facts, words[p.Type])
	default:
		facts = append(facts, "text")
	}
	return strings.Join(facts, ", ")
}

func given(p *recipe.Param) string {
	switch {
	case p.Required:
		return "required"
	case p.RequiredWhen != "":
		return "required for `" + p.RequiredWhen + "`"
	case p.HasDefault:
		return "`" + p.Default + "`"
	}
	return "none"
}
