package refresher_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"attache/refresher"
)

// issued is a token with that lifetime.
func issued(lifetime time.Duration) refresher.Token {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return refresher.Token{IssuedAt: at, ExpiresAt: at.Add(lifetime)}
}

func TestDue(t *testing.T) {
	const m = time.Minute
	none := -1.0 // jitter
	tests := []struct {
		name   string
		policy refresher.Policy
		life   time.Duration
		r      float64
		want   time.Duration
	}{
		{"default", refresher.Policy{}, 100 * m, 0, 80 * m},
		{"spread by a half", refresher.Policy{}, 100 * m, 0.5, 77*m + 30*time.Second},
		{"spread", refresher.Policy{}, 100 * m, 0.8, 76 * m},
		{"no spread", refresher.Policy{Jitter: none}, 100 * m, 0.8, 80 * m},
		{"at", refresher.Policy{At: 0.9, Jitter: none}, 100 * m, 0, 90 * m},
		{"at, too early", refresher.Policy{At: 0.1, Jitter: none}, 100 * m, 0, 50 * m},
		{"at, after the end", refresher.Policy{At: 7, Jitter: none}, 100 * m, 0, 100 * m},
		{"at, negative", refresher.Policy{At: -1}, 100 * m, 0, 80 * m},
		{"margin", refresher.Policy{Margin: 30 * m}, 100 * m, 0, 70 * m},
		{"margin, later than at", refresher.Policy{Margin: 5 * m}, 100 * m, 0, 80 * m},
		{"margin, longer than the life", refresher.Policy{Margin: 1000 * m}, 100 * m, 0, 50 * m},
		{"margin, negative", refresher.Policy{At: 1, Margin: -10 * m, Jitter: none}, 100 * m, 0, 100 * m},
		{"half, then the spread", refresher.Policy{Margin: 1000 * m}, 100 * m, 0.8, 46 * m},
		{"spread, more than the life", refresher.Policy{Jitter: 50}, 100 * m, 0.9, 40 * m},
		{"useless before", refresher.Policy{UselessBefore: 5 * m}, 120 * m, 0, 115 * m},
		{"useless before, spread to the later side", refresher.Policy{UselessBefore: 5 * m}, 120 * m, 0.2, 116*m + 12*time.Second},
		{"useless before, spread within the rest", refresher.Policy{UselessBefore: 5 * m}, 120 * m, 0.99, 117*m + 30*time.Second},
		{"useless before, no bound", refresher.Policy{UselessBefore: 50 * m}, 120 * m, 0, 96 * m},
		{"useless before, longer than the life", refresher.Policy{UselessBefore: 500 * m}, 120 * m, 0, 96 * m},
		{"a nanosecond", refresher.Policy{}, 1, 0.9, 1},
		{"no life", refresher.Policy{}, 0, 0.9, 0},
		{"negative life", refresher.Policy{}, -m, 0.9, 0},
		{"longest", refresher.Policy{At: 1, Jitter: none}, math.MaxInt64, 0, math.MaxInt64},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.policy.Due(issued(test.life), test.r); got != test.want {
				t.Errorf("due after %v, want %v", got, test.want)
			}
		})
	}
	if got := (refresher.Policy{}).Due(refresher.Token{IssuedAt: time.Now()}, 0.5); got != 0 {
		t.Errorf("a token that lives until it is refused is due after %v", got)
	}
}

// The floor against hot loops holds whatever somebody writes into a policy.
func FuzzDue(f *testing.F) {
	f.Add(0.8, 0.05, int64(0), int64(0), int64(time.Hour), 0.5)
	f.Add(math.NaN(), math.Inf(1), int64(-1), int64(1), int64(1), -3.0)
	f.Add(1e300, 1e300, int64(math.MinInt64), int64(math.MaxInt64), int64(math.MaxInt64), math.NaN())
	f.Add(0.0, 1.0, int64(math.MaxInt64), int64(math.MaxInt64-1), int64(math.MaxInt64), 0.999)
	f.Fuzz(func(t *testing.T, at, jitter float64, margin, useless, life int64, r float64) {
		p := refresher.Policy{At: at, Jitter: jitter, Margin: time.Duration(margin), UselessBefore: time.Duration(useless)}
		tok := issued(time.Duration(life))
		due := p.Due(tok, r)
		total := tok.Lifetime()
		switch {
		case total <= 0 && due != 0:
			t.Errorf("due after %v without a lifetime", due)
		case total > 0 && (due < max(total/4, 1) || due > total):
			t.Errorf("due after %v of %v", due, total)
		case total > 0 && useless > 0 && useless < life && due < total-time.Duration(useless):
			t.Errorf("due after %v of %v although useless before the last %v", due, total, time.Duration(useless))
		}
	})
}

