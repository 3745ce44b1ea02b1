package metrics

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/refresher"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

var update = flag.Bool("update", false, "rewrite the golden file and docs/metrics.md")

func newMetrics(t *testing.T, pools ...refresher.PoolStatus) (*Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := New(Config{
		Registerer: reg,
		Version:    "1.2.3",
		Revision:   "abcdef0",
		Status:     func() []refresher.PoolStatus { return pools },
		Certificates: func() []Certificate {
			return []Certificate{{"a.example.com", time.Unix(1_800_000_000, 0)}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// exposition is what a scrape gets.
func exposition(t *testing.T, reg prometheus.Gatherer) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// samplePools are one plain token and one that depends on the request.
func samplePools() []refresher.PoolStatus {
	at := time.Unix(1_700_000_000, 500_000_000)
	return []refresher.PoolStatus{
		{
			Credential: "aicc", Token: "access", Recipe: "huawei-aicc",
			Phases: map[refresher.Phase]int{refresher.Fresh: 1}, Instances: 1, Waiters: 2, Failures: 3,
			Single: &refresher.InstanceStatus{
				Phase: refresher.Fresh, Generation: 7, LastSuccess: at, ExpiresAt: at.Add(time.Hour),
			},
		},
		{
			Credential: "aicc", Token: "messaging", Recipe: "huawei-aicc", Keyed: true,
			Phases: map[refresher.Phase]int{refresher.Fresh: 40, refresher.Due: 10, refresher.Blocked: 2}, Instances: 52,
		},
	}
}

// play gives every kind of event and every method of Route its turn.
func play(t *testing.T, m *Metrics) {
	event := refresher.Event{Credential: "aicc", Token: "access", By: "CANARY-by", Err: errors.New("CANARY-err")}
	with := func(change func(*refresher.Event)) {
		e := event
		change(&e)
		m.Observe(e)
	}
	with(func(e *refresher.Event) { e.Kind, e.Duration = refresher.LoggedIn, 300*time.Millisecond })
	with(func(e *refresher.Event) { e.Kind = refresher.Adopted })
	for _, c := range []refresher.Class{refresher.Transient, refresher.Throttled, refresher.Permanent} {
		with(func(e *refresher.Event) { e.Kind, e.Class, e.Duration = refresher.LoginFailed, c, time.Second })
	}
	// No login was sent: it is counted, and is no measure of the upstream.
	with(func(e *refresher.Event) { e.Kind = refresher.LoginFailed })
	with(func(e *refresher.Event) {
		e.Kind, e.Signal, e.Rejection = refresher.Refused, exchange.SignalBody, refresher.OverBudget
	})
	with(func(e *refresher.Event) { e.Kind = refresher.Renewed })
	with(func(e *refresher.Event) { e.Kind = refresher.Evicted })
	useStore(t, m)

	r := m.Route("/aicc")
	r.Started()
	r.Started()
	r.Started()
	r.Upstream(20*time.Millisecond, exchange.Trace{})
	r.Done("GET", 200, 30*time.Millisecond, exchange.Trace{})
	r.Done("BREW", 0, 2*time.Millisecond, exchange.Trace{})
	r.Replay("ok")
	r.Unavailable("aicc", "transient")
	r.Limited("aicc", "instances")
	m.CertificateIssued("a.example.com", nil)
	m.CertificateIssued("a.example.com", errors.New("CANARY"))
	m.Reloaded(time.Unix(1_700_000_000, 0))
}

func TestExposition(t *testing.T) {
	m, reg := newMetrics(t, samplePools()...)
	play(t, m)
	got := strings.ReplaceAll(exposition(t, reg), runtime.Version(), "GOVERSION")
	golden(t, "testdata/metrics.golden", got)
	if strings.Contains(got, "CANARY") {
		t.Error("an error's text or a refusal's origin became a label")
	}
}

func TestLint(t *testing.T) {
	m, reg := newMetrics(t, samplePools()...)
	play(t, m)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Every family that the reference describes exists as described, and there is
// no other.
func TestDefinitionsMatchWhatIsServed(t *testing.T) {
	m, reg := newMetrics(t, samplePools()...)
	play(t, m)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]family{}
	for _, f := range families {
		labels := map[string][]string{}
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		got := family{name: f.GetName(), kind: strings.ToLower(f.GetType().String()), help: f.GetHelp()}
		for name, values := range labels {
			got.labels = append(got.labels, label{name, values})
		}
		served[f.GetName()] = got
	}
	for _, want := range m.families {
		got, ok := served[want.name]
		if !ok {
			t.Errorf("%s is described and not served", want.name)
			continue
		}
		delete(served, want.name)
		if got.kind != want.kind || got.help != want.help {
			t.Errorf("%s: served as %s %q, described as %s %q", want.name, got.kind, got.help, want.kind, want.help)
		}
		names := want.labelNames()
		slices.Sort(names)
		served := got.labelNames()
		slices.Sort(served)
		if !slices.Equal(names, served) {
			t.Errorf("%s: served with labels %v, described with %v", want.name, served, names)
		}
		checkValues(t, want, got)
	}
	for name := range served {
		t.Errorf("%s is served and not described", name)
	}
}

// checkValues checks that a label whose values are listed has no other.
func checkValues(t *testing.T, want, got family) {
	t.Helper()
	for _, w := range want.labels {
		for _, g := range got.labels {
			if g.name != w.name || len(w.values) == 0 {
				continue
			}
			for _, v := range g.values {
				if !slices.Contains(w.values, v) {
					t.Errorf("%s: label %s has the value %q, which is not listed", want.name, w.name, v)
				}
			}
		}
	}
}

func TestKeyedTokensHaveNoTimes(t *testing.T) {
	pools := samplePools()
	// Even if a status came with a time, it must not be shown.
	pools[1].Single = &refresher.InstanceStatus{ExpiresAt: time.Now(), LastSuccess: time.Now()}
	_, reg := newMetrics(t, pools...)
	for line := range strings.Lines(exposition(t, reg)) {
		if strings.Contains(line, `token="messaging"`) && strings.Contains(line, "timestamp") {
			t.Errorf("a keyed token has a time: %s", line)
		}
	}
}

func TestNoTimesBeforeThereAreAny(t *testing.T) {
	_, reg := newMetrics(t, refresher.PoolStatus{Credential: "c", Token: "t", Instances: 1,
		Phases: map[refresher.Phase]int{refresher.Empty: 1}, Single: &refresher.InstanceStatus{}})
	if got := exposition(t, reg); strings.Contains(got, "attache_credential_expiry_timestamp_seconds{") ||
		strings.Contains(got, "attache_credential_last_success_timestamp_seconds{") {
		t.Errorf("a time is shown before there is one:\n%s", got)
	}
}

func TestReload(t *testing.T) {
	m, reg := newMetrics(t)
	check := func(ok, at string) {
		t.Helper()
		got := exposition(t, reg)
		for _, want := range []string{
			"\nattache_config_last_reload_successful " + ok + "\n",
			"\nattache_config_last_reload_success_timestamp_seconds " + at + "\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in\n%s", want, got)
			}
		}
	}
	check("0", "0")
	m.Reloaded(time.Unix(100, 0))
	check("1", "100")
	m.ReloadFailed()
	check("0", "100")
}

func TestNewFails(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("New without a registerer gave no error")
	}
	reg := prometheus.NewRegistry()
	if _, err := New(Config{Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Registerer: reg}); err == nil {
		t.Error("registering twice gave no error")
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale (- file, + now); if the change is meant, run go test ./metrics -update\n%s", path, diff)
	}
}
