package main

import (
	"runtime"

	"attache/internal/secret"
	"attache/refresher"
)

// memory is the heap of a crowd, in bytes for each user.
type memory struct {
	Whole  float64 // with the token's value and the parameters
	Inputs float64 // those alone
	After  float64 // the same as Whole once each token was refused and renewed
	Others float64 // goroutines of the engine, all together
}

// measureMemory makes the crowd that everything else is measured with.
func measureMemory(n int) (*crowd, memory, error) {
	var m memory
	m.Inputs = inputsHeap(n)
	before, goroutines := heap(), runtime.NumGoroutine()
	c, err := newCrowd(newUsers(n))
	if err != nil {
		return c, m, err
	}
	// The list of users is the measurement's own.
	m.Whole = float64(heap()-before)/float64(n) - sliceHeader
	m.Others = float64(runtime.NumGoroutine() - goroutines)
	for i, user := range c.users {
		c.refuse(user)
		if i%500 == 499 {
			c.await(int64(n + i + 1))
		}
	}
	if err := c.awaitTokens(); err != nil {
		return c, m, err
	}
	m.After = float64(heap()-before)/float64(n) - sliceHeader
	return c, m, nil
}

const sliceHeader = 24

// inputsHeap is the heap of that many values and parameters by themselves.
func inputsHeap(n int) float64 {
	type input struct {
		value  secret.String
		params refresher.Params
	}
	all := make([]input, n)
	before := heap()
	for i := range all {
		all[i] = input{newValue(), newUser("user", i)}
	}
	used := heap() - before
	runtime.KeepAlive(all)
	return float64(used) / float64(n)
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools kept beyond the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