func TestDelay(t *testing.T) {
	failure := func(c refresher.Class, after time.Duration) error {
		return fmt.Errorf("wrapped: %w", &refresher.FetchError{Class: c, RetryAfter: after, Err: errors.New("x")})
	}
	transient, permanent := failure(refresher.Transient, 0), failure(refresher.Permanent, 0)
	tests := []struct {
		failures int
		err      error
		r        float64
		want     time.Duration
	}{
		{1, transient, 0.5, time.Second},
		{2, transient, 0.5, 2 * time.Second},
		{3, transient, 0.5, 4 * time.Second},
		{6, transient, 0.5, 32 * time.Second},
		{7, transient, 0.5, time.Minute},
		{1 << 40, transient, 0.5, time.Minute},
		{0, transient, 0.5, time.Second},
		{-5, transient, 0.5, time.Second},
		{1, nil, 0.5, time.Second},
		{3, errors.New("of another type"), 0.5, 4 * time.Second},
		{1, transient, 0, 800 * time.Millisecond},
		{7, transient, 0, 48 * time.Second},
		{7, transient, 1, 72 * time.Second},
		{1, permanent, 0.5, time.Minute},
		{2, permanent, 0.5, 2 * time.Minute},
		{4, permanent, 0.5, 8 * time.Minute},
		{5, permanent, 0.5, 15 * time.Minute},
		{5, permanent, 1, 18 * time.Minute},
		{1, failure(refresher.Throttled, 90*time.Second), 0, 90 * time.Second},
		{1, failure(refresher.Throttled, 90*time.Second), 1, 90 * time.Second},
		{1, failure(refresher.Throttled, time.Hour+1), 1, time.Hour},
		{1, failure(refresher.Transient, 100*time.Hour), 1, time.Hour},
		{7, failure(refresher.Throttled, time.Second), 0.5, time.Minute},
		{1, failure(refresher.Throttled, -time.Hour), 0.5, time.Second},
		{1, failure(refresher.Permanent, time.Second), 0.5, time.Minute},
	}
	for _, test := range tests {
		got := refresher.Policy{}.Delay(test.failures, test.err, test.r)
		if diff := got - test.want; diff < -time.Microsecond || diff > time.Microsecond {
			t.Errorf("%d failures, %v, r %v: %v, want %v", test.failures, test.err, test.r, got, test.want)
		}
	}
}

func FuzzDelay(f *testing.F) {
	f.Add(1, uint8(0), int64(0), 0.5)
	f.Add(math.MinInt, uint8(255), int64(math.MinInt64), math.NaN())
	f.Add(math.MaxInt, uint8(2), int64(math.MaxInt64), math.Inf(1))
	f.Fuzz(func(t *testing.T, failures int, class uint8, after int64, r float64) {
		err := &refresher.FetchError{Class: refresher.Class(class), RetryAfter: time.Duration(after), Err: errors.New("x")}
		got := refresher.Policy{}.Delay(failures, err, r)
		least, most := 800*time.Millisecond, 72*time.Second
		if class == uint8(refresher.Permanent) {
			least, most = 48*time.Second, 18*time.Minute
		}
		if after > 0 {
			least = max(least, min(time.Duration(after), refresher.MaxRetryAfter))
			most = max(most, least)
		}
		if got < least-time.Microsecond || got > most+time.Microsecond {
			t.Errorf("delay %v, want %v to %v", got, least, most)
		}
	})
}

func TestWords(t *testing.T) {
	var words []string
	for _, c := range []refresher.Class{refresher.Transient, refresher.Throttled, refresher.Permanent} {
		words = append(words, c.String())
	}
	for _, r := range []refresher.Rejection{refresher.Renewing, refresher.Stale, refresher.OverBudget} {
		words = append(words, r.String())
	}
	for _, p := range refresher.Phases() {
		words = append(words, p.String())
	}
	want := "[transient throttled permanent renewed stale over_budget empty fresh due expired blocked]"
	if got := fmt.Sprint(words); got != want {
		t.Errorf("words %s, want %s: they are metric labels", got, want)
	}
}
