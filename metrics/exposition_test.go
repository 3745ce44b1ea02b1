package metrics

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"attache/internal/exchange"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const traceID = "0af7651916cd43dd8448eb211c80319c"

func sampledTrace() exchange.Trace {
	return exchange.SampledTrace([]string{"00-" + traceID + "-b7ad6b7169203331-01"})
}

// What scrapers ask for: an old Prometheus or curl, one that takes OpenMetrics,
// and one that takes native histograms.
const (
	acceptText        = "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	acceptOpenMetrics = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	acceptProtobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited," + acceptOpenMetrics
)

// scrape returns an answer of the handler.
func scrape(t *testing.T, g prometheus.Gatherer, accept string) (contentType, body string) {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	Handler(g, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Header().Get("Content-Type"), w.Body.String()
}

// played is a route that served two requests, of which the second has a trace.
func played(t *testing.T) prometheus.Gatherer {
	m, reg := newMetrics(t, samplePools()...)
	play(t, m)
	r := m.Route("/aicc")
	r.Started()
	r.Upstream(40*time.Millisecond, sampledTrace())
	r.Done("GET", 200, 50*time.Millisecond, sampledTrace())
	return reg
}

// The classic text has neither exemplars nor native buckets: a scraper that asks
// for no more gets what it always got.
func TestTextHasNoExemplars(t *testing.T) {
	reg := played(t)
	contentType, body := scrape(t, reg, acceptText)
	if !strings.HasPrefix(contentType, "text/plain; version=0.0.4") {
		t.Errorf("type %s", contentType)
	}
	if strings.Contains(body, traceID) || strings.Contains(body, "_created") || strings.Contains(body, "# EOF") {
		t.Errorf("the text has what it never had:\n%s", body)
	}
	if body != exposition(t, reg) {
		t.Error("the handler serves other text than the registry has")
	}
}

func TestOpenMetricsHasExemplars(t *testing.T) {
	contentType, body := scrape(t, played(t), acceptOpenMetrics)
	if !strings.HasPrefix(contentType, "application/openmetrics-text; version=1.0.0") || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("type %s, end %q", contentType, body[max(len(body)-20, 0):])
	}
	for _, want := range []string{
		`attache_proxy_request_duration_seconds_bucket{route="/aicc",le="0.05"} 3 # {trace_id="` + traceID + `"} 0.05 `,
		`attache_proxy_upstream_duration_seconds_bucket{route="/aicc",le="0.05"} 2 # {trace_id="` + traceID + `"} 0.04 `,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in\n%s", want, body)
		}
	}
	if n := strings.Count(body, traceID); n != 2 {
		t.Errorf("the trace is named %d times, want once for each duration", n)
	}
}

// Protobuf has native buckets beside the classic ones in every histogram.
func TestProtobufHasNativeHistograms(t *testing.T) {
	contentType, body := scrape(t, played(t), acceptProtobuf)
	if !strings.HasPrefix(contentType, "application/vnd.google.protobuf") {
		t.Fatalf("type %s", contentType)
	}
	decoder := expfmt.NewDecoder(bytes.NewReader([]byte(body)), expfmt.NewFormat(expfmt.TypeProtoDelim))
	seen := 0
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		seen++
		for _, s := range f.GetMetric() {
			checkHistogram(t, f.GetName(), s.GetHistogram())
		}
	}
	if seen != 3 {
		t.Errorf("%d histograms, want 3", seen)
	}
}

func checkHistogram(t *testing.T, name string, h *dto.Histogram) {
	t.Helper()
	if len(h.GetBucket()) < 11 || h.Schema == nil || h.GetSchema() != 3 || h.ZeroThreshold == nil {
		t.Errorf("%s: %d classic buckets, native schema %v, zero threshold %v", name, len(h.GetBucket()), h.Schema, h.ZeroThreshold)
	}
	native, bucket := int64(h.GetZeroCount()), int64(0)
	for _, delta := range h.GetPositiveDelta() {
		bucket += delta
		native += bucket
	}
	if native != int64(h.GetSampleCount()) {
		t.Errorf("%s: %d observations in native buckets, %d in all", name, native, h.GetSampleCount())
	}
}

// However durations spread, the native buckets of a histogram stay few.
func TestNativeBucketsAreBounded(t *testing.T) {
	m, reg := newMetrics(t)
	r := m.Route("r")
	for d := time.Duration(1); d > 0 && d < 1000*time.Hour; d += d/20 + 1 {
		r.Upstream(d, exchange.Trace{})
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "attache_proxy_upstream_duration_seconds" {
			continue
		}
		if n := len(f.GetMetric()[0].GetHistogram().GetPositiveDelta()); n < 20 || n > 170 {
			t.Errorf("%d native buckets", n)
		}
	}
}
