package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"attache/internal/exchange"
	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// perRequest lists the names that stand for something new in every request.
// They are reserved everywhere, so that a text moved between a login and
// `inject` never changes its meaning silently.
func perRequest() []string { return []string{"uuid", "now_ms"} }

// Parse reads the recipe in data, the content of the file of that name.
// Mistakes are noted in rep, and ok is false.
func Parse(rep *yamldoc.Report, file string, data []byte) (r *Recipe, ok bool) {
	r, ok = parse(rep, file, data)
	if ok {
		// Two recipes of users that call themselves the same are different
		// issuers; a preset's name is enough, and survives new versions of it.
		sum := sha256.Sum256(data)
		r.digest = hex.EncodeToString(sum[:])
	}
	return r, ok
}

// parse has a report of its own: one that knows these problems already, from
// another credential with the same recipe, would not grow by them.
func parse(rep *yamldoc.Report, file string, data []byte) (*Recipe, bool) {
	own := &yamldoc.Report{}
	p := &parser{recipe: &Recipe{index: map[string]int{}}}
	if root, ok := yamldoc.Parse(own, file, data); ok {
		p.document(root)
	}
	if problems, failed := errors.AsType[yamldoc.Problems](own.Err()); failed {
		for _, problem := range problems {
			rep.Add(problem)
		}
		return nil, false
	}
	return p.recipe, true
}

// parser reads one recipe. Names are collected before anything that may
// mention them.
type parser struct {
	recipe *Recipe
	taken  map[string]string // names of parameters and tokens, and what they are
}

func (p *parser) document(root yamldoc.Value) {
	top := root.Object(Shape())
	if !root.IsMap() {
		return
	}
	r := p.recipe
	if name, ok := top.Require("recipe").Text(); ok {
		if !shape.AreNames(name, "/") {
			top.Get("recipe").Errorf("%q is no name: want small letters, digits, - and _, with / between parts", name)
		}
		r.Name = name
	}
	r.About, _ = top.Get("about").Text()
	for _, v := range top.Get("docs").List(true) {
		if text, ok := v.Text(); ok {
			if why := checkAddress(text); why != "" {
				v.Errorf("%s", why)
			}
			r.Docs = append(r.Docs, text)
		}
	}
	p.taken = map[string]string{}
	for _, name := range perRequest() {
		p.taken[name] = "stands for something new in every request"
	}
	p.params(top.Get("params"))
	p.tokens(top.Get("tokens"))
	p.apply(top)
	if len(r.tokens) == 0 && !top.Has("inject") && !top.Has("tokens") {
		root.Errorf("tokens is missing: a recipe has tokens, or at least something to inject")
	}
}

// claim notes that name is taken; it reports what is wrong with it.
func (p *parser) claim(key yamldoc.Value, name, what string) bool {
	if !shape.IsName(name) {
		key.Errorf("%q is no name: want small letters, digits, - and _, and a letter first", name)
		return false
	}
	if is, ok := p.taken[name]; ok {
		key.Errorf("the name %s is taken: it %s", name, is)
		return false
	}
	p.taken[name] = what
	return true
}

// tokens reads the tokens: first all names, then each body.
func (p *parser) tokens(v yamldoc.Value) {
	entries := v.Entries()
	if v.IsMap() && len(entries) == 0 {
		v.Errorf("want at least one token")
	}
	for _, e := range tooMany(v, entries, maxTokens, "tokens") {
		if !p.claim(e.Key, e.Name, "is a token") {
			continue
		}
		t := &tokenDecl{name: e.Name, at: e.Value, key: e.Key, index: len(p.recipe.tokens)}
		t.object = e.Value.Object(tokenShape())
		p.outputs(t)
		p.recipe.tokens = append(p.recipe.tokens, t)
	}
	for _, t := range p.recipe.tokens {
		if t.at.IsMap() {
			p.token(t)
		}
	}
	p.sortTokens()
}

// outputs reads what else a login gives; it comes before the bodies because
// they may mention it.
func (p *parser) outputs(t *tokenDecl) {
	for _, e := range t.object.Get("outputs").Entries() {
		if !shape.IsName(e.Name) {
			e.Key.Errorf("%q is no name: want small letters, digits, - and _, and a letter first", e.Name)
			continue
		}
		t.outputs = append(t.outputs, output{name: e.Name, from: parseExtractors(e.Value)})
	}
}

