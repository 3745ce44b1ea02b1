package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"attache/internal/exchange"
	"attache/internal/http1"
)

// route is a Route with everything worked out that does not depend on the
// request.
type route struct {
	Route
	prefix   string   // Path without a slash at its end
	upstream endpoint // the zero value: tokens say it
	strip    stripper
	hide     names             // headers
	hideSet  []string          // cookies
	keys     map[string]string // header names of the plan → canonical keys
	bodies   bool
	trailers bool
	metrics  RouteMetrics
	direct   *Transport // what Transport is, if the upstream is always the same; or nil
}

// client returns what sends plain requests of HTTP/1.1, as [Transport.client] does.
func (r *route) client() (*http1.Client, time.Duration) {
	if r.direct == nil {
		return nil, 0
	}
	return r.direct.client()
}

// endpoint is an upstream as requests name it.
type endpoint struct {
	scheme string // http or https
	host   string // the Host header as well
	base   string // raw path
	socket string // path of a Unix socket; empty: TCP
}

// endpointOf reads an upstream's URL.
func endpointOf(u *url.URL) (endpoint, error) {
	switch {
	case u == nil:
		return endpoint{}, errors.New("there is no upstream")
	case u.User != nil:
		return endpoint{}, errors.New("the upstream must not contain a user name or password; use a credential")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return endpoint{}, errors.New("the upstream must be scheme, host and path alone")
	}
	path := u.EscapedPath()
	switch {
	case u.Scheme == "unix":
		// "localhost" is what most servers on a socket answer to.
		e := endpoint{scheme: "http", host: "localhost", socket: u.Path}
		if socket, base, ok := strings.Cut(u.Path, ":/"); ok {
			e.socket, e.base = socket, "/"+base
		}
		if u.Host != "" || !strings.HasPrefix(e.socket, "/") {
			return endpoint{}, errors.New("the upstream's socket must be an absolute path, as in unix:/run/app.sock")
		}
		return e, nil
	case u.Scheme != "http" && u.Scheme != "https":
		return endpoint{}, fmt.Errorf("the upstream's scheme must be http, https or unix, not %q", u.Scheme)
	case u.Host == "":
		return endpoint{}, errors.New("the upstream has no host")
	case hasDotSegment(path):
		return endpoint{}, errors.New("the upstream's path must not contain dot segments")
	}
	return endpoint{scheme: u.Scheme, host: u.Host, base: path}, nil
}

func newRoute(cfg Route) (*route, error) {
	r := &route{Route: cfg, prefix: strings.TrimSuffix(cfg.Path, "/"), keys: map[string]string{}}
	r.Host = strings.TrimSuffix(strings.ToLower(cfg.Host), ".")
	if r.Plan == nil {
		r.Plan = noPlan{}
	}
	var err error
	if cfg.Resolve == nil {
		if r.upstream, err = endpointOf(cfg.Upstream); err != nil {
			return nil, err
		}
		r.direct, _ = cfg.Transport.(*Transport)
	}
	switch {
	case r.prefix != "" && r.prefix[0] != '/':
		return nil, errors.New("the path must begin with a slash")
	case strings.ContainsAny(r.prefix, "?#") || hasDotSegment(r.prefix):
		return nil, errors.New("the path must not contain a query, a fragment or dot segments")
	case r.Transport == nil:
		return nil, errors.New("there is no transport")
	}
	for i := range r.Slots {
		if r.Slots[i].Pool == nil {
			return nil, fmt.Errorf("token %s.%s has no pool", r.Slots[i].Credential, r.Slots[i].Token)
		}
	}
	return r, r.compile()
}

// compile works out what the plan means for names.
func (r *route) compile() error {
	for _, n := range slices.Concat(r.Plan.Strip(), r.Plan.KeepOne()) {
		if n.In != exchange.Header {
			continue
		}
		key := http.CanonicalHeaderKey(n.Name)
		if isHop(key) || isFraming(key) {
			return fmt.Errorf("the header %s belongs to the connection and can be neither stripped nor injected", key)
		}
		r.keys[n.Name] = key
	}
	r.strip = newStripper(r.Plan.Strip(), r.Plan.KeepOne())
	r.bodies, r.trailers = r.Plan.HasBodyRules(), r.Plan.HasTrailerRules()
	for _, n := range r.Plan.Hide() {
		switch n.In {
		case exchange.Header:
			r.hide = append(r.hide, newName(n))
		case exchange.Cookie:
			r.hideSet = append(r.hideSet, n.Name)
		}
	}
	return nil
}

// key returns the canonical key of a header that the plan injects.
func (r *route) key(name string) string {
	if key, ok := r.keys[name]; ok {
		return key
	}
	return http.CanonicalHeaderKey(name)
}

func (r *route) takes(method string) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method)
}

// table finds routes. It does not change once it is sorted.
type table struct {
	hosts map[string][]*place
	any   []*place
}

// place is a path prefix of one host and the routes there, which differ in
// their methods.
type place struct {
	prefix string
	routes []*route
}

func (t *table) add(r *route) error {
	places := t.any
	if r.Host != "" {
		places = t.hosts[r.Host]
	}
	i := slices.IndexFunc(places, func(p *place) bool { return p.prefix == r.prefix })
	if i < 0 {
		places = append(places, &place{prefix: r.prefix})
		i = len(places) - 1
	}
	for _, other := range places[i].routes {
		if len(r.Methods) == 0 || len(other.Methods) == 0 || slices.ContainsFunc(r.Methods, other.takes) {
			return fmt.Errorf("route %s has the same host and path, and a method in common", other.Name)
		}
	}
	places[i].routes = append(places[i].routes, r)
	if r.Host == "" {
		t.any = places
		return nil
	}
	if t.hosts == nil {
		t.hosts = map[string][]*place{}
	}
	t.hosts[r.Host] = places
	return nil
}

// sort puts longer prefixes first.
func (t *table) sort() {
	longest := func(a, b *place) int { return cmp.Compare(len(b.prefix), len(a.prefix)) }
	slices.SortFunc(t.any, longest)
	for _, places := range t.hosts {
		slices.SortFunc(places, longest)
	}
}

// find returns the routes for a raw path: those of the exact host before those
// of any host, and of these the ones with the longest prefix. nil: there is
// none.
func (t *table) find(host, path string) *place {
	if len(t.hosts) > 0 {
		host = strings.ToLower(host)
		if p := longest(t.hosts[host], path); p != nil {
			return p
		}
		if p := longest(t.hosts[hostName(host)], path); p != nil {
			return p
		}
	}
	return longest(t.any, path)
}

func longest(places []*place, path string) *place {
	for _, p := range places {
		if below(path, p.prefix) {
			return p
		}
	}
	return nil
}

// below reports whether path is prefix or continues it with a new segment.
// prefix does not end with a slash.
func below(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}

// route returns the route that takes method, or nil and the methods that are
// taken here, for an Allow header.
func (p *place) route(method string) (r *route, allow string) {
	var methods []string
	for _, r := range p.routes {
		if r.takes(method) {
			return r, ""
		}
		methods = append(methods, r.Methods...)
	}
	slices.Sort(methods)
	return nil, strings.Join(slices.Compact(methods), ", ")
}

// hostName returns the host of a Host header in lower case, without port and
// without the dot of a fully qualified name. Brackets of an IPv6 address stay.
// What does not end like host:port is left whole, so that it equals no name.
func hostName(host string) string {
	host = strings.ToLower(host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}
