package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// removal is a reload that takes the crowd's token out of service.
type removal struct {
	Commit time.Duration // its CPU time
	Make   time.Duration // the longest that an instance of another token took to be made meanwhile
	Claim  time.Duration // the longest request of the crowd after the token came back
}

// measureRemoval removes the token, and brings it back with all that it had.
func measureRemoval(c *crowd) (r removal, err error) {
	other, err := serve(c, c.definition(unlimited, 0))
	if err != nil {
		return r, err
	}
	var over atomic.Bool
	var arriving sync.WaitGroup
	made, next := newSeries(1<<20), 0
	arriving.Go(func() {
		made.repeat(1, 200*time.Microsecond, over.Load, func() {
			if in, err := other.Instance(newUser("other", next)); err == nil {
				in.Release()
			}
			next++
		})
	})
	runtime.LockOSThread()
	begin := threadTime()
	_, err = serve(c)
	r.Commit = threadTime() - begin
	runtime.UnlockOSThread()
	over.Store(true)
	arriving.Wait()
	if err != nil {
		return r, err
	}
	r.Make = made.extremes().Ever
	c.pool = nil
	if err := c.reload(unlimited, 0); err != nil {
		return r, err
	}
	claims, at := newSeries(len(c.users)), 0
	claims.repeat(100, 0, func() bool { return false }, func() {
		c.request(c.users[at])
		at++
	})
	r.Claim = claims.extremes().Ever
	return r, nil
}

// serve puts another token into service, and the others that are given.
func serve(c *crowd, others ...refresher.Definition) (*refresher.Pool, error) {
	change := c.engine.Change()
	for _, d := range others {
		if _, err := change.Add(d); err != nil {
			return nil, err
		}
	}
	pool, err := change.Add(refresher.Definition{
		Credential: "other", Token: "access", Source: c,
		Key:    []refresher.KeyPart{{Name: "recipe", Value: secret.New("other")}, {Name: "user", FromRequest: true}},
		Params: []refresher.Param{{Name: "user", Identity: true}},
		Limits: refresher.Limits{Max: 1 << 20, LoginsPerMinute: unlimited},
	})
	if err != nil {
		return nil, err
	}
	return pool, change.Commit()
}
