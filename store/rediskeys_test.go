package store

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// While keys are changed everywhere, some processes save under the new key and
// some under the old one. They overwrite each other no more than with one key, and
// agree on one token whatever happens.
func TestSavesWhileKeysChange(t *testing.T) {
	server := startMiniredis(t)
	quiet := slog.New(slog.DiscardHandler)
	early := openRedis(t, optionsOf(server.Addr()), testKeys(t, "old", "new"), quiet)
	late := openRedis(t, optionsOf(server.Addr()), testKeys(t, "new", "old"), quiet)
	ctx := t.Context()
	for n := range byte(8) { // the order of names differs from token to token
		key := refresher.StoreKey{n, 1}
		wantSaved(t, early, key, 0, 1)
		if _, err := late.Load(ctx, key); err != nil {
			t.Fatal(err)
		}
		for i, order := range [][2]*Redis{{early, late}, {late, early}} {
			previous := uint64(1 + i)
			wantSaved(t, order[0], key, previous, previous+1)
			if err := order[1].Save(ctx, key, refresher.Guard{Generation: previous}, hourToken(previous+1)); !errors.Is(err, refresher.ErrConflict) {
				t.Errorf("the save of one who is late: %v", err)
			}
			if _, err := order[1].Load(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		// Both at once: neither saw what the other was about to save.
		for r, value := range map[*Redis]string{early: "a", late: "b"} {
			tok := hourToken(4)
			tok.Value = secret.New(value)
			if err := r.write(ctx, r.namesOf(key)[0], "3", 0, refresher.Stored{Token: tok}, true); err != nil {
				t.Fatal(err)
			}
		}
		one, err := early.Load(ctx, key)
		other, err2 := late.Load(ctx, key)
		if err != nil || err2 != nil || !one.Token.Value.Equal(other.Token.Value) {
			t.Errorf("they have %s and %s (%v, %v)", one.Token.Value.Reveal(), other.Token.Value.Reveal(), err, err2)
		}
	}
}

// A lease that would never end keeps nobody from logging in.
func TestLeaseWithoutAnEnd(t *testing.T) {
	server := startMiniredis(t)
	r := openRedis(t, optionsOf(server.Addr()), testKeys(t, "k"), slog.New(slog.DiscardHandler))
	key := refresher.StoreKey{1}
	if err := server.DB(3).Set(redisLease(r.namesOf(key)[0]), "somebody"); err != nil {
		t.Fatal(err)
	}
	lease, err := r.Acquire(t.Context(), key, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Acquire(t.Context(), key, time.Minute); !errors.Is(err, refresher.ErrHeld) {
		t.Errorf("a second lease: %v", err)
	}
	lease.Release()
}