func (p *parser) token(t *tokenDecl) {
	o := t.object
	s := &scope{recipe: p.recipe, token: t}
	p.lets(o.Get("let"), s)
	p.parseOrigin(t, s)
	if v := o.Get("success"); !v.IsZero() {
		t.success = p.success(v)
	}
	for _, v := range o.Get("errors").List(true) {
		t.errors = append(t.errors, p.errorRule(v))
	}
	if v := o.Get("message"); !v.IsZero() {
		t.message = parseExtractors(v)
	}
	t.renewal = parseRenewal(o.Get("renewal"), false)
	s.own = true
	p.refresh(t, t.renewal.refresh, s)
	p.revoke(t, o.Get("revoke"), s)
	t.needs = s.needs
}

// success reads a matcher for the answers to a login.
func (p *parser) success(v yamldoc.Value) *matcher {
	o := v.Object(matcherShape())
	noGRPC(o)
	return parseMatcher(o, p.recipe)
}

func (p *parser) errorRule(v yamldoc.Value) errorRule {
	o := v.Object(errorShape())
	noGRPC(o)
	rule := errorRule{matcher: parseMatcher(o, p.recipe), class: parseClass(o)}
	if m := o.Get("message"); !m.IsZero() {
		rule.message = parseExtractors(m)
	}
	return rule
}

// sortTokens orders the tokens so that those that a login needs come first,
// and reports cycles.
func (p *parser) sortTokens() {
	const (
		onPath = 1
		done   = 2
	)
	tokens := p.recipe.tokens
	state := make([]int, len(tokens))
	var path []int
	var visit func(i int)
	visit = func(i int) {
		if state[i] == done {
			return
		}
		if state[i] == onPath {
			cycle := append(slices.Clone(path[slices.Index(path, i):]), i)
			names := make([]string, len(cycle))
			for k, j := range cycle {
				names[k] = tokens[j].name
			}
			tokens[i].key.Errorf("these tokens need each other, so none can be first: %s", strings.Join(names, " → "))
			return
		}
		state[i] = onPath
		path = append(path, i)
		for _, j := range tokens[i].needs {
			visit(j)
		}
		path = path[:len(path)-1]
		state[i] = done
		p.recipe.order = append(p.recipe.order, i)
	}
	for i := range tokens {
		visit(i)
	}
}

// apply reads what a route does with the tokens.
func (p *parser) apply(top yamldoc.Object) {
	r := p.recipe
	s := &scope{recipe: r, inject: true}
	for _, v := range top.Get("inject").List(false) {
		if d, ok := parseInjection(v, s, r); ok {
			r.inject = append(r.inject, d)
		}
	}
	r.strip = parseNames(top.Get("strip"))
	find := func(v yamldoc.Value) (target, bool) { return recipeTarget(v, r) }
	for _, v := range top.Get("refused").List(false) {
		if d, ok := parseRefusal(v, find, r); ok {
			r.refused = append(r.refused, d)
		}
	}
	for _, v := range top.Get("renewed").List(false) {
		if d, ok := parseRenewed(v, find); ok {
			r.renewed = append(r.renewed, d)
		}
	}
	noteDoubles(r.inject)
}

// noteDoubles reports two injections of one name that no `when` tells apart.
func noteDoubles(list []injection) {
	seen := map[exchange.Name]bool{}
	for _, d := range list {
		if len(d.when.tests) > 0 {
			continue
		}
		k := exchange.Fold(d.name)
		if seen[k] {
			d.at.Errorf("%s %s is injected twice", d.name.In, d.name.Name)
		}
		seen[k] = true
	}
}

// report notes a problem at v in rep. Values of a recipe that was parsed
// earlier would note it in the report of that time.
func report(rep *yamldoc.Report, v yamldoc.Value, format string, args ...any) {
	line, col := v.Pos()
	rep.Add(yamldoc.Problem{File: v.File(), Line: line, Col: col, Path: v.Path(), Text: fmt.Sprintf(format, args...)})
}
