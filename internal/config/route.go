package config

import (
	"slices"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/internal/shape"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// routeDraft is a route with what is needed to compare it with others.
type routeDraft struct {
	Route
	at   yamldoc.Value
	name yamldoc.Value // zero: made of host and path
	ok   bool          // host, path and methods are known
}

// routes reads all routes and finds those that get in each other's way.
func (l *loader) routes(v yamldoc.Value) {
	var before []routeDraft
	for _, item := range v.List(false) {
		r := l.route(item)
		compare(r, before)
		before = append(before, r)
		l.cfg.Routes = append(l.cfg.Routes, r.Route)
	}
}

// route reads one route.
func (l *loader) route(v yamldoc.Value) routeDraft {
	start := l.rep.Len()
	o := v.Object(routeShape())
	r := routeDraft{at: v, name: o.Get("name"), Route: Route{Path: "/"}}
	if at := o.Get("host"); !at.IsZero() {
		r.Host, _ = routeHost(at)
	}
	if at := o.Get("path"); !at.IsZero() {
		r.Path, _ = prefix(at)
	}
	r.Methods = methods(o.Get("methods"))
	r.ok = v.IsMap() && l.rep.Len() == start
	r.Name = r.Host + r.Path
	if r.Host != "" && r.Path == "/" {
		r.Name = r.Host
	}
	if name, ok := r.name.Text(); ok && checkName(r.name, name) {
		r.Name = name
	}
	l.waits(o, &r.Route)
	moving, allowed := l.upstream(o, &r.Route)
	used, usable := l.use(o.Get("use"))
	allow := allowList(o.Get("allow"))
	// What the route says on its own may be about a credential that is not
	// usable, so it cannot be judged without it.
	own := o.Has("inject") || o.Has("refused") || o.Has("renewed") || o.Has("allow") || !moving.IsZero()
	if v.IsMap() && (usable || !own) {
		r.Plan, _ = recipe.NewPlan(l.rep, recipe.RouteConfig{
			Name: r.Name, At: v, Use: used, Allow: allow,
			Inject: o.Get("inject"), Refused: o.Get("refused"), Renewed: o.Get("renewed"),
			Upstream: moving, UpstreamAllow: allowed,
		})
	}
	return r
}

// waits reads what bounds a request.
func (l *loader) waits(o yamldoc.Object, r *Route) {
	r.Optional, _ = o.Bool("optional")
	r.Wait = duration(o, "wait", defaultWait)
	r.ReplayMaxBody = defaultReplayMaxBody
	if n, ok := wantMap(o.Get("replay"), "{max_body: SIZE}").Object(replayShape()).Size("max_body"); ok {
		r.ReplayMaxBody = n
	}
	timeout := wantMap(o.Get("timeout"), "{dial: DURATION, response_header: DURATION}").Object(timeoutShape())
	r.DialTimeout = duration(timeout, "dial", defaultDialTimeout)
	r.HeaderTimeout = duration(timeout, "response_header", defaultHeaderTimeout)
}

// wantMap returns v if it is a map. For short maps, which are easily taken for a
// plain value: want shows what the problem of anything else says is wanted.
func wantMap(v yamldoc.Value, want string) yamldoc.Value {
	if !v.IsZero() && !v.IsMap() {
		v.Errorf("want %s, got %s", want, v.Kind())
		return yamldoc.Value{}
	}
	return v
}

// duration returns the duration at a key, or the default when there is none.
//
//go:noinline
func duration(o yamldoc.Object, key string, otherwise time.Duration) time.Duration {
	if d, ok := o.Duration(key); ok {
		return d
	}
	return otherwise
}

// methods reads a list of methods. They are compared with case, RFC 9110,
// section 9.1.
func methods(v yamldoc.Value) []string {
	var list []string
	for _, item := range v.List(true) {
		text, ok := item.Text()
		switch upper := strings.ToUpper(text); {
		case !ok:
		case !exchange.IsToken(text):
			item.Errorf("want a method such as GET")
		case upper == "CONNECT":
			item.Errorf("CONNECT is never forwarded")
		case text != upper:
			item.Errorf("methods are written in capitals: %s", upper)
		case slices.Contains(list, text):
			item.Errorf("%s stands twice", text)
		default:
			list = append(list, text)
		}
	}
	if v.IsList() && len(v.List(false)) == 0 {
		v.Errorf("want at least one method; leave the key out for all of them")
	}
	return list
}

// use finds the credentials that a route names. ok is false when one of them
// is unknown or broken: what the route does with it cannot be judged then.
func (l *loader) use(v yamldoc.Value) (used []*recipe.Credential, ok bool) {
	ok = true
	var names []string
	for _, item := range v.List(true) {
		name, isText := item.Text()
		if !isText {
			ok = false
			continue
		}
		d := l.byName[name]
		switch {
		case d == nil:
			item.Errorf("there is no credential %s%s", shown(name), yamldoc.DidYouMean(name, l.draftNames()))
			ok = false
			continue
		case slices.Contains(names, name):
			item.Errorf("%s stands twice", name)
			continue
		}
		names = append(names, name)
		d.used = true
		if d.result.Program == nil {
			ok = false
			continue
		}
		used = append(used, d.result.Program)
	}
	return used, ok
}

// shown returns a name for a message: as it is when it could be one.
func shown(name string) string {
	if shape.IsName(name) && len(name) <= 64 {
		return name
	}
	return "of this name"
}

// allowList reads a list of {header: NAME}, {query: NAME} or {cookie: NAME}.
func allowList(v yamldoc.Value) []exchange.Name {
	var list []exchange.Name
	for _, item := range v.List(true) {
		const want = "{header: NAME}, {query: NAME} or {cookie: NAME}"
		o := wantMap(item, want).Object(allowShape())
		kind, one := only(o, allowShape().Exactly)
		if !one {
			if item.IsMap() && len(item.Entries()) != 1 {
				item.Errorf("want %s", want)
			}
			continue
		}
		if name, ok := requestName(kind, o.Get(kind)); ok {
			list = append(list, name)
		}
	}
	return list
}

// compare notes a problem when r takes requests of a route before it, or has
// its name.
func compare(r routeDraft, before []routeDraft) {
	for _, b := range before {
		line, _ := b.at.Pos()
		if r.ok && b.ok && r.Host == b.Host && r.Path == b.Path && overlap(r.Methods, b.Methods) {
			r.at.Errorf("the route in line %d has the same host and path and takes the same methods", line)
			return
		}
	}
	for _, b := range before {
		line, _ := b.at.Pos()
		switch {
		case r.Name != b.Name:
		case !r.name.IsZero():
			r.name.Errorf("the route in line %d has this name already", line)
			return
		case r.ok && b.ok:
			r.at.Errorf("its name, made of host and path, is that of the route in line %d; add a name", line)
			return
		}
	}
}

// overlap reports whether some method is in both lists; an empty one has all.
func overlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}
