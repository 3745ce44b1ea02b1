package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"attache/refresher"
)

// vendor issues tokens and knows which are good. Its clock is the true one.
type vendor struct {
	profile Profile
	weather *weather

	mu     sync.Mutex
	issued map[string]*issue
	good   []*issue // may still be good, oldest first
	logins []time.Time
}

// issue is one token.
type issue struct {
	value   string
	number  int
	at, end time.Time // end: from then on it is not accepted
	expires time.Time
}

func newVendor(p Profile, w *weather) *vendor {
	return &vendor{profile: p, weather: w, issued: map[string]*issue{}}
}

// login is a login that reaches the vendor.
func (v *vendor) login(r *rand.Rand) (*issue, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	v.logins = append(v.logins, now)
	switch {
	case v.weather.is(VendorBusy, everybody):
		wait := between(r.Float64(), time.Second, v.weather.sizeOf(VendorBusy)).Truncate(time.Second)
		return nil, &refresher.FetchError{Class: refresher.Throttled, RetryAfter: wait, Err: errors.New("429")}
	case v.weather.is(VendorFails, everybody):
		return nil, &refresher.FetchError{Class: refresher.Transient, Err: errors.New("503")}
	case v.weather.is(VendorDenies, everybody):
		return nil, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("401")}
	}
	switch v.profile.Previous {
	case Dies:
		v.endAll(now)
	case Overlaps:
		v.endAll(now.Add(overlap))
	}
	n := len(v.issued) + 1
	t := &issue{value: fmt.Sprintf("v%d", n), number: n, at: now, expires: now.Add(v.profile.Lifetime)}
	t.end = t.expires
	v.issued[t.value] = t
	v.good = append(v.good, t)
	return t, nil
}

// endAll ends every token at at, unless it ends before. It is called with v.mu
// held.
func (v *vendor) endAll(at time.Time) {
	now := time.Now()
	var good []*issue
	for _, t := range v.good {
		if t.end.After(at) {
			t.end = at
		}
		if t.end.After(now) {
			good = append(good, t)
		}
	}
	v.good = good
}

// revoke drops every token.
func (v *vendor) revoke() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.endAll(time.Now())
}

// accepts reports whether a request with that token is answered now.
func (v *vendor) accepts(value string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.issued[value]
	return t != nil && time.Now().Before(t.end)
}

// find returns what is known of a value; nil: it was never issued.
func (v *vendor) find(value string) *issue {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.issued[value]
	if t == nil {
		return nil
	}
	known := *t
	return &known
}

// count returns how many logins there were, how many of them gave a token, and how
// many came within one hour at most.
func (v *vendor) count() (logins, issued, busiest int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	first := 0
	for i, at := range v.logins {
		for at.Sub(v.logins[first]) >= time.Hour {
			first++
		}
		busiest = max(busiest, i-first+1)
	}
	return len(v.logins), len(v.issued), busiest
}
