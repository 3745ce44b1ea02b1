package metrics

import (
	"time"

	"attache/internal/exchange"
	"attache/refresher"

	"github.com/prometheus/client_golang/prometheus"
)

// family describes one metric. The reference page is made from it, so what is
// said here is what users read.
type family struct {
	name, kind, help string
	labels           []label
}

// label is a label of a family. Values lists all that there are when the list
// is fixed; empty: they come from the configuration.
type label struct {
	name   string
	values []string
}

func (f family) labelNames() []string {
	names := make([]string, len(f.labels))
	for i, l := range f.labels {
		names[i] = l.name
	}
	return names
}

// Outcomes that no other package has a word for.
const (
	outcomeOK      = "ok"
	outcomeAdopted = "adopted"
	outcomeError   = "error"
)

func (m *Metrics) defineTokens() {
	credential, token := label{name: "credential"}, label{name: "token"}
	// Logins cross the Internet and end with their time-out, 10 s unless
	// configured.
	buckets := []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

	m.refreshes = m.counters("attache_credential_refresh_total",
		"Attempts to get a new token, by outcome: ok is a login that gave one, adopted is a newer one found in the store, the others are classes of failed logins.",
		credential, token, label{"outcome", refreshOutcomes()})
	m.refreshDuration = m.histograms("attache_credential_refresh_duration_seconds",
		"How long logins took, failed ones included.",
		buckets, credential, token)
	m.expiry = m.gauges("attache_credential_expiry_timestamp_seconds",
		"When the token expires, in Unix time. Absent while there is no token, for tokens that live until they are refused, and for tokens that depend on the request.",
		credential, token)
	m.lastSuccess = m.gauges("attache_credential_last_success_timestamp_seconds",
		"When the token was last renewed, in Unix time. Absent before the first time and for tokens that depend on the request.",
		credential, token)
	m.failures = m.gauges("attache_credential_consecutive_failures",
		"Logins that failed since the last success; for tokens that depend on the request the worst instance's.",
		credential, token)
	m.phase = m.gauges("attache_credential_phase",
		"Instances of the token in this phase: empty has no usable token (none yet, or it was refused), fresh and due are usable, expired is not, and of blocked the last login failed for good, whether or not the token can still be used.",
		credential, token, label{"phase", words(refresher.Phases())})
	m.instances = m.gauges("attache_credential_instances",
		"Instances of the token: 1, or one for each set of request parameters in use.",
		credential, token)
	m.refusals = m.counters("attache_credential_refusals_total",
		"Answers that refused the token, by how they said so and what came of it: renewed started a login, stale was about a token already replaced, over_budget was passed on to the client.",
		credential, token, label{"signal", words(signals())}, label{"outcome", words(rejections())})
	m.renewals = m.counters("attache_credential_renewals_in_traffic_total",
		"New tokens adopted from ordinary answers.",
		credential, token)
	m.waiters = m.gauges("attache_credential_waiters",
		"Requests that wait for the token right now.",
		credential, token)
}

func (m *Metrics) defineProxy() {
	route := label{name: "route"}
	// From an answer out of the same machine, where the proxy's own share
	// shows, to a long poll of a minute.
	buckets := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

	m.requests = m.counters("attache_proxy_requests_total",
		"Requests answered, by the status that the client got, 499 if it left before there was one. Methods outside RFC 9110 and PATCH count as other. The route is empty for requests that no route takes, here and below.",
		route, label{"method", methods()}, label{name: "code"})
	m.requestDuration = m.histograms("attache_proxy_request_duration_seconds",
		"From the request's arrival to the end of its answer, waits for tokens and replays included.",
		buckets, route)
	m.upstreamDuration = m.histograms("attache_proxy_upstream_duration_seconds",
		"From sending a request upstream to the head of its answer; each replay counts on its own.",
		buckets, route)
	m.inFlight = m.gauge("attache_proxy_in_flight_requests",
		"Requests being worked on right now.")
	m.replays = m.counters("attache_proxy_replays_total",
		"Refused tokens of requests, by what came of sending the request again with a new one: ok was repaired, error got no answer. The others were not repaired: refused was the new token too, over_budget means too many refusals of late, same_token that the login gave the refused token again, no_token that none came in time, body that the request's body was incomplete or too large to be sent again, late that the answer had begun.",
		route, label{"outcome", replayOutcomes()})
	m.unavailable = m.counters("attache_proxy_unavailable_total",
		"Requests for which a token did not come in time, by the class of its last failed login. They got 503; on an optional route they went on without the token.",
		route, label{name: "credential"}, label{"class", words(classes())})
	m.limited = m.counters("attache_proxy_limited_total",
		"Requests that a limit of a credential kept from a token of their own: instances means that there are too many of them in use, logins_per_minute that the logins of this minute are used up. They got 429; on an optional route they went on without the token.",
		route, label{name: "credential"}, label{"limit", limits()})
}

