package storetest

import (
	"testing"

	"attache/refresher"
)

func keyTests() map[string]func(*testing.T, *Subject) {
	return map[string]func(*testing.T, *Subject){
		"Namespaces": namespaces, "OtherKey": otherKey, "KeyRotation": keyRotation, "RollingKeyRotation": rollingKeyRotation,
		"LeasesWhileKeysChange": leasesWhileKeysChange,
	}
}

// sealed skips the test for a store without keys, and if several is set for one
// whose handles cannot have different ones at once.
func (s *Subject) sealed(t *testing.T, several bool) {
	t.Helper()
	switch {
	case !s.Sealed:
		t.Skip("the store has no keys")
	case several && s.Exclusive:
		t.Skip("one process at a time has the store")
	}
}

func (s *Subject) open(t *testing.T, keys ...string) refresher.Store {
	t.Helper()
	return s.Open(t, Settings{Keys: keys})
}

// namespaces: stores of two namespaces share nothing.
func namespaces(t *testing.T, s *Subject) {
	s.sealed(t, false)
	save(t, s.Open(t, Settings{Namespace: "a"}), key(1), 1)
	for _, other := range []string{"", "b", "A"} {
		wantGeneration(t, s.Open(t, Settings{Namespace: other}), key(1), 0)
	}
	wantGeneration(t, s.Open(t, Settings{Namespace: "a"}), key(1), 1)
}

// otherKey: whoever has another key finds nothing, and can work.
func otherKey(t *testing.T, s *Subject) {
	s.sealed(t, false)
	save(t, s.open(t, "one"), key(1), 1)
	other := s.open(t, "other")
	wantGeneration(t, other, key(1), 0)
	save(t, other, key(1), 1)
	wantGeneration(t, other, key(1), 1)
}

// keyRotation: a key is changed in steps, and no token is lost; what was loaded
// meanwhile needs the old key no more.
func keyRotation(t *testing.T, s *Subject) {
	s.sealed(t, false)
	store := s.open(t, "old")
	for n := range byte(3) {
		save(t, store, key(n), 1)
		save(t, store, key(n), 2)
	}
	wantError(t, "rejecting", store.Reject(t.Context(), key(2), 2), nil)

	store = s.open(t, "new", "old")
	wantGeneration(t, store, key(0), 2)
	wantGeneration(t, store, key(1), 2)
	save(t, store, key(1), 3)
	if !wantGeneration(t, store, key(2), 2).Rejected {
		t.Error("the rejection is lost")
	}

	store = s.open(t, "new", "old") // once more, as after a restart
	wantGeneration(t, store, key(1), 3)

	store = s.open(t, "new")
	wantGeneration(t, store, key(0), 2)
	wantGeneration(t, store, key(1), 3)
	if !wantGeneration(t, store, key(2), 2).Rejected {
		t.Error("the rejection is lost")
	}
	save(t, store, key(0), 3)
}

// rollingKeyRotation: processes that have changed their keys already find what
// the others save, and also the other way round as soon as these know the new
// key.
func rollingKeyRotation(t *testing.T, s *Subject) {
	s.sealed(t, true)
	before, knows, after := s.open(t, "old"), s.open(t, "old", "new"), s.open(t, "new", "old")
	save(t, before, key(1), 1)
	wantGeneration(t, after, key(1), 1)
	save(t, before, key(1), 2)
	wantGeneration(t, after, key(1), 2)
	save(t, after, key(1), 3)
	wantGeneration(t, knows, key(1), 3)
	save(t, knows, key(1), 4)
	wantGeneration(t, after, key(1), 4)
	wantError(t, "rejecting", knows.Reject(t.Context(), key(1), 4), nil)
	if found, err := after.Load(t.Context(), key(1)); err != nil || !found.Rejected {
		t.Errorf("loaded generation %d, rejected %v, error %v, want the rejected one", found.Token.Generation, found.Rejected, err)
	}
	save(t, after, key(1), 5)
	wantGeneration(t, s.open(t, "new"), key(1), 5)
}

// leasesWhileKeysChange: one process logs in at a time also while some have the
// new key and some the old one.
func leasesWhileKeysChange(t *testing.T, s *Subject) {
	s.sealed(t, true)
	old, both, turned := s.open(t, "old"), s.open(t, "new", "old"), s.open(t, "old", "new")
	lease := acquire(t, old, long)
	wantHeld(t, both, turned)
	lease.Release()
	lease = acquire(t, both, long)
	wantHeld(t, old, turned)
	lease.Release()
	lease = acquire(t, turned, long)
	wantHeld(t, old, both)
	lease.Release()
	acquire(t, old, long).Release()
}
