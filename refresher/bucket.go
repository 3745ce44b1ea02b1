package refresher

import (
	"slices"
	"sync"
	"time"
)

// bucket holds units that come back evenly over time. It is not safe for
// concurrent use.
type bucket struct {
	size  float64
	every time.Duration // one unit comes back
	units float64
	at    time.Time // when units was right
}

func newBucket(size int, every time.Duration) bucket {
	return bucket{size: float64(size), every: every, units: float64(size)}
}

// fill adds what came back. A now before that of an earlier call (callers read
// the clock before they get the lock) must not move the bucket's time back, or
// the time between would count twice.
func (b *bucket) fill(now time.Time) {
	if b.at.IsZero() {
		b.at = now
	}
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.units = min(b.size, b.units+float64(elapsed)/float64(b.every))
		b.at = now
	}
}

// aUnit is 1 less a rounding error: a unit that is back but for that is back.
const aUnit = 1 - 1e-9

// take takes a unit if there is one.
func (b *bucket) take(now time.Time) bool {
	b.fill(now)
	if b.units < aUnit {
		return false
	}
	b.units = max(b.units-1, 0)
	return true
}

// resize changes the bucket's size and its rate. It gives no units, or whoever
// resizes it again and again had any number of them.
func (b *bucket) resize(size int, every time.Duration, now time.Time) {
	b.fill(now)
	b.size, b.every = float64(size), every
	b.units = min(b.units, b.size)
}

// give returns a unit.
func (b *bucket) give() { b.units = min(b.size, b.units+1) }

// wait returns how long it takes until there is a unit.
func (b *bucket) wait(now time.Time) time.Duration {
	b.fill(now)
	if b.units >= aUnit {
		return 0
	}
	behind := max(b.at.Sub(now), 0)
	return max(behind+time.Duration((1-b.units)*float64(b.every)), time.Millisecond)
}

// limiter is a bucket with a lock of its own, held for its arithmetic alone.
type limiter struct {
	mu     sync.Mutex
	bucket bucket
}

// take takes a unit and returns 0, or else how long it takes until there is
// one.
func (l *limiter) take(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bucket.take(now) {
		return 0
	}
	return l.bucket.wait(now)
}

// give returns a unit.
func (l *limiter) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucket.give()
}

func (l *limiter) resize(size int, every time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucket.resize(size, every, now)
}

// snapshot returns the bucket as it is.
func (l *limiter) snapshot() bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket
}

// The refusal budget: an endpoint that answers 401 for want of permission, not
// of a token, must neither take the token out of service for good nor flood
// the login.
const (
	budgetSize  = 5
	budgetEvery = 30 * time.Second
)

// budget counts the renewals that the refusals of one route caused. A unit
// comes back with time, or when it proves well spent.
type budget struct {
	by     string
	next   *budget // of another route
	bucket bucket
	spent  []uint64 // refused generations whose unit may still be returned
}

func newBudget(by string, next *budget) *budget {
	return &budget{by: by, next: next, bucket: newBucket(budgetSize, budgetEvery)}
}

// spend takes a unit for the refusal of a generation.
func (b *budget) spend(generation uint64, now time.Time) bool {
	if !b.bucket.take(now) {
		return false
	}
	b.spent = append(b.spent, generation)
	if len(b.spent) > budgetSize {
		b.spent = b.spent[1:]
	}
	return true
}

// refund returns the unit of a generation, once.
func (b *budget) refund(generation uint64) {
	if i := slices.Index(b.spent, generation); i >= 0 {
		b.spent = slices.Delete(b.spent, i, i+1)
		b.bucket.give()
	}
}
