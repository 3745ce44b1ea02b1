package simulation

import (
	"fmt"
	"sync"
	"time"

	"attache/refresher"
)

// Config says what to simulate.
type Config struct {
	// Seed decides everything that is not given below.
	Seed uint64
	// Length is the virtual time; at least a day to have faults.
	Length time.Duration
	// Profile: nil: drawn from the seed.
	Profile *Profile
	// Plan: nil: drawn from the seed; empty: no faults.
	Plan []Window
	// Breaks makes something wrong on purpose.
	Breaks Breaks
}

// Breaks are ways to make a replica wrong, so that a test can show that an
// invariant would notice. The zero value breaks nothing.
type Breaks struct {
	// Store wraps what a replica's view asks.
	Store func(refresher.Store) refresher.Store
	// Tokens wraps what a replica takes its tokens from.
	Tokens func(Tokens) Tokens
	// Source wraps a replica's logins.
	Source func(refresher.Source) refresher.Source
	// Policy changes what the engine knows of the recipe's policy.
	Policy func(refresher.Policy) refresher.Policy
	// Deaf: no replica is told what the store announces, though the profile says
	// so.
	Deaf bool
}

// World is one run.
type World struct {
	seed    uint64
	length  time.Duration
	profile Profile
	plan    []Window
	breaks  Breaks
	begin   time.Time

	weather  *weather
	vendor   *vendor
	ledger   *ledger
	judge    *judge
	replicas []*replica
	loaded   chan struct{}  // closed when the load ends
	crashes  sync.WaitGroup // of processes whose engines have not ended yet

	mu       sync.Mutex
	timeline []string // the last lines
	frozen   []string // those before the first violation
}

// Run simulates. It is called in a bubble of testing/synctest, and returns when
// everything that it started has ended.
func Run(cfg Config) *Result {
	w := &World{seed: cfg.Seed, length: cfg.Length, plan: cfg.Plan, breaks: cfg.Breaks, begin: time.Now(), loaded: make(chan struct{})}
	if cfg.Profile != nil {
		w.profile = *cfg.Profile
	} else {
		w.profile = NewProfile(cfg.Seed)
	}
	if w.plan == nil {
		w.plan = NewPlan(cfg.Seed, w.profile.Replicas, cfg.Length)
	}
	w.weather, w.ledger = newWeather(), newLedger(w.note)
	w.vendor = newVendor(w.profile, w.weather)
	w.judge = newJudge(w)
	skews := draw(w.seed, streamSkew)
	for i := range w.profile.Replicas {
		r := &replica{id: i, world: w, skew: time.Duration((2*skews.Float64() - 1) * float64(w.profile.Skew))}
		w.replicas = append(w.replicas, r)
		r.start()
	}
	var conductor sync.WaitGroup
	conductor.Go(w.conduct)
	w.watch()
	conductor.Wait()
	w.stop()
	return w.result()
}

// conduct has the faults of the plan happen.
func (w *World) conduct() {
	var ends sync.WaitGroup
	for _, f := range w.plan {
		if f.From >= w.length {
			break
		}
		time.Sleep(time.Until(w.begin.Add(f.From)))
		w.note("%v", f)
		if f.Fault.moment() {
			w.happen(f)
			continue
		}
		w.start(f)
		ends.Go(func() {
			time.Sleep(min(f.To, w.length) - f.From)
			w.end(f)
		})
	}
	ends.Wait()
}

// happen is a fault without length.
func (w *World) happen(f Window) {
	switch f.Fault {
	case Revoked:
		w.vendor.revoke()
	case LeaseLost:
		w.ledger.loseLease()
	case StoreForgets:
		w.ledger.forget()
	case ClockStep:
		w.judge.clockStepped(f.Size)
		w.replicas[f.Replica].step(f.Size)
	}
}

func (w *World) start(f Window) {
	switch f.Fault {
	case Paused:
		w.replicas[f.Replica].pause()
	case Crashed:
		w.replicas[f.Replica].crash()
	default:
		w.weather.begin(f.Fault, f.Replica, f.Size)
	}
}

func (w *World) end(f Window) {
	w.note("end of %v", f)
	switch f.Fault {
	case Paused:
		w.replicas[f.Replica].resume()
		return
	case Crashed:
		w.replicas[f.Replica].restart()
		return
	}
	w.weather.end(f.Fault, f.Replica)
	if f.Fault != StoreDown && f.Fault != StoreHangs && f.Fault != NewsLost {
		return
	}
	for _, r := range w.replicas {
		if l := r.current(); l != nil && (f.Replica == everybody || f.Replica == r.id) {
			go func() {
				l.gate()
				l.catchUp()
			}()
		}
	}
}

// watch holds the world to the invariants each virtual minute.
func (w *World) watch() {
	for time.Since(w.begin) < w.length {
		time.Sleep(time.Minute)
		w.inspect()
	}
}

// stop ends the load and then the processes, and sees that nothing remains.
func (w *World) stop() {
	close(w.loaded)
	var lives []*life
	for _, r := range w.replicas {
		if l := r.current(); l != nil {
			lives = append(lives, l)
			l.loads.Wait()
		}
	}
	for _, l := range lives {
		l.cancel()
		w.mustEnd(l)
		close(l.dead)
		<-l.ended
	}
	w.crashes.Wait()
}

// mustEnd waits for an engine whose context has ended.
func (w *World) mustEnd(l *life) {
	select {
	case <-l.ended:
	case <-time.After(time.Minute):
		w.judge.leaked(l)
	}
}

// calm reports whether none of the faults of s excuses the replica now.
func (w *World) calm(s shadow, replica int) bool {
	now := time.Since(w.begin)
	return !s.hit(w.plan, replica, now, now)
}

// since is the virtual time that has passed, to be read.
func (w *World) since() string {
	d := time.Since(w.begin).Round(time.Millisecond)
	return fmt.Sprintf("day %d %02d:%02d:%06.3f", d/(24*time.Hour), int(d.Hours())%24, int(d.Minutes())%60, (d % time.Minute).Seconds())
}

// timelineLength is how many lines are kept.
const timelineLength = 60

func (w *World) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timeline = append(w.timeline, w.since()+" "+fmt.Sprintf(format, args...))
	if len(w.timeline) > 4*timelineLength {
		w.timeline = append([]string(nil), w.timeline[len(w.timeline)-timelineLength:]...)
	}
}

// freeze keeps what led to the first violation.
func (w *World) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = append([]string(nil), w.timeline[max(0, len(w.timeline)-timelineLength):]...)
}
