package metrics_test

import (
	"testing"

	"attache/metrics"
	"attache/proxy"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var _ proxy.RouteMetrics = (*metrics.Route)(nil)

// The words of the proxy are those that are shown at 0 from the start.
func TestReplayOutcomesAreTheProxys(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := metrics.New(metrics.Config{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := []string{
		proxy.ReplayOK, proxy.ReplayRefused, proxy.ReplayError, proxy.ReplayOverBudget,
		proxy.ReplaySameToken, proxy.ReplayNoToken, proxy.ReplayBody, proxy.ReplayLate,
	}
	r := m.Route("r")
	for _, o := range outcomes {
		r.Replay(o)
	}
	// One series more would be a word that only one side has.
	if n, err := testutil.GatherAndCount(reg, "attache_proxy_replays_total"); err != nil || n != len(outcomes) {
		t.Errorf("%d series, want %d: the lists differ (%v)", n, len(outcomes), err)
	}
}
