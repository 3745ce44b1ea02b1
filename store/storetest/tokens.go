package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

func tokenTests() map[string]func(*testing.T, *Subject) {
	return map[string]func(*testing.T, *Subject){
		"UnknownKeys": unknownKeys, "Tokens": tokens, "CompareAndSet": compareAndSet, "Reject": reject,
		"ConcurrentSaves": concurrentSaves, "ManyKeys": manyKeys, "Lasting": lasting, "WithoutExpiry": withoutExpiry, "Expired": expired,
		"EndedContexts": endedContexts, "Forget": forget,
	}
}

// unknownKeys: what was never saved is no token, and no reason to fail.
func unknownKeys(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	wantGeneration(t, a, key(1), 0)
	wantError(t, "rejecting an unknown token", a.Reject(t.Context(), key(1), 1), nil)
	wantError(t, "saving after one that is not there", a.Save(t.Context(), key(1), refresher.Guard{Generation: 1}, token(2)), refresher.ErrConflict)
	wantGeneration(t, b, key(1), 0)
	save(t, a, key(1), 1)
	wantGeneration(t, b, key(2), 0)
}

// tokens: what one process saves another loads, byte by byte.
func tokens(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	outputs := map[string]secret.String{"": secret.New("nameless"), "empty": secret.New("")}
	for i := range 20 {
		outputs[strings.Repeat("n", i+1)] = secret.New(strings.Repeat("\x00\xff\n", 100*i))
	}
	at := time.Now().Truncate(time.Millisecond)
	values := map[string]refresher.Token{
		"plain":       token(1),
		"no outputs":  {Value: secret.New("v"), IssuedAt: at, ExpiresAt: at.Add(time.Second * 3600)},
		"any byte":    {Value: secret.New("\x00\x01\r\n\t \"'\\\x7f\x80\xfe\xff é 密"), IssuedAt: at, ExpiresAt: at.Add(time.Hour)},
		"6 KB":        {Value: secret.New(strings.Repeat("abc.def-", 768)), IssuedAt: at, ExpiresAt: at.Add(time.Hour), Outputs: outputs},
		"300 KB":      {Value: secret.New(strings.Repeat("x", 300<<10)), IssuedAt: at, ExpiresAt: at.Add(time.Hour)},
		"no expiry":   {Value: secret.New("v"), IssuedAt: at},
		"lasting":     {Value: secret.New("v"), IssuedAt: at, ExpiresAt: at.Add(time.Hour), Lasting: true, Outputs: outputs},
		"a long life": {Value: secret.New("v"), IssuedAt: at, ExpiresAt: at.AddDate(10, 0, 0)},
	}
	n := byte(0)
	for name, value := range values {
		n++
		for _, generation := range []uint64{1, 2, 1 << 40, 1 << 62} { // they grow, and need not follow each other
			value.Generation = generation
			before, err := a.Load(t.Context(), key(n))
			if err != nil && !errors.Is(err, refresher.ErrNoToken) {
				t.Fatal(err)
			}
			err = a.Save(t.Context(), key(n), refresher.Guard{Generation: before.Token.Generation}, value)
			wantError(t, "saving "+name, err, nil)
			got := wantGeneration(t, b, key(n), generation)
			wantSame(t, got.Token, value)
			if got.Rejected {
				t.Errorf("%s: rejected, and nobody did", name)
			}
		}
	}
}

// compareAndSet: a token is stored only in the place of the one that is
// expected, and else nothing changes.
func compareAndSet(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	save(t, a, key(1), 1)
	first := wantGeneration(t, a, key(1), 1).Token
	for _, expected := range []uint64{0, 2, 1 << 33} {
		err := b.Save(t.Context(), key(1), refresher.Guard{Generation: expected}, token(7))
		wantError(t, "saving in the place of another", err, refresher.ErrConflict)
		wantSame(t, wantGeneration(t, a, key(1), 1).Token, first)
	}
	save(t, b, key(1), 2)
	save(t, a, key(1), 3)
	// A token that is renewed in place keeps its generation.
	renewed := token(3)
	renewed.ExpiresAt = renewed.ExpiresAt.Add(time.Hour)
	wantError(t, "saving the same generation", b.Save(t.Context(), key(1), refresher.Guard{Generation: 3}, renewed), nil)
	wantSame(t, wantGeneration(t, a, key(1), 3).Token, renewed)
}

// reject: a rejection marks its generation alone, and ends with the next save.
func reject(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	rejected := func(s refresher.Store, want bool) {
		t.Helper()
		got, err := s.Load(t.Context(), key(1))
		wantError(t, "loading", err, nil)
		if got.Rejected != want {
			t.Fatalf("generation %d is rejected: %v, want %v", got.Token.Generation, got.Rejected, want)
		}
	}
	save(t, a, key(1), 1)
	save(t, a, key(1), 2)
	second := wantGeneration(t, a, key(1), 2).Token
	for _, other := range []uint64{0, 1, 3} {
		wantError(t, "rejecting another generation", b.Reject(t.Context(), key(1), other), nil)
		rejected(a, false)
	}
	for range 2 {
		wantError(t, "rejecting", b.Reject(t.Context(), key(1), 2), nil)
		rejected(a, true)
		rejected(b, true)
	}
	wantSame(t, wantGeneration(t, a, key(1), 2).Token, second)
	wantError(t, "saving in the place of one before", a.Save(t.Context(), key(1), refresher.Guard{Generation: 1}, token(3)), refresher.ErrConflict)
	rejected(b, true)
	save(t, a, key(1), 3)
	rejected(b, false)
	wantError(t, "rejecting the one before", b.Reject(t.Context(), key(1), 2), nil)
	rejected(a, false)
	wantError(t, "rejecting", a.Reject(t.Context(), key(1), 3), nil)
	wantError(t, "saving the same generation", a.Save(t.Context(), key(1), refresher.Guard{Generation: 3}, token(3)), nil)
	rejected(b, false)
}

