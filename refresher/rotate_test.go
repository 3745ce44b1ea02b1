package refresher_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// wantSession fails the test unless the session goes on for a day, or else is
// lost.
func wantSession(t *testing.T, p *process, goesOn bool) {
	t.Helper()
	for range 24 * 2 {
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if _, ok := p.in.Peek(); goesOn && !ok {
			t.Fatalf("no token: %+v", p.in.Status())
		}
	}
	if lost := p.vendor.lost(); lost == goesOn {
		t.Errorf("the session is lost: %v, want %v", lost, !goesOn)
	}
}

// Whenever the process is killed, the next one goes on with the session, but for
// one window: from when the vendor replaces the refresh token to when the store
// has the new one.
func TestKilledWhileRotating(t *testing.T) {
	points := []struct {
		at     string
		window bool
	}{
		{"before the load", false},
		{"after the load", false},
		{"before the lease", false},
		{"after the lease", false},
		{"before the request", false},
		{"the answer on its way", true},
		{"before the save", true},
		{"at the save", true},
		{"after the save", false},
		{"before the release", false},
		{"after the release", false},
	}
	for _, point := range points {
		for _, skip := range []int{0, 1, 2, 5} {
			t.Run(fmt.Sprint(point.at, " ", skip), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					vendor, store := &session{most: 300 * time.Millisecond}, refresher.NewMemoryStore()
					first := startProcess(t, vendor, store, point.at, skip)
					for range 24 * 60 {
						time.Sleep(time.Minute)
						if first.killed() {
							break
						}
					}
					if !first.killed() {
						t.Fatal("the process was never killed")
					}
					second := startProcess(t, vendor, store, "", 0)
					time.Sleep(time.Minute) // the lease of the dead
					wantSession(t, second, !point.window)
				})
			})
		}
	}
}

// A process that was down for so long that its token expired goes on with the
// refresh token.
func TestRestartAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, store := &session{}, refresher.NewMemoryStore()
		p := startProcess(t, vendor, store, "", 0)
		rt.WantToken(t, p.in, "a1")
		p.stop()
		time.Sleep(100 * time.Hour)
		p = startProcess(t, vendor, store, "", 0)
		if tok := rt.WantToken(t, p.in, "a2"); tok.Generation != 2 {
			t.Errorf("generation %d, want 2", tok.Generation)
		}
		wantSession(t, p, true)
	})
}

// The end of the engine in the midst of a refresh does not throw the answer
// away.
func TestStoppedWhileRotating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, store := &session{most: 5 * time.Second}, refresher.NewMemoryStore()
		p := startProcess(t, vendor, store, "", 0)
		time.Sleep(time.Second)
		begin := time.Now()
		p.stop()
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("the end took %v, want 4s", took)
		}
		wantSession(t, startProcess(t, vendor, store, "", 0), true)
	})
}

// As long as the store does not take the new refresh token it is not used; the
// token is served meanwhile.
func TestRotatedTokenIsSavedBeforeItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, store := &session{}, refresher.NewMemoryStore()
		p := startFailing(t, vendor, store, only(errDown, "save"))
		rt.WantToken(t, p.in, "a1")
		time.Sleep(59 * time.Minute)
		rt.WantToken(t, p.in, "a1")
		wantRejection(t, p.in, rt.Token(t, p.in), "r", refresher.OverBudget) // nothing could follow
		time.Sleep(2 * time.Minute)
		if vendor.calls != 1 {
			t.Errorf("the vendor was called %d times, want once", vendor.calls)
		}
		saves := p.saveCount()
		for p.saveCount() == saves { // so that now is not the instant of a save
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		err := wantUnavailable(t, p.in, time.Second/4, 0, refresher.Transient)
		if want := "no usable token cred.token: the store does not take the new refresh token, which is not used before it is saved"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		p.fail(nil)
		time.Sleep(4 * time.Second)
		rt.WantToken(t, p.in, "a2")
		wantSession(t, p, true)
	})
}

// What could not be saved is saved at the end, and no other process uses the
// old refresh token meanwhile.
func TestUnsavedRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, store := &session{}, refresher.NewMemoryStore()
		p := startFailing(t, vendor, store, only(errDown, "save"))
		rt.WantToken(t, p.in, "a1")
		other := startProcess(t, vendor, store, "", 0)
		time.Sleep(30 * time.Minute)
		rt.WantNone(t, other.in)
		p.fail(only(errLate, "save"))
		p.stop()
		time.Sleep(time.Second)
		rt.WantToken(t, other.in, "a1")
		wantSession(t, other, true)
	})
}

// A vendor that takes the old refresh token until the new one was used loses no
// session at all.
func TestUnsavedRotationOfALenientVendor(t *testing.T) {
	for _, point := range []string{"the answer on its way", "before the save", "at the save"} {
		t.Run(point, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				vendor, store := &session{lenient: true}, refresher.NewMemoryStore()
				p := startProcess(t, vendor, store, point, 3)
				for !p.killed() {
					time.Sleep(time.Minute)
				}
				p = startProcess(t, vendor, store, "", 0)
				time.Sleep(time.Minute)
				wantSession(t, p, true)
			})
		})
	}
}

