package app

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"attache/internal/admin"
	"attache/internal/config"
	"attache/proxy"
	"attache/refresher"
)

// setup is everything that one configuration makes. Once it is in service it is
// not changed.
type setup struct {
	config    *config.Config
	loaded    time.Time // when it came into service
	tokens    tokens
	change    *refresher.Change // not yet committed; nil once it is
	upstreams []upstream
	secrets   *secretFiles
	proxy     *proxy.Proxy
	handout   http.Handler // nil: no tokens are handed out
	required  map[tokenName]bool
	shown     []admin.Route
}

// handoutWait is how long a token is waited for that is to be handed out.
const handoutWait = 5 * time.Second

// build makes the setup of cfg beside old, which is in service; nil: there is
// none yet. It takes over from old what cfg leaves as it is, and changes
// nothing.
func (a *App) build(cfg *config.Config, old *setup) (*setup, error) {
	if old == nil {
		old = &setup{}
	}
	s := &setup{config: cfg, change: a.engine.Change(), required: map[tokenName]bool{}}
	var err error
	s.tokens, err = addTokens(s.change, cfg, userAgent(a.version), a.log)
	if err != nil {
		return nil, err
	}
	s.secrets = newSecretFiles(cfg, s.tokens, a.log)
	routes, err := s.proxyRoutes(old)
	if err != nil {
		s.discard(old)
		return nil, err
	}
	level := map[string]proxy.RequestLog{"none": proxy.LogNone, "errors": proxy.LogErrors, "all": proxy.LogAll}
	s.proxy, err = proxy.New(proxy.Config{
		Routes: routes, Logger: a.log, Requests: level[cfg.Log.Requests], Streams: &a.streams,
		Metrics: func(route string) proxy.RouteMetrics { return a.metrics.Route(route) },
	})
	if err != nil {
		s.discard(old)
		return nil, err
	}
	if cfg.Handout != nil {
		s.handout = proxy.NewHandout(s.tokens.handout(cfg), handoutWait, a.log)
	}
	for _, c := range cfg.Credentials {
		for _, token := range c.RequiredTokens {
			s.required[tokenName{c.Name, token}] = true
		}
	}
	s.shown = a.shownRoutes(cfg)
	return s, nil
}

// upstream is the way to the upstream of one or several routes.
type upstream struct {
	route     config.Route // one of them
	transport closingSender
}

// closingSender is a [proxy.Transport] or a [proxy.MovingTransport].
type closingSender interface {
	proxy.Sender
	Close()
}

// proxyRoutes makes the routes. Those that want the same of the same upstream
// share its connections, also with the routes of old: a reload leaves warm
// connections alone.
func (s *setup) proxyRoutes(old *setup) ([]proxy.Route, error) {
	var routes []proxy.Route
	for _, r := range s.config.Routes {
		transport, err := s.transport(r, old)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		route := proxy.Route{
			Name: r.Name, Host: r.Host, Path: r.Path, Methods: r.Methods, Upstream: r.Upstream,
			Plan: r.Plan, Slots: s.tokens.slots(r.Plan), Optional: r.Optional,
			Wait: r.Wait, ReplayMaxBody: r.ReplayMaxBody, Transport: transport,
		}
		if r.Upstream == nil {
			route.Resolve = r.Plan.Upstream
		}
		routes = append(routes, route)
	}
	return routes, nil
}

func (s *setup) transport(r config.Route, old *setup) (closingSender, error) {
	same := func(u upstream) bool { return u.route.SameUpstream(&r) }
	if i := slices.IndexFunc(s.upstreams, same); i >= 0 {
		return s.upstreams[i].transport, nil
	}
	if i := slices.IndexFunc(old.upstreams, same); i >= 0 {
		s.upstreams = append(s.upstreams, old.upstreams[i])
		return old.upstreams[i].transport, nil
	}
	cfg := proxy.TransportConfig{
		Upstream: r.Upstream, Protocol: r.Protocol, TLS: r.TLS.ClientConfig(), Proxy: r.Proxy.Func(),
		DialTimeout: r.DialTimeout, HeaderTimeout: r.HeaderTimeout,
	}
	var transport closingSender = proxy.NewMovingTransport(cfg)
	if r.Upstream != nil {
		fixed, err := proxy.NewTransport(cfg)
		if err != nil {
			return nil, err
		}
		transport = fixed
	}
	s.upstreams = append(s.upstreams, upstream{r, transport})
	return transport, nil
}

// discard gives up a setup that does not come into service.
func (s *setup) discard(old *setup) { closeUpstreams(s, old) }

// takeOver ends what old had and s does not, renews the tokens whose secrets
// changed while the configuration was read, and has logins tried again that may
// have failed for what was changed. Old may be nil.
func (s *setup) takeOver(old *setup) {
	if old == nil {
		return
	}
	closeUpstreams(old, s)
	s.secrets.takeOver(old.secrets)
	for i := range s.config.Credentials {
		c := &s.config.Credentials[i]
		for j := range old.config.Credentials {
			if before := &old.config.Credentials[j]; before.Name == c.Name && !before.SameWay(c) {
				s.tokens.retry(c)
			}
		}
	}
}

// closeUpstreams closes the transports of s that other, which may be nil, does
// not have. Requests under way finish on them.
func closeUpstreams(s, other *setup) {
	for _, u := range s.upstreams {
		kept := other != nil && slices.ContainsFunc(other.upstreams, func(o upstream) bool { return o.transport == u.transport })
		if !kept {
			u.transport.Close()
		}
	}
}

func (s *setup) routeNames() []string {
	var names []string
	for _, r := range s.config.Routes {
		names = append(names, r.Name)
	}
	return names
}

func (s *setup) credentialNames() []string {
	var names []string
	for _, c := range s.config.Credentials {
		names = append(names, c.Name)
	}
	return names
}

// shownRoutes returns the routes as the admin API shows them.
func (a *App) shownRoutes(cfg *config.Config) []admin.Route {
	var routes []admin.Route
	for _, r := range cfg.Routes {
		counts := a.metrics.Route(r.Name)
		shown := admin.Route{
			Name: r.Name, Host: r.Host, Path: r.Path, Methods: r.Methods, Upstream: r.Upstream, UpstreamOf: r.UpstreamOf, Optional: r.Optional,
			Totals: func() admin.Totals { return admin.Totals(counts.Totals()) },
		}
		for _, s := range r.Plan.Slots() {
			if name := s.Credential.Name(); !slices.Contains(shown.Credentials, name) {
				shown.Credentials = append(shown.Credentials, name)
			}
		}
		routes = append(routes, shown)
	}
	return routes
}
