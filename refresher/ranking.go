package refresher

import "time"

// moment is a time by the monotonic clock in a third of the memory: nanoseconds
// since Engine.epoch, plus one. 0: none.
type moment int64

// moment returns t, which is zero or has a monotonic reading. What is before the
// epoch has come just as what is at it.
func (e *Engine) moment(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(min(max(t.Sub(e.epoch), 0), 1<<62)) + 1
}

// time is the inverse of moment.
func (e *Engine) time(m moment) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return e.epoch.Add(time.Duration(m - 1))
}

// The rankings that an instance may be in, one of each kind.
const (
	byWake   = iota // the scheduler's
	byRecent        // of those that may be evicted
	rankings
)

// ranking is a heap of instances. The ranks lie in the heap itself: to compare
// them reads no instance, of which a hundred thousand are in no cache. An
// instance knows its place, plus one, in Instance.places.
type ranking struct {
	kind int // an index of Instance.places
	list []ranked
}

type ranked struct {
	rank int64
	in   *Instance
}

// add puts in an instance that is in no ranking of this kind.
func (r *ranking) add(in *Instance, rank int64) {
	r.list = append(r.list, ranked{rank, in})
	r.up(len(r.list) - 1)
}

// change gives the instance at place i another rank.
func (r *ranking) change(i int, rank int64) {
	r.list[i].rank = rank
	if !r.down(i) {
		r.up(i)
	}
}

// remove takes out the instance at place i and returns it.
func (r *ranking) remove(i int) *Instance {
	last := len(r.list) - 1
	gone, moved := r.list[i].in, r.list[last]
	r.list[last] = ranked{}
	r.list = r.list[:last]
	gone.places[r.kind] = 0
	if i < last {
		r.list[i] = moved
		if !r.down(i) {
			r.up(i)
		}
	}
	return gone
}

// put writes one item and its place.
func (r *ranking) put(i int, one ranked) {
	r.list[i] = one
	one.in.places[r.kind] = int32(i + 1)
}

func (r *ranking) up(i int) {
	one := r.list[i]
	for i > 0 {
		parent := (i - 1) / 2
		if r.list[parent].rank <= one.rank {
			break
		}
		r.put(i, r.list[parent])
		i = parent
	}
	r.put(i, one)
}

// down reports whether the item moved.
func (r *ranking) down(start int) bool {
	i, one := start, r.list[start]
	for {
		child := 2*i + 1
		if child >= len(r.list) {
			break
		}
		if next := child + 1; next < len(r.list) && r.list[next].rank < r.list[child].rank {
			child = next
		}
		if one.rank <= r.list[child].rank {
			break
		}
		r.put(i, r.list[child])
		i = child
	}
	r.put(i, one)
	return i > start
}
