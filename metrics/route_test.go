package metrics

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"attache/internal/exchange"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMethods(t *testing.T) {
	for method, want := range map[string]string{
		"GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "DELETE": "DELETE",
		"CONNECT": "CONNECT", "OPTIONS": "OPTIONS", "TRACE": "TRACE", "PATCH": "PATCH",
		"get": "other", "PROPFIND": "other", "": "other", "user-4711": "other",
	} {
		if got := methods()[methodNumber(method)]; got != want {
			t.Errorf("%q counts as %s, want %s", method, got, want)
		}
	}
}

// Whatever clients and upstreams send, the number of series is bounded.
func TestRequestSeriesAreBounded(t *testing.T) {
	m, _ := newMetrics(t)
	r := m.Route("r")
	for i := range 2000 {
		r.Started()
		r.Done("M"+strconv.Itoa(i), -1000-i, 0, exchange.Trace{})
		r.Started()
		r.Done("GET", 1000+i, 0, exchange.Trace{})
	}
	if got := testutil.CollectAndCount(r.requests.vec); got != 2 {
		t.Errorf("%d series, want 2", got)
	}
	if got := len(*r.requests.known.Load()); got != 2 {
		t.Errorf("%d handles are kept, want 2", got)
	}
	if got := testutil.ToFloat64(r.requests.vec.WithLabelValues("other", "other")); got != 2000 {
		t.Errorf("other: %v requests, want 2000", got)
	}
	if got := testutil.ToFloat64(m.inFlight); got != 0 {
		t.Errorf("%v requests in flight, want 0", got)
	}
}

// Pairs of method and status that turn up at the same time lose no request.
func TestRequestCountersConcurrently(t *testing.T) {
	m, _ := newMetrics(t)
	shared := m.Route("r")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := shared
			if i%2 == 0 {
				r = m.Route("r") // equal names share their series
			}
			for code := 200; code < 300; code++ {
				r.Started()
				r.Done("GET", code, 0, exchange.Trace{})
			}
		})
	}
	wg.Wait()
	for code := 200; code < 300; code++ {
		if got := testutil.ToFloat64(shared.requests.vec.WithLabelValues("GET", strconv.Itoa(code))); got != 8 {
			t.Errorf("code %d: %v requests, want 8", code, got)
		}
	}
}

func TestRouteAllocatesNothing(t *testing.T) {
	m, _ := newMetrics(t)
	r := m.Route("r")
	allocs := testing.AllocsPerRun(100, func() {
		r.Started()
		r.Upstream(time.Millisecond, exchange.Trace{})
		r.Done("POST", 201, 2*time.Millisecond, exchange.Trace{})
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a request, want 0", allocs)
	}
}

func BenchmarkRoute(b *testing.B) {
	m, err := New(Config{Registerer: discard{}})
	if err != nil {
		b.Fatal(err)
	}
	r := m.Route("r")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Started()
			r.Upstream(time.Millisecond, exchange.Trace{})
			r.Done("GET", 200, 2*time.Millisecond, exchange.Trace{})
		}
	})
}
