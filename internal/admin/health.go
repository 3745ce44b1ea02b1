package admin

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"attache/refresher"
)

// deadAfter is how long the scheduler's heartbeat may stand still, several
// times its period, before /livez asks for a restart.
const deadAfter = 30 * time.Second

// health is the memory of the probes.
type health struct {
	// usable is set once every required token was usable, and stays: an outage
	// of one vendor must not take every pod out of service.
	usable   atomic.Bool
	draining atomic.Bool

	// The heartbeat is compared with the one before, and how long it has not
	// changed is measured by the monotonic clock: a step of the wall clock must
	// not look like a dead scheduler.
	mu       sync.Mutex
	beat     time.Time
	beatSeen time.Time
}

func newHealth(now time.Time) health { return health{beatSeen: now} }

// Drain makes /readyz fail from now on, so that no new traffic is sent here, and
// ends event streams, which would not end by themselves.
func (a *Admin) Drain() {
	a.health.draining.Store(true)
	a.drain()
}

// Started reports whether every required token was usable once.
func (a *Admin) Started() bool { return len(a.missing()) == 0 }

// missing lists the required tokens that were never usable; nil forever once
// there is none.
func (a *Admin) missing() []refresher.PoolStatus {
	if a.health.usable.Load() {
		return nil
	}
	var missing []refresher.PoolStatus
	for _, p := range a.cfg.Pools() {
		if p.Keyed || p.Single == nil || !a.cfg.Required(p.Credential, p.Token) {
			continue
		}
		// Generations count the values that the token had; each was usable.
		if p.Single.Generation == 0 {
			missing = append(missing, p)
		}
	}
	if missing == nil {
		a.health.usable.Store(true)
	}
	return missing
}

// startup returns why the application cannot start yet; "": it can.
func (a *Admin) startup() string {
	var why strings.Builder
	for _, p := range a.missing() {
		fmt.Fprintf(&why, "no token yet: %s.%s", p.Credential, p.Token)
		if s := p.Single; s.Failures > 0 {
			fmt.Fprintf(&why, ": %s: %s", s.Class, s.LastError)
		}
		why.WriteString("\n")
	}
	return why.String()
}

// ready returns why no traffic should be sent here; "": it should.
func (a *Admin) ready() string {
	if a.health.draining.Load() {
		return "draining\n"
	}
	return a.startup()
}

// live returns why the process needs a restart; "": it needs none. It knows
// nothing of upstreams: a restart mends none of them.
func (a *Admin) live() string {
	beat, now := a.cfg.Heartbeat(), time.Now()
	h := &a.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !beat.Equal(h.beat) {
		h.beat, h.beatSeen = beat, now
	}
	if still := now.Sub(h.beatSeen); still > deadAfter {
		return fmt.Sprintf("the token scheduler has stood still for %s\n", still.Round(time.Second))
	}
	return ""
}

// probe answers 200 or 503. Why is told only where the listener is for those
// who run attache: an error's text may describe the network behind it.
func (a *Admin) probe(check func() string, explain bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		why := check()
		switch {
		case why == "":
			text(w, http.StatusOK, "ok\n")
		case explain:
			text(w, http.StatusServiceUnavailable, why)
		default:
			text(w, http.StatusServiceUnavailable, "no\n")
		}
	}
}
