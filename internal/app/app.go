// Package app puts attache together: from a configuration it makes the token
// engine, the proxy, the metrics and the admin API, runs them until it is told
// to stop, and meanwhile takes up changes of the configuration. It is the only
// package that knows all others.
//
// What one configuration makes is a setup. To reload is to build the next setup
// beside the one in service, open what it listens on, and only then swap: until
// then nothing has happened, so a configuration that cannot be served changes
// nothing. Requests that are under way finish in the setup they began in.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"attache/internal/admin"
	"attache/internal/certs"
	"attache/internal/config"
	"attache/internal/watch"
	"attache/metrics"
	"attache/proxy"
	"attache/refresher"
)

// Options configure an [App].
type Options struct {
	Config *config.Config // must be set
	Log    *slog.Logger   // must be set
	// Level is that of Log, and follows the configuration; nil: it stays.
	Level             *slog.LevelVar
	Version, Revision string
	// Load loads the configuration anew, and adds to the files what it reads;
	// see [config.LoadAnew]. Nil: the configuration stays as it is.
	Load func(*watch.Files) (*config.Config, error)
	// Files are those that Config was read from; nil: none.
	Files *watch.Files
}

// App is a running or startable attache. Its methods may be called
// concurrently, [App.Run] once.
type App struct {
	log      *slog.Logger
	level    *slog.LevelVar
	format   string // of log, as the first configuration had it
	version  string
	engine   *refresher.Engine
	kept     keptTokens
	metrics  *metrics.Metrics
	journal  *admin.Journal
	admin    *admin.Admin
	registry *prometheus.Registry
	current  atomic.Pointer[setup]
	certs    *certs.Certificates
	prepared *certs.Change // of the first configuration; Run commits it
	reloads  *reloads
	quit     chan struct{} // receives when /-/quit was called

	// doors is written by New and, while Run runs, by the goroutine of reloads.
	doors    atomic.Pointer[[]*door]
	opened   bool          // Run runs: what is opened now serves at once
	draining chan struct{} // closed when the drain begins
	swaps    swaps
	retired  retired
	streams  proxy.Streams
	parts    sync.WaitGroup
	broken   chan error // a listener ended by itself
}

// New makes everything and opens the listeners, so that an address that is
// taken is an error here. Requests are answered once Run runs.
func New(opt Options) (*App, error) {
	a := &App{
		log: opt.Log, level: opt.Level, format: opt.Config.Log.Format, version: opt.Version, registry: prometheus.NewRegistry(),
		journal: admin.NewJournal(),
		quit:    make(chan struct{}, 1), draining: make(chan struct{}), broken: make(chan error, 1),
	}
	a.retired.ctx, a.retired.end = context.WithCancel(context.Background())
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.doors.Store(&[]*door{})
	var err error
	a.metrics, err = metrics.New(metrics.Config{
		Registerer: a.registry, Version: opt.Version, Revision: opt.Revision, Status: a.Tokens,
		Certificates: a.certificateStatus,
		StoreWorks: func(down time.Duration) {
			opt.Log.Info("the token store works again", "down_for", down.Round(time.Millisecond).String())
		},
	})
	if err != nil {
		return nil, err
	}
	a.certs = certs.New(certs.Config{Log: opt.Log, Issued: a.metrics.CertificateIssued})
	if a.kept, err = openStore(opt.Config.Store, opt.Log); err != nil {
		return nil, err
	}
	var kept refresher.Store
	if a.kept.store != nil {
		kept = a.metrics.Store(a.kept.store)
	}
	a.engine = refresher.New(refresher.Config{Store: kept, Observe: func(ev refresher.Event) {
		a.metrics.Observe(ev)
		a.journal.Observe(ev)
		logEvent(opt.Log, ev)
	}})
	a.reloads = newReloads(a, opt)
	if a.admin, err = a.newAdmin(opt); err == nil {
		err = a.apply(context.Background(), opt.Config)
	}
	if err != nil {
		a.kept.close()
		return nil, err
	}
	return a, nil
}

// Tokens returns the state of every token.
func (a *App) Tokens() []refresher.PoolStatus { return a.engine.Status() }

// Replays returns how many requests of a route were sent again since it came into
// service; 0 if there is no such route.
func (a *App) Replays(route string) uint64 {
	for _, r := range a.current.Load().shown {
		if r.Name == route {
			return r.Totals().Replays
		}
	}
	return 0
}

// Reload loads the configuration anew and returns once it is in service. If that
// cannot be, the error says why, and what was in service stays. It waits for
// [App.Run], and returns when ctx ends; the reload may then still happen. The log
// says by whom it was asked.
func (a *App) Reload(ctx context.Context, by string) error { return a.reloads.ask(ctx, by) }

