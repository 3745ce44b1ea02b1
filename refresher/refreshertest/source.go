package refreshertest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"attache/refresher"
)

// defaultBudget is how many logins one virtual second may see. The engine's own
// floor is one in a second; a chain adds a repeat.
const defaultBudget = 4

// Source is a [refresher.Source] for tests: it answers by a script or by a
// function, remembers when it was called and with what, and fails the test when
// it is called too often (see [Source.Budget]) or twice at the same time for
// the same parameters. Make one with [Script] or [Func].
//
// Its methods may be called concurrently. Configure it before the engine runs.
type Source struct {
	t      testing.TB
	answer func(call int, in refresher.Input) Answer
	now    func() time.Time
	budget int
	start  time.Time

	mu     sync.Mutex
	times  []time.Time
	inputs []refresher.Input
	open   map[string]bool // by parameters
	excess int             // calls beyond the budget
}

// Script returns a source that gives these answers one after the other, and
// the last one again and again.
func Script(t testing.TB, answers ...Answer) *Source {
	return Func(t, func(call int, _ refresher.Input) Answer {
		return answers[min(call, len(answers))-1]
	})
}

// Func returns a source that answers by f, which is told how many calls there
// were, this one included. It may be called concurrently for different
// parameters.
func Func(t testing.TB, f func(call int, in refresher.Input) Answer) *Source {
	return &Source{t: t, answer: f, now: time.Now, budget: defaultBudget, start: time.Now(), open: map[string]bool{}}
}

// Budget sets how many calls a second of virtual time may see; 0: any number. A
// loop without a pause does not fail in a bubble, it spins; so a call beyond the
// budget fails the test and then takes a second, which lets the test end.
func (s *Source) Budget(perSecond int) *Source {
	s.budget = perSecond
	return s
}

// Clock makes the lifetimes of tokens count from this wall clock.
func (s *Source) Clock(c *Clock) *Source {
	s.now = c.Now
	return s
}

// Fetch implements [refresher.Source].
func (s *Source) Fetch(ctx context.Context, in refresher.Input) (refresher.Token, error) {
	who := strings.Join(in.Params, "\x00")
	call := s.enter(who, in)
	defer s.leave(who)
	a := s.answer(call, in)
	if a.takes > 0 {
		timer := time.NewTimer(a.takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return refresher.Token{}, ctx.Err()
		}
	}
	if a.panics != nil {
		panic(a.panics)
	}
	if a.err != nil {
		return refresher.Token{}, a.err
	}
	return a.token(s.now()), nil
}

func (s *Source) enter(who string, in refresher.Input) (call int) {
	s.mu.Lock()
	now := time.Now()
	s.times = append(s.times, now)
	s.inputs = append(s.inputs, in)
	call = len(s.times)
	tooMany := s.budget > 0 && call > s.budget && now.Sub(s.times[call-1-s.budget]) < time.Second
	if tooMany {
		s.excess++
	}
	report := tooMany && s.excess <= 3 // a loop of days would fill the disk
	twice := s.open[who]
	s.open[who] = true
	s.mu.Unlock()

	if twice {
		s.t.Errorf("login %d runs at the same time as another one of the same instance", call)
	}
	if report {
		s.t.Errorf("login %d at %v: more than %d within a second", call, now.Sub(s.start), s.budget)
	}
	if tooMany {
		time.Sleep(time.Second)
	}
	return call
}

func (s *Source) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, who)
}

// Calls returns how often the source was called.
func (s *Source) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// Inputs returns what the source was called with, in the order of the calls.
func (s *Source) Inputs() []refresher.Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.inputs)
}

// Times returns when the source was called, counted from when it was made.
func (s *Source) Times() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := make([]time.Duration, len(s.times))
	for i, at := range s.times {
		times[i] = at.Sub(s.start)
	}
	return times
}

// Gaps returns the times between one call and the next.
func (s *Source) Gaps() []time.Duration {
	times := s.Times()
	gaps := make([]time.Duration, 0, len(times))
	for i := 1; i < len(times); i++ {
		gaps = append(gaps, times[i]-times[i-1])
	}
	return gaps
}

// WantCalls fails the test unless there were exactly n calls.
func (s *Source) WantCalls(n int) {
	s.t.Helper()
	if times := s.Times(); len(times) != n {
		s.t.Errorf("%d logins at %v, want %d", len(times), times, n)
	}
}

// WantTimes fails the test unless the calls happened then, counted from when
// the source was made.
func (s *Source) WantTimes(want ...time.Duration) {
	s.t.Helper()
	if times := s.Times(); !slices.Equal(times, want) {
		s.t.Errorf("logins at %v, want %v", times, want)
	}
}

// WantGaps fails the test unless these are the times between the calls.
func (s *Source) WantGaps(want ...time.Duration) {
	s.t.Helper()
	if gaps := s.Gaps(); !slices.Equal(gaps, want) {
		s.t.Errorf("gaps between logins %v, want %v", gaps, want)
	}
}

// WantAtMost fails the test if any span of that length saw more than n calls.
func (s *Source) WantAtMost(n int, span time.Duration) {
	s.t.Helper()
	times := s.Times()
	for i := n; i < len(times); i++ {
		if between := times[i] - times[i-n]; between < span {
			s.t.Errorf("%d logins within %v, from %v on; at most %d may be", n+1, between, times[i-n], n)
			return
		}
	}
}
