package refresher

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"attache/internal/secret"
)

func TestBucket(t *testing.T) {
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	b := newBucket(3, 10*time.Second)
	for i, step := range []struct {
		now  time.Duration
		take bool
		wait time.Duration // afterwards
	}{
		{0, true, 0},
		{0, true, 0},
		{0, true, 10 * time.Second},
		{0, false, 10 * time.Second},
		{4 * time.Second, false, 6 * time.Second},
		{10 * time.Second, true, 10 * time.Second},
		{9 * time.Second, false, 11 * time.Second}, // the clock was read before the lock was had
		{15 * time.Second, false, 5 * time.Second},
		{14 * time.Second, false, 6 * time.Second},
		{20 * time.Second, true, 10 * time.Second},
		{time.Hour, true, 0}, // never more than its size
		{time.Hour, true, 0},
		{time.Hour, true, 10 * time.Second},
		{time.Hour, false, 10 * time.Second},
	} {
		if got := b.take(at(step.now)); got != step.take {
			t.Errorf("step %d: taken: %v, want %v", i, got, step.take)
		}
		if got := b.wait(at(step.now)); got.Round(time.Millisecond) != step.wait {
			t.Errorf("step %d: wait %v, want %v", i, got, step.wait)
		}
	}
	for range 10 {
		b.give()
	}
	for i := range 4 {
		if got, want := b.take(at(time.Hour)), i < 3; got != want {
			t.Errorf("after giving back, take %d: %v, want %v", i, got, want)
		}
	}
}

// Whoever waits as long as the bucket says gets a unit.
func FuzzBucket(f *testing.F) {
	f.Add(uint16(5), int64(30*time.Second), int64(7))
	f.Add(uint16(600), int64(100*time.Millisecond), int64(1))
	f.Add(uint16(7), int64(time.Minute/7), int64(time.Millisecond))
	f.Add(uint16(30), int64(30000000099), int64(-7))     // readings of the clock out of order
	f.Add(uint16(2), int64(30*time.Second), int64(-113)) // the clock was read before the lock was had
	f.Fuzz(func(t *testing.T, size uint16, every, step int64) {
		if size == 0 || every <= 0 || time.Duration(every) > time.Hour {
			return
		}
		now := time.Now()
		b := newBucket(int(size), time.Duration(every))
		taken := 0
		for range 3 * int(size) % 100 {
			now = now.Add(time.Duration(step) % time.Hour)
			if b.take(now) {
				taken++
				continue
			}
			wait := b.wait(now)
			behind := max(b.at.Sub(now), 0) // the clock of this caller's reading
			if wait <= 0 || wait > time.Duration(every)+time.Millisecond+behind {
				t.Fatalf("wait %v for a unit that comes back every %v", wait, time.Duration(every))
			}
			now = now.Add(wait)
			if !b.take(now) {
				t.Fatalf("no unit after the wait of %v: %+v", wait, b)
			}
		}
	})
}

func TestBudgetRemembersWhatItTook(t *testing.T) {
	now := time.Now()
	b := newBudget("r", nil)
	for g := uint64(1); g <= 8; g++ {
		b.spend(g, now.Add(time.Duration(g)*budgetEvery))
	}
	if !slices.Equal(b.spent, []uint64{4, 5, 6, 7, 8}) {
		t.Errorf("spent %v: it must not grow for ever", b.spent)
	}
}

// The wall clock alone decides expiry, so no time may keep a monotonic reading:
// it would not count the hours that a laptop sleeps.
func TestBelievableDropsMonotonicReading(t *testing.T) {
	now := time.Now()
	for _, expires := range []time.Time{now.Add(time.Hour), now.Add(-time.Hour), now.Add(MaxLifetime * 2)} {
		tok, _ := believable(Token{IssuedAt: now.Add(-time.Minute), ExpiresAt: expires}, now)
		if tok.IssuedAt != now.Round(0) {
			t.Errorf("issued at %v, want %v", tok.IssuedAt, now.Round(0))
		}
		if tok.ExpiresAt != tok.ExpiresAt.Round(0) {
			t.Errorf("expiry %v has a monotonic reading", tok.ExpiresAt)
		}
	}
	if tok, replaced := believable(Token{}, now); replaced || !tok.ExpiresAt.IsZero() {
		t.Errorf("a token that lives until it is refused expires at %v", tok.ExpiresAt)
	}
}

