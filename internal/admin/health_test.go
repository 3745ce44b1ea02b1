package admin

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
)

func code(t *testing.T, a *Admin, path string) int {
	t.Helper()
	onAdmin, onProbes := do(a.Handler(nil), "GET", path).Code, do(a.Probes(), "GET", path).Code
	if onAdmin != onProbes {
		t.Errorf("%s: %d on the admin listener, %d on the probes listener", path, onAdmin, onProbes)
	}
	return onAdmin
}

func TestStartupWaitsForRequiredTokens(t *testing.T) {
	var (
		none  = refresher.InstanceStatus{Phase: refresher.Empty}
		fresh = refresher.InstanceStatus{Phase: refresher.Fresh, Generation: 1}
		past  = refresher.InstanceStatus{Phase: refresher.Expired, Generation: 4}
		block = refresher.InstanceStatus{Phase: refresher.Blocked, Failures: 1, Class: refresher.Permanent}
	)
	tests := []struct {
		name  string
		pools []refresher.PoolStatus
		want  int
	}{
		{"no tokens", nil, 200},
		{"a token", []refresher.PoolStatus{pool("c", "t", fresh)}, 200},
		{"usable once is enough", []refresher.PoolStatus{pool("c", "t", past)}, 200},
		{"none yet", []refresher.PoolStatus{pool("c", "t", none)}, 503},
		{"blocked", []refresher.PoolStatus{pool("c", "t", block)}, 503},
		{"one of two", []refresher.PoolStatus{pool("c", "t", fresh), pool("d", "t", none)}, 503},
		{"not required", []refresher.PoolStatus{pool("c", "t", fresh), pool("spare", "t", none)}, 200},
		{"keyed", []refresher.PoolStatus{keyed("c", "t")}, 200},
		{"parent of keyed", []refresher.PoolStatus{pool("c", "access", none), keyed("c", "t")}, 503},
	}
	for _, tt := range tests {
		a := (&fake{pools: tt.pools}).admin(t)
		for _, path := range []string{"/startupz", "/readyz"} {
			if got := code(t, a, path); got != tt.want {
				t.Errorf("%s: %s: %d, want %d", tt.name, path, got, tt.want)
			}
		}
		if got := a.Started(); got != (tt.want == 200) {
			t.Errorf("%s: Started = %v", tt.name, got)
		}
		if got := code(t, a, "/livez"); got != 200 {
			t.Errorf("%s: /livez: %d, want 200 whatever the tokens do", tt.name, got)
		}
	}
}

// Once ready, neither an outage nor a token that turns up later takes the
// process out of service; a drain does.
func TestReadyLatchesUntilDrain(t *testing.T) {
	f := &fake{pools: []refresher.PoolStatus{pool("c", "t", refresher.InstanceStatus{Generation: 1})}}
	a := f.admin(t)
	if got := code(t, a, "/readyz"); got != 200 {
		t.Fatalf("/readyz: %d, want 200", got)
	}
	f.pools = []refresher.PoolStatus{
		pool("c", "t", refresher.InstanceStatus{Phase: refresher.Expired, Failures: 9}),
		pool("new", "t", refresher.InstanceStatus{}),
	}
	if got := code(t, a, "/readyz"); got != 200 {
		t.Errorf("/readyz after an outage: %d, want 200", got)
	}
	a.Drain()
	if got := code(t, a, "/readyz"); got != 503 {
		t.Errorf("/readyz while draining: %d, want 503", got)
	}
	for _, path := range []string{"/startupz", "/livez"} {
		if got := code(t, a, path); got != 200 {
			t.Errorf("%s while draining: %d, want 200", path, got)
		}
	}
}

func TestWhyIsToldOnTheAdminListenerAlone(t *testing.T) {
	f := &fake{pools: []refresher.PoolStatus{
		pool("corp", "access", refresher.InstanceStatus{Failures: 2, Class: refresher.Throttled, LastError: "login.internal answered 429"}),
		pool("other", "token", refresher.InstanceStatus{}),
	}}
	a := f.admin(t)
	want := "no token yet: corp.access: throttled: login.internal answered 429\nno token yet: other.token\n"
	for _, path := range []string{"/startupz", "/readyz"} {
		if got := do(a.Handler(nil), "GET", path).Body.String(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if got := do(a.Probes(), "GET", path).Body.String(); got != "no\n" {
			t.Errorf("%s on the probes listener: %q, want no reason", path, got)
		}
	}
	a.Drain()
	if got := do(a.Handler(nil), "GET", "/readyz").Body.String(); !strings.HasPrefix(got, "draining") {
		t.Errorf("/readyz while draining: %q", got)
	}
}

func TestLiveFollowsTheHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		a := f.admin(t)
		live := func(want int, when string) {
			t.Helper()
			if got := code(t, a, "/livez"); got != want {
				t.Errorf("%s: %d, want %d", when, got, want)
			}
		}
		live(200, "at the start")
		time.Sleep(20 * time.Second)
		live(200, "before the first heartbeat is due")
		time.Sleep(11 * time.Second)
		live(503, "when the scheduler never started")

		f.beat = time.Now()
		live(200, "at a heartbeat")
		time.Sleep(30 * time.Second)
		live(200, "30 s later")
		time.Sleep(time.Second)
		live(503, "31 s later")
		if got := do(a.Handler(nil), "GET", "/livez").Body.String(); got != "the token scheduler has stood still for 31s\n" {
			t.Errorf("why: %q", got)
		}
		f.beat = time.Now()
		live(200, "when it goes on")

		// The wall clock steps; heartbeats are stamped with it.
		time.Sleep(5 * time.Second)
		f.beat = time.Now().Add(-3 * time.Hour)
		live(200, "after the clock went back 3 h")
		time.Sleep(5 * time.Second)
		f.beat = time.Now().Add(3 * time.Hour)
		live(200, "after the clock went forward 6 h")
		time.Sleep(31 * time.Second)
		live(503, "when the heartbeat lies in the future and stands still")

		// Nobody asked for an hour, in which the scheduler went round.
		time.Sleep(time.Hour)
		f.beat = time.Now().Add(-5 * time.Second)
		live(200, "after an hour without a probe")
	})
}
