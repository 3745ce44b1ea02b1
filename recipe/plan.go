package recipe

import (
	"cmp"
	"crypto/rand"
	"io"
	"slices"
	"time"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// RouteConfig is what [NewPlan] makes a plan of.
type RouteConfig struct {
	Name string
	At   yamldoc.Value // the route, for mistakes about the whole
	Use  []*Credential
	// Inject, Refused and Renewed replace the recipes' lists; zero: they stay.
	// Names in them are ${CREDENTIAL.NAME}, tokens CREDENTIAL.TOKEN.
	Inject, Refused, Renewed yamldoc.Value
	// Allow names what the client may send although a recipe strips it.
	Allow []exchange.Name
	// Upstream is the route's upstream if it mentions outputs of tokens, which
	// then has to match UpstreamAllow; zero: it is fixed.
	Upstream      yamldoc.Value
	UpstreamAllow []UpstreamPattern
}

// Plan says what a route does with requests and answers. It is immutable and
// safe for concurrent use.
type Plan struct {
	slots    []Slot
	fields   []planField
	strip    []exchange.Name
	keepOne  []exchange.Name
	hide     []exchange.Name
	requests []*requestParam // what the vector of Params holds
	derived  []paramRef      // defaults that depend on the request, to be checked with it
	refused  [][]planRule    // a list for each credential, of which the first match counts
	renewed  []planRenewal
	paths    *jsonPaths    // where rules look at bodies
	bodies   bool          // some rule looks at bodies
	trailers bool          // some rule looks at trailers
	upstream *planUpstream // nil: it is fixed
	now      func() time.Time
	random   io.Reader
}

// paramRef is a parameter of a credential.
type paramRef struct {
	cred  *Credential
	param int
}

// Slot is a token that a route uses.
type Slot struct {
	Credential *Credential
	Token      string
	Params     []int // indexes into the vector of [Plan.Params], in the order of [TokenProgram].Params
}

// NewPlan joins the credentials of one route. Mistakes are noted in rep, and
// ok is false.
func NewPlan(rep *yamldoc.Report, cfg RouteConfig) (p *Plan, ok bool) {
	before := rep.Len()
	b := &planner{rep: rep, cfg: cfg, p: &Plan{now: time.Now, random: rand.Reader}}
	b.inject()
	b.upstream()
	b.rules()
	b.paths()
	b.strip()
	if b.failed || rep.Len() != before {
		return nil, false
	}
	b.number()
	return b.p, true
}

// errorf notes a problem at v.
func (b *planner) errorf(v yamldoc.Value, format string, args ...any) {
	b.failed = true
	report(b.rep, v, format, args...)
}

// Slots returns every token that the route uses, each once, parents before
// children.
func (p *Plan) Slots() []Slot { return p.slots }

// Strip returns what is removed from the client's request: what recipes strip,
// what is injected, and where parameters come from; less what the route
// allows. Of a header every spelling is meant: case, and _ for -.
func (p *Plan) Strip() []exchange.Name { return p.strip }

// KeepOne returns the names that are injected with mode default: exactly one
// client value of exactly that name stays.
func (p *Plan) KeepOne() []exchange.Name { return p.keepOne }

// Hide returns the headers and cookies that are removed from every answer.
func (p *Plan) Hide() []exchange.Name { return p.hide }

// InjectsQuery reports whether a query parameter is injected.
func (p *Plan) InjectsQuery() bool {
	return slices.ContainsFunc(p.fields, func(f planField) bool { return f.field.In == exchange.Query })
}

// HasBodyRules reports whether the body of an answer can matter: the upstream
// must then not be offered an encoding that nobody here decodes.
func (p *Plan) HasBodyRules() bool { return p.bodies }

// HasTrailerRules reports whether the trailer of an answer can matter, as that of
// a gRPC answer does to grpc.
func (p *Plan) HasTrailerRules() bool { return p.trailers }

// planner makes one Plan.
type planner struct {
	rep      *yamldoc.Report
	cfg      RouteConfig
	p        *Plan
	programs []*TokenProgram // of the slots; sorted by number
	injected []exchange.Name // also those whose value is left out
	failed   bool            // also when rep knew the problem already
}

// ownedInjection is an injection and the credential whose recipe says it; nil
// for the route's own.
type ownedInjection struct {
	injection
	owner *Credential
}

func (b *planner) inject() {
	var list []ownedInjection
	if v := b.cfg.Inject; v.IsZero() {
		for _, c := range b.cfg.Use {
			for _, d := range c.inject {
				list = append(list, ownedInjection{d, c})
			}
		}
	} else {
		for _, item := range v.List(false) {
			if d, ok := parseInjection(item, routeScope{b.cfg.Use}, nil); ok {
				list = append(list, ownedInjection{d, nil})
			}
		}
	}
	seen := map[exchange.Name]*Credential{}
	for _, d := range list {
		key := exchange.Fold(d.name)
		if other, twice := seen[key]; twice {
			b.twice(d, other)
			continue
		}
		seen[key] = d.owner
		b.injected = append(b.injected, d.name)
		if d.ifAbsent {
			b.p.keepOne = append(b.p.keepOne, d.name)
		}
		if f, ok := b.field(d); ok {
			b.p.fields = append(b.p.fields, f)
		}
	}
}

func (b *planner) twice(d ownedInjection, other *Credential) {
	if d.owner == nil || other == nil {
		b.errorf(d.at, "%s %s is injected twice", d.name.In, d.name.Name)
		return
	}
	b.errorf(b.cfg.At, "the credentials %s and %s both inject %s %s; use one of them, or say with inject what goes where",
		other.name, d.owner.name, d.name.In, d.name.Name)
}

// need makes a token one of the plan's slots.
func (b *planner) need(t *TokenProgram) {
	if !slices.Contains(b.programs, t) {
		b.programs = append(b.programs, t)
	}
}

// needParam makes a request parameter part of the plan's vector.
func (b *planner) needParam(req *requestParam) int {
	if i := slices.Index(b.p.requests, req); i >= 0 {
		return i
	}
	b.p.requests = append(b.p.requests, req)
	return len(b.p.requests) - 1
}

// number orders the slots, parents first, and puts numbers in place of
// programs.
func (b *planner) number() {
	slices.SortStableFunc(b.programs, func(x, y *TokenProgram) int { return cmp.Compare(x.depth(), y.depth()) })
	for _, t := range b.programs {
		s := Slot{Credential: t.cred, Token: t.Name}
		for _, req := range t.requests {
			s.Params = append(s.Params, b.needParam(req))
		}
		b.p.slots = append(b.p.slots, s)
		b.needDerived(t.cred, t.mentioned)
	}
	for i := range b.p.fields {
		b.p.fields[i].number(b.programs)
	}
	if up := b.p.upstream; up != nil {
		for i := range up.pieces {
			up.pieces[i].slot = slices.Index(b.programs, up.pieces[i].program)
		}
	}
	for _, group := range b.p.refused {
		for i := range group {
			group[i].slot = slices.Index(b.programs, group[i].program)
		}
	}
	for i := range b.p.renewed {
		b.p.renewed[i].slot = slices.Index(b.programs, b.p.renewed[i].program)
	}
}

// needDerived notes which of the parameters are defaults over the request.
func (b *planner) needDerived(c *Credential, params []int) {
	for _, i := range params {
		ref := paramRef{c, i}
		if c.bindings[i].kind == bindDerived && !c.depends(i, bindToken) && !slices.Contains(b.p.derived, ref) {
			b.p.derived = append(b.p.derived, ref)
		}
	}
}

// depth is the length of the longest chain of tokens below t.
func (t *TokenProgram) depth() int {
	d := 0
	for _, parent := range t.parents {
		d = max(d, parent.depth()+1)
	}
	return d
}

// strip collects what is removed from the client's request. What a recipe
// strips stays stripped when the route's own lists replace the recipe's: those
// names carry authority, whoever injects them.
func (b *planner) strip() {
	allowed := map[exchange.Name]bool{}
	for _, n := range b.cfg.Allow {
		allowed[exchange.Fold(n)] = true
	}
	used := map[exchange.Name]bool{}
	seen := map[exchange.Name]bool{}
	add := func(n exchange.Name) {
		key := exchange.Fold(n)
		used[key] = true
		if !seen[key] && !allowed[key] {
			seen[key] = true
			b.p.strip = append(b.p.strip, n)
		}
	}
	for _, n := range b.injected {
		if allowed[exchange.Fold(n)] {
			b.errorf(b.cfg.At, "allow names %s %s, which this route injects; mode: default lets the client's own value stay", n.In, n.Name)
		}
		add(n)
	}
	for _, c := range b.cfg.Use {
		for _, n := range c.recipe.strip {
			add(n)
		}
		for _, d := range c.inject {
			add(d.name)
		}
		for _, req := range c.requests {
			add(req.name)
		}
	}
	for _, n := range b.cfg.Allow {
		if !used[exchange.Fold(n)] {
			b.errorf(b.cfg.At, "allow names %s %s, which nothing strips%s", n.In, n.Name, b.nearName(n, used))
		}
	}
}

func (b *planner) nearName(n exchange.Name, used map[exchange.Name]bool) string {
	var words []string
	for u := range used {
		if u.In == n.In {
			words = append(words, u.Name)
		}
	}
	slices.Sort(words)
	return yamldoc.DidYouMean(n.Name, words)
}
