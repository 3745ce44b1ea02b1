// Package storetest is the contract that every [refresher.Store] has to keep, as
// a suite of tests: what refresher's documentation says of one, for one process
// and for several that share it.
package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// Subject is one store, empty at first, that handles are opened on.
type Subject struct {
	// Open returns another handle, as another process would have it. The
	// subject closes it.
	Open func(t *testing.T, s Settings) refresher.Store
	// Sealed: settings other than the zero ones mean something.
	Sealed bool
	// Exclusive: opening with other settings than before closes the handles
	// that are open.
	Exclusive bool
	// Advance lets time pass for leases and tokens. Nil: time is real, and the
	// tests wait until something has happened, however long it takes.
	Advance func(d time.Duration)
	// Interrupt makes all handles lose the store and find it again. Nil: that
	// cannot happen.
	Interrupt func(t *testing.T)
}

// Settings are how a handle is opened.
type Settings struct {
	// Keys are names of keys, of which the subject makes real ones. Empty: any
	// key, always the same one.
	Keys      []string
	Namespace string
}

// Run runs the suite. start makes a subject for each test. With bubble each test
// is in a bubble of testing/synctest, which start is called in; without, the
// tests use real time.
func Run(t *testing.T, bubble bool, start func(t *testing.T) *Subject) {
	groups := []map[string]func(*testing.T, *Subject){tokenTests(), leaseTests(), changeTests(), keyTests()}
	for _, tests := range groups {
		for _, name := range slices.Sorted(maps.Keys(tests)) {
			run := func(t *testing.T) { tests[name](t, start(t)) }
			t.Run(name, func(t *testing.T) {
				if bubble {
					synctest.Test(t, run)
				} else {
					run(t)
				}
			})
		}
	}
}

// pair opens two handles.
func (s *Subject) pair(t *testing.T) (a, b refresher.Store) {
	t.Helper()
	return s.Open(t, Settings{}), s.Open(t, Settings{})
}

const (
	long  = time.Minute // of leases that do not run out in a test
	short = 100 * time.Millisecond
	// patience is how long something may take that has to happen in the end.
	patience = 20 * time.Second
	// pause is how often it is looked whether it has.
	pause = 10 * time.Millisecond
)

// brief is the time of a lease that is to run out.
func (s *Subject) brief() time.Duration {
	if s.Advance != nil {
		return long
	}
	return short
}

// lapse lets the time d pass, if that can be done without waiting.
func (s *Subject) lapse(d time.Duration) {
	if s.Advance != nil {
		s.Advance(d)
	}
}

// eventually fails the test unless is becomes true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: that has not happened in %v", what, patience)
		}
	}
}

// key returns one of several keys.
func key(n byte) refresher.StoreKey { return refresher.StoreKey{n, 0xff, '\n', 31: n} }

// token returns a token of that generation with an hour to live.
func token(generation uint64) refresher.Token {
	now := time.Now().Truncate(time.Millisecond)
	return refresher.Token{
		Value: secret.New(fmt.Sprint("value ", generation)), Generation: generation, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		Outputs: map[string]secret.String{"refresh_token": secret.New(fmt.Sprint("refresh ", generation))},
	}
}

// save saves a token, whose generation follows the stored one.
func save(t *testing.T, s refresher.Store, k refresher.StoreKey, generation uint64) {
	t.Helper()
	if err := s.Save(t.Context(), k, refresher.Guard{Generation: generation - 1}, token(generation)); err != nil {
		t.Fatalf("saving generation %d: %v", generation, err)
	}
}

// wantGeneration fails the test unless the store holds that generation; 0:
// nothing.
func wantGeneration(t *testing.T, s refresher.Store, k refresher.StoreKey, want uint64) refresher.Stored {
	t.Helper()
	got, err := s.Load(t.Context(), k)
	switch {
	case want == 0 && !errors.Is(err, refresher.ErrNoToken):
		t.Fatalf("loaded generation %d and error %v, want %v", got.Token.Generation, err, refresher.ErrNoToken)
	case want != 0 && (err != nil || got.Token.Generation != want):
		t.Fatalf("loaded generation %d and error %v, want generation %d", got.Token.Generation, err, want)
	}
	return got
}

// wantError fails the test unless err is want, which may be nil.
func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", what, err, want)
	}
}

// wantSame fails the test unless two tokens are the same.
func wantSame(t *testing.T, got, want refresher.Token) {
	t.Helper()
	same := got.Value.Equal(want.Value) && got.Generation == want.Generation && got.Lasting == want.Lasting &&
		got.IssuedAt.Equal(want.IssuedAt) && got.ExpiresAt.Equal(want.ExpiresAt) && len(got.Outputs) == len(want.Outputs)
	for name, value := range want.Outputs {
		same = same && got.Outputs[name].Equal(value)
	}
	if !same {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
