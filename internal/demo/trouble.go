package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"attache/internal/emulator"
)

const (
	troubleEvery = 2500 * time.Millisecond
	// An outage begins a little before the next login is due and ends before
	// the token does: a token is renewed when at least a fifth of its life is
	// left, and a failed login tried again after about a second.
	outageLead = 100 * time.Millisecond
	outage     = 800 * time.Millisecond
	// healLimit is how long to watch for the healing.
	healLimit = 10 * time.Second
	// kept is how many incidents the table shows.
	kept = 6
)

// incident is something that the demo broke.
type incident struct {
	at     time.Duration // since the start
	what   string
	healed time.Duration // 0: not yet
	note   string
}

// trouble breaks something now and then.
type trouble struct {
	vendors []*vendor
	started time.Time
	// due returns when a credential logs in next; zero: not known.
	due func(credential string) time.Time

	mu        sync.Mutex
	incidents []incident
	count     int
}

func newTrouble(vendors []*vendor, started time.Time, due func(string) time.Time) *trouble {
	return &trouble{vendors: vendors, started: started, due: due}
}

// plot is one way to break a vendor: an action on its tokens, or an outage of
// its logins when there is none.
type plot struct {
	vendor, what string
	action       emulator.Action
	tokens       int // that are in use and end by the action
}

func plots() []plot {
	return []plot{
		{"wechat", "the vendor replaced the token", emulator.Action{Do: emulator.Rotate}, 1},
		{"qiniu", "logins are down", emulator.Action{}, 0},
		{"openim", "the token was kicked by a login elsewhere", emulator.Action{Do: emulator.Kick}, 1},
		{"aicc", "the access token of all users was revoked", emulator.Action{Do: emulator.Expire, Kind: "access"}, 1},
		{"openim", "logins are down", emulator.Action{}, 0},
		{"aicc", "one user's token was revoked", emulator.Action{Do: emulator.Kick, Kind: "messaging", Limit: 1}, 1},
		{"qiniu", "the token was revoked", emulator.Action{Do: emulator.Kick}, 1},
		{"wechat", "logins are down", emulator.Action{}, 0},
		{"aicc", "all tokens were revoked at once", emulator.Action{Do: emulator.Kick}, 1 + users},
	}
}

// run breaks one thing after the other until ctx ends.
func (t *trouble) run(ctx context.Context) {
	tick := time.NewTicker(troubleEvery)
	defer tick.Stop()
	var watching sync.WaitGroup
	defer watching.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p := plots()[n%len(plots())]
		for _, v := range t.vendors {
			if v.name == p.vendor {
				watching.Go(func() { t.perform(ctx, v, p) })
			}
		}
	}
}

func (t *trouble) perform(ctx context.Context, v *vendor, p plot) {
	if p.action.Do == "" {
		// A revocation meanwhile moves the next login, so look again and again.
		for time.Until(t.due(v.name)) > outageLead {
			if !sleep(ctx, outageLead/4) {
				return
			}
		}
		t.darken(ctx, v, t.note(v.name+": "+p.what))
		return
	}
	before := sum(v.emu.Stats().Issued)
	i := t.note(v.name + ": " + p.what)
	start := time.Now()
	ended, err := v.emu.Do(p.action)
	if err != nil {
		t.update(i, func(in *incident) { in.note = err.Error() })
		return
	}
	for time.Since(start) < healLimit {
		if sum(v.emu.Stats().Issued) >= before+uint64(min(ended, p.tokens)) {
			t.update(i, func(in *incident) { in.healed = time.Since(start) })
			return
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return
		}
	}
	t.update(i, func(in *incident) { in.note = "not healed" })
}

// darken makes logins fail for a while.
func (t *trouble) darken(ctx context.Context, v *vendor, i int) {
	before := sum(v.emu.Stats().LoginsTroubled)
	err := v.emu.Change(func(s *emulator.Settings) {
		s.Login = emulator.Trouble{Fault: emulator.FaultDown, Status: 503, For: emulator.Duration(outage)}
	})
	if err != nil {
		t.update(i, func(in *incident) { in.note = err.Error() })
		return
	}
	issued := sum(v.emu.Stats().Issued)
	start := time.Now()
	for time.Since(start) < healLimit && sleep(ctx, 5*time.Millisecond) {
		if stats := v.emu.Stats(); sum(stats.Issued) > issued {
			t.update(i, func(in *incident) {
				failed := "1 login"
				if n := sum(stats.LoginsTroubled) - before; n != 1 {
					failed = fmt.Sprintf("%d logins", n)
				}
				in.what += fmt.Sprintf(" for %d ms, %s failed", outage.Milliseconds(), failed)
				in.healed = time.Since(start)
			})
			return
		}
	}
}

// sleep waits, and reports whether it was not cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// note enters an incident and returns its number.
func (t *trouble) note(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.incidents = append(t.incidents, incident{at: time.Since(t.started), what: what})
	t.count++
	return t.count - 1
}

func (t *trouble) update(number int, f func(*incident)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.incidents[number])
}

// latest returns the last incidents and how many there were.
func (t *trouble) latest() ([]incident, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := max(0, len(t.incidents)-kept)
	return slices.Clone(t.incidents[from:]), t.count
}
