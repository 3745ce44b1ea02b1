package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Routes and credentials come and go with the configuration, so each has
// vectors of its own. What is not in service any more is no longer listed: its
// series are gone, and whatever still counts in them, such as a request in
// flight, is seen by nobody and brings nothing back.

// counters is a counter of which each route or credential has its own vector.
type counters struct {
	opts   prometheus.CounterOpts
	labels []string
}

// vec returns a vector whose first labels have the given values.
func (c counters) vec(first ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(c.opts, c.labels).MustCurryWith(fixed(c.labels, first))
}

// histograms is the same for a histogram.
type histograms struct {
	opts   prometheus.HistogramOpts
	labels []string
}

// vec returns a vector whose first labels have the given values.
func (h histograms) vec(first ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(h.opts, h.labels).MustCurryWith(fixed(h.labels, first)).(*prometheus.HistogramVec)
}

func fixed(labels, values []string) prometheus.Labels {
	m := make(prometheus.Labels, len(values))
	for i, v := range values {
		m[labels[i]] = v
	}
	return m
}

// credential has the series of the tokens of one credential that count events.
type credential struct {
	refreshes       *prometheus.CounterVec
	refreshDuration *prometheus.HistogramVec
	refusals        *prometheus.CounterVec
	renewals        *prometheus.CounterVec
}

// credential returns the series of a credential.
func (m *Metrics) credential(name string) *credential {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.credentials[name]
	if !ok {
		c = m.newCredential(name)
		m.credentials[name] = c
	}
	return c
}

func (m *Metrics) newCredential(name string) *credential {
	return &credential{
		refreshes:       m.refreshes.vec(name),
		refreshDuration: m.refreshDuration.vec(name),
		refusals:        m.refusals.vec(name),
		renewals:        m.renewals.vec(name),
	}
}

// prepare shows a token's counters from the first scrape on, at 0. A counter
// that appears with its first event hides that event from rate().
func (c *credential) prepare(token string) {
	for _, o := range refreshOutcomes() {
		c.refreshes.WithLabelValues(token, o)
	}
	for _, s := range signals() {
		for _, r := range rejections() {
			c.refusals.WithLabelValues(token, s.String(), r.String())
		}
	}
	c.renewals.WithLabelValues(token)
	c.refreshDuration.WithLabelValues(token)
}

func (c *credential) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.refreshes, c.refreshDuration, c.refusals, c.renewals}
}

// Keep says which routes and credentials are in service from now on. The series
// of all others go; those of the requests that no route takes stay. What is made
// after it, by [Metrics.Route] or by an event, is shown once a later Keep names
// it. Before the first call everything is shown.
func (m *Metrics) Keep(routes, credentials []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = &kept{routes: append(slices.Clone(routes), ""), credentials: slices.Clone(credentials)}
	m.prune()
}

// kept is what is in service.
type kept struct{ routes, credentials []string }

// prune lets go of what is not in service. It is called with m.mu held.
func (m *Metrics) prune() {
	if m.kept == nil {
		return
	}
	for name, r := range m.routes {
		if !slices.Contains(m.kept.routes, name) {
			delete(m.routes, name)
			continue
		}
		r.keep(m.kept.credentials)
	}
	for name := range m.credentials {
		if !slices.Contains(m.kept.credentials, name) {
			delete(m.credentials, name)
		}
	}
}

// shown lists the collectors of what is in service.
func (m *Metrics) shown() []prometheus.Collector {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []prometheus.Collector
	for name, r := range m.routes {
		if m.kept == nil || slices.Contains(m.kept.routes, name) {
			list = append(list, r.collectors()...)
		}
	}
	for name, c := range m.credentials {
		if m.kept == nil || slices.Contains(m.kept.credentials, name) {
			list = append(list, c.collectors()...)
		}
	}
	return list
}
