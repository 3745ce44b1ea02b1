package simulation

import (
	"fmt"
	"time"

	"attache/refresher"
)

// Previous says what becomes of the token before when the vendor issues one.
type Previous uint8

// What a recipe calls `previous`.
const (
	Stays Previous = iota
	Overlaps
	Dies
)

// String returns the recipe's word.
func (p Previous) String() string { return [...]string{"stays", "overlaps", "dies"}[p] }

// overlap is how long the token before stays good where it overlaps.
const overlap = 5 * time.Minute

// Profile is what does not change in a run: the vendor, the recipe's policy, the
// replicas and what they are used for.
type Profile struct {
	Replicas int
	Lifetime time.Duration
	Previous Previous
	Policy   refresher.Policy
	// News: the store announces changes.
	News bool
	// Alone: there is no store, and each replica logs in for itself.
	Alone bool
	// Skew is how far the replicas' clocks are off at most.
	Skew time.Duration
	// Every is the mean time between two requests of one replica.
	Every time.Duration
}

// String is one line that says which run this is.
func (p Profile) String() string {
	text := fmt.Sprintf("%d replicas, lifetime %v, previous %v, min_interval %v", p.Replicas, p.Lifetime, p.Previous, p.Policy.MinInterval)
	if p.Policy.MaxPerHour > 0 {
		text += fmt.Sprintf(", max_per_hour %d", p.Policy.MaxPerHour)
	}
	if p.Policy.HoldsOnOutage {
		text += ", holds on outage"
	}
	if p.Alone {
		text += ", no store"
	} else if !p.News {
		text += ", no announcements"
	}
	return text + fmt.Sprintf(", skew %v, a request every %v", p.Skew, p.Every)
}

// NewProfile draws a profile.
func NewProfile(seed uint64) Profile {
	r := draw(seed, streamProfile)
	p := Profile{
		Replicas: 2 + r.IntN(5),
		Lifetime: []time.Duration{5 * time.Minute, 20 * time.Minute, time.Hour, 2 * time.Hour}[r.IntN(4)],
		Previous: Previous(r.IntN(3)),
		News:     r.Float64() < 0.75,
		Skew:     []time.Duration{0, time.Second, time.Minute, time.Hour}[r.IntN(4)],
		Every:    []time.Duration{20 * time.Second, time.Minute, 3 * time.Minute}[r.IntN(3)],
	}
	p.Policy = refresher.Policy{
		Jitter:       0.05,
		MinInterval:  []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}[r.IntN(3)],
		Timeout:      10 * time.Second,
		PreviousDies: p.Previous == Dies,
	}
	p.Policy.HoldsOnOutage = p.Previous == Dies && r.Float64() < 0.7
	if r.Float64() < 0.2 {
		p.Policy.MaxPerHour = 40
	}
	return p
}
