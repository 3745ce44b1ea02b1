package refresher

import (
	"sync"
	"time"
)

// scheduler knows when each instance wants to be looked at next. One heap and
// one timer serve all instances, so an idle instance costs neither a goroutine
// nor a timer. Its lock is held for heap operations alone.
type scheduler struct {
	kick chan struct{} // holds one item when the head of the heap came earlier

	mu   sync.Mutex
	heap ranking // by moments
}

func newScheduler() *scheduler {
	return &scheduler{kick: make(chan struct{}, 1), heap: ranking{kind: byWake}}
}

// set makes the instance's next look happen at at; 0: never. It replaces what
// was set before.
func (s *scheduler) set(in *Instance, at moment) {
	s.mu.Lock()
	earlier := s.place(in, at)
	s.mu.Unlock()
	if earlier {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

// place reports whether in became the head of the heap.
func (s *scheduler) place(in *Instance, at moment) bool {
	was := int(in.places[byWake])
	switch {
	case at == 0 && was == 0:
		return false
	case at == 0:
		s.heap.remove(was - 1)
		return false
	case was == 0:
		s.heap.add(in, int64(at))
	default:
		s.heap.change(was-1, int64(at))
	}
	return in.places[byWake] == 1
}

// pop removes one instance whose time has come and returns it, or else nil and
// how long it is until the next one's, at most limit.
func (s *scheduler) pop(now moment, limit time.Duration) (*Instance, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap.list) == 0 {
		return nil, limit
	}
	if wait := time.Duration(s.heap.list[0].rank - int64(now)); wait > 0 {
		return nil, min(wait, limit)
	}
	return s.heap.remove(0), 0
}
