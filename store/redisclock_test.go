package store

import (
	"log/slog"
	"testing"
	"time"

	"attache/refresher"
)

func TestClock(t *testing.T) {
	type look struct{ redis, before, after, want int64 }
	tests := map[string][]look{
		"the same":           {{1000, 1000, 1000, 0}, {2000, 1990, 2010, 0}},
		"nearly":             {{1000, 990, 1010, 0}, {2001, 2000, 2000, 0}},
		"ahead":              {{5000, 1000, 1000, 3999}, {5100, 1090, 1110, 3999}},
		"behind":             {{1000, 5000, 5000, -3999}},
		"a slow answer":      {{5000, 1000, 3000, 1999}, {5000, 1000, 1001, 3998}}, // the second look is closer
		"it drifts a little": {{1000, 1000, 1000, 0}, {1400, 1000, 1000, 0}, {1600, 1000, 1000, 599}},
		"it is set":          {{1000, 1000, 1000, 0}, {10000, 2000, 2000, 7999}, {10000, 2000, 2000, 7999}, {3000, 3000, 3000, 1}},
	}
	for name, looks := range tests {
		var c clock
		for i, l := range looks {
			if got := c.adjust(l.redis, l.before, l.after); got != l.want {
				t.Errorf("%s, look %d: %d, want %d", name, i, got, l.want)
			}
		}
	}
}

// wantLife fails the test unless a token has been issued, and will expire, so
// long before and after now.
func wantLife(t *testing.T, r *Redis, key refresher.StoreKey, age, left time.Duration) {
	t.Helper()
	const tolerance = 20 * time.Second // nothing here is about seconds
	got, err := r.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(got.Token.IssuedAt) - age; d.Abs() > tolerance {
		t.Errorf("the age is %v off", d)
	}
	if d := time.Until(got.Token.ExpiresAt) - left; d.Abs() > tolerance {
		t.Errorf("the time left is %v off", d)
	}
	if got.Token.Lifetime() != time.Hour {
		t.Errorf("the lifetime is %v", got.Token.Lifetime())
	}
}

// Processes whose clocks differ agree on how long a token lives: what counts is
// the clock of Redis.
func TestSkewedClocks(t *testing.T) {
	server := startMiniredis(t)
	open := func() *Redis {
		return openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler))
	}
	key := refresher.StoreKey{1}
	// By Redis half an hour passes between two looks at it, and by the clock of
	// whoever looks none: it is that much behind.
	for _, ahead := range []time.Duration{0, -48 * time.Hour, 48 * time.Hour} {
		server.SetTime(time.Now().Add(ahead))
		writer := open()
		found, _ := writer.Load(t.Context(), key)
		wantSaved(t, writer, key, found.Token.Generation, found.Token.Generation+1)
		wantLife(t, writer, key, 0, time.Hour)
		wantLife(t, open(), key, 0, time.Hour)
		server.SetTime(time.Now().Add(ahead + 30*time.Minute))
		wantLife(t, open(), key, 30*time.Minute, 30*time.Minute)
		wantLife(t, writer, key, 30*time.Minute, 30*time.Minute)
	}
}

// A clock that is set while attache runs is noticed by the next save.
func TestClockThatIsSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		server := startMiniredis(t)
		writer := openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler))
		key := refresher.StoreKey{1}
		wantSaved(t, writer, key, 0, 1)
		server.SetTime(time.Now().Add(by)) // or the other one by as much in the other direction
		if err := writer.Save(t.Context(), key, refresher.Guard{Generation: 1}, hourToken(2)); err != nil {
			t.Fatal(err)
		}
		wantLife(t, openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler)), key, 0, time.Hour)
	}
}

// What was saved looks the same with each look, and never longer than it was:
// else every look would find news.
func TestTimesAreStable(t *testing.T) {
	server := startMiniredis(t)
	r := openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler))
	key, tok := refresher.StoreKey{1}, hourToken(1)
	tok.ExpiresAt = tok.ExpiresAt.Add(987 * time.Microsecond)
	if err := r.Save(t.Context(), key, refresher.Guard{}, tok); err != nil {
		t.Fatal(err)
	}
	first, err := r.Load(t.Context(), key)
	if err != nil || first.Token.ExpiresAt.After(tok.ExpiresAt) {
		t.Fatalf("expires at %v, error %v, want not after %v", first.Token.ExpiresAt, err, tok.ExpiresAt)
	}
	for range 20 {
		if next, err := r.Load(t.Context(), key); err != nil || !next.Token.ExpiresAt.Equal(first.Token.ExpiresAt) {
			t.Fatalf("expires at %v, error %v, want %v", next.Token.ExpiresAt, err, first.Token.ExpiresAt)
		}
	}
}

// Redis drops what is of no use any more, some time after, and nothing else.
func TestKeepFor(t *testing.T) {
	now := time.Now()
	tests := map[string]struct {
		t    refresher.Token
		want time.Duration
	}{
		"an hour":   {refresher.Token{ExpiresAt: now.Add(time.Hour)}, 2 * time.Hour},
		"expired":   {refresher.Token{ExpiresAt: now.Add(-time.Hour)}, time.Hour},
		"no expiry": {refresher.Token{}, redisForever},
		"far away":  {refresher.Token{ExpiresAt: now.Add(290 * 365 * 24 * time.Hour)}, redisForever + time.Hour},
		"lasting":   {refresher.Token{ExpiresAt: now.Add(-time.Hour), Lasting: true}, redisForever},
	}
	for name, test := range tests {
		if got := keepFor(test.t, now); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
