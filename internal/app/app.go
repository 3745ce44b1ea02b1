// Package app puts attache together: from a configuration it makes the token
// engine, the proxy, the metrics and the admin API, and runs them until it is
// told to stop. It is the only package that knows all others.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"attache/internal/admin"
	"attache/internal/certs"
	"attache/internal/config"
	"attache/metrics"
	"attache/refresher"
)

// drainTimeout bounds how long requests in flight may take to finish.
const drainTimeout = 30 * time.Second

// ErrDrainCut says that requests were still in flight when the time for the
// drain was over.
var ErrDrainCut = errors.New("requests in flight did not finish in time and were cut off")

// Options configure an [App].
type Options struct {
	Config            *config.Config // must be set
	Log               *slog.Logger   // must be set
	Version, Revision string
}

// App is a running or startable attache. Its methods may be called
// concurrently, [App.Run] once.
type App struct {
	log      *slog.Logger
	engine   *refresher.Engine
	admin    *admin.Admin
	tokens   tokens
	secrets  *secretFiles
	certs    *certs.Certificates
	prepared *certs.Change // of the first configuration; Run commits it
	registry *prometheus.Registry
	data     []server // take the application's requests
	control  []server // admin and probes
}

// New makes everything and opens the listeners, so that an address that is
// taken is an error here. Requests are answered once Run runs.
func New(opt Options) (*App, error) {
	a := &App{log: opt.Log, registry: prometheus.NewRegistry()}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m, err := metrics.New(metrics.Config{
		Registerer: a.registry, Version: opt.Version, Revision: opt.Revision, Status: a.Tokens,
		Certificates: a.certificateStatus,
	})
	if err != nil {
		return nil, err
	}
	a.certs = certs.New(certs.Config{Log: opt.Log, Issued: m.CertificateIssued})
	a.engine = refresher.New(refresher.Config{Observe: func(ev refresher.Event) {
		m.Observe(ev)
		logEvent(opt.Log, ev)
	}})
	a.tokens, err = addTokens(a.engine, opt.Config, userAgent(opt.Version), opt.Log)
	if err != nil {
		return nil, err
	}
	a.secrets = newSecretFiles(opt.Config, a.tokens, opt.Log)
	handler, err := newProxy(opt.Config, a.tokens, m, opt.Log)
	if err != nil {
		return nil, err
	}
	a.admin, err = newAdmin(a, opt)
	if err != nil {
		return nil, err
	}
	for _, warning := range opt.Config.Warnings {
		opt.Log.Warn(warning)
	}
	if a.prepared, err = a.certs.Prepare(context.Background(), certificateSettings(opt.Config)); err != nil {
		return nil, err
	}
	if err := a.listen(opt.Config, handler); err != nil {
		a.closeListeners()
		a.prepared.Discard()
		return nil, err
	}
	m.Reloaded(time.Now())
	return a, nil
}

func userAgent(version string) string {
	return "attache/" + strings.Trim(version, "()")
}

// Tokens returns the state of every token.
func (a *App) Tokens() []refresher.PoolStatus { return a.engine.Status() }

// Gatherer returns the metrics.
func (a *App) Gatherer() prometheus.Gatherer { return a.registry }

// Run refreshes tokens and answers requests until ctx ends. It then stops
// taking requests, lets those in flight finish, and returns nil, or
// [ErrDrainCut] if they took too long. If a listener breaks it does the same
// and returns why.
func (a *App) Run(ctx context.Context) error {
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	a.prepared.Commit()
	var parts sync.WaitGroup
	parts.Go(func() { a.engine.Run(engineCtx) })
	parts.Go(func() { a.secrets.run(engineCtx) })
	broken := make(chan error, len(a.data)+len(a.control))
	for _, s := range slices.Concat(a.control, a.data) {
		a.logListening(s)
		parts.Go(func() {
			if err := s.serve(); !errors.Is(err, http.ErrServerClosed) {
				broken <- fmt.Errorf("listener for %s: %w", s.what, err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping: no new requests, those in flight finish", "limit", drainTimeout.String())
	case err = <-broken:
	}
	a.admin.Drain()
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	// Tokens are still refreshed: what is in flight may need one.
	if !shutdown(drain, a.data) && err == nil {
		err = ErrDrainCut
	}
	stopEngine()
	shutdown(drain, a.control)
	a.certs.Close()
	parts.Wait()
	a.log.Info("stopped")
	return err
}

// shutdown lets the requests of servers finish, and ends what takes too long.
// It reports whether all finished.
func shutdown(ctx context.Context, servers []server) bool {
	var all sync.WaitGroup
	var cut atomic.Bool
	for _, s := range servers {
		all.Go(func() {
			if s.http.Shutdown(ctx) != nil {
				cut.Store(true)
				s.http.Close()
			}
		})
	}
	all.Wait()
	return !cut.Load()
}

func newAdmin(a *App, opt Options) (*admin.Admin, error) {
	required := map[tokenName]bool{}
	for _, c := range opt.Config.Credentials {
		for _, token := range c.RequiredTokens {
			required[tokenName{c.Name, token}] = true
		}
	}
	var routes []admin.Route
	for _, r := range opt.Config.Routes {
		shown := admin.Route{Name: r.Name, Host: r.Host, Path: r.Path, Methods: r.Methods, Upstream: r.Upstream, Optional: r.Optional}
		seen := map[string]bool{}
		for _, s := range r.Plan.Slots() {
			if name := s.Credential.Name(); !seen[name] {
				seen[name] = true
				shown.Credentials = append(shown.Credentials, name)
			}
		}
		routes = append(routes, shown)
	}
	return admin.New(admin.Config{
		Version: opt.Version, Revision: opt.Revision,
		Pools:     a.Tokens,
		Required:  func(credential, token string) bool { return required[tokenName{credential, token}] },
		Heartbeat: a.engine.Heartbeat,
		Routes:    func() []admin.Route { return routes },
		Metrics:   metrics.Handler(a.registry, opt.Log),
	})
}
