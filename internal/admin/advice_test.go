package admin

import (
	"strings"
	"testing"
	"time"

	"attache/refresher"
)

func TestAdvice(t *testing.T) {
	now := time.Now()
	status := func(class refresher.Class, phase refresher.Phase, generation uint64) refresher.InstanceStatus {
		return refresher.InstanceStatus{Class: class, Phase: phase, Generation: generation, Failures: 1, LastError: "CANARY", ExpiresAt: now.Add(time.Hour)}
	}
	for _, tt := range []struct {
		name  string
		s     refresher.InstanceStatus
		wants []string
	}{
		{"never accepted", status(refresher.Permanent, refresher.Blocked, 0), []string{"refused for good: compare its parameters", "attache token im"}},
		{"no more accepted", status(refresher.Permanent, refresher.Blocked, 3), []string{"was good before", "changed or withdrew the secret"}},
		{"throttled", status(refresher.Throttled, refresher.Due, 3), []string{"asks for patience", "same account"}},
		{"an outage with a token", status(refresher.Transient, refresher.Due, 3), []string{"The token is still good", "tries again by itself"}},
		{"an outage without one", status(refresher.Transient, refresher.Empty, 0), []string{"no usable token", "attache token im"}},
		{"an outage after it expired", status(refresher.Transient, refresher.Expired, 3), []string{"no usable token"}},
	} {
		got := advice(pool("im", "user", tt.s))
		for _, want := range tt.wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q lacks %q", tt.name, got, want)
			}
		}
		if n := strings.Count(got, ". ") + 1; n > 2 || strings.Contains(got, "CANARY") {
			t.Errorf("%s: %d sentences: %s", tt.name, n, got)
		}
	}
}
