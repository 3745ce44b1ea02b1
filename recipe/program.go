package recipe

import (
	"maps"
	"slices"

	"attache/internal/secret"
	"attache/refresher"
)

// program makes the login of one token. Its parents within the recipe are made
// already.
func (b *binder) program(d *tokenDecl) *TokenProgram {
	c := b.c
	t := &TokenProgram{Name: d.name, cred: c, decl: d}
	t.Policy.Timeout = d.timeout()
	b.bindOrigin(t)
	d.renewal.apply(&t.Policy)
	m := mentioned(c, d)
	d.requests(func(r *requestDecl) { b.checkURL(d, r) })
	b.checkKeys(d)
	t.mentioned = slices.Sorted(maps.Keys(m.reached))
	t.addParents(m)
	t.addParams(m)
	t.addKey(m)
	b.loginRules(t)
	b.derive(t)
	return t
}

// mentions is what a login mentions, itself or through defaults. A value of
// false means that it is reached through parameters with `key: false` alone,
// and so is no part of the identity.
type mentions struct {
	params   map[int]bool           // those that a template names
	reached  map[int]bool           // params, and those that defaults name
	requests map[*requestParam]bool // reached from params
	tokens   map[int]bool           // of the recipe
	others   map[*TokenProgram]bool // other credentials', through parameters
	order    []*TokenProgram        // others, by the parameter that names them first
}

func mentioned(c *Credential, d *tokenDecl) *mentions {
	m := &mentions{
		params: map[int]bool{}, reached: map[int]bool{}, tokens: map[int]bool{},
		requests: map[*requestParam]bool{}, others: map[*TokenProgram]bool{},
	}
	d.templates(func(t template) {
		for _, ref := range t.refs() {
			switch ref.kind {
			case refParam:
				m.params[ref.param] = true
			case refToken:
				m.tokens[ref.token] = true
			}
		}
	})
	for i := range c.recipe.Params {
		if m.params[i] {
			m.param(c, i, true)
		}
	}
	return m
}

func (m *mentions) param(c *Credential, i int, key bool) {
	m.reached[i] = true
	key = key && c.recipe.Params[i].Key
	switch bound := &c.bindings[i]; bound.kind {
	case bindRequest:
		m.requests[bound.req] = m.requests[bound.req] || key
	case bindToken:
		if _, known := m.others[bound.program]; !known {
			m.order = append(m.order, bound.program)
		}
		m.others[bound.program] = m.others[bound.program] || key
	case bindDerived:
		for _, ref := range c.recipe.Params[i].deflt.refs() {
			m.param(c, ref.param, key)
		}
	}
}

// addParents lists the tokens that the login needs: the recipe's own in its
// order, then other credentials'.
func (t *TokenProgram) addParents(m *mentions) {
	for i, parent := range t.cred.programs {
		if m.tokens[i] {
			t.parents = append(t.parents, parent)
		}
	}
	t.parents = append(t.parents, m.order...)
}

// addParams lists the request parameters: own ones in the recipe's order, then
// those that only parents mention.
func (t *TokenProgram) addParams(m *mentions) {
	identity := m.requests
	for req := range m.requests {
		t.requests = append(t.requests, req)
	}
	slices.SortFunc(t.requests, compareRequests) // they are all of this credential
	for _, parent := range t.parents {
		through := parent.cred == t.cred || m.others[parent]
		for i, req := range parent.requests {
			if !slices.Contains(t.requests, req) {
				t.requests = append(t.requests, req)
			}
			identity[req] = identity[req] || through && parent.Params[i].Identity
		}
	}
	for _, req := range t.requests {
		t.Params = append(t.Params, refresher.Param{Name: req.decl().Name, Identity: identity[req]})
		t.ParamIndex = append(t.ParamIndex, slices.Index(t.cred.requests, req))
	}
	for _, parent := range t.parents {
		ref := ParentRef{Credential: parent.cred, Token: parent.Name}
		for _, req := range parent.requests {
			ref.Params = append(ref.Params, slices.Index(t.requests, req))
		}
		t.Parents = append(t.Parents, ref)
	}
}

