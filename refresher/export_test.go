package refresher

import "time"

// Sizes counts what an engine holds on to.
type Sizes struct{ Pools, Table, Heap, Orphans, Listed, Children, Queue int }

// wakeAt returns when the scheduler is to look at the instance.
func (in *Instance) wakeAt() time.Time {
	s := in.engine.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := in.places[byWake]; at > 0 {
		return in.engine.time(moment(s.heap.list[at-1].rank))
	}
	return time.Time{}
}

// Sizes tells tests that nothing is left behind.
func (e *Engine) Sizes() Sizes {
	s := Sizes{Pools: len(e.inService())}
	for _, p := range e.inService() {
		s.Queue += int(p.queue.Load())
		e.rooms.Lock()
		s.Listed += len(p.recent.list)
		e.rooms.Unlock()
	}
	e.rooms.Lock()
	s.Orphans = len(e.orphans.list)
	e.rooms.Unlock()
	e.sched.mu.Lock()
	s.Heap = len(e.sched.heap.list)
	e.sched.mu.Unlock()
	e.table.Range(func(_, v any) bool {
		in := v.(*Instance)
		in.mu.Lock()
		s.Table++
		s.Children += len(in.listChildren())
		in.mu.Unlock()
		return true
	})
	return s
}
