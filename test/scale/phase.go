package main

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// phase is what was measured while something went on.
type phase struct {
	Name           string
	Hits           int
	Hit, HitP999   time.Duration // a request that finds its token
	Found          extremes      // the longest of them
	Made           extremes      // the longest for which an instance is made, and another evicted
	Control        extremes      // the longest of something that the engine has no part in
	Scrape, Reload time.Duration // CPU time of Engine.Status and Change.Commit, the median
	Pause          time.Duration // the longest stop of the garbage collector
}

// probes ask the engine while something goes on.
type probes struct {
	crowd              *crowd
	next               *atomic.Int64 // newcomer
	over               atomic.Bool
	all                sync.WaitGroup
	found, made, idle  *series
	scraped, committed times
	sum                int // of the control
}

// observe lets probes ask for that long. With makes new users come, 200 a second;
// with reloads configurations are put into service and the status is asked for,
// several times a second each.
func observe(name string, c *crowd, next *atomic.Int64, makes, reloads bool, lasts time.Duration) phase {
	p := &probes{crowd: c, next: next, found: newSeries(4 << 20), idle: newSeries(4 << 20), made: newSeries(1 << 10)}
	pauses := gcPauses()
	p.all.Go(func() { p.found.repeat(1000, time.Millisecond, p.over.Load, p.request()) })
	p.all.Go(func() { p.idle.repeat(1000, time.Millisecond, p.over.Load, func() { p.sum += spin(1000) }) })
	if makes {
		p.all.Go(func() { p.made.repeat(1, 5*time.Millisecond, p.over.Load, p.arrive) })
	}
	if reloads {
		p.all.Go(p.disturb)
	}
	time.Sleep(lasts)
	p.over.Store(true)
	p.all.Wait()
	return phase{
		Name: name, Hits: len(p.found.all), Hit: p.found.all.of(0.5), HitP999: p.found.all.of(0.999),
		Found: p.found.extremes(), Made: p.made.extremes(), Control: p.idle.extremes(),
		Scrape: p.scraped.of(0.5), Reload: p.committed.of(0.5), Pause: longestSince(pauses),
	}
}

// request makes requests of users in an order that no cache foresees.
func (p *probes) request() func() {
	users, at := p.crowd.users, 0
	return func() {
		at = (at + 61_803) % len(users)
		p.crowd.request(users[at])
	}
}

// spin takes as long as a request, and meets what others do to this process, and
// the runtime.
func spin(n int) (sum int) {
	for i := range n {
		sum ^= sum<<1 + i
	}
	return sum
}

// arrive makes a request of a user whom nobody has seen.
func (p *probes) arrive() { p.crowd.request(newUser("new", int(p.next.Add(1)))) }

// disturb asks for the status and puts a new policy into service, again and again.
func (p *probes) disturb() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := 1; !p.over.Load(); i++ {
		begin := threadTime()
		p.crowd.engine.Status()
		p.scraped.add(threadTime() - begin)
		begin = threadTime()
		if p.crowd.reload(unlimited, time.Duration(i)*time.Millisecond) == nil {
			p.committed.add(threadTime() - begin)
		}
		time.Sleep(window / 5)
	}
}

const pauseMetric = "/sched/pauses/total/gc:seconds"

// gcPauses counts the stops of the garbage collector by their length.
func gcPauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: pauseMetric}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return &metrics.Float64Histogram{}
	}
	return sample[0].Value.Float64Histogram()
}

// longestSince returns the upper bound of the longest stop since before.
func longestSince(before *metrics.Float64Histogram) time.Duration {
	now := gcPauses()
	for i := len(now.Counts) - 1; i >= 0; i-- {
		if i < len(before.Counts) && now.Counts[i] > before.Counts[i] {
			bound := now.Buckets[i+1]
			if math.IsInf(bound, 1) {
				bound = now.Buckets[i]
			}
			return time.Duration(bound * float64(time.Second))
		}
	}
	return 0
}

// refreshCost returns the CPU time of one refresh, all in all, while they go on by
// themselves, and how many there were. Users make a request now and then, which is
// taken off: who is away is not refreshed.
func refreshCost(c *crowd, lasts time.Duration) (each time.Duration, refreshes int64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	logins, all, own, start := c.logins.Load(), cpuTime(), threadTime(), time.Now()
	for time.Since(start) < lasts {
		c.touch()
		time.Sleep(lasts / 4)
	}
	refreshes = c.logins.Load() - logins
	return (cpuTime() - all - (threadTime() - own)) / time.Duration(max(refreshes, 1)), refreshes
}
