package metrics

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/refresher"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// use gives a route and a credential series of every kind.
func use(m *Metrics, route, credential string) *Route {
	r := m.Route(route)
	r.Started()
	r.Upstream(time.Millisecond, exchange.Trace{})
	r.Done("GET", 200, time.Millisecond, exchange.Trace{})
	r.Replay("ok")
	r.Unavailable(credential, "transient")
	r.Limited(credential, "instances")
	for kind := refresher.LoggedIn; kind <= refresher.Revoked; kind++ {
		m.Observe(refresher.Event{Kind: kind, Credential: credential, Token: "access", Op: "load"})
	}
	return r
}

func TestKeep(t *testing.T) {
	m, reg := newMetrics(t)
	use(m, "", "stays")
	use(m, "stays", "stays")
	gone := use(m, "gone", "gone")
	use(m, "stays", "gone")
	m.Keep([]string{"stays"}, []string{"stays"})
	got := exposition(t, reg)
	if strings.Contains(got, "gone") {
		t.Errorf("something stays of what went:\n%s", got)
	}
	for _, want := range []string{
		`attache_proxy_requests_total{code="200",method="GET",route=""} 1`,
		`attache_proxy_requests_total{code="200",method="GET",route="stays"} 2`,
		`attache_proxy_unavailable_total{class="transient",credential="stays",route="stays"} 1`,
		`attache_credential_refresh_total{credential="stays",outcome="ok",token="access"} 2`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}

	// A request that was in flight goes on counting, with statuses, outcomes and
	// credentials that are new as well; and so does a login.
	gone.Started()
	gone.Done("PUT", 500, time.Second, sampledTrace())
	gone.Replay("late")
	gone.Unavailable("gone", "permanent")
	gone.Limited("gone", "logins_per_minute")
	m.Observe(refresher.Event{Kind: refresher.LoggedIn, Credential: "gone", Token: "access"})
	if got := exposition(t, reg); strings.Contains(got, "gone") {
		t.Errorf("what went is back:\n%s", got)
	}
	if got := testutil.ToFloat64(m.inFlight); got != 0 {
		t.Errorf("%v requests in flight, want 0: those of a route that went count as well", got)
	}

	// The same names again are new series.
	use(m, "gone", "gone")
	if got := exposition(t, reg); strings.Contains(got, "gone") {
		t.Errorf("a route is shown before it is in service:\n%s", got)
	}
	m.Keep([]string{"stays", "gone"}, []string{"stays", "gone"})
	if got := exposition(t, reg); !strings.Contains(got, `attache_proxy_requests_total{code="200",method="GET",route="gone"} 1`) {
		t.Errorf("the route does not begin anew:\n%s", got)
	}
}

// TestReloadsLeaveNothing changes all names again and again, in configurations
// that are put into service and in others that are not.
func TestReloadsLeaveNothing(t *testing.T) {
	m, reg := newMetrics(t)
	reload := func(i int) {
		route, credential := fmt.Sprint("route", i), fmt.Sprint("credential", i)
		use(m, route, credential)
		if i%3 == 0 {
			m.ReloadFailed()
		} else {
			m.Keep([]string{route}, []string{credential})
		}
	}
	size := func() int { return strings.Count(exposition(t, reg), "\n") }
	reload(1)
	once := size()
	for i := range 10_000 {
		reload(i)
	}
	reload(10_000)
	if got := size(); got != once {
		t.Errorf("%d lines after 10,000 reloads, %d after one", got, once)
	}
	for i := range 100 {
		use(m, fmt.Sprint("bad", i), fmt.Sprint("bad", i))
		m.ReloadFailed()
	}
	if len(m.routes) != 1 || len(m.credentials) != 1 {
		t.Errorf("%d routes and %d credentials are kept", len(m.routes), len(m.credentials))
	}
}

// Reloads, scrapes and requests may meet.
func TestKeepConcurrently(t *testing.T) {
	m, reg := newMetrics(t, samplePools()...)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 50 {
				name := fmt.Sprint(i, "-", j%5)
				use(m, name, name)
				m.Keep([]string{name, "0-0"}, []string{name})
				if _, err := reg.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := testutil.ToFloat64(m.inFlight); got != 0 {
		t.Errorf("%v requests in flight, want 0", got)
	}
}
