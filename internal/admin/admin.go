// Package admin owns what attache tells about itself over HTTP: health,
// metrics and the state of every token and route. It changes nothing and holds
// no secret: tokens reach it as [refresher.PoolStatus], which has none.
//
// It comes as two handlers. [Admin.Handler] is for the admin listener and
// explains; the caller guards it against foreign Hosts and Origins.
// [Admin.Probes] is for a listener that Prometheus and the kubelet reach over
// the network; it takes any Host, and says yes or no and never why.
package admin

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"attache/refresher"
)

// Config says where the answers come from. All functions are called for each
// request that needs them, concurrently.
type Config struct {
	// Version and Revision are shown as they are.
	Version, Revision string
	// Pools returns the state of every token; it must be set. All tokens have
	// to be there before the first probe: health waits for those that it sees.
	Pools func() []refresher.PoolStatus
	// Required reports whether health waits for a token. It is not asked about
	// tokens that depend on the request: there is nothing to wait for before
	// the first one. Nil: none is required.
	Required func(credential, token string) bool
	// Heartbeat returns when the scheduler last went round, which it does
	// every few seconds; it must be set.
	Heartbeat func() time.Time
	// Routes returns the routes in service; nil: none are shown.
	Routes func() []Route
	// Metrics serves /metrics; it must be set. It answers GET and HEAD, and
	// what it writes may be seen by everybody.
	Metrics http.Handler
}

// Route is what is shown of a route.
type Route struct {
	Name, Host, Path string
	Methods          []string // empty: all
	Upstream         *url.URL // user information and query are not shown
	Credentials      []string
	Optional         bool
}

// Admin answers questions about a running attache. Make one with [New]. Its
// methods may be called concurrently.
type Admin struct {
	cfg     Config
	started time.Time
	health  health
}

// New makes an Admin. It is an error to leave out what must be set.
func New(cfg Config) (*Admin, error) {
	switch {
	case cfg.Pools == nil:
		return nil, errors.New("make the admin API: Pools is not set")
	case cfg.Heartbeat == nil:
		return nil, errors.New("make the admin API: Heartbeat is not set")
	case cfg.Metrics == nil:
		return nil, errors.New("make the admin API: Metrics is not set")
	}
	if cfg.Required == nil {
		cfg.Required = func(string, string) bool { return false }
	}
	if cfg.Routes == nil {
		cfg.Routes = func() []Route { return nil }
	}
	now := time.Now()
	return &Admin{cfg: cfg, started: now, health: newHealth(now)}, nil
}

// Handler returns the handler of the admin listener.
func (a *Admin) Handler() http.Handler {
	e := endpoints{
		"/metrics":    a.cfg.Metrics.ServeHTTP,
		"/livez":      a.probe(a.live, true),
		"/readyz":     a.probe(a.ready, true),
		"/startupz":   a.probe(a.startup, true),
		"/api/status": a.status,
	}
	list := "attache " + a.cfg.Version + "\n\n" + strings.Join(slices.Sorted(maps.Keys(e)), "\n") + "\n"
	e["/"] = func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, list) }
	return e
}

// Probes returns the handler of the probes listener: /metrics, /livez, /readyz
// and /startupz alone.
func (a *Admin) Probes() http.Handler {
	return endpoints{
		"/metrics":  a.cfg.Metrics.ServeHTTP,
		"/livez":    a.probe(a.live, false),
		"/readyz":   a.probe(a.ready, false),
		"/startupz": a.probe(a.startup, false),
	}
}

// endpoints finds a handler by the exact path. Nothing is cleaned, decoded
// twice or redirected, and everything can be read only.
type endpoints map[string]http.HandlerFunc

func (e endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// What is served is no page. Should a browser be led to take it for one, it
	// must not run, frame or embed it.
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")

	serve, ok := e[r.URL.Path]
	switch {
	case !ok:
		text(w, http.StatusNotFound, "not found\n")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		text(w, http.StatusMethodNotAllowed, "only GET and HEAD are allowed here\n")
	default:
		serve(w, r)
	}
}

func text(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	io.WriteString(w, body) // a client that left is no concern of ours
}
