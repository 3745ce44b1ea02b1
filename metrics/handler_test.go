package metrics

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

type discard struct{}

func (discard) Register(prometheus.Collector) error  { return nil }
func (discard) MustRegister(...prometheus.Collector) {}
func (discard) Unregister(prometheus.Collector) bool { return true }

func TestHandler(t *testing.T) {
	m, reg := newMetrics(t, samplePools()...)
	play(t, m)
	w := httptest.NewRecorder()
	Handler(reg, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	if !strings.Contains(w.Body.String(), `attache_credential_refresh_total{credential="aicc",outcome="ok",token="access"} 1`) {
		t.Errorf("the answer lacks the login:\n%s", w.Body)
	}
}

// A collector that fails costs its own series alone, and its error goes to the
// log and nowhere else.
func TestHandlerKeepsErrorsToTheLog(t *testing.T) {
	_, reg := newMetrics(t, samplePools()...)
	for name, g := range map[string]prometheus.Gatherer{
		"some": prometheus.Gatherers{reg, failing{}},
		"none": failing{},
	} {
		var log bytes.Buffer
		w := httptest.NewRecorder()
		Handler(g, slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if wantCode := map[string]int{"some": 200, "none": 500}[name]; w.Code != wantCode {
			t.Errorf("%s: status %d, want %d", name, w.Code, wantCode)
		}
		if strings.Contains(w.Body.String(), "CANARY") {
			t.Errorf("%s: the error is in the answer:\n%s", name, w.Body)
		}
		if name == "some" && !strings.Contains(w.Body.String(), "attache_build_info") {
			t.Errorf("%s: what could be gathered is missing:\n%s", name, w.Body)
		}
		if !strings.Contains(log.String(), "CANARY") {
			t.Errorf("%s: the error is not in the log: %s", name, log.String())
		}
	}
}

type failing struct{}

func (failing) Gather() ([]*dto.MetricFamily, error) { return nil, errors.New("CANARY") }