func (m *Metrics) defineTLS() {
	name := label{name: "name"}
	m.certificateExpiry = m.gauges("attache_tls_certificate_expiry_timestamp_seconds",
		"When the certificate for this name expires, in Unix time, also that of attache's own CA. Of several certificates for one name it is the first to expire. Absent until there is one.",
		name)
	m.certificateIssues = m.counters("attache_tls_certificate_issues_total",
		"Certificates that attache's own CA or an ACME server was asked for, renewals included: ok came, error did not and are asked for again later.",
		name, label{"outcome", []string{outcomeOK, outcomeError}}).vec()
}

func (m *Metrics) defineProcess(build map[string]string) {
	ops := []string{"load", "save", "reject", "acquire", "extend"}
	m.storeOperations = m.counters("attache_store_operations_total",
		"Operations of the token store that outlives the process. error: it did not answer; tokens in memory are served all the same. none: it holds no such token. conflict: another process saved one before. held: another process has the right to log in.",
		label{"op", ops}, label{"outcome", []string{outcomeOK, outcomeNone, outcomeConflict, outcomeHeld, outcomeError}}).vec()
	for op, outcomes := range storeOperations() {
		for _, outcome := range outcomes {
			m.storeOperations.WithLabelValues(op, outcome)
		}
	}
	m.leaseHeld = m.gauge("attache_store_lease_held",
		"Logins for which this process has the right, given by the store, right now.")
	m.reloadOK = m.gauge("attache_config_last_reload_successful",
		"1 if the configuration that was read last is in service, 0 if it could not be used and the one before stays.")
	m.reloadTime = m.gauge("attache_config_last_reload_success_timestamp_seconds",
		"When the configuration in service was taken up, in Unix time.")
	f := family{"attache_build_info", "gauge", "Always 1; its labels say which attache this is.",
		[]label{{name: "version"}, {name: "revision"}, {name: "goversion"}}}
	m.families = append(m.families, f)
	m.build = prometheus.NewGauge(prometheus.GaugeOpts{Name: f.name, Help: f.help, ConstLabels: build})
	m.build.Set(1)
}

func (m *Metrics) counters(name, help string, labels ...label) counters {
	f := m.add(family{name, "counter", help, labels})
	return counters{prometheus.CounterOpts{Name: name, Help: help}, f.labelNames()}
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...label) histograms {
	f := m.add(family{name, "histogram", help, labels})
	return histograms{prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		// Native buckets beside the classic ones: 8 for each power of 2, and
		// fewer and wider ones where that would be too many. 160 span a factor
		// of a million.
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, f.labelNames()}
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	m.add(family{name, "gauge", help, nil})
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

// gauges describes gauges whose values are read at each scrape.
func (m *Metrics) gauges(name, help string, labels ...label) *prometheus.Desc {
	f := m.add(family{name, "gauge", help, labels})
	return prometheus.NewDesc(name, help, f.labelNames(), nil)
}

func (m *Metrics) add(f family) family {
	m.families = append(m.families, f)
	return f
}

func refreshOutcomes() []string {
	return append([]string{outcomeOK, outcomeAdopted}, words(classes())...)
}

// replayOutcomes are the words of package proxy, which this one does not know.
func replayOutcomes() []string {
	return []string{"ok", "error", "refused", "over_budget", "same_token", "no_token", "body", "late"}
}

// limits are the reasons of [refresher.LimitError].
func limits() []string { return []string{"instances", "logins_per_minute"} }

func classes() []refresher.Class {
	return []refresher.Class{refresher.Transient, refresher.Throttled, refresher.Permanent}
}

func signals() []exchange.Signal {
	return []exchange.Signal{exchange.SignalStatus, exchange.SignalBody, exchange.SignalLogin, exchange.SignalGRPC}
}

func rejections() []refresher.Rejection {
	return []refresher.Rejection{refresher.Renewing, refresher.Stale, refresher.OverBudget}
}

func words[T interface{ String() string }](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}
