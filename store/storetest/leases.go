package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"attache/refresher"
)

func leaseTests() map[string]func(*testing.T, *Subject) {
	return map[string]func(*testing.T, *Subject){
		"LeaseIsExclusive": leaseIsExclusive, "ConcurrentAcquires": concurrentAcquires, "LeasesAreIndependent": leasesAreIndependent,
		"LeaseRunsOut": leaseRunsOut, "LateRelease": lateRelease, "ExtendKept": extendKept, "ExtendMakesItLonger": extendMakesItLonger,
		"ExtendLost": extendLost, "Fence": fence, "FenceOfOwnLease": fenceOfOwnLease,
	}
}

// acquire gets a lease.
func acquire(t *testing.T, s refresher.Store, ttl time.Duration) refresher.Lease {
	t.Helper()
	lease, err := s.Acquire(t.Context(), key(1), ttl)
	wantError(t, "acquiring", err, nil)
	if lease.Epoch() == 0 {
		t.Fatal("the epoch of a lease is 0")
	}
	return lease
}

// wantHeld fails the test if the lease can be got.
func wantHeld(t *testing.T, stores ...refresher.Store) {
	t.Helper()
	for _, s := range stores {
		_, err := s.Acquire(t.Context(), key(1), long)
		wantError(t, "acquiring what is held", err, refresher.ErrHeld)
	}
}

// takeOver lets a lease of a brief time run out, and gets the next.
func (s *Subject) takeOver(t *testing.T, by refresher.Store) refresher.Lease {
	t.Helper()
	s.lapse(s.brief())
	var lease refresher.Lease
	eventually(t, "the lease runs out", func() bool {
		var err error
		lease, err = by.Acquire(t.Context(), key(1), long)
		if err != nil && !errors.Is(err, refresher.ErrHeld) {
			t.Fatal(err)
		}
		return err == nil
	})
	return lease
}

// leaseIsExclusive: one process has the lease until it gives it back, and later
// leases have higher epochs.
func leaseIsExclusive(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	var last uint64
	for range 3 {
		for _, store := range []refresher.Store{a, b} {
			lease := acquire(t, store, long)
			if lease.Epoch() <= last {
				t.Errorf("epoch %d after %d", lease.Epoch(), last)
			}
			last = lease.Epoch()
			wantHeld(t, a, b)
			lease.Release()
		}
	}
}

// concurrentAcquires: of all who ask at once exactly one gets the lease.
func concurrentAcquires(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	for range 5 {
		leases := make(chan refresher.Lease, 12)
		var all sync.WaitGroup
		for i := range cap(leases) {
			all.Go(func() {
				lease, err := []refresher.Store{a, b}[i%2].Acquire(t.Context(), key(1), long)
				if err == nil {
					leases <- lease
				} else if !errors.Is(err, refresher.ErrHeld) {
					t.Errorf("error %v, want %v", err, refresher.ErrHeld)
				}
			})
		}
		all.Wait()
		if len(leases) != 1 {
			t.Fatalf("%d got the lease, want one", len(leases))
		}
		(<-leases).Release()
	}
}

// leasesAreIndependent: a lease is of its key alone, and does not hide tokens.
func leasesAreIndependent(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	defer acquire(t, a, long).Release()
	other, err := b.Acquire(t.Context(), key(2), long)
	wantError(t, "acquiring another key", err, nil)
	defer other.Release()
	wantGeneration(t, b, key(1), 0)
	save(t, b, key(1), 1)
	wantGeneration(t, a, key(1), 1)
}

// leaseRunsOut: the lease of a process that is gone is free in the end.
func leaseRunsOut(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	first := acquire(t, a, s.brief())
	second := s.takeOver(t, b)
	if second.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
	}
	wantHeld(t, a)
}

