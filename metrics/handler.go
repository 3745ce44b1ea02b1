package metrics

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// scrapesAtOnce bounds how many scrapes one handler works on; further ones get
// 503. The probes listener is open to the network.
const scrapesAtOnce = 4

// Handler serves what g gathers, in the format that the scraper asks for:
// Prometheus's text unless it asks for another, OpenMetrics, which has exemplars
// as well, or protobuf, which has native histograms besides. What
// cannot be gathered is logged and left out. An answer never carries an
// error's text, so that the handler may stand on a listener that shows none.
func Handler(g prometheus.Gatherer, log *slog.Logger) http.Handler {
	logged := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		if err == nil {
			return families, nil
		}
		log.Error("some metrics could not be gathered", "error", err)
		if len(families) == 0 {
			return nil, errors.New("see attache's log")
		}
		return families, nil
	})
	return promhttp.HandlerFor(logged, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesAtOnce,
		EnableOpenMetrics:   true, // the one text format that has exemplars
	})
}
