package simulation

import (
	"math/rand/v2"
	"sync"
	"time"
)

// The streams of random numbers of a run. Each part of it has its own, so that
// what one draws does not depend on how many another one has drawn before.
const (
	streamPlan uint64 = iota
	streamProfile
	streamSkew
	streamLogin
	streamStore
	streamRequests
	streamRequest
	streamEngine
	streamNews
	streamModel
)

// draw returns the random numbers of one part of a run.
func draw(seed uint64, of ...uint64) *rand.Rand {
	var h uint64
	for _, part := range of { // splitmix64 over the parts
		h += part + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return rand.New(rand.NewPCG(seed, h))
}

// dice is a stream for several goroutines.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64, of ...uint64) *dice { return &dice{r: draw(seed, of...)} }

func (d *dice) float() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.Float64()
}

// between draws a time.
func between(r float64, least, most time.Duration) time.Duration {
	return least + time.Duration(r*float64(most-least))
}
