package metrics

import (
	"slices"

	"attache/refresher"

	"github.com/prometheus/client_golang/prometheus"
)

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.expiry, m.lastSuccess, m.failures, m.phase, m.instances, m.waiters, m.certificateExpiry} {
		ch <- d
	}
	// Any route and any credential has series of the same descriptions.
	for _, c := range slices.Concat(m.newRoute("").collectors(), m.newCredential("").collectors(), m.process()) {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector]. It reads the status of the tokens
// once, so that the series of one scrape fit together.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m.status() {
		m.collectPool(ch, s)
		m.credential(s.Credential).prepare(s.Token)
	}
	for _, c := range m.certificates() {
		ch <- prometheus.MustNewConstMetric(m.certificateExpiry, prometheus.GaugeValue, seconds(c.NotAfter), c.Name)
	}
	for _, c := range append(m.shown(), m.process()...) {
		c.Collect(ch)
	}
}

// process lists the collectors of what is there once.
func (m *Metrics) process() []prometheus.Collector {
	return []prometheus.Collector{m.inFlight, m.certificateIssues, m.storeOperations, m.leaseHeld, m.reloadOK, m.reloadTime, m.build}
}

func (m *Metrics) collectPool(ch chan<- prometheus.Metric, s refresher.PoolStatus) {
	send := func(d *prometheus.Desc, v float64, more ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{s.Credential, s.Token}, more...)...)
	}
	send(m.failures, float64(s.Failures))
	send(m.instances, float64(s.Instances))
	send(m.waiters, float64(s.Waiters))
	for _, p := range refresher.Phases() {
		send(m.phase, float64(s.Phases[p]), p.String())
	}
	// With many instances one time would say nothing about any of them.
	if s.Keyed || s.Single == nil {
		return
	}
	if t := s.Single.ExpiresAt; !t.IsZero() {
		send(m.expiry, seconds(t))
	}
	if t := s.Single.LastSuccess; !t.IsZero() {
		send(m.lastSuccess, seconds(t))
	}
}
