// Package admin owns what attache tells about itself over HTTP: health,
// metrics, the state of every token and route, what happened of late, and a page
// that shows it; and its verbs, which reload the configuration, renew a token and
// end the process. It holds no secret: tokens reach it as [refresher.PoolStatus]
// and [refresher.Event], which have none.
//
// It comes as two handlers. [Admin.Handler] is for the admin listener and
// explains; the caller guards it against foreign Hosts and Origins.
// [Admin.Probes] is for a listener that Prometheus and the kubelet reach over
// the network; it takes any Host, and says yes or no and never why.
package admin

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
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
	// Loaded returns what is known of the configuration in service; nil: nothing
	// is shown of it.
	Loaded func() Configuration
	// Reload loads the configuration anew and returns once it is in service, or
	// why it is not; the text is shown to whoever asked. Nil: there is no
	// /-/reload.
	Reload func(context.Context) error
	// Renew has a token renewed that does not depend on the request, and returns at
	// once: [ErrNoToken], [ErrKeyed], [refresher.ErrTooOften] or nil. It keeps whatever
	// limits logins. Nil: there is no /-/renew.
	Renew func(credential, token string) error
	// Journal is what /api/events and the marks of tokens are read from; nil:
	// nothing happens.
	Journal *Journal
	// Metrics serves /metrics; it must be set. It answers GET and HEAD, and
	// what it writes may be seen by everybody.
	Metrics http.Handler
}

// Configuration is what is shown of the configuration.
type Configuration struct {
	// File is the name of the file that it was read from.
	File string
	// Loaded is when the one in service was put there.
	Loaded time.Time
	// Reload is the last try to load it anew; nil: nobody tried.
	Reload *Reload
}

// Reload is what became of a try to load the configuration anew.
type Reload struct {
	At time.Time
	// Err says why the configuration before stayed in service; nil: it was
	// replaced. It must hold no secret.
	Err error
}

// Route is what is shown of a route.
type Route struct {
	Name, Host, Path string
	Methods          []string // empty: all
	Upstream         *url.URL // user information and query are not shown
	UpstreamOf       string   // the text of one that outputs of tokens say; Upstream is nil then
	Credentials      []string
	Optional         bool
	Totals           func() Totals // called for each status, concurrently; nil: nothing was counted
}

// Totals are what a route has counted since it came into service.
type Totals struct {
	// Requests were answered, Errors of them with 500 or above.
	Requests, Errors uint64
	// Replays were sent again with a new token.
	Replays uint64
	// Unavailable counts tokens that did not come in time for a request.
	Unavailable uint64
	// Seconds is how long all requests took together.
	Seconds float64
	// Bounds are those of the buckets of their durations, in seconds and without
	// the infinite one; Within, as long, says how many took no longer than each.
	Bounds []float64
	Within []uint64
}

// Admin answers questions about a running attache. Make one with [New]. Its
// methods may be called concurrently.
type Admin struct {
	cfg     Config
	started time.Time
	health  health
	streams chan struct{}   // holds an element for each
	drained context.Context // ends when the drain begins
	drain   func()
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
	if cfg.Journal == nil {
		cfg.Journal = NewJournal()
	}
	now := time.Now()
	a := &Admin{cfg: cfg, started: now, health: newHealth(now), streams: make(chan struct{}, maxStreams)}
	a.drained, a.drain = context.WithCancel(context.Background())
	return a, nil
}

// Handler returns the handler of the admin listener. quit makes the process drain
// and end, and returns at once; nil: there is no /-/quit.
func (a *Admin) Handler(quit func()) http.Handler {
	read := map[string]http.HandlerFunc{
		"/metrics":    a.cfg.Metrics.ServeHTTP,
		"/livez":      a.probe(a.live, true),
		"/readyz":     a.probe(a.ready, true),
		"/startupz":   a.probe(a.startup, true),
		"/api/status": a.status,
		"/api/events": a.events,
	}
	act := map[string]http.HandlerFunc{}
	if a.cfg.Reload != nil {
		act["/-/reload"] = a.reload
	}
	if a.cfg.Renew != nil {
		act["/-/renew"] = a.renew
	}
	if quit != nil {
		act["/-/quit"] = func(w http.ResponseWriter, _ *http.Request) {
			text(w, http.StatusAccepted, "draining\n") // first: there may be no second
			quit()
		}
	}
	list := "attache " + a.cfg.Version + "\n\n"
	for _, path := range slices.Sorted(maps.Keys(read)) {
		list += path + "\n"
	}
	for _, path := range slices.Sorted(maps.Keys(act)) {
		list += path + " (POST)\n"
	}
	files := pageFiles()
	for path, f := range files {
		read[path] = f.serve
	}
	read["/"] = front(files["/"], list)
	return endpoints{read: read, act: act}
}

// Probes returns the handler of the probes listener: /metrics, /livez, /readyz
// and /startupz alone.
func (a *Admin) Probes() http.Handler {
	return endpoints{read: map[string]http.HandlerFunc{
		"/metrics":  a.cfg.Metrics.ServeHTTP,
		"/livez":    a.probe(a.live, false),
		"/readyz":   a.probe(a.ready, false),
		"/startupz": a.probe(a.startup, false),
	}}
}

// endpoints finds a handler by the exact path. Nothing is cleaned, decoded
// twice or redirected.
type endpoints struct {
	read map[string]http.HandlerFunc // by GET and HEAD
	act  map[string]http.HandlerFunc // by POST
}

func (e endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// What is served is no page, but for one, which says otherwise. Should a
	// browser be led to take it for one, it must not run, frame or embed it.
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")

	read, readable := e.read[r.URL.Path]
	act, acts := e.act[r.URL.Path]
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case readable && isRead:
		read(w, r)
	case readable:
		h.Set("Allow", "GET, HEAD")
		text(w, http.StatusMethodNotAllowed, "only GET and HEAD are allowed here\n")
	case acts && r.Method == http.MethodPost:
		sameOrigin(act).ServeHTTP(w, r)
	case acts:
		h.Set("Allow", "POST")
		text(w, http.StatusMethodNotAllowed, "only POST is allowed here\n")
	default:
		text(w, http.StatusNotFound, "not found\n")
	}
}

// sameOrigin returns act for requests that no page of another origin sent. The
// guard in front lets all pages of this machine in, whatever their port; to
// read, not to act.
func sameOrigin(act http.HandlerFunc) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusForbidden, "a web page of another origin cannot do this\n")
	}))
	return protection.Handler(act)
}

// reload answers once the new configuration is in service. A configuration that
// is wrong is the caller's mistake, not the server's.
func (a *Admin) reload(w http.ResponseWriter, r *http.Request) {
	if err := a.cfg.Reload(r.Context()); err != nil {
		text(w, http.StatusUnprocessableEntity, err.Error()+"\nThe configuration before stays in service.\n")
		return
	}
	text(w, http.StatusOK, "reloaded\n")
}

func text(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	io.WriteString(w, body) // a client that left is no concern of ours
}