// addKey writes the identity: what decides whose account the token is for. The
// names of the parts keep apart what could be taken for each other: a file
// counts by its path, which must not equal a text that happens to be that
// path.
func (t *TokenProgram) addKey(m *mentions) {
	c := t.cred
	t.Key = append(t.Key, refresher.KeyPart{Name: "recipe", Value: secret.New(c.recipe.Name)})
	if c.recipe.digest != "" {
		t.Key = append(t.Key, refresher.KeyPart{Name: "source", Value: secret.New(c.recipe.digest)})
	}
	t.Key = append(t.Key, refresher.KeyPart{Name: "token", Value: secret.New(t.Name)})
	for i := range c.recipe.Params {
		if m.params[i] && c.recipe.Params[i].Key {
			t.addKeyParam(i)
		}
	}
	for _, parent := range t.parents {
		if parent.cred == c && m.tokens[parent.decl.index] {
			t.addKeyParent("needs."+parent.Name+".", parent)
		}
	}
}

// addKeyParam adds what a parameter adds to the identity. A default that
// depends on the request or on tokens counts by its text and by what that
// mentions.
func (t *TokenProgram) addKeyParam(i int) {
	c := t.cred
	name := "with." + c.recipe.Params[i].Name
	switch bound := &c.bindings[i]; bound.kind {
	case bindConstant:
		t.Key = append(t.Key, refresher.KeyPart{Name: name, Value: bound.text})
	case bindFile:
		t.Key = append(t.Key, refresher.KeyPart{Name: name, File: bound.ref})
	case bindRequest:
		t.Key = append(t.Key, refresher.KeyPart{Name: name, FromRequest: true, Param: slices.Index(t.requests, bound.req)})
	case bindToken:
		t.addKeyParent(name+".", bound.program)
	case bindDerived:
		p := &c.recipe.Params[i]
		t.Key = append(t.Key, refresher.KeyPart{Name: name + " default", Value: secret.New(p.Default)})
		for _, ref := range p.deflt.refs() {
			if c.recipe.Params[ref.param].Key {
				t.addKeyParam(ref.param)
			}
		}
	}
}

// addKeyParent adds a parent's identity.
func (t *TokenProgram) addKeyParent(prefix string, parent *TokenProgram) {
	for _, part := range parent.Key {
		part.Name = prefix + part.Name
		if part.FromRequest {
			part.Param = slices.Index(t.requests, parent.requests[part.Param])
		}
		t.Key = append(t.Key, part)
	}
}

// checkURL makes sure that the address of a login is known without a request:
// whoever sends requests must never choose where secrets go.
func (b *binder) checkURL(d *tokenDecl, r *requestDecl) {
	c := b.c
	for _, ref := range r.url.refs() {
		if ref.kind == refParam && c.bindings[ref.param].kind == bindUnset && !b.alreadyWrong(ref.param) {
			b.errorf(b.cfg.At, "with.%s is missing: the login of token %s needs it in its url", ref.text, d.name)
		}
	}
	for _, ref := range r.url.hostRefs() {
		at := c.bindings[ref.param].at
		switch {
		case c.depends(ref.param, bindRequest):
			b.errorf(at, "%s forms the host of a login, so it cannot come from a request", ref.text)
		case c.depends(ref.param, bindToken):
			b.errorf(at, "%s forms the host of a login, so it cannot be a token", ref.text)
		}
	}
}

// alreadyWrong reports whether a problem about the parameter was noted: it was
// given and could not be read, or is required.
func (b *binder) alreadyWrong(i int) bool {
	p := &b.c.recipe.Params[i]
	_, given := b.cfg.With[p.Name]
	return given || p.Required || !p.requiredWhen.isEmpty() && b.holds(p.requiredWhen)
}

// loginRules keeps what concerns this login: its own rules whose conditions
// hold, and the refusals of tokens that it carries. A token of another
// credential is judged by the rules that this recipe has for it, or else by
// those of its own.
func (b *binder) loginRules(t *TokenProgram) {
	if s := t.decl.success; s != nil && b.holds(s.when) {
		t.success = s
	}
	for _, rule := range t.decl.errors {
		if b.holds(rule.matcher.when) {
			t.errors = append(t.errors, rule)
		}
	}
	judged := map[int]bool{}
	for _, d := range b.c.refused {
		parent := -1
		if d.target.isParam {
			parent = slices.Index(t.parents, b.c.bindings[d.target.index].program)
		} else if i := d.target.index; i != t.decl.index {
			parent = slices.IndexFunc(t.parents, func(p *TokenProgram) bool { return p.decl == b.c.recipe.tokens[i] && p.cred == b.c })
		}
		if parent >= 0 {
			t.refused = append(t.refused, parentRule{parent, d.matcher})
			judged[parent] = true
		}
	}
	for i, parent := range t.parents {
		if judged[i] || parent.cred == b.c {
			continue
		}
		for _, d := range parent.cred.refused {
			if parent.cred.resolve(d.target) == parent {
				t.refused = append(t.refused, parentRule{i, d.matcher})
			}
		}
	}
}
