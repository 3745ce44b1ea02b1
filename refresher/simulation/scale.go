package simulation

import (
	"time"

	"attache/refresher"
)

// Fleet is a number of replicas that nothing goes wrong with. It is not run with
// the engine but computed, login by login, from what decides when one is due:
// [refresher.Policy.Due]. So it may be large. TestModelAgrees holds it against the
// engine.
type Fleet struct {
	Replicas int
	Lifetime time.Duration
	// Jitter is that of the policy; 0: none.
	Jitter float64
	// Rollout is the time within which all replicas start.
	Rollout time.Duration
}

// What a login takes in the model, and until the others know of it.
const (
	loginTakes    = 210 * time.Millisecond
	announceTakes = 30 * time.Millisecond
)

func (f Fleet) policy() refresher.Policy {
	p := refresher.Policy{Jitter: f.Jitter}
	if f.Jitter == 0 {
		p.Jitter = -1
	}
	return p
}

// due returns how long after its issue a token is due.
func (f Fleet) due(p refresher.Policy, r float64) time.Duration {
	begin := time.Unix(0, 0)
	return p.Due(refresher.Token{IssuedAt: begin, ExpiresAt: begin.Add(f.Lifetime)}, r)
}

// Alone returns how many logins there are in each second of that time when
// there is no store.
func (f Fleet) Alone(seed uint64, length time.Duration) []int {
	r, p := draw(seed, streamModel, uint64(f.Replicas)), f.policy()
	logins := make([]int, int(length/time.Second))
	for range f.Replicas {
		at := time.Duration(r.Float64() * float64(f.Rollout))
		for at < length {
			logins[at/time.Second]++
			at += loginTakes + f.due(p, r.Float64())
		}
	}
	return logins
}

// Shared is what a fleet with a store that announces costs in an hour, once it
// has started.
type Shared struct {
	Logins        float64
	Operations    float64 // of the store, one for each request to it
	Announcements float64 // one for each replica that hears of a token
}

// Shared computes the mean over that time.
func (f Fleet) Shared(seed uint64, length time.Duration) Shared {
	r, p := draw(seed, streamModel, uint64(f.Replicas)), f.policy()
	var s Shared
	dues := make([]time.Duration, f.Replicas)
	var at time.Duration
	for at < length {
		first := f.Lifetime
		for i := range dues {
			dues[i] = f.due(p, r.Float64())
			first = min(first, dues[i])
		}
		racers := -1 // the first of them is the one that logs in
		for _, due := range dues {
			if due < first+loginTakes+announceTakes {
				racers++
			}
		}
		at += first + loginTakes
		s.Logins++
		// Who logs in: load, acquire, load, save, release. Who comes due
		// meanwhile: load and acquire in vain. Everybody: load what was announced.
		s.Operations += float64(5 + 2*racers + f.Replicas)
		s.Announcements += float64(f.Replicas)
	}
	hours := at.Hours()
	return Shared{s.Logins / hours, s.Operations / hours, s.Announcements / hours}
}

// Peak returns the most in any second from the one hour to the other.
func Peak(logins []int, from, to time.Duration) int {
	most := 0
	for _, n := range logins[from/time.Second : to/time.Second] {
		most = max(most, n)
	}
	return most
}
