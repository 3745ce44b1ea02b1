package recipe

import (
	"cmp"
	"maps"
	"net/http"
	"slices"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// Origin is where a credential's parameter value comes from. Exactly one of
// Ref, Credential and Request.Name is set.
type Origin struct {
	At         yamldoc.Value // for the places of mistakes
	Ref        *secret.Ref   // a literal, {env: …} or {file: …}
	Credential string        // {credential: NAME} or {credential: NAME.TOKEN}
	Token      string        // "": the only token of that credential's recipe
	Request    exchange.Name // {header: NAME} or {query: NAME}
	Percent    bool          // decode: percent; headers only
}

// BindConfig is what [Bind] joins with a recipe.
type BindConfig struct {
	Name    string            // the credential's
	At      yamldoc.Value     // the credential, for mistakes about the whole
	With    map[string]Origin // by parameter
	Refresh yamldoc.Value     // overrides of the keys of `renewal`, and timeout; zero: none
	// Lookup finds credentials that are bound already, for {credential: …};
	// nil: unknown.
	Lookup func(name string) *Credential
}

// bindKind says where a bound parameter's value comes from.
type bindKind uint8

const (
	bindUnset    bindKind = iota
	bindConstant          // a literal, an environment variable or a default
	bindFile              // may change while the process runs
	bindRequest           // from the client's request
	bindToken             // another credential's token
	bindDerived           // a default that mentions a parameter of the last three kinds
)

// binding is a parameter of a credential.
type binding struct {
	kind    bindKind
	at      yamldoc.Value // where the configuration gives it; zero for defaults
	text    secret.String // constant: canonical
	ref     *secret.Ref   // file
	req     *requestParam // request
	program *TokenProgram // token
}

// requestParam is a parameter whose value comes from the client's request. Its
// address is its identity across credentials and routes.
type requestParam struct {
	cred    *Credential
	param   int
	name    exchange.Name // headers in canonical form
	percent bool
}

// Bind joins a recipe with the parameters of one credential. Mistakes are
// noted in rep, and ok is false. It reads environment and files.
func Bind(rep *yamldoc.Report, r *Recipe, cfg BindConfig) (c *Credential, ok bool) {
	before := rep.Len()
	b := &binder{rep: rep, cfg: cfg, c: &Credential{name: cfg.Name, recipe: r}}
	b.unknown()
	b.c.bindings = make([]binding, len(r.Params))
	for i := range r.Params {
		b.given(i)
	}
	done := make([]bool, len(r.Params))
	for i := range r.Params {
		b.byDefault(i, done)
	}
	for i := range r.Params {
		b.required(i)
		b.requestDefault(i)
	}
	b.collectRequests()
	b.rules()
	b.programs()
	if b.failed || rep.Len() != before {
		return nil, false
	}
	return b.c, true
}

// binder makes one Credential.
type binder struct {
	rep    *yamldoc.Report
	cfg    BindConfig
	c      *Credential
	failed bool // also when rep knew the problem already
}

// errorf notes a problem at v, or at the credential when v is nothing.
func (b *binder) errorf(v yamldoc.Value, format string, args ...any) {
	if v.IsZero() {
		v = b.cfg.At
	}
	b.failed = true
	report(b.rep, v, format, args...)
}

// unknown reports parameters that the recipe does not have.
func (b *binder) unknown() {
	for _, name := range slices.Sorted(maps.Keys(b.cfg.With)) {
		if _, ok := b.c.recipe.index[name]; !ok {
			b.errorf(b.cfg.With[name].At, "the recipe %s has no parameter %s%s",
				b.c.recipe.Name, yamldoc.ShownKey(name), yamldoc.DidYouMean(name, b.c.recipe.paramNames()))
		}
	}
}

// given binds a parameter that the configuration gives.
func (b *binder) given(i int) {
	p := &b.c.recipe.Params[i]
	o, ok := b.cfg.With[p.Name]
	if !ok {
		return
	}
	bound := &b.c.bindings[i]
	bound.at = o.At
	switch {
	case o.Credential != "":
		b.givenToken(bound, p, o)
	case o.Request.Name != "":
		bound.kind = bindRequest
		if o.Percent && o.Request.In != exchange.Header {
			b.errorf(o.At, "decode is for headers; a query is always decoded")
		}
		if o.Request.In == exchange.Header {
			o.Request.Name = http.CanonicalHeaderKey(o.Request.Name)
		}
		bound.req = &requestParam{cred: b.c, param: i, name: o.Request, percent: o.Percent}
	case o.Ref != nil:
		b.givenRef(bound, p, o)
	}
}

func (b *binder) givenRef(bound *binding, p *Param, o Origin) {
	text, err := o.Ref.Read()
	if err != nil {
		b.errorf(o.At, "%v", err)
		return
	}
	if text.IsEmpty() && (p.Required || !p.requiredWhen.isEmpty()) {
		b.errorf(o.At, "is empty")
		return
	}
	value, why := p.canonical(text.Reveal())
	if why != "" {
		if len(p.Enum) > 0 && !p.Secret && o.Ref.IsLiteral() {
			why += yamldoc.DidYouMean(text.Reveal(), p.Enum)
		}
		b.errorf(o.At, "%s", why)
		return
	}
	if o.Ref.IsFile() {
		bound.kind, bound.ref = bindFile, o.Ref
		return
	}
	bound.kind, bound.text = bindConstant, secret.New(value)
}

func (b *binder) givenToken(bound *binding, p *Param, o Origin) {
	if p.Type != TypeString {
		b.errorf(o.At, "is a token, but the parameter is of type %s", p.Type)
		return
	}
	var other *Credential
	if b.cfg.Lookup != nil {
		other = b.cfg.Lookup(o.Credential)
	}
	if other == nil {
		b.errorf(o.At, "there is no credential %s", o.Credential)
		return
	}
	names := other.recipe.TokenNames()
	switch {
	case o.Token != "":
		bound.program = other.program(o.Token)
		if bound.program == nil {
			b.errorf(o.At, "credential %s has no token %s%s", o.Credential, o.Token, yamldoc.DidYouMean(o.Token, names))
			return
		}
	case len(names) == 1:
		bound.program = other.program(names[0])
	case len(names) == 0:
		b.errorf(o.At, "credential %s has no token", o.Credential)
		return
	default:
		b.errorf(o.At, "credential %s has several tokens; say {credential: %s.%s} or another of them", o.Credential, o.Credential, names[0])
		return
	}
	bound.kind = bindToken
}

// byDefault binds a parameter that was not given, after those that its default
// mentions.
func (b *binder) byDefault(i int, done []bool) {
	if done[i] {
		return
	}
	done[i] = true
	p := &b.c.recipe.Params[i]
	if _, given := b.cfg.With[p.Name]; given || !p.HasDefault {
		return
	}
	kind := bindConstant
	for _, ref := range p.deflt.refs() {
		b.byDefault(ref.param, done)
		switch b.c.bindings[ref.param].kind {
		case bindUnset:
			return // nothing to derive it from: it has no value either
		case bindConstant:
		default:
			kind = bindDerived
		}
	}
	bound := &b.c.bindings[i]
	bound.kind = kind
	if kind == bindDerived {
		return
	}
	text, _ := p.deflt.render(boundValues{b.c, nil}, verbatim)
	value, why := p.canonical(text)
	if why != "" {
		b.errorf(b.cfg.At, "with.%s: its default %q %s", p.Name, p.Default, why)
	}
	bound.text = secret.New(value)
}

// required reports a parameter that has to be given and was not.
func (b *binder) required(i int) {
	p := &b.c.recipe.Params[i]
	if _, given := b.cfg.With[p.Name]; given {
		return
	}
	if p.Required || !p.requiredWhen.isEmpty() && b.holds(p.requiredWhen) {
		b.errorf(b.cfg.At, "%s", p.missing(b.c.recipe.Name))
	}
}

// requestDefault checks that the default of a parameter from the request can
// be told from the request and the configuration.
func (b *binder) requestDefault(i int) {
	bound := &b.c.bindings[i]
	if bound.kind != bindRequest {
		return
	}
	p := &b.c.recipe.Params[i]
	for _, ref := range p.deflt.refs() {
		if b.c.depends(ref.param, bindToken) {
			b.errorf(bound.at, "its default %q is a token, so it cannot come from the request", p.Default)
		}
	}
}

// holds decides a condition. It may name only what is known now and never
// changes: a rule that came and went with a request could not be checked.
func (b *binder) holds(c condition) bool {
	all := true
	for _, t := range c.tests {
		switch bound := &b.c.bindings[t.param]; bound.kind {
		case bindUnset:
			all = all && t.want.matchAbsent()
		case bindConstant:
			all = all && t.want.matchText(bound.text.Reveal())
		case bindFile, bindToken:
			if t.want.onlyAbsent() { // its value is not known, but that there is one is
				all = false
				continue
			}
			fallthrough
		default:
			b.errorf(bound.at, "decides what the recipe does (when: %s), so %s must be a text or {env: NAME}", c, t.name)
			all = false
		}
	}
	return all
}

// collectRequests lists the parameters that come from requests.
func (b *binder) collectRequests() {
	c := b.c
	for i := range c.bindings {
		if c.bindings[i].kind == bindRequest {
			c.requests = append(c.requests, c.bindings[i].req)
		}
	}
	for i := range c.bindings {
		if c.bindings[i].kind != bindToken {
			continue
		}
		for _, req := range c.bindings[i].program.requests {
			if !slices.Contains(c.requests, req) {
				c.requests = append(c.requests, req)
			}
		}
	}
}

// rules keeps the injections and rules whose conditions hold.
func (b *binder) rules() {
	c, r := b.c, b.c.recipe
	seen := map[exchange.Name]bool{}
	for _, d := range r.inject {
		if !b.holds(d.when) {
			continue
		}
		if k := exchange.Fold(d.name); seen[k] {
			b.errorf(d.at, "%s %s is injected twice with the parameters of credential %s", d.name.In, d.name.Name, c.name)
		} else {
			seen[k] = true
		}
		c.inject = append(c.inject, d)
	}
	for _, d := range r.refused {
		if b.holds(d.matcher.when) && b.active(d.target) {
			c.refused = append(c.refused, d)
		}
	}
	for _, d := range r.renewed {
		if b.active(d.target) {
			c.renewed = append(c.renewed, d)
		}
	}
}

// active reports whether a rule's target is a token: a parameter that is given
// as a text has nothing to renew.
func (b *binder) active(t target) bool {
	return !t.isParam || b.c.bindings[t.index].kind == bindToken
}

// programs makes the logins, parents first.
func (b *binder) programs() {
	b.c.programs = make([]*TokenProgram, len(b.c.recipe.tokens))
	policy := parseRenewal(b.cfg.Refresh, true)
	for _, i := range b.c.recipe.order {
		t := b.program(b.c.recipe.tokens[i])
		policy.apply(&t.Policy)
		b.c.programs[i] = t
		b.c.sorted = append(b.c.sorted, t)
	}
}

// compareRequests orders own parameters as the recipe does.
func compareRequests(a, b *requestParam) int { return cmp.Compare(a.param, b.param) }
