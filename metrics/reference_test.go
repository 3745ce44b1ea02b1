package metrics

import (
	"fmt"
	"strings"
	"testing"
)

// The reference of all metrics is made from their definitions, so that the two
// cannot differ.
func TestReference(t *testing.T) {
	m, _ := newMetrics(t)
	golden(t, "../docs/metrics.md", reference(m.families))
}

const preface = `<!-- Made by go test ./metrics -update from the definitions in metrics/define.go. Do not edit. -->

# Metrics

` + "`/metrics`" + ` on the admin listener, and on the probes listener if there is one, serves these series in
Prometheus's text and protobuf formats and in OpenMetrics, beside the usual ` + "`go_*` and `process_*`" + ` series of a Go program.
[alerts.md](alerts.md) has an alert for what can go wrong, and what to do about it;
[examples/prometheus](../examples/prometheus) and [examples/grafana](../examples/grafana) have the files.

Label values come from the configuration or from the lists below, never from a request: the number of
series does not grow with traffic or users. A token whose login depends on the request (one token per user)
has many instances under one name; its series say how many are in which state. Times and durations are
in seconds.

When a reload takes a route or a credential out of the configuration, its series go with it.

## Native histograms

Every histogram has native buckets beside the classic ones: eight for each power of two, 160 at most. A scraper that asks for protobuf gets
them; every other one gets the classic buckets as ever. Prometheus asks for them from version 3.8 on with ` + "`scrape_native_histograms: true`" + `,
before that with ` + "`--enable-feature=native-histograms`" + `. It then leaves the classic ones out unless the scrape
configuration says ` + "`always_scrape_classic_histograms: true`" + ` (up to version 2: ` + "`scrape_classic_histograms`" + `, from 2.45 on).

## Exemplars

A request that is part of a sampled trace leaves the trace's id as an exemplar, ` + "`{trace_id=\"…\"}`" + `, at one bucket of
` + "`attache_proxy_request_duration_seconds`" + ` and one of ` + "`attache_proxy_upstream_duration_seconds`" + `: the way from a slow request in a
dashboard to its trace. The id is that of the W3C header ` + "`traceparent`" + ` that the application sent, if it is well formed and its flag *sampled*
is set; nothing else that a client sends gets into the answer of ` + "`/metrics`" + `. Replays leave no further exemplar. OpenMetrics and protobuf
carry exemplars; Prometheus keeps them with ` + "`--enable-feature=exemplar-storage`" + `.

attache is no span of the trace and adds none. ` + "`traceparent`, `tracestate`, `baggage`" + ` and the headers of other systems (` + "`b3`, `x-b3-*`, `uber-trace-id`" + `)
reach the upstream as the application sent them.
`

func reference(families []family) string {
	var b strings.Builder
	b.WriteString(preface)
	heading := ""
	for _, f := range families {
		if h := section(f.name); h != heading {
			heading = h
			fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", h)
		}
		var labels []string
		for _, l := range f.labels {
			text := "`" + l.name + "`"
			if len(l.values) > 0 {
				text += " (" + strings.Join(l.values, ", ") + ")"
			}
			labels = append(labels, text)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.Join(labels, "; "), f.help)
	}
	return b.String()
}

func section(name string) string {
	switch part := strings.SplitN(name, "_", 3)[1]; part {
	case "credential":
		return "Tokens"
	case "proxy":
		return "Proxy"
	case "tls":
		return "Certificates of listeners"
	default:
		return "Store, configuration and build"
	}
}
