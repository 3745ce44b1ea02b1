// Package metrics is the Prometheus view of attache: it turns the token
// engine's events and status, the proxy's requests and the fate of
// configuration reloads into series.
//
// Names and labels are part of attache's surface. Every one stands in
// docs/metrics.md, which is made from the definitions in this package, and a
// golden file pins them. Label values come from the configuration or from
// short fixed lists, never from a request's data: no user id, path or token
// becomes a label, so the number of series is bounded by the configuration.
package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"attache/refresher"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where the series go and where their values come from.
type Config struct {
	// Registerer takes the series; it must be set. Nothing is ever registered
	// with Prometheus's global registry.
	Registerer prometheus.Registerer
	// Version and Revision are shown by attache_build_info. Empty texts are
	// shown as "unknown".
	Version, Revision string
	// Status returns the state of every token. It is called once for each
	// scrape, concurrently with everything else; nil: there are no tokens.
	Status func() []refresher.PoolStatus
	// Certificates returns the TLS certificates in service. It is called like
	// Status; nil: there are none.
	Certificates func() []Certificate
	// StoreWorks is called when an operation of the store succeeds after some had
	// failed, with the time since the first of them. It must not block; nil: nobody
	// wants to know.
	StoreWorks func(down time.Duration)
}

// Certificate is a TLS certificate of a listener.
type Certificate struct {
	Name     string
	NotAfter time.Time
}

// Metrics holds all series. Its methods may be called concurrently.
type Metrics struct {
	status       func() []refresher.PoolStatus
	certificates func() []Certificate
	storeWorks   func(down time.Duration)
	families     []family // in the order of the reference

	// Routes and credentials have their own series of these.
	refreshes, refusals, renewals           counters
	requests, replays, unavailable, limited counters
	refreshDuration                         histograms
	requestDuration, upstreamDuration       histograms
	// Tokens: read from the status at each scrape.
	expiry, lastSuccess, failures *prometheus.Desc
	phase, instances, waiters     *prometheus.Desc

	inFlight prometheus.Gauge

	certificateIssues *prometheus.CounterVec
	certificateExpiry *prometheus.Desc // read at each scrape

	storeOperations *prometheus.CounterVec
	reloadOK        prometheus.Gauge
	leaseHeld       prometheus.Gauge
	reloadTime      prometheus.Gauge
	build           prometheus.Gauge

	mu          sync.Mutex // held for looking up alone
	routes      map[string]*Route
	credentials map[string]*credential
	kept        *kept // nil: Keep was not called yet
}

// New makes the series and registers them. It fails if the registerer has
// series of these names already.
func New(cfg Config) (*Metrics, error) {
	if cfg.Registerer == nil {
		return nil, errors.New("make metrics: there is no registerer")
	}
	m := &Metrics{
		status: cfg.Status, certificates: cfg.Certificates, storeWorks: cfg.StoreWorks, routes: map[string]*Route{}, credentials: map[string]*credential{},
	}
	if m.status == nil {
		m.status = func() []refresher.PoolStatus { return nil }
	}
	if m.certificates == nil {
		m.certificates = func() []Certificate { return nil }
	}
	m.defineTokens()
	m.defineProxy()
	m.defineTLS()
	m.defineProcess(map[string]string{
		"version":   cmp.Or(cfg.Version, "unknown"),
		"revision":  cmp.Or(cfg.Revision, "unknown"),
		"goversion": runtime.Version(),
	})
	if err := cfg.Registerer.Register(m); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

// Observe counts an event of the token engine. It neither blocks nor fails, as
// [refresher.Config] asks.
func (m *Metrics) Observe(e refresher.Event) {
	if e.Kind == refresher.Revoked {
		return // also for credentials that are gone, which get no series again
	}
	c := m.credential(e.Credential)
	switch e.Kind {
	case refresher.LoggedIn:
		c.refreshes.WithLabelValues(e.Token, outcomeOK).Inc()
		c.refreshDuration.WithLabelValues(e.Token).Observe(e.Duration.Seconds())
	case refresher.Adopted:
		c.refreshes.WithLabelValues(e.Token, outcomeAdopted).Inc()
	case refresher.LoginFailed:
		c.refreshes.WithLabelValues(e.Token, e.Class.String()).Inc()
		c.refreshDuration.WithLabelValues(e.Token).Observe(e.Duration.Seconds())
	case refresher.Refused:
		c.refusals.WithLabelValues(e.Token, e.Signal.String(), e.Rejection.String()).Inc()
	case refresher.Renewed:
		c.renewals.WithLabelValues(e.Token).Inc()
	case refresher.StoreFailed:
		// Counted by [Metrics.Store].
	case refresher.Evicted:
		// Shows in attache_credential_instances.
	}
}

// CertificateIssued says that attache's own CA or an ACME server issued a
// certificate, or why it did not.
func (m *Metrics) CertificateIssued(name string, err error) {
	outcome := outcomeOK
	if err != nil {
		outcome = outcomeError
	}
	m.certificateIssues.WithLabelValues(name, outcome).Inc()
}

// Reloaded says that a configuration was put into service at the given time,
// the one of the start included.
func (m *Metrics) Reloaded(at time.Time) {
	m.reloadOK.Set(1)
	m.reloadTime.Set(seconds(at))
}

// ReloadFailed says that a changed configuration could not be used and the old
// one stays. What was made for it and is not in service goes; see
// [Metrics.Keep].
func (m *Metrics) ReloadFailed() {
	m.reloadOK.Set(0)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prune()
}

// seconds is a time as Prometheus likes it, Unix seconds with a fraction.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
