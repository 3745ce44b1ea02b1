package app

import (
	"sync"
	"time"
)

// swaps are the moments in which one setup takes the place of another. After the
// last one has ended there is none: a reload that hangs, because a file or the
// storage of certificates does, can neither hold a drain up nor open a door in the
// midst of it. The zero value is ready.
type swaps struct {
	mu    sync.Mutex // held during a swap, which waits for nothing
	ended bool
}

// enter begins a swap, which lasts until leave; or it returns errStopping.
func (s *swaps) enter() (leave func(), err error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return nil, errStopping
	}
	return s.mu.Unlock, nil
}

// end waits for the swap under way, and has none begin any more.
func (s *swaps) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// over reports whether the last swap has ended: nothing need be made for another.
func (s *swaps) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// reloadGrace is how long a stopping process waits for a reload under way.
const reloadGrace = time.Second

// waitFor waits for a group, for at most d, and reports whether it is done.
func waitFor(group *sync.WaitGroup, d time.Duration) bool {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
