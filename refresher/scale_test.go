package refresher

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"attache/internal/secret"
)

// The figures of docs/scale.md are measured; what they rest on is held here.

// Memory is given out in classes: one byte more than 256 costs 32.
func TestInstanceIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Instance{}); size > 256 {
		t.Errorf("an Instance has %d bytes, want at most 256; what few instances need belongs in rarities", size)
	}
}

// atOnce logs in without any I/O.
type atOnce struct{}

func (atOnce) Fetch(context.Context, Input) (Token, error) {
	return Token{Value: secret.New("v"), ExpiresAt: time.Now().Add(10 * time.Hour)}, nil
}

// crowd is a pool in which so many users have tokens.
func crowd(t *testing.T, users int) *Pool {
	t.Helper()
	e := New(Config{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	p, err := e.Add(crowded(users))
	if err != nil {
		t.Fatal(err)
	}
	for i := range users {
		in, err := p.Instance(Params{fmt.Sprint("user-", i)})
		if err != nil {
			t.Fatal(err)
		}
		in.Release()
		if i%100 == 0 {
			synctest.Wait() // so that never more than a hundred log in at a time
		}
	}
	synctest.Wait()
	if fresh := p.Status().Phases[Fresh]; fresh != users {
		t.Fatalf("%d of %d users have a token", fresh, users)
	}
	return p
}

func crowded(users int) Definition {
	return Definition{
		Source: atOnce{}, Key: []KeyPart{{Name: "u", FromRequest: true}}, Params: []Param{{Name: "u", Identity: true}},
		Limits: Limits{Max: users, LoginsPerMinute: 1 << 30, Idle: 100 * time.Hour},
	}
}

func TestLiveInstancesCostNoGoroutineAndLittleMemory(t *testing.T) {
	const users = 5000
	synctest.Test(t, func(t *testing.T) {
		crowd(t, 200) // whatever is made once
		goroutines, heap := runtime.NumGoroutine(), heapAlloc()
		p := crowd(t, users)
		if n := runtime.NumGoroutine() - goroutines; n > 2 { // the scheduler's, and whoever waits for Run
			t.Errorf("%d goroutines for %d live instances, want the scheduler's alone", n, users)
		}
		// A few percent of it are the values, the parameters and their names.
		if each := (heapAlloc() - heap) / users; each > 1024 {
			t.Errorf("a live instance has %d bytes of heap, want at most 1024", each)
		}
		runtime.KeepAlive(p)
	})
}

func heapAlloc() int64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers and pools kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Whoever looks for somebody to evict among many who were all used of late finds
// the right one, and lets others have the lock in between.
func TestSearchPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 3 * lookup
		p := crowd(t, users)
		e := p.engine
		time.Sleep(time.Second)
		oldest := users / 3
		for i := range users {
			in, err := p.Instance(Params{fmt.Sprint("user-", (oldest+i)%users)})
			if err != nil {
				t.Fatal(err)
			}
			in.Peek()
			in.Release()
			time.Sleep(time.Millisecond)
		}
		want, _ := p.Instance(Params{fmt.Sprint("user-", oldest)})
		want.Release()
		e.rooms.Lock()
		defer e.rooms.Unlock()
		s, pauses := search{left: lookup}, 0
		got, done := e.evictOldest(&p.recent, &s)
		for ; !done; got, done = e.evictOldest(&p.recent, &s) {
			s.pause(e)
			if pauses++; pauses > 2*users/lookup {
				t.Fatal("the search does not end")
			}
		}
		if got != want || pauses != users/lookup {
			t.Errorf("evicted the right one: %v, after %d pauses, want %d", got == want, pauses, users/lookup)
		}
	})
}

func TestSearchTakesOldestSeen(t *testing.T) {
	all := [4]*Instance{{}, {}, {}, {}}
	var s search
	for i, used := range []int64{5, 3, 9} {
		if got := s.saw(all[i], used); got != nil {
			t.Fatalf("after %d it ends", i)
		}
	}
	s.steps = patience
	if got := s.saw(all[3], 4); got != all[1] {
		t.Error("it is not the least recently used")
	}
}

