package recipe

import (
	"net/http"

	"attache/internal/exchange"
	"attache/internal/shape"
	"attache/internal/yamldoc"
	"attache/refresher"
)

// injection is an entry of `inject`.
type injection struct {
	at       yamldoc.Value
	name     exchange.Name
	value    template
	when     condition
	ifAbsent bool // mode: default
}

// refusal is an entry of `refused`.
type refusal struct {
	at      yamldoc.Value
	target  target
	matcher *matcher
}

// renewedDecl is an entry of `renewed`.
type renewedDecl struct {
	at       yamldoc.Value
	target   target
	from     extractor
	lifetime []lifetimeDecl
	hide     bool
}

// target is the token that a rule is about.
type target struct {
	cred    *Credential // routes: whose; nil: the credential of the recipe
	isParam bool        // a parameter that is another credential's token
	index   int         // into the recipe's tokens or parameters
}

// errorRule is an entry of `errors`.
type errorRule struct {
	matcher *matcher
	class   refresher.Class
	message []extractor
}

// parseClass reads class.
func parseClass(o yamldoc.Object) refresher.Class {
	o.Require("class")
	word, _ := o.OneOf("class")
	switch word {
	case "permanent":
		return refresher.Permanent
	case "throttled":
		return refresher.Throttled
	}
	return refresher.Transient
}

// parseInjection reads an entry of `inject`. r is nil for a route's, where
// nothing is left to decide by parameters.
func parseInjection(v yamldoc.Value, names resolver, r *Recipe) (d injection, ok bool) {
	keys := RouteInjectShape()
	if r != nil {
		keys = injectShape()
	}
	o := v.Object(keys)
	d.at = v
	d.name, ok = parseName(o)
	if ok {
		ok = checkInjected(v, d.name)
	}
	if r != nil && o.Has("when") {
		d.when = parseCondition(o.Get("when"), r)
	}
	mode, _ := o.OneOf("mode")
	d.ifAbsent = mode == "default"
	value := o.Require("value")
	if value.IsZero() {
		return d, false
	}
	var good bool
	d.value, good = parseTemplate(value, names)
	return d, ok && good
}

// checkInjected reports names that cannot be injected.
func checkInjected(v yamldoc.Value, n exchange.Name) bool {
	switch canonical := http.CanonicalHeaderKey(n.Name); {
	case n.In == exchange.Query && (n.Name == "" || !shape.Only(n.Name, shape.Alphanumeric+"._~-")):
		v.Errorf("the query parameter %q cannot be injected: want letters, digits and - . _ ~", n.Name)
	case n.In != exchange.Header:
		return true
	case canonical == "Cookie":
		v.Errorf("to inject a cookie say cookie: NAME")
	case ownHeader(canonical):
		v.Errorf("the header %s is attache's own to set", canonical)
	default:
		return true
	}
	return false
}

// ownHeader reports headers that nobody but attache may set: those of the
// connection, and what it can decode of an answer.
func ownHeader(canonical string) bool {
	return exchange.OfConnection(canonical) || canonical == "Accept-Encoding"
}

// parseName reads one of header, query and cookie.
func parseName(o yamldoc.Object) (n exchange.Name, ok bool) {
	for _, in := range []exchange.Place{exchange.Header, exchange.Query, exchange.Cookie} {
		v := o.Get(in.String())
		if v.IsZero() {
			continue
		}
		if ok {
			o.Self().Errorf("says both %s and %s", n.In, in)
			return n, false
		}
		text, isText := v.Text()
		if !isText {
			return n, false
		}
		if text == "" || in != exchange.Query && !exchange.IsToken(text) {
			v.Errorf("%q is no name of a %s", text, in)
			return n, false
		}
		n, ok = exchange.Name{In: in, Name: text}, true
	}
	if !ok && o.Self().IsMap() {
		o.Self().Errorf("want one of header, query, cookie")
	}
	return n, ok
}

// parseNames reads a list of names such as `strip`.
func parseNames(v yamldoc.Value) []exchange.Name {
	var names []exchange.Name
	for _, item := range v.List(false) {
		n, ok := parseName(item.Object(placeShape()))
		if !ok {
			continue
		}
		if key := http.CanonicalHeaderKey(n.Name); n.In == exchange.Header && exchange.OfConnection(key) {
			item.Errorf("the header %s belongs to the connection and never reaches the upstream as the client sent it", key)
			continue
		}
		names = append(names, n)
	}
	return names
}

// parseRefusal reads an entry of `refused`; find resolves its token.
func parseRefusal(v yamldoc.Value, find func(yamldoc.Value) (target, bool), r *Recipe) (refusal, bool) {
	keys := RouteRefusedShape()
	if r != nil {
		keys = refusedShape()
	}
	o := v.Object(keys)
	to, ok := parseTarget(o, find)
	return refusal{at: v, target: to, matcher: parseMatcher(o, r)}, ok
}

// parseRenewed reads an entry of `renewed`; find resolves its token.
func parseRenewed(v yamldoc.Value, find func(yamldoc.Value) (target, bool)) (renewedDecl, bool) {
	o := v.Object(renewedShape())
	d := renewedDecl{at: v}
	var ok bool
	d.target, ok = parseTarget(o, find)
	d.from = parseExtractor(o, "header", "json", "cookie")
	d.from.trim, _ = o.Get("trim").Text()
	d.lifetime = parseLifetime(o.Require("lifetime"), []extractor{d.from})
	if d.hide, _ = o.Bool("hide"); d.hide && d.from.json != "" {
		o.Get("hide").Errorf("only headers and cookies can be hidden; a body passes unchanged")
	}
	return d, ok
}

func parseTarget(o yamldoc.Object, find func(yamldoc.Value) (target, bool)) (target, bool) {
	v := o.Require("token")
	if v.IsZero() {
		return target{}, false
	}
	return find(v)
}

// recipeTarget resolves the token of a recipe's rule: a token, or a parameter
// that may be given as {credential: …}.
func recipeTarget(v yamldoc.Value, r *Recipe) (target, bool) {
	name, ok := v.Text()
	if !ok {
		return target{}, false
	}
	if i := r.tokenIndex(name); i >= 0 {
		return target{index: i}, true
	}
	if i, ok := r.index[name]; ok {
		return target{isParam: true, index: i}, true
	}
	v.Errorf("%q is no token of this recipe%s", name, yamldoc.DidYouMean(name, append(r.TokenNames(), r.paramNames()...)))
	return target{}, false
}
