package config

import (
	"slices"
	"strings"

	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

// draft is a credential on its way from the file to the [Config].
type draft struct {
	name string
	at   yamldoc.Value
	// broken: a problem was noted, here or in a credential that this one needs,
	// so the result of binding is of no use.
	broken  bool
	used    bool // a route or another credential names it
	visit   visit
	recipe  *recipe.Recipe
	with    map[string]recipe.Origin
	needs   []string // the members of with that name a credential, in the order of the file
	refresh yamldoc.Value
	// required: true or false as the file says; given tells whether it does.
	required, given bool
	instances       yamldoc.Value
	result          Credential
}

// visit is how far [loader.bind] came with a draft.
type visit uint8

const (
	notYet visit = iota
	underWay
	done
)

// credentials reads and binds all credentials, parents before children.
func (l *loader) credentials(v yamldoc.Value) {
	for _, e := range v.Entries() {
		d := l.credential(e)
		l.drafts = append(l.drafts, d)
		l.byName[d.name] = d
	}
	for _, d := range l.drafts {
		l.bind(d, nil)
	}
	l.markRequired()
}

func (l *loader) draftNames() []string {
	names := make([]string, len(l.drafts))
	for i, d := range l.drafts {
		names[i] = d.name
	}
	return names
}

// credential reads one credential.
func (l *loader) credential(e yamldoc.Entry) *draft {
	d := &draft{name: e.Name, at: e.Value, with: map[string]recipe.Origin{}, result: Credential{Name: e.Name}}
	d.broken = !checkName(e.Key, e.Name)
	o := e.Value.Object(credentialShape())
	if d.recipe = l.recipe(o.Require("recipe")); d.recipe == nil {
		d.broken = true
	}
	with := o.Get("with")
	if !with.IsZero() && !with.IsMap() {
		d.recipe = nil // binding would call every parameter missing
		d.broken = true
	}
	for _, p := range with.Entries() {
		or, ok := l.origin(p.Value)
		if !ok {
			d.broken = true
		}
		d.with[p.Name] = or
		if or.Credential != "" {
			d.needs = append(d.needs, p.Name)
		}
	}
	d.required, d.given = o.Bool("required")
	d.refresh = o.Get("refresh")
	d.instances = o.Get("instances")
	d.result.Limits = limits(d.instances)
	d.result.TLS = l.tls(o.Get("tls"))
	d.result.Proxy = l.proxy(o.Get("proxy"))
	return d
}

// limits reads {max, idle, logins_per_minute}.
func limits(v yamldoc.Value) refresher.Limits {
	limits := refresher.Limits{Max: defaultMaxInstances, Idle: defaultIdle, LoginsPerMinute: defaultLoginRate}
	o := v.Object(instancesShape())
	if n, ok := o.Int("max"); ok {
		limits.Max = int(n)
	}
	if d, ok := o.Duration("idle"); ok {
		limits.Idle = d
	}
	if n, ok := o.Int("logins_per_minute"); ok {
		limits.LoginsPerMinute = int(n)
	}
	return limits
}

// bind binds d after the credentials that it needs. chain holds the drafts
// that led here, for the report of a cycle.
func (l *loader) bind(d *draft, chain []string) {
	if d.visit != notYet {
		return
	}
	d.visit = underWay
	chain = append(chain, d.name)
	for _, param := range d.needs {
		if or := d.with[param]; !l.need(d, or, chain) {
			d.broken = true
			d.with[param] = recipe.Origin{At: or.At}
		}
	}
	d.visit = done
	if d.recipe == nil {
		return
	}
	// Also what is broken is bound: that finds further mistakes.
	program, ok := recipe.Bind(l.rep, d.recipe, recipe.BindConfig{
		Name: d.name, At: d.at, With: d.with, Refresh: d.refresh,
		Lookup: func(name string) *recipe.Credential {
			if needed := l.byName[name]; needed != nil {
				return needed.result.Program
			}
			return nil
		},
	})
	if d.broken = d.broken || !ok; d.broken {
		return
	}
	d.result.Program = program
	l.cfg.Credentials = append(l.cfg.Credentials, d.result)
}

// need binds a credential that d needs and reports whether d can use it. If it
// is broken there is no problem of d's own: mending the one mends the other.
func (l *loader) need(d *draft, or recipe.Origin, chain []string) bool {
	other := l.byName[or.Credential]
	if other == nil {
		or.At.Errorf("there is no credential %s%s", or.Credential, yamldoc.DidYouMean(or.Credential, l.draftNames()))
		return false
	}
	other.used = true
	if other.visit == underWay {
		cycle := append(slices.Clone(chain[slices.Index(chain, other.name):]), other.name)
		or.At.Errorf("credentials need each other in a circle: %s", strings.Join(cycle, " → "))
		return false
	}
	l.bind(other, chain)
	return !other.broken
}

// keyed reports whether a value of the credential comes from requests.
func keyed(c *recipe.Credential) bool { return len(c.RequestParams()) > 0 }

// markRequired fills [Credential].RequiredTokens.
func (l *loader) markRequired() {
	required := map[string]map[string]bool{} // credential → token
	mark := func(credential, token string) {
		if required[credential] == nil {
			required[credential] = map[string]bool{}
		}
		required[credential][token] = true
	}
	for _, d := range l.drafts {
		c := d.result.Program
		if c == nil {
			continue
		}
		itself := !keyed(c)
		if d.given {
			itself = d.required
		}
		for _, t := range c.Tokens() {
			switch {
			case len(t.Params) == 0 && itself:
				mark(d.name, t.Name)
			case len(t.Params) > 0 && (!d.given || d.required):
				markParents(t, mark)
			}
		}
	}
	for i := range l.cfg.Credentials {
		c := &l.cfg.Credentials[i]
		for _, t := range c.Program.Tokens() {
			if required[c.Name][t.Name] {
				c.RequiredTokens = append(c.RequiredTokens, t.Name)
			}
		}
	}
}

// markParents marks the unkeyed tokens that t needs, however far up.
func markParents(t *recipe.TokenProgram, mark func(credential, token string)) {
	for _, ref := range t.Parents {
		for _, parent := range ref.Credential.Tokens() {
			if parent.Name != ref.Token {
				continue
			}
			if len(parent.Params) == 0 {
				mark(ref.Credential.Name(), parent.Name)
			}
			markParents(parent, mark)
		}
	}
}
