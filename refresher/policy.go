package refresher

import (
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Bounds that hold whatever a recipe says.
const (
	// FallbackLifetime is that of a token whose stated expiry makes no sense.
	FallbackLifetime = time.Minute
	// MaxLifetime is the longest lifetime that is believed.
	MaxLifetime = 10 * 365 * 24 * time.Hour
	// MaxRetryAfter is the longest wait that an upstream may ask for.
	MaxRetryAfter = time.Hour
)

// Policy says when to renew a token. The zero value is usable: see the fields.
// A value below 0 stands for the default too, unless the field says otherwise.
// The methods are pure functions.
type Policy struct {
	// At is the share of the lifetime after which a token is due; 0: 0.8.
	At float64
	// Margin makes a token due at the latest so long before it expires.
	Margin time.Duration
	// Jitter is the share of the lifetime by which a token may become due
	// earlier; 0: 0.05. Negative: none.
	Jitter float64
	// MinInterval is the least time between the starts of two logins of one
	// instance; 0: 1s.
	MinInterval time.Duration
	// Timeout bounds one login; 0: 10s.
	Timeout time.Duration
	// UselessBefore: the vendor returns the same value when asked earlier than
	// this before expiry, so nobody asks earlier; 0: any time.
	UselessBefore time.Duration
	// SameValueBacksOff: a login that returns the refused value again does not
	// count as a renewal; the value is in service again and its refusals are
	// passed on until the back-off is over.
	SameValueBacksOff bool
	// PreviousDies: a new token kills the one before. It changes nothing by
	// itself: see HoldsOnOutage.
	PreviousDies bool
	// MaxPerHour bounds logins; reached, the next one waits. 0: none.
	MaxPerHour int
	// Rotates: each login uses up something that it got with the token before,
	// as a rotating refresh token, and gets the next one. The store is then in
	// the way: see rotate.go.
	Rotates bool
	// HoldsOnOutage: no login starts while the store does not answer; the current
	// token is served meanwhile. Without it logins go on without the store, and
	// each process has a token of its own for a while.
	HoldsOnOutage bool
	// RenewsInPlace: a login before the token is refused lengthens the life of
	// the value that is there, so that the same value again is no sign of a
	// login in vain.
	RenewsInPlace bool
}

func (p Policy) withDefaults() Policy {
	if !(p.At > 0) {
		p.At = 0.8
	}
	if p.Jitter == 0 {
		p.Jitter = 0.05
	}
	if p.MinInterval <= 0 {
		p.MinInterval = time.Second
	}
	if p.Timeout <= 0 {
		p.Timeout = 10 * time.Second
	}
	return p
}

// Due returns how long after its issue t is due, or 0 for a token that lives
// until it is refused. r in [0, 1) spreads the renewals of many replicas.
//
// Due is the earlier of At·lifetime and lifetime − Margin, but neither before
// half the lifetime (a large margin must not make a hot loop of a short
// lifetime) nor before lifetime − UselessBefore; then up to Jitter earlier. At
// the UselessBefore bound the spread goes to the later side, because to the
// earlier one the vendor would return the same value. Whatever the fields and r
// are, a lifetime above 0 makes Due at least a quarter of it and at most all of
// it, and more than 0.
func (p Policy) Due(t Token, r float64) time.Duration {
	life := t.Lifetime()
	if life <= 0 {
		return 0
	}
	p = p.withDefaults()
	due := min(share(p.At, life), life-max(p.Margin, 0))
	due = max(due, life/2, 1)
	spread := share(p.Jitter*unit(r), life)
	if p.UselessBefore > 0 && due-min(spread, due/2) < life-p.UselessBefore {
		return life - p.UselessBefore + min(spread, p.UselessBefore/2)
	}
	return due - min(spread, due/2)
}

// share returns that share of life, at most all of it.
func share(of float64, life time.Duration) time.Duration {
	if part := unit(of) * float64(life); part < float64(life) {
		return time.Duration(part)
	}
	return life
}

// unit returns x, if it is less than 0 or no number 0, and if it is more than 1
// 1.
func unit(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}

// Delay returns the wait before the next login after so many failures in a
// row (from 1), the last of which was err. r in [0, 1) spreads it by ±20 %.
//
//	failures    1     2     3     4  …           limit
//	transient   1s    2s    4s    8s             60s
//	throttled   as transient, at least the upstream's Retry-After (at most 1h)
//	permanent   1m    2m    4m    8m             15m
//	the store   1s    2s    4s    4s             4s, while a login waits for it
func (p Policy) Delay(failures int, err error, r float64) time.Duration {
	initial, limit := time.Second, time.Minute
	var fetch *FetchError
	if errors.As(err, &fetch) && fetch.Class == Permanent {
		initial, limit = time.Minute, 15*time.Minute
	}
	if fetch != nil && fetch.outage {
		failures = min(failures, 3)
	}
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(initial),
		backoff.WithMaxInterval(limit),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0), // the spread below is the caller's, so that tests own it
		backoff.WithMaxElapsedTime(0),      // never gives up
	)
	var wait time.Duration
	for range min(max(failures, 1), 16) {
		wait = b.NextBackOff()
	}
	wait = time.Duration(float64(wait) * (0.8 + 0.4*unit(r)))
	if fetch != nil && fetch.RetryAfter > 0 {
		wait = max(wait, min(fetch.RetryAfter, MaxRetryAfter))
	}
	return wait
}

// believable returns t with an expiry that can be worked with: a past one (a
// skewed clock must not make every token dead on arrival) and one that is too
// far away are replaced by now + [FallbackLifetime]. The token counts as issued
// now. replaced says whether the expiry was.
func believable(t Token, now time.Time) (_ Token, replaced bool) {
	// Without its monotonic reading a time is compared by the wall clock, which
	// alone sees that the machine slept.
	now = now.Round(0)
	t.IssuedAt = now
	if t.ExpiresAt.IsZero() {
		return t, false
	}
	t.ExpiresAt = t.ExpiresAt.Round(0)
	if !t.ExpiresAt.After(now) || t.ExpiresAt.Sub(now) > MaxLifetime {
		t.ExpiresAt = now.Add(FallbackLifetime)
		return t, true
	}
	return t, false
}
