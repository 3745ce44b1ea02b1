package refresher

import (
	"container/heap"
	"sync"
	"time"
)

// scheduler knows when each instance wants to be looked at next. One heap and
// one timer serve all instances, so an idle instance costs neither a goroutine
// nor a timer. Its lock is held for heap operations alone.
type scheduler struct {
	kick chan struct{} // holds one item when the head of the heap came earlier

	mu   sync.Mutex
	heap wakeHeap
}

func newScheduler() *scheduler { return &scheduler{kick: make(chan struct{}, 1)} }

// set makes the instance's next look happen at at; the zero time: never. It
// replaces what was set before.
func (s *scheduler) set(in *Instance, at time.Time) {
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
func (s *scheduler) place(in *Instance, at time.Time) bool {
	in.wakeAt = at
	switch {
	case at.IsZero() && in.heapIndex == 0:
		return false
	case at.IsZero():
		heap.Remove(&s.heap, in.heapIndex-1)
		return false
	case in.heapIndex == 0:
		heap.Push(&s.heap, in)
	default:
		heap.Fix(&s.heap, in.heapIndex-1)
	}
	return in.heapIndex == 1
}

// pop removes one instance whose time has come and returns it, or else nil and
// how long it is until the next one's, at most limit.
func (s *scheduler) pop(now time.Time, limit time.Duration) (*Instance, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap) == 0 {
		return nil, limit
	}
	if wait := s.heap[0].wakeAt.Sub(now); wait > 0 {
		return nil, min(wait, limit)
	}
	return heap.Pop(&s.heap).(*Instance), 0
}

// wakeHeap orders instances by wakeAt. Instance.heapIndex is the position plus
// one, so that its zero value means: not in the heap.
type wakeHeap []*Instance

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].wakeAt.Before(h[j].wakeAt) }
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i+1, j+1
}

func (h *wakeHeap) Push(x any) {
	in := x.(*Instance)
	*h = append(*h, in)
	in.heapIndex = len(*h)
}

func (h *wakeHeap) Pop() any {
	old := *h
	in := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	in.heapIndex = 0
	return in
}
