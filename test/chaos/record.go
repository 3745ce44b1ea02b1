package main

import (
	"sync"
	"time"
)

// record counts what came of the requests of a part.
type record struct {
	now func() time.Duration

	mu       sync.Mutex
	start    time.Duration
	underWay int
	requests int64
	good     int64
	late     int64 // of good: after more than a second
	slowest  time.Duration
	direct   int64 // requests whose first attempt failed
	moved    int64 // requests that met a killed process and were sent again
	causes   map[cause]int64
	mistakes []string // of those that must not be, the first
	seconds  []second
	lastGood time.Duration
	over     bool          // no request begins any more
	gap      time.Duration // the longest time without a good answer, until then
	gapAt    time.Duration
}

// second is what ended within one second.
type second struct {
	Good   int `json:"good"`
	Failed int `json:"failed"`
}

// maxMistakes bounds how many are told in full.
const maxMistakes = 40

func newRecord(now func() time.Duration) *record {
	at := now()
	return &record{now: now, start: at, lastGood: at, causes: map[cause]int64{}}
}

func (r *record) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay++
}

// stop notes that no request begins any more.
func (r *record) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// again notes an attempt that another follows.
func (r *record) again(try int) {
	if try > 1 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.direct++
	r.moved++
}

// end notes what became of a request with its last attempt.
func (r *record) end(a attempt, v verdict, try int) {
	if v.cause == causeGone {
		v.cause = causeLost
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay--
	r.requests++
	took := a.end - a.start
	if v.cause != causeNone {
		r.causes[v.cause]++
		if try == 1 {
			r.direct++
		}
		if v.mistake && len(r.mistakes) < maxMistakes {
			r.mistakes = append(r.mistakes, string(v.cause)+": "+v.detail)
		}
		r.bucket(a.end).Failed++
		return
	}
	r.good++
	r.bucket(a.end).Good++
	if took > time.Second {
		r.late++
	}
	r.slowest = max(r.slowest, took)
	if gap := a.end - r.lastGood; gap > r.gap && !r.over {
		r.gap, r.gapAt = gap, r.lastGood-r.start
	}
	r.lastGood = max(r.lastGood, a.end)
}

func (r *record) bucket(at time.Duration) *second {
	n := int((at - r.start) / time.Second)
	for len(r.seconds) <= n {
		r.seconds = append(r.seconds, second{})
	}
	return &r.seconds[n]
}

// figures returns the number of requests and of those that failed.
func (r *record) figures() (requests, failed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, r.requests - r.good
}