// lateRelease: a lease that ran out is given back without harm, however often.
func lateRelease(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	first := acquire(t, a, s.brief())
	second := s.takeOver(t, b)
	first.Release()
	first.Release()
	wantHeld(t, a, b)
	second.Release()
	second.Release()
	third := acquire(t, a, long)
	first.Release()
	second.Release()
	wantHeld(t, a, b)
	third.Release()
}

// extendKept: a lease that nobody else has got can be extended, also when it has
// run out.
func extendKept(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	lease := acquire(t, a, long)
	wantError(t, "extending", lease.Extend(t.Context(), 2*long), nil)
	wantHeld(t, a, b)
	lease.Release()
	acquire(t, b, long).Release()

	lease = acquire(t, a, s.brief())
	s.lapse(2 * s.brief())
	wantError(t, "extending", lease.Extend(t.Context(), long), nil)
	wantHeld(t, a, b)
	lease.Release()
	acquire(t, b, long).Release()
}

// extendMakesItLonger: the time counts from then.
func extendMakesItLonger(t *testing.T, s *Subject) {
	if s.Advance == nil {
		t.Skip("time is real")
	}
	a, b := s.pair(t)
	lease := acquire(t, a, long)
	for range 3 {
		s.lapse(long - time.Second)
		wantError(t, "extending", lease.Extend(t.Context(), long), nil)
	}
	s.lapse(long - time.Second)
	wantHeld(t, a, b)
	s.lapse(time.Second)
	acquire(t, b, long).Release()

	lease = acquire(t, a, 10*long)
	wantError(t, "extending", lease.Extend(t.Context(), time.Second), nil) // from now, though that is sooner
	s.lapse(time.Second)
	acquire(t, b, long)
}

// extendLost: a lease that somebody else has got since is lost for good.
func extendLost(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	first := acquire(t, a, s.brief())
	second := s.takeOver(t, b)
	wantError(t, "extending a lost lease", first.Extend(t.Context(), long), refresher.ErrHeld)
	wantHeld(t, a)
	wantError(t, "extending the lease", second.Extend(t.Context(), long), nil)
	second.Release()
	wantError(t, "extending a lost lease after the other's end", first.Extend(t.Context(), long), refresher.ErrHeld)
	acquire(t, a, long).Release()
}

// fence: nobody saves under a lease that somebody else has got since, while that
// one has it or after.
func fence(t *testing.T, s *Subject) {
	a, b := s.pair(t)
	first := acquire(t, a, s.brief())
	second := s.takeOver(t, b)
	late := func(generation uint64) {
		t.Helper()
		guard := refresher.Guard{Generation: generation, Epoch: first.Epoch()}
		wantError(t, "saving under a lost lease", a.Save(t.Context(), key(1), guard, token(7)), refresher.ErrHeld)
		wantGeneration(t, b, key(1), generation)
	}
	late(0)
	guard := refresher.Guard{Epoch: second.Epoch()}
	wantError(t, "saving under the lease", b.Save(t.Context(), key(1), guard, token(1)), nil)
	late(1)
	second.Release()
	late(1)
	first.Release()
	late(1)
	guard = refresher.Guard{Epoch: second.Epoch()}
	wantError(t, "saving in the place of another", b.Save(t.Context(), key(1), guard, token(2)), refresher.ErrConflict)
	save(t, a, key(1), 2) // without an epoch the generation alone counts
}

// fenceOfOwnLease: a lease that ran out or was given back, and that nobody has
// got since, is no hindrance.
func fenceOfOwnLease(t *testing.T, s *Subject) {
	a, _ := s.pair(t)
	lease := acquire(t, a, s.brief())
	guard := refresher.Guard{Epoch: lease.Epoch()}
	for generation := range uint64(4) {
		guard.Generation = generation
		wantError(t, "saving under an own lease", a.Save(t.Context(), key(1), guard, token(generation+1)), nil)
		switch generation {
		case 0:
			s.lapse(s.brief() / 2)
		case 1:
			s.lapse(s.brief())
		case 2:
			lease.Release()
		}
	}
}
