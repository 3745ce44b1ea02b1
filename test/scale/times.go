package main

import (
	"runtime"
	"slices"
	"time"
)

// times are durations in nanoseconds, of one operation each.
type times []uint32

func (t *times) add(d time.Duration) { *t = append(*t, uint32(min(d, 4*time.Second))) }

// of returns the one that a share q of them is not above, or 0 of none. It sorts
// them.
func (t times) of(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	slices.Sort(t)
	return time.Duration(t[min(int(q*float64(len(t))), len(t)-1)])
}

// window is for how long the longest of a series is looked for at a time.
const window = 250 * time.Millisecond

// series are operations of one goroutine, one after the other. What causes a stop
// in a program causes it every time, so that it is in most windows; what the
// machine does meanwhile is in some, and in the control as well.
type series struct {
	all     times
	start   time.Time
	longest []time.Duration // of each window, less the delays
}

func newSeries(most int) *series { return &series{all: make(times, 0, most), start: time.Now()} }

// repeat calls f in batches of so many, with a pause after each, until enough says
// so or there is room for no more.
func (s *series) repeat(batch int, pause time.Duration, enough func() bool, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d := newDelays()
	defer d.close()
	for !enough() && len(s.all)+batch <= cap(s.all) {
		before, last := d.soFar(), time.Now()
		var longest time.Duration
		for range batch {
			f()
			now := time.Now()
			s.all.add(now.Sub(last))
			longest = max(longest, now.Sub(last))
			last = now
		}
		s.note(last, max(longest-(d.soFar()-before), 0))
		time.Sleep(pause)
	}
}

// note notes the longest of a batch that ended then.
func (s *series) note(end time.Time, longest time.Duration) {
	for at := int(end.Sub(s.start) / window); at >= len(s.longest); {
		s.longest = append(s.longest, 0)
	}
	last := &s.longest[len(s.longest)-1]
	*last = max(*last, longest)
}

// extremes are the longest of a series, less the delays: in the usual window, and
// of all.
type extremes struct{ Usual, Ever time.Duration }

func (s *series) extremes() extremes {
	if len(s.longest) == 0 {
		return extremes{}
	}
	return extremes{median(s.longest), slices.Max(s.longest)}
}

// median returns the median of the figures of several rounds.
func median[T ~int64 | ~float64](figures []T) T {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Clone(figures)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
