// Package recipe is the recipe language: it turns the description of a
// vendor's token API, which is data, into programs that log in, inject and
// judge.
//
// A recipe goes through three stages. [Parse] reads and checks one YAML file
// and gives a [Recipe], bound to nothing. [Bind] joins it with the parameters
// of one credential and gives a [Credential], whose [TokenProgram] values know
// how to log in. [NewPlan] joins the credentials of one route and gives a
// [Plan], which says what is stripped from a request, what is added to it and
// what an answer means. Mistakes are found in these three stages and have a
// place; what is left for later depends on the network alone.
//
// Injection and judgement are data in, data out over package exchange: a Plan
// never sees an *http.Request.
package recipe

import (
	"io/fs"
	"slices"
	"strings"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
	"attache/recipe/presets"
)

// Recipe is a parsed and checked recipe. It is immutable.
type Recipe struct {
	Name   string   // "huawei-aicc", "openim/admin"
	About  string   // one line for lists; may be empty
	Docs   []string // addresses of the vendor's documentation
	Params []Param  // in the order of the file

	digest  string         // of a user's own file; "" for presets
	index   map[string]int // of Params, by name
	tokens  []*tokenDecl   // in the order of the file
	order   []int          // of tokens, parents first
	inject  []injection
	strip   []exchange.Name
	refused []refusal
	renewed []renewedDecl
}

// tokenDecl is a token of a recipe.
type tokenDecl struct {
	name     string
	key, at  yamldoc.Value
	object   yamldoc.Object
	index    int
	letNames []string // all, also those that are not read yet
	lets     []letDecl
	login    bool // it has a request; without one, refresh has an initial value
	request  requestDecl
	origin   origin   // nil: the request, or a refresh alone
	success  *matcher // nil: any 2xx
	errors   []errorRule
	message  []extractor
	value    []extractor
	outputs  []output
	lifetime []lifetimeDecl
	renewal  renewal
	refresh  *refreshDecl // nil: none
	revoke   *tokenDecl   // its request, and what success is; nil: none
	needs    []int        // tokens that the login, refresh or revoke mention
}

// output is a further value that a login gives.
type output struct {
	name string
	from []extractor
}

// Preset returns the built-in recipe of that name.
func Preset(name string) (*Recipe, bool) {
	data, ok := PresetSource(name)
	if !ok {
		return nil, false
	}
	return parse(new(yamldoc.Report), "preset "+name, data)
}

// PresetNames lists the built-in recipes, sorted.
func PresetNames() []string {
	var names []string
	// The walk cannot fail: the files are part of the program.
	_ = fs.WalkDir(presets.FS, ".", func(path string, _ fs.DirEntry, _ error) error {
		if name, ok := strings.CutSuffix(path, ".yaml"); ok {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names
}

// PresetHint is what to say behind a name that no built-in recipe has: the one that
// is likely meant, those of the family that has this name, or "".
func PresetHint(name string) string {
	var family []string
	names := PresetNames()
	for _, n := range names {
		if strings.HasPrefix(n, name+"/") {
			family = append(family, n)
		}
	}
	if len(family) > 1 {
		return "; there are " + strings.Join(family, ", ")
	}
	return yamldoc.DidYouMean(name, names)
}

// PresetSource returns the YAML text of the built-in recipe of that name.
func PresetSource(name string) ([]byte, bool) {
	data, err := presets.FS.ReadFile(name + ".yaml")
	return data, err == nil
}

// Param returns the parameter of that name.
func (r *Recipe) Param(name string) (Param, bool) {
	i, ok := r.index[name]
	if !ok {
		return Param{}, false
	}
	return r.Params[i], true
}

// TokenNames lists the tokens in the order of the file.
func (r *Recipe) TokenNames() []string {
	names := make([]string, len(r.tokens))
	for i, t := range r.tokens {
		names[i] = t.name
	}
	return names
}

//
//go:noinline
func (r *Recipe) tokenIndex(name string) int {
	return slices.IndexFunc(r.tokens, func(t *tokenDecl) bool { return t.name == name })
}

func (r *Recipe) paramNames() []string {
	names := make([]string, len(r.Params))
	for i, p := range r.Params {
		names[i] = p.Name
	}
	return names
}

func (t *tokenDecl) hasOutput(name string) bool {
	return slices.ContainsFunc(t.outputs, func(o output) bool { return o.name == name })
}

func (t *tokenDecl) outputNames() []string {
	names := make([]string, len(t.outputs))
	for i, o := range t.outputs {
		names[i] = o.name
	}
	return names
}

// laterLet reports whether name is a value that is not computed yet.
func (t *tokenDecl) laterLet(name string) bool { return slices.Contains(t.letNames, name) }

// templates calls f for everything that the login mentions, and the refresh and
// the revocation.
func (t *tokenDecl) templates(f func(template)) {
	for _, l := range t.lets {
		f(l.arg)
		f(l.key.text)
		l.jwt.templates(f)
	}
	t.requests(func(r *requestDecl) { r.templates(f) })
	if t.origin != nil {
		t.origin.templates(f)
	}
	if t.refresh != nil && t.refresh.initial != nil {
		f(*t.refresh.initial)
	}
}