// Whom a search saw may work for another pool by the time when it ends.
func TestSearchKeepsToItsPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := crowd(t, 10)
		foreign := lone(t)
		foreign.Release()
		time.Sleep(time.Second)
		for _, in := range p.instances() {
			in.Peek()
		}
		s := search{left: lookup, steps: patience - 1, best: foreign}
		p.engine.rooms.Lock()
		defer p.engine.rooms.Unlock()
		if p.engine.evictOldest(&p.recent, &s); foreign.gone() {
			t.Error("another pool's instance was evicted")
		}
	})
}

// Nobody waits for a search through all of them: it ends with the least recently
// used of those that it saw, and the next one goes on from there.
func TestSearchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 2 * patience
		p := crowd(t, users)
		e := p.engine
		time.Sleep(time.Second)
		for i := range users { // the order in which they came
			in, err := p.Instance(Params{fmt.Sprint("user-", i)})
			if err != nil {
				t.Fatal(err)
			}
			in.Peek()
			in.Release()
			time.Sleep(time.Millisecond)
		}
		e.rooms.Lock()
		defer e.rooms.Unlock()
		for range 3 {
			s, steps := search{left: lookup}, 0
			got, done := e.evictOldest(&p.recent, &s)
			for ; !done; got, done = e.evictOldest(&p.recent, &s) {
				steps = s.steps
				s.pause(e)
			}
			if got == nil || steps > patience {
				t.Fatalf("evicted one: %v, after %d steps, want at most %d", got != nil, steps, patience)
			}
		}
	})
}

// While the search pauses, others make instances: the limit holds, and none is
// lost.
func TestSearchersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users, more = 2 * lookup, 50
		p := crowd(t, users)
		time.Sleep(time.Second)
		for _, in := range p.instances() {
			in.Peek() // so that each search has to look at all
		}
		results := make(chan error)
		for i := range more {
			go func() {
				in, err := p.Instance(Params{fmt.Sprint("new-", i)})
				if err == nil {
					in.Release()
				}
				results <- err
			}()
		}
		for range more {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if n := p.Status().Instances; n != users {
			t.Errorf("%d instances, want %d", n, users)
		}
		if s := p.engine.Sizes(); s.Table != users || s.Listed != users {
			t.Errorf("%+v, want %d instances in the table and the ranking", s, users)
		}
	})
}

// A reload goes through all instances. Meanwhile logins start, and the status is
// there.
func TestCommitHoldsUpNobody(t *testing.T) {
	e := New(Config{})
	p, err := e.Add(crowded(10))
	if err != nil {
		t.Fatal(err)
	}
	in, err := p.Instance(Params{"u"})
	if err != nil {
		t.Fatal(err)
	}
	in.mu.Lock() // where the reload gets stuck
	c := e.Change()
	if _, err := c.Add(crowded(20)); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error)
	go func() { committed <- c.Commit() }()
	for e.mu.TryLock() {
		e.mu.Unlock()
		runtime.Gosched()
	}
	started := make(chan bool)
	if !e.start(func() { started <- true }) {
		t.Error("no login starts")
	}
	<-started
	if n := len(e.inService()); n != 1 {
		t.Errorf("%d pools, want 1", n)
	}
	if _, err := p.Instance(Params{"v"}); err != nil {
		t.Error(err)
	}
	in.mu.Unlock()
	if err := <-committed; err != nil {
		t.Error(err)
	}
}

// A pool of many that retires hands all of them on.
func TestManyRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 3*lookup + 7
		e := crowd(t, users).engine
		if err := e.Change().Commit(); err != nil {
			t.Fatal(err)
		}
		if s := e.Sizes(); s.Orphans != users || s.Pools != 0 {
			t.Errorf("%+v, want %d orphans", s, users)
		}
		p, err := e.Add(crowded(users))
		if err != nil {
			t.Fatal(err)
		}
		for i := range users {
			in, err := p.Instance(Params{fmt.Sprint("user-", i)})
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := in.Peek(); !ok {
				t.Fatalf("user %d has no token any more", i)
			}
			in.Release()
		}
		if s := e.Sizes(); s.Orphans != 0 || s.Listed != users {
			t.Errorf("%+v, want %d instances of the new pool", s, users)
		}
	})
}