// concurrentSaves: of all who save in the place of one generation exactly one
// wins.
func concurrentSaves(t *testing.T, s *Subject) {
	const handles, savers, generations = 3, 5, 8
	var stores []refresher.Store
	for range handles {
		stores = append(stores, s.Open(t, Settings{}))
	}
	for generation := range uint64(generations) {
		results := make(chan error, handles*savers)
		var all sync.WaitGroup
		for i := range handles * savers {
			all.Go(func() {
				results <- stores[i%handles].Save(t.Context(), key(1), refresher.Guard{Generation: generation}, token(generation+1))
			})
		}
		all.Wait()
		close(results)
		won := 0
		for err := range results {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, refresher.ErrConflict):
				t.Errorf("error %v, want %v", err, refresher.ErrConflict)
			}
		}
		if won != 1 {
			t.Fatalf("generation %d was saved %d times, want once", generation+1, won)
		}
		wantGeneration(t, stores[0], key(1), generation+1)
	}
}

// manyKeys: tokens do not get into each other's way.
func manyKeys(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	const keys = 40
	var all sync.WaitGroup
	for n := range byte(keys) {
		all.Go(func() {
			for generation := range uint64(3) {
				err := a.Save(t.Context(), key(n), refresher.Guard{Generation: generation}, token(generation+1))
				if err != nil {
					t.Errorf("key %d, generation %d: %v", n, generation+1, err)
				}
			}
		})
	}
	all.Wait()
	for n := range byte(keys) {
		wantGeneration(t, b, key(n), 3)
	}
}

// lasting: a token that is of use past its expiry is not dropped.
func lasting(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	now := time.Now().Truncate(time.Millisecond)
	late := refresher.Token{Value: secret.New("v"), Generation: 1, IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(-time.Second), Lasting: true}
	wantError(t, "saving", a.Save(t.Context(), key(1), refresher.Guard{}, late), nil)
	soon := late
	soon.ExpiresAt = now.Add(s.brief())
	wantError(t, "saving", a.Save(t.Context(), key(2), refresher.Guard{}, soon), nil)
	s.lapse(s.brief() + 1000*time.Hour)
	wantSame(t, wantGeneration(t, b, key(1), 1).Token, late)
	wantSame(t, wantGeneration(t, b, key(2), 1).Token, soon)
	save(t, b, key(1), 2)
}

// withoutExpiry: a token that lives until it is refused is not dropped.
func withoutExpiry(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	tok := refresher.Token{Value: secret.New("v"), Generation: 1, IssuedAt: time.Now().Truncate(time.Millisecond)}
	wantError(t, "saving", a.Save(t.Context(), key(1), refresher.Guard{}, tok), nil)
	s.lapse(10000 * time.Hour)
	wantSame(t, wantGeneration(t, b, key(1), 1).Token, tok)
}

// expired: a token past its expiry is there or not, and what is there can be
// replaced.
func expired(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	tok := token(5)
	tok.ExpiresAt = tok.IssuedAt.Add(s.brief())
	wantError(t, "saving", a.Save(t.Context(), key(1), refresher.Guard{}, tok), nil)
	s.lapse(1000 * time.Hour)
	eventually(t, "an expired token is replaced", func() bool { // it may vanish between the two calls
		found, err := b.Load(t.Context(), key(1))
		if err != nil && !errors.Is(err, refresher.ErrNoToken) {
			t.Fatal(err)
		}
		err = b.Save(t.Context(), key(1), refresher.Guard{Generation: found.Token.Generation}, token(6))
		if err != nil && !errors.Is(err, refresher.ErrConflict) {
			t.Fatal(err)
		}
		return err == nil
	})
	wantGeneration(t, a, key(1), 6)
}

// endedContexts: whoever does not wait any more gets an answer, and what
// happened is all or nothing.
func endedContexts(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	save(t, a, key(1), 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := a.Load(ctx, key(1)); err == nil && found.Token.Generation != 1 {
		t.Errorf("loaded generation %d without an error", found.Token.Generation)
	}
	_ = a.Reject(ctx, key(1), 7)
	if lease, err := a.Acquire(ctx, key(2), long); err == nil {
		lease.Release()
	}
	saved := a.Save(ctx, key(1), refresher.Guard{Generation: 1}, token(2))
	found, err := b.Load(t.Context(), key(1))
	wantError(t, "loading", err, nil)
	if n := found.Token.Generation; saved == nil && n != 2 || n != 1 && n != 2 {
		t.Errorf("the save returned %v, and generation %d is stored", saved, n)
	}
	save(t, b, key(3), 1) // the store goes on
	wantGeneration(t, a, key(3), 1)
}

// forget: whoever forgets a token is not in the way of others, and may come
// back.
func forget(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	f, ok := a.(refresher.Forgetter)
	if !ok {
		t.Skip("the store is no Forgetter")
	}
	f.Forget(key(1))
	for range 3 {
		for _, store := range []refresher.Store{a, b} {
			found, err := store.Load(t.Context(), key(1))
			if err != nil && !errors.Is(err, refresher.ErrNoToken) {
				t.Fatal(err)
			}
			save(t, store, key(1), found.Token.Generation+1)
			lease, err := store.Acquire(t.Context(), key(1), long)
			wantError(t, "acquiring", err, nil)
			lease.Release()
			f.Forget(key(1))
		}
	}
}
