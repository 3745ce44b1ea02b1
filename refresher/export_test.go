package refresher

// Sizes counts what an engine holds on to.
type Sizes struct{ Pools, Table, Heap, Orphans, Listed, Children, Queue int }

// Sizes tells tests that nothing is left behind.
func (e *Engine) Sizes() Sizes {
	e.mu.Lock()
	s := Sizes{Pools: len(e.pools)}
	for _, p := range e.pools {
		s.Queue += int(p.queue.Load())
		e.rooms.Lock()
		s.Listed += len(p.recent)
		e.rooms.Unlock()
	}
	e.mu.Unlock()
	e.rooms.Lock()
	s.Orphans = len(e.orphans)
	e.rooms.Unlock()
	e.sched.mu.Lock()
	s.Heap = len(e.sched.heap)
	e.sched.mu.Unlock()
	e.table.Range(func(_, v any) bool {
		in := v.(*Instance)
		in.mu.Lock()
		s.Table++
		s.Children += len(in.children)
		in.mu.Unlock()
		return true
	})
	return s
}
