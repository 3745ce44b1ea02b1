package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"attache/internal/secret"
	"attache/refresher"
)

const tokenCanary = "a-token-canary"

// hourToken returns a token with an hour to live.
func hourToken(generation uint64) refresher.Token {
	now := time.Now().Truncate(time.Millisecond)
	return refresher.Token{Value: secret.New(tokenCanary), Generation: generation, IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
}

// wantSaved saves a token in the place of a generation, and fails the test unless
// it is there then.
func wantSaved(t *testing.T, r *Redis, key refresher.StoreKey, previous, generation uint64) {
	t.Helper()
	if err := r.Save(t.Context(), key, refresher.Guard{Generation: previous}, hourToken(generation)); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Load(t.Context(), key); err != nil || got.Token.Generation != generation {
		t.Fatalf("loaded generation %d and error %v, want %d", got.Token.Generation, err, generation)
	}
}

// spoilers put something under a token's key, given another token's.
func spoilers(r *Redis) map[string]func(db *miniredis.RedisDB, key, other string) {
	set := func(pairs ...string) func(*miniredis.RedisDB, string, string) {
		return func(db *miniredis.RedisDB, key, _ string) { db.HSet(key, pairs...) }
	}
	name := r.keys.Names("", refresher.StoreKey{1})[0]
	sealed := func(generation, plain string) string {
		return string(r.keys.Seal(name, []byte(generation), []byte(plain)))
	}
	return map[string]func(db *miniredis.RedisDB, key, other string){
		"a text":                  func(db *miniredis.RedisDB, key, _ string) { db.Del(key); _ = db.Set(key, "x") },
		"a list":                  func(db *miniredis.RedisDB, key, _ string) { db.Del(key); _, _ = db.Push(key, "x") },
		"no generation":           func(db *miniredis.RedisDB, key, _ string) { db.HDel(key, "generation") },
		"no value":                func(db *miniredis.RedisDB, key, _ string) { db.HDel(key, "value") },
		"no reference":            func(db *miniredis.RedisDB, key, _ string) { db.HDel(key, "reference") },
		"another generation":      set("generation", "9"),
		"no number":               set("generation", "x"),
		"a long generation":       set("generation", strings.Repeat("1", 1000)),
		"garbage":                 set("value", "garbage"),
		"a huge value":            set("value", strings.Repeat("x", 5<<20)),
		"a huge reference":        set("reference", strings.Repeat("1", 5<<20)),
		"no time":                 set("reference", "soon"),
		"another token's value":   func(db *miniredis.RedisDB, key, other string) { db.HSet(key, "value", db.HGet(other, "value")) },
		"a later version":         set("value", sealed("1", "\x02something new")),
		"an unknown way of seals": set("value", "\x02"+sealed("1", "\x01")[1:]),
		"nothing sealed":          set("value", sealed("1", "")),
	}
}

// What is in Redis and cannot be read is told once, and is in nobody's way.
func TestHostileContent(t *testing.T) {
	probe := openRedis(t, optionsOf("127.0.0.1:1"), testKeys(t, "k"), slog.New(slog.DiscardHandler))
	for what, spoil := range spoilers(probe) {
		t.Run(what, func(t *testing.T) {
			server := startMiniredis(t)
			var log logged
			r := openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.NewTextHandler(&log, nil)))
			peer := openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler))
			one, two := refresher.StoreKey{1}, refresher.StoreKey{2}
			wantSaved(t, r, one, 0, 1)
			wantSaved(t, r, two, 0, 1)
			spoil(server.DB(3), redisToken(r.namesOf(one)[0]), redisToken(r.namesOf(two)[0]))
			for range 3 {
				if got, err := r.Load(t.Context(), one); !errors.Is(err, refresher.ErrNoToken) {
					t.Fatalf("loaded %+v and error %v", got, err)
				}
			}
			if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "cannot be read") || strings.Contains(text, "canary") {
				t.Errorf("the log is:\n%s", text)
			}
			if err := r.Reject(t.Context(), one, 7); err != nil {
				t.Error(err)
			}
			if _, err := peer.Load(t.Context(), one); !errors.Is(err, refresher.ErrNoToken) {
				t.Fatal(err)
			}
			if err := r.Save(t.Context(), one, refresher.Guard{Generation: 77}, hourToken(78)); !errors.Is(err, refresher.ErrConflict) {
				t.Errorf("saving in the place of what is not there: %v", err)
			}
			wantSaved(t, r, one, 0, 3)
			// Who saw the same is too late, as with any other token.
			if err := peer.Save(t.Context(), one, refresher.Guard{}, hourToken(4)); !errors.Is(err, refresher.ErrConflict) {
				t.Errorf("saving in the place of what was there: %v", err)
			}
			wantSaved(t, r, one, 3, 4)
			if got, err := r.Load(t.Context(), two); err != nil || got.Token.Generation != 1 {
				t.Errorf("the other token: generation %d, error %v", got.Token.Generation, err)
			}
		})
	}
}