// Without the store no refresh token is used: another process may have used it.
func TestNoRotationWithoutTheStore(t *testing.T) {
	for _, op := range []string{"load", "acquire"} {
		for _, fault := range []error{errDown, errHang} {
			t.Run(fmt.Sprint(op, " ", fault), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					vendor, store := &session{}, refresher.NewMemoryStore()
					rt.WantToken(t, startProcess(t, vendor, store, "", 0).in, "a1")
					p := &process{t: t, vendor: vendor, store: store, faults: only(fault, op)}
					time.Sleep(50 * time.Minute) // the first has refreshed, and is to do so again
					p.start()
					time.Sleep(30 * time.Minute)
					if s := p.in.Status(); op == "load" && (s.Failures == 0 || s.Class != refresher.Transient) {
						t.Errorf("status %+v, want failures that are transient", s)
					}
					p.fail(nil)
					time.Sleep(2 * time.Minute)
					wantSession(t, p, true)
				})
			})
		}
	}
}

// An outage of the store that begins in the window and is over soon does no
// harm, though another process finds the store working first.
func TestShortOutageWhileRotating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, store := &session{most: 9 * time.Second}, refresher.NewMemoryStore()
		p := startProcess(t, vendor, store, "", 0)
		time.Sleep(8 * time.Second) // the answer is on its way
		outage := only(errDown, "load", "acquire", "save", "extend")
		p.fail(outage)
		other := startFailing(t, vendor, store, outage)
		time.Sleep(time.Second)
		other.fail(nil)
		time.Sleep(5 * time.Second)
		p.fail(nil)
		time.Sleep(time.Minute)
		rt.WantToken(t, p.in, "a1")
		rt.WantToken(t, other.in, "a1")
		wantSession(t, other, true)
	})
}

// What is not saved is not evicted.
func TestUnsavedRotationIsNotEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startProcess(t, &session{lenient: true}, refresher.NewMemoryStore(), "", 0)
		rt.WantToken(t, p.in, "a1")
		p.fail(only(errDown, "save"))
		pool := rt.Define(t, p.engine, refresher.Definition{
			Token: "keyed", Params: []refresher.Param{{Name: "user", Identity: true}}, Source: p,
			Policy: refresher.Policy{Rotates: true}, Limits: refresher.Limits{Max: 1, Idle: time.Minute},
		})
		in, err := pool.Instance(refresher.Params{"a"})
		if err != nil {
			t.Fatal(err)
		}
		rt.Token(t, in)
		in.Release()
		time.Sleep(10 * time.Minute)
		_, err = pool.Instance(refresher.Params{"b"})
		wantLimit(t, err, "instances")
		p.fail(nil)
		time.Sleep(10 * time.Second)
		rt.Instance(t, pool, "b")
	})
}

func only(err error, ops ...string) func(string) error {
	return func(op string) error {
		for _, o := range ops {
			if o == op {
				return err
			}
		}
		return nil
	}
}

// Two processes share a session while the store and the vendor fail at random,
// and processes are killed, stopped and started: the session goes on. What ends
// it is left out: kills within the window, and an outage of the store that
// begins within it and outlasts the lease.
func TestRotationSurvivesFaults(t *testing.T) {
	calls, ran := 0, 0 // -run may choose some seeds
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			ran++
			synctest.Test(t, func(t *testing.T) { calls += rotateWithFaults(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
	// One seed alone may have the vendor or the store down nearly all the time.
	if calls < 5*ran && !t.Failed() {
		t.Errorf("the vendor was called %d times: this tests nothing", calls)
	}
}

// rotateWithFaults returns how often the vendor was called.
func rotateWithFaults(t *testing.T, r *rand.Rand) int {
	vendor, store := &session{most: 8 * time.Second, rand: rand.New(rand.NewPCG(r.Uint64(), 2))}, refresher.NewMemoryStore()
	points := []string{"before the load", "after the load", "before the lease", "after the lease", "before the request", "after the save", "before the release"}
	start := func() *process {
		return startProcess(t, vendor, store, points[r.IntN(len(points))], r.IntN(20))
	}
	processes := []*process{start(), start()}
	for range 120 {
		p := processes[r.IntN(2)]
		switch r.IntN(8) {
		case 0:
			p.fail(only([]error{errDown, errHang, errLate}[r.IntN(3)], []string{"load", "acquire", "save", "extend"}[r.IntN(4)]))
		case 1, 2:
			p.fail(nil)
		case 3:
			vendor.mu.Lock()
			vendor.down = !vendor.down
			vendor.mu.Unlock()
		case 4:
			p.fail(nil) // a process that ends with a store that is down is in the window
			p.stop()
			p.kill() // whatever it does now would be an error
		}
		for i := range processes {
			if p := processes[i]; p.killed() {
				processes[i] = start()
			}
		}
		time.Sleep(time.Duration(r.IntN(1500)) * time.Second)
		if vendor.lost() {
			t.Fatal("the session is lost")
		}
	}
	vendor.mu.Lock()
	defer vendor.mu.Unlock()
	return vendor.calls
}