// Run refreshes tokens and answers requests until ctx ends. It then stops
// taking requests, lets those in flight finish, and returns nil, or
// [ErrDrainCut] if they took too long. If a listener breaks it does the same
// and returns why. The cause of ctx's end goes to the log.
func (a *App) Run(ctx context.Context) error {
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	a.parts.Go(func() { a.engine.Run(engineCtx) })
	a.opened = true
	a.prepared.Commit()
	for _, d := range *a.doors.Load() {
		a.serve(d)
	}
	reloadCtx, stopReloads := context.WithCancel(engineCtx)
	defer stopReloads()
	var reloads sync.WaitGroup
	reloads.Go(func() { a.reloads.run(reloadCtx) })

	var err error
	var why string
	select {
	case <-ctx.Done():
		why = context.Cause(ctx).Error()
	case <-a.quit:
		why = "POST /-/quit"
	case err = <-a.broken:
		why = err.Error()
	}
	a.leave(why) // at once, though a reload may be under way
	stopReloads()
	a.swaps.end()
	// Tokens are still refreshed: what is in flight may need one.
	if !a.drain(err != nil) && err == nil {
		err = ErrDrainCut
	}
	stopEngine()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	closeAll(ctx, a.openDoors(false))
	if !waitFor(&reloads, reloadGrace) {
		a.log.Warn("a reload did not end; a file or storage that it reads hangs")
	}
	a.certs.Close()
	a.parts.Wait()
	a.revoke()
	a.kept.close()
	a.log.Info("stopped")
	return err
}

// apply puts a configuration into service, or returns why it cannot be; then
// nothing has happened. ctx bounds asking the storage of certificates.
func (a *App) apply(ctx context.Context, cfg *config.Config) error {
	if a.swaps.over() {
		return errStopping
	}
	if err := a.kept.follow(&cfg.Store, a.log); err != nil {
		return err
	}
	old := a.current.Load()
	next, err := a.build(cfg, old)
	if err != nil {
		return err
	}
	if err := a.swap(ctx, next, old); err != nil {
		next.discard(old)
		return err
	}
	a.metrics.Keep(next.routeNames(), next.credentialNames())
	a.journal.Keep(func(credential, token string) bool { return next.tokens[tokenName{credential, token}] != nil })
	a.metrics.Reloaded(next.loaded)
	if a.level != nil {
		a.level.Set(cfg.Log.Level)
	}
	for _, warning := range cfg.Warnings {
		a.log.Warn(warning)
	}
	if old != nil && old.config.Log.Format != cfg.Log.Format && cfg.Log.Format != a.format {
		a.log.Warn("log.format changed; it takes effect at the next start")
	}
	return nil
}

// swap opens what next needs of the outside, and puts it into the place of old.
// After an error nothing has happened.
func (a *App) swap(ctx context.Context, next, old *setup) error {
	certificates, err := a.certs.Prepare(ctx, certificateSettings(next.config))
	if err != nil {
		return err
	}
	doors, err := a.plan(next)
	if err != nil {
		certificates.Discard()
		return err
	}
	leave, err := a.swaps.enter()
	if err == nil {
		defer leave()
		err = next.change.Commit()
	}
	if err != nil {
		doors.discard()
		certificates.Discard()
		return err
	}
	next.change = nil
	next.loaded = time.Now()
	a.current.Store(next)
	a.answerAnew(doors) // before certificates of new callers are taken
	if a.opened {
		certificates.Commit() // before a new listener needs them
	} else {
		a.prepared = certificates
	}
	a.commit(doors)
	next.takeOver(old)
	return nil
}

func userAgent(version string) string {
	return "attache/" + strings.Trim(version, "()")
}

func (a *App) newAdmin(opt Options) (*admin.Admin, error) {
	cfg := admin.Config{
		Version: opt.Version, Revision: opt.Revision,
		Pools: a.Tokens,
		Required: func(credential, token string) bool {
			return a.current.Load().required[tokenName{credential, token}]
		},
		Heartbeat: a.engine.Heartbeat,
		Routes:    func() []admin.Route { return a.current.Load().shown },
		Loaded:    a.loaded,
		Renew:     a.renew,
		Journal:   a.journal,
		Metrics:   metrics.Handler(a.registry, opt.Log),
	}
	if opt.Load != nil {
		cfg.Reload = func(ctx context.Context) error { return a.Reload(ctx, "POST /-/reload") }
	}
	return admin.New(cfg)
}

// renew has a token logged in anew that somebody asked for.
func (a *App) renew(credential, token string) error {
	pool := a.current.Load().tokens[tokenName{credential, token}]
	switch {
	case pool == nil:
		return admin.ErrNoToken
	case pool.Keyed():
		return admin.ErrKeyed
	}
	asked, err := pool.RenewNow()
	if asked {
		a.log.Info("renewing the token", "credential", credential, "token", token, "by", "POST /-/renew")
	}
	return err
}

// reloadEnded tells of a reload; err says why what was in service stays.
func (a *App) reloadEnded(by string, err error) {
	if err != nil {
		a.metrics.ReloadFailed()
	}
	a.journal.Reloaded(a.current.Load().config.File, by, err)
}

// loaded returns what the admin API shows of the configuration.
func (a *App) loaded() admin.Configuration {
	now := a.current.Load()
	return admin.Configuration{File: now.config.File, Loaded: now.loaded, Reload: a.reloads.last.Load()}
}

// serve answers at a door until it is closed.
func (a *App) serve(d *door) {
	d.logListening(a.log)
	a.parts.Go(func() {
		if err := d.serve(); !errors.Is(err, http.ErrServerClosed) && !d.left.Load() {
			select {
			case a.broken <- fmt.Errorf("listener for %s: %w", d.what, err):
			default: // another one broke first
			}
		}
	})
}