// Leases that nobody gave are in the way no longer than they last, and an epoch
// that is none at all not even that.
func TestHostileLeases(t *testing.T) {
	server := startMiniredis(t)
	r := openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler))
	key := refresher.StoreKey{1}
	name, last := r.namesOf(key)[0], uint64(0)
	for _, epoch := range []string{"x", "", "-5", "1e300", "nan", "99999999999999999999", "10000000000000000", strconv.FormatInt(time.Now().Add(time.Hour).UnixMicro(), 10)} {
		if err := server.DB(3).Set(redisEpoch(name), epoch); err != nil {
			t.Fatal(err)
		}
		lease, err := r.Acquire(t.Context(), key, time.Minute)
		if err != nil {
			t.Fatalf("%q: %v", epoch, err)
		}
		if lease.Epoch() <= last {
			t.Errorf("%q: epoch %d after %d", epoch, lease.Epoch(), last)
		}
		last = lease.Epoch()
		lease.Release()
	}
}

// Whoever can write to Redis cannot make a token live longer than it did when it
// was new.
func TestReferenceIsBounded(t *testing.T) {
	server := startMiniredis(t)
	r := openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler))
	key := refresher.StoreKey{1}
	wantSaved(t, r, key, 0, 1)
	server.DB(3).HSet(redisToken(r.namesOf(key)[0]), "reference", fmt.Sprint(time.Now().Add(1000*time.Hour).UnixMilli()))
	got, err := r.Load(t.Context(), key)
	if latest := time.Now().Add(time.Hour + 2*clockSlack*time.Millisecond); err != nil || got.Token.ExpiresAt.After(latest) {
		t.Errorf("expires at %v, error %v, want not after %v", got.Token.ExpiresAt, err, latest)
	}
}

// Who reads Redis sees neither tokens nor what they are for; who reads errors or
// logs sees no password.
func TestRedisShowsNothing(t *testing.T) {
	server := startMiniredis(t)
	var log logged
	logger := slog.New(slog.NewTextHandler(&log, nil))
	o := optionsOf(server.Addr())
	o.Namespace = "a-namespace-canary"
	r := openRedis(t, o, testKeys(t, "k"), logger)
	key := refresher.StoreKey([]byte("a-store-key-canary--------------"))
	wantSaved(t, r, key, 0, 1)
	if _, err := r.Acquire(t.Context(), key, time.Minute); err != nil {
		t.Fatal(err)
	}
	db := server.DB(3)
	var dump strings.Builder
	for _, k := range db.Keys() {
		fmt.Fprintln(&dump, k)
		if fields, err := db.HKeys(k); err == nil {
			for _, f := range fields {
				fmt.Fprintln(&dump, f, db.HGet(k, f))
			}
		} else if text, err := db.Get(k); err == nil {
			fmt.Fprintln(&dump, text)
		}
	}
	if n := strings.Count(dump.String(), "\n"); n < 9 || strings.Contains(dump.String(), "canary") {
		t.Errorf("%d lines:\n%s", n, dump.String())
	}
	address := server.Addr()
	server.Close()
	o.Timeout = 100 * time.Millisecond
	away := openRedis(t, o, testKeys(t, "k"), logger)
	_, err := away.Load(t.Context(), key)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		away.Watch(ctx, func(refresher.StoreKey) {})
	}()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "not heard") && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
	}
	cancel()
	<-ended
	if all := fmt.Sprint(err) + log.String() + r.String(); strings.Contains(all, "canary") || !strings.Contains(all, address) || !strings.Contains(all, "not heard") {
		t.Errorf("told:\n%s", all)
	}
}

// Nobody is disturbed by messages that are none.
func TestHostileAnnouncements(t *testing.T) {
	r := openRedis(t, optionsOf("127.0.0.1:1"), testKeys(t, "k"), slog.New(slog.DiscardHandler))
	key := refresher.StoreKey{1}
	name := text(r.remember(key)[0])
	tests := map[string]bool{
		name + " other": true, name: true, name + " " + r.writer: false, "": false, " ": false, strings.Repeat("x", 1<<20): false, name[1:] + " other": false,
	}
	for message, want := range tests {
		if got, ok := r.announced(message); ok != want || ok && got != key {
			t.Errorf("%.80q: %v", message, ok)
		}
	}
	r.Forget(key)
	if _, ok := r.announced(name + " other"); ok || len(r.names) != 0 || len(r.known) != 0 {
		t.Error("a key that is forgotten is remembered")
	}
}
