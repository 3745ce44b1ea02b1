package metrics

import (
	"attache/refresher"

	"github.com/prometheus/client_golang/prometheus"
)

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.expiry, m.lastSuccess, m.failures, m.phase, m.instances, m.waiters, m.certificateExpiry} {
		ch <- d
	}
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector]. It reads the status of the tokens
// once, so that the series of one scrape fit together.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m.status() {
		m.collectPool(ch, s)
		m.prepare(s.Credential, s.Token)
	}
	for _, c := range m.certificates() {
		ch <- prometheus.MustNewConstMetric(m.certificateExpiry, prometheus.GaugeValue, seconds(c.NotAfter), c.Name)
	}
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.refreshes, m.refreshDuration, m.refusals, m.renewals,
		m.requests, m.requestDuration, m.upstreamDuration, m.inFlight, m.replays, m.unavailable,
		m.certificateIssues, m.storeOperations, m.reloadOK, m.reloadTime, m.build,
	}
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

// prepare shows a token's counters from the first scrape on, at 0. A counter
// that appears with its first event hides that event from rate().
func (m *Metrics) prepare(credential, token string) {
	for _, o := range refreshOutcomes() {
		m.refreshes.WithLabelValues(credential, token, o)
	}
	for _, s := range signals() {
		for _, r := range rejections() {
			m.refusals.WithLabelValues(credential, token, s.String(), r.String())
		}
	}
	m.renewals.WithLabelValues(credential, token)
	m.refreshDuration.WithLabelValues(credential, token)
}
