package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// fault is one entry of a plan.
type fault struct {
	ID   int           `json:"id"`
	Kind kind          `json:"kind"`
	At   time.Duration `json:"at"`   // since the start of the part
	For  time.Duration `json:"for"`  // 0: it is over at once
	Whom []int         `json:"whom"` // processes; empty: all, or none in particular
	Rand uint64        `json:"-"`    // for what the fault still has to choose
	// Began and Ended are when it really happened, since the start of the bench.
	Began, Ended time.Duration `json:"-"`
}

func (f fault) String() string {
	whom := ""
	if len(f.Whom) > 0 {
		whom = " " + strings.Trim(strings.ReplaceAll(fmt.Sprint(f.Whom), " ", ","), "[]")
	}
	return fmt.Sprintf("%6.1fs  %-40s %4.1fs%s", f.At.Seconds(), f.Kind, f.For.Seconds(), whom)
}

// crew says which processes a plan may break.
type crew struct {
	shared  int           // processes 0 to shared-1 share a Redis
	clocks  int           // of these the first have a clock that can be set
	filed   int           // as many more have a file
	settled time.Duration // how long nothing happens at the end
}

// makePlan spreads times faults of each kind over the time: each family has a
// slot for each of its faults, in a random order. Equal arguments give equal
// plans.
func makePlan(seed uint64, families []family, c crew, length time.Duration, times int) []fault {
	var plan []fault
	length -= c.settled
	for n, f := range families {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		var kinds []kind
		for range times {
			kinds = append(kinds, f.kinds...)
		}
		r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		slot := length / time.Duration(len(kinds))
		for i, k := range kinds {
			lasts := lasting(r, f, slot)
			room := max(slot-lasts, 1)
			plan = append(plan, fault{Kind: k, At: time.Duration(i)*slot + time.Duration(r.Int64N(int64(room))),
				For: lasts, Whom: whom(r, k, c), Rand: r.Uint64()})
		}
	}
	slices.SortStableFunc(plan, func(a, b fault) int { return int(a.At - b.At) })
	for i := range plan {
		plan[i].ID = i + 1
	}
	return plan
}

func lasting(r *rand.Rand, f family, slot time.Duration) time.Duration {
	if f.longest == 0 {
		return 0
	}
	lasts := f.shortest + time.Duration(r.Int64N(int64(f.longest-f.shortest)))
	if !f.fixed {
		lasts = min(lasts, slot*7/10)
	}
	return lasts
}

// whom chooses the processes that a fault meets.
func whom(r *rand.Rand, k kind, c crew) []int {
	switch k {
	case killed: // those that are never paused
		return []int{r.IntN((c.shared+1)/2) * 2}
	case paused:
		return []int{min(r.IntN(max(c.shared/2, 1))*2+1, c.shared-1)}
	case clockWrong:
		return []int{r.IntN(max(c.clocks, 1))}
	case diskFull, fileKilled, fileDamaged:
		return []int{c.shared + r.IntN(max(c.filed, 1))}
	}
	_, l, ok := k.ways()
	if !ok {
		return nil
	}
	// One process, some, or all; of the API, where each failure is a failed
	// request, no more than some.
	n := []int{1, 1 + c.shared/4, 1 + c.shared/2, c.shared}[r.IntN(4)]
	if l == toAPI {
		n = []int{1, 1 + c.shared/4}[r.IntN(2)]
	}
	some := r.Perm(c.shared)[:n]
	slices.Sort(some)
	return some
}

// count returns how often each kind happens.
func countKinds(plan []fault) map[kind]int {
	n := map[kind]int{}
	for _, f := range plan {
		n[f.Kind]++
	}
	return n
}