// The scheduler against a list: random sets, moves and removals.
func TestScheduler(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	e := New(Config{})
	start := e.epoch
	s := e.sched
	all := make([]*Instance, 50)
	want := map[*Instance]time.Time{}
	for i := range all {
		all[i] = &Instance{}
	}
	for step := range 5000 {
		in := all[r.IntN(len(all))]
		at := start.Add(time.Duration(r.IntN(1000)) * time.Second)
		if r.IntN(5) == 0 {
			at = time.Time{}
		}
		earliest := !at.IsZero()
		for other, t := range want {
			if other != in && !t.After(at) {
				earliest = false
			}
		}
		s.set(in, e.moment(at))
		if delete(want, in); !at.IsZero() {
			want[in] = at
		}
		select {
		case <-s.kick:
		default:
			if earliest {
				t.Fatalf("step %d: nobody was told of an earlier time", step)
			}
		}
		if r.IntN(4) == 0 {
			now := start.Add(time.Duration(r.IntN(100)) * time.Second)
			got, wait := s.pop(e.moment(now), time.Hour)
			checkPop(t, want, got, wait, now)
			delete(want, got)
		}
	}
	for in := range want {
		if in.places[byWake] == 0 {
			t.Error("an instance got lost")
		}
	}
	if len(s.heap.list) != len(want) {
		t.Errorf("%d instances in the heap, want %d", len(s.heap.list), len(want))
	}
}

func checkPop(t *testing.T, want map[*Instance]time.Time, got *Instance, wait time.Duration, now time.Time) {
	t.Helper()
	first := now.Add(time.Hour)
	for _, at := range want {
		if at.Before(first) {
			first = at
		}
	}
	switch {
	case got != nil && !want[got].Equal(first):
		t.Fatalf("popped one of %v, want the first, of %v", want[got], first)
	case got == nil && !first.After(now):
		t.Fatal("nothing popped although one is due")
	case got == nil && wait != first.Sub(now):
		t.Fatalf("wait %v, want %v", wait, first.Sub(now))
	}
}

// lone is an instance that no engine runs.
func lone(t *testing.T) *Instance {
	t.Helper()
	e := New(Config{})
	p, err := e.Add(Definition{Source: neverAsked{}, Key: []KeyPart{{Name: "t"}}, Params: []Param{{Name: "u"}}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := p.Instance(Params{"u"})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

type neverAsked struct{ Source }

// An instance that gets a token between two looks of a child has its next
// attempt far in the future; its token is there now.
func TestNextAttemptOfUsable(t *testing.T) {
	in := lone(t)
	in.mu.Lock()
	defer in.mu.Unlock()
	now := time.Now()
	in.publish(Token{Value: secret.New("v"), Generation: 1, IssuedAt: now, ExpiresAt: now.Add(100 * time.Hour)})
	if at := in.nextAttempt(now); !at.Equal(now) {
		t.Errorf("next attempt in %v, want now", at.Sub(now))
	}
}

// Between the look that found the instance idle and the failed eviction
// somebody came: the plan made for them must stay.
func TestLookLaterKeepsPlan(t *testing.T) {
	in := lone(t)
	in.lookLater()
	if wait := time.Until(in.wakeAt()); wait > 0 {
		t.Errorf("the next look is in %v, want now", wait)
	}
	in.used.Store(int64(-time.Hour))
	in.lookLater()
	if wait := time.Until(in.wakeAt()); wait < 50*time.Second || wait > time.Minute {
		t.Errorf("the next look at an idle instance is in %v, want a minute", wait)
	}
}

// What the scheduler took out of its heap just before the eviction must not
// log in.
func TestLookAtEvicted(t *testing.T) {
	in := lone(t)
	if got, _ := in.engine.sched.pop(in.engine.moment(time.Now()), time.Hour); got != in {
		t.Fatal("the new instance is not to be looked at")
	}
	in.Release()
	in.engine.rooms.Lock()
	evicted := in.engine.evict(in)
	in.engine.rooms.Unlock()
	if !evicted {
		t.Fatal("not evicted")
	}
	in.look()
	in.lookLater()
	in.plan()
	if in.running || in.places[byWake] != 0 {
		t.Errorf("an evicted instance goes on: running %v, in the heap %v", in.running, in.places[byWake] != 0)
	}
	next, err := in.pool().Instance(Params{"u"})
	if err != nil || next == in {
		t.Errorf("instance after the eviction: the same: %v, %v", next == in, err)
	}
}

// Another pool may still have the instance that is being evicted in its hands.
func TestEvictedInTable(t *testing.T) {
	in := lone(t)
	in.pins.Store(evictedPins) // and it is still in the table
	done := make(chan *Instance)
	go func() {
		next, _ := in.pool().Instance(Params{"u"})
		done <- next
	}()
	if next := <-done; next == in || next == nil {
		t.Error("an evicted instance was handed out")
	}
}

// A child may come while a login fails, and be the first to need the state that both
// look at. Only the race detector can tell whether both take the lock.
func TestChildComesWhileLoginFails(t *testing.T) {
	in, o := &Instance{}, &owner{}
	var both sync.WaitGroup
	both.Go(func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.adopt(&Instance{})
	})
	both.Go(func() {
		if repeat := in.rejectParents(job{owner: o}, &FetchError{Class: Transient}); repeat != nil {
			t.Errorf("a login is repeated though no parent was refused: %v", repeat)
		}
	})
	both.Wait()
}
