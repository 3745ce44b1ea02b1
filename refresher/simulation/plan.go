package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is something that goes wrong for a while, or at one moment.
type Fault uint8

// The faults. Those of the vendor hit everybody; those of the store, of
// announcements and of processes hit one replica or all.
const (
	VendorDown   Fault = iota // connections are refused, to the API as well
	VendorHangs               // no answer, of the API as well
	VendorBusy                // logins get 429 with a Retry-After
	VendorFails               // logins get 5xx
	VendorSlow                // answers to logins take up to 15 s
	VendorLoses               // logins succeed, and half of the answers are lost
	VendorDenies              // logins get an answer that counts as permanent
	Revoked                   // at one moment: the vendor drops every token
	StoreDown                 // operations fail at once
	StoreHangs                // operations get no answer
	StoreLoses                // operations happen, and half of the answers are lost
	StoreSlow                 // operations take up to 1.5 s
	NewsLost                  // announcements are lost; at the end there is one for everything
	NewsSlow                  // announcements take up to 5 s
	LeaseLost                 // at one moment: the lease is there for anybody
	StoreForgets              // at one moment: the store is empty
	Paused                    // the process stands still, its clock as well
	Crashed                   // the process is gone, and comes back with an empty memory
	ClockStep                 // at one moment: the process's wall clock is set by up to 20 s
	faults
)

// String returns the fault's name, as in a timeline.
func (f Fault) String() string {
	return [...]string{
		"vendor down", "vendor hangs", "vendor busy", "vendor fails", "vendor slow", "vendor loses answers", "vendor denies", "revoked",
		"store down", "store hangs", "store loses answers", "store slow", "news lost", "news slow", "lease lost", "store forgets",
		"paused", "crashed", "clock step",
	}[f]
}

// moment reports whether the fault has no length.
func (f Fault) moment() bool {
	return f == Revoked || f == LeaseLost || f == StoreForgets || f == ClockStep
}

// everybody stands for all replicas in a [Window].
const everybody = -1

// Window is one fault.
type Window struct {
	Fault    Fault
	Replica  int           // everybody: all
	From, To time.Duration // since the start
	Size     time.Duration // of a ClockStep: how far; of VendorBusy: the longest Retry-After
}

// String is one line of a timeline.
func (w Window) String() string {
	text := w.Fault.String()
	if w.Replica != everybody {
		text += fmt.Sprintf(" (replica %d)", w.Replica)
	}
	if w.Size != 0 {
		text += fmt.Sprintf(" by %v", w.Size.Round(time.Millisecond))
	}
	if w.To > w.From {
		text += fmt.Sprintf(" for %v", (w.To - w.From).Round(time.Millisecond))
	}
	return text
}

// settle is how long before the end of a run the last fault ends at the latest.
const settle = 4 * time.Hour

// NewPlan draws the faults of a run of that length. Each quarter of a day has none,
// a few, or a storm of them; the end has none.
func NewPlan(seed uint64, replicas int, length time.Duration) []Window {
	r := draw(seed, streamPlan)
	var plan []Window
	const quarter = 6 * time.Hour
	for begin := time.Duration(0); begin < length-settle; begin += quarter {
		if r.Float64() < 0.25 {
			continue
		}
		mean := float64([]time.Duration{2 * time.Minute, 10 * time.Minute, 40 * time.Minute}[r.IntN(3)])
		gap := func() time.Duration { return time.Duration(r.ExpFloat64() * mean) }
		end := min(begin+quarter, length-settle)
		for at := begin + gap(); at < end; at += gap() {
			plan = append(plan, window(r, at, end, replicas))
		}
	}
	slices.SortStableFunc(plan, func(a, b Window) int { return int(a.From - b.From) })
	return plan
}

// window draws one fault. It lasts from 1 s to 20 min, rather short than long,
// and not beyond end.
func window(r *rand.Rand, at, end time.Duration, replicas int) Window {
	w := Window{Fault: Fault(r.IntN(int(faults))), Replica: everybody, From: at, To: at}
	if w.Fault >= StoreDown && w.Fault != LeaseLost && w.Fault != StoreForgets && r.Float64() < 0.5 || w.Fault >= Paused {
		w.Replica = r.IntN(replicas)
	}
	length := time.Duration(math.Pow(1200, r.Float64()) * float64(time.Second))
	switch {
	case w.Fault == ClockStep:
		w.Size = time.Duration((2*r.Float64() - 1) * float64(maxStep))
	case w.Fault == VendorBusy:
		w.Size = time.Duration(r.Float64() * float64(maxRetryAfter))
	}
	if !w.Fault.moment() {
		w.To = min(at+length, end)
	}
	return w
}

const (
	maxStep       = 20 * time.Second
	maxRetryAfter = 10 * time.Minute
)
