package simulation

import (
	"sync"
	"time"
)

// weather is which faults are at work, as far as the processes notice them.
type weather struct {
	mu     sync.Mutex
	active [faults]map[int]int // by replica, everybody among them
	size   [faults]time.Duration
}

func newWeather() *weather {
	w := &weather{}
	for f := range faults {
		w.active[f] = map[int]int{}
	}
	return w
}

func (w *weather) begin(f Fault, replica int, size time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[f][replica]++
	w.size[f] = size
}

func (w *weather) end(f Fault, replica int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[f][replica]--
}

// is reports whether the fault hits the replica now.
func (w *weather) is(f Fault, replica int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active[f][replica] > 0 || w.active[f][everybody] > 0
}

func (w *weather) sizeOf(f Fault) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size[f]
}

// shadow says for how long after its end a fault still excuses something; a
// fault that is not in it never does.
type shadow map[Fault]time.Duration

// hit reports whether the plan excuses the replica, or with everybody any
// replica, at some moment between these two times since the start.
func (s shadow) hit(plan []Window, replica int, from, to time.Duration) bool {
	for _, w := range plan {
		long, counts := s[w.Fault]
		if counts && (replica == everybody || w.Replica == everybody || w.Replica == replica) && w.From <= to && w.To+long >= from {
			return true
		}
	}
	return false
}

// plus returns s with every shadow longer by d.
func (s shadow) plus(d time.Duration) shadow {
	longer := shadow{}
	for f, long := range s {
		longer[f] = long + d
	}
	return longer
}

// and returns the faults of both, with the longer shadows.
func (s shadow) and(other shadow) shadow {
	both := shadow{}
	for f, long := range s {
		both[f] = long
	}
	for f, long := range other {
		both[f] = max(both[f], long)
	}
	return both
}
