package main

import "time"

// schedule is an open loop: it says when requests are meant to be sent, whether
// or not those before them were answered. The time from there to the answer is
// what a client at that rate would see; measured from the time of sending, a
// slow proxy would hide its delays by delaying the load ("coordinated
// omission").
type schedule struct {
	start time.Duration // of the first request, on the loop's clock
	rate  int           // requests a second
	next  int           // number of the next request
}

// intended returns when request number i is meant to be sent.
func (s *schedule) intended(i int) time.Duration {
	// Whole seconds apart from the rest: no rounding adds up.
	whole, rest := i/s.rate, i%s.rate
	return s.start + time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(s.rate)
}

// due takes the next request if its time has come.
func (s *schedule) due(now time.Duration) (intended time.Duration, ok bool) {
	at := s.intended(s.next)
	if at > now {
		return 0, false
	}
	s.next++
	return at, true
}

// wait returns how long it is from now to the next request; 0 if it is due.
func (s *schedule) wait(now time.Duration) time.Duration {
	return max(s.intended(s.next)-now, 0)
}
