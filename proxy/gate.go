package proxy

import (
	"sync/atomic"
	"time"
)

// gate does something once if whoever passes through it stays inside too long.
// It watches one goroutine that now and then waits for something that cannot be
// interrupted; what it does never runs at the same time as what that goroutine
// does outside the gate.
type gate struct {
	state atomic.Int32
	timer *time.Timer
	done  chan struct{} // closed once act has returned
	act   func()
}

const (
	gateOutside int32 = iota
	gateInside
	gateOver // the time was up
)

// newGate starts the time. act runs, in a goroutine of its own, if the time is
// up while the watched goroutine is inside.
func newGate(d time.Duration, act func()) *gate {
	g := &gate{done: make(chan struct{}), act: act}
	g.timer = time.AfterFunc(d, g.fire)
	return g
}

func (g *gate) fire() {
	if g.state.Swap(gateOver) == gateInside {
		g.act()
	}
	close(g.done)
}

// enter reports whether the gate still watches; if not, the time is up and act
// was not run.
func (g *gate) enter() bool { return g.state.CompareAndSwap(gateOutside, gateInside) }

// leave ends what enter began. It reports whether the time was up meanwhile; act
// has then returned.
func (g *gate) leave() (over bool) {
	if g.state.CompareAndSwap(gateInside, gateOutside) {
		return false
	}
	<-g.done
	return true
}

// stop ends the watch. It is called outside.
func (g *gate) stop() { g.timer.Stop() }
