package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"attache/internal/exchange"
	"attache/refresher"
)

const (
	stormRate = 6000 // logins a minute, a hundred a second
	stormTime = 5 * time.Second
	stormers  = 64 // requests at a time
)

// storm is what came of the refusal of all tokens at once.
type storm struct {
	Refusal       time.Duration // CPU time of one
	Logins, Bound int64         // until stormTime after the first refusal
	Served, Told  int64         // requests that got a token, and that were told to come again
	Failed        int64         // any others
	Longest       time.Duration // of the requests that were told to come again
	Goroutines    int           // most at a time
}

// check returns what must never be.
func (s storm) check() error {
	switch {
	case s.Logins > s.Bound:
		return fmt.Errorf("%d logins in the storm, where %d are allowed", s.Logins, s.Bound)
	case s.Failed > 0:
		return fmt.Errorf("%d requests got neither a token nor the time when to come again", s.Failed)
	}
	return nil
}

// measureStorm refuses all tokens, and has users ask all the while.
func measureStorm(c *crowd) (storm, error) {
	var s storm
	if err := c.renew(long); err != nil {
		return s, err
	}
	if err := c.reload(stormRate, 0); err != nil {
		return s, err
	}
	logins, start := c.logins.Load(), time.Now()
	begin := cpuTime()
	for _, user := range c.users {
		c.refuse(user)
	}
	s.Refusal = (cpuTime() - begin) / time.Duration(len(c.users))
	s.ask(c, start)
	s.Logins = c.logins.Load() - logins
	s.Bound = stormRate + int64(time.Since(start)*stormRate/time.Minute) + 1
	if err := c.reload(unlimited, 0); err != nil { // what is left may hurry
		return s, err
	}
	c.touch()
	if err := c.awaitTokens(); err != nil {
		return s, err
	}
	return s, s.check()
}

// refuse is a request whose answer refuses its token.
func (c *crowd) refuse(user refresher.Params) {
	in, err := c.pool.Instance(user)
	if err != nil {
		return
	}
	defer in.Release()
	if t, ok := in.Peek(); ok {
		in.Reject(t, refresher.Cause{By: "route", Signal: exchange.SignalStatus})
	}
}

// ask makes requests until the time is over.
func (s *storm) ask(c *crowd, start time.Time) {
	var all sync.WaitGroup
	var served, told, failed, longest atomic.Int64
	for range stormers {
		all.Go(func() {
			for time.Since(start) < stormTime {
				begin := time.Now()
				err := c.wait(c.users[rand.IntN(len(c.users))])
				_, limited := errors.AsType[*refresher.LimitError](err)
				switch {
				case err == nil:
					served.Add(1)
				case limited:
					told.Add(1)
					took := int64(time.Since(begin))
					for old := longest.Load(); took > old && !longest.CompareAndSwap(old, took); old = longest.Load() {
					}
				default:
					failed.Add(1)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for time.Since(start) < stormTime {
		s.Goroutines = max(s.Goroutines, runtime.NumGoroutine())
		time.Sleep(10 * time.Millisecond)
	}
	all.Wait()
	s.Served, s.Told, s.Failed, s.Longest = served.Load(), told.Load(), failed.Load(), time.Duration(longest.Load())
}

// wait is a request that waits for its token if need be.
func (c *crowd) wait(user refresher.Params) error {
	in, err := c.pool.Instance(user)
	if err != nil {
		return err
	}
	defer in.Release()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = in.Token(ctx)
	return err
}
