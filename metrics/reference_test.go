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
Prometheus's text and protobuf formats, beside the usual ` + "`go_*` and `process_*`" + ` series of a Go program.

Label values come from the configuration or from the lists below, never from a request: the number of
series does not grow with traffic or users. A token whose login depends on the request (one token per user)
has many instances under one name; its series say how many are in which state. Times and durations are
in seconds.
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
