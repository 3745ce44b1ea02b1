package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrDrainCut says that requests were still in flight when the time for the
// drain was over.
var ErrDrainCut = errors.New("requests in flight did not finish in time and were cut off")

// politeness is how long the clients of a listener that goes are asked to leave,
// in the answers to their requests, before idle connections are closed.
const politeness = 5 * time.Second

// streamsGrace is how long streams may take to end once they are told to.
const streamsGrace = time.Second

// askToQuit makes Run drain and return.
func (a *App) askToQuit() {
	select {
	case a.quit <- struct{}{}:
	default: // somebody asked already
	}
}

// leave has clients go elsewhere: those of now by the answers to their requests,
// and then, by /readyz, whoever sends them here. The log says why.
func (a *App) leave(why string) {
	if delay := a.current.Load().config.Drain.Delay; delay > 0 {
		a.log.Info("stopping: not ready, requests are still taken", "why", why, "delay", delay.String())
	} else {
		a.log.Info("stopping: not ready", "why", why)
	}
	for _, d := range a.openDoors(true) {
		d.leave()
	}
	a.admin.Drain()
}

// drain ends the listeners for the application's requests, at once if one of
// them is broken already. It reports whether all requests finished in time.
func (a *App) drain(broken bool) bool {
	limits := a.current.Load().config.Drain
	close(a.draining)
	data := a.openDoors(true)
	for _, d := range data {
		d.leave() // some may be new since leave
	}
	if !broken {
		a.pause(limits.Delay)
	}
	a.log.Info("stopping: no new requests, those in flight finish",
		"limit", limits.Timeout.String(), "streams", limits.Streams.String())
	endStreams := time.AfterFunc(limits.Streams, func() { a.streams.End() })
	defer endStreams.Stop()
	// Streams are cut when their time is over; that takes a moment.
	ctx, cancel := context.WithTimeout(context.Background(), max(limits.Timeout, limits.Streams+streamsGrace))
	defer cancel()
	defer context.AfterFunc(ctx, a.retired.end)() // they have no more time than the others
	finished := closeAll(ctx, data)
	a.retired.doors.Wait()
	return a.streams.Wait(ctx) == nil && finished && !a.retired.cut.Load()
}

// retired are the doors that went while attache ran, and still finish requests.
type retired struct {
	doors sync.WaitGroup
	ctx   context.Context // ends when none has any more time
	end   context.CancelFunc
	cut   atomic.Bool // the drain had to cut requests of one
}

// pause waits for d, or until a listener breaks: there is nothing to wait for
// then.
func (a *App) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case err := <-a.broken:
		a.log.Error("a listener broke while attache is stopping", "error", err)
	}
}

// revokeTimeout bounds the revocation of all tokens together. It comes after the
// drain, and the supervisor's patience is not endless.
const revokeTimeout = 3 * time.Second

// revoke ends the tokens whose recipes say how. It is called once nobody can use
// them any more.
func (a *App) revoke() {
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	if left := a.engine.Revoke(ctx); left > 0 {
		a.log.Warn("there was no time to revoke all tokens; the others live on until they expire", "left", left, "limit", revokeTimeout.String())
	}
}

// closeAll closes doors side by side; see [door.close].
func closeAll(ctx context.Context, doors []*door) bool {
	var all sync.WaitGroup
	var cut atomic.Bool
	for _, d := range doors {
		all.Go(func() {
			if !d.close(ctx) {
				cut.Store(true)
			}
		})
	}
	all.Wait()
	return !cut.Load()
}

// retire ends a door that the configuration no longer has, or whose socket
// another one has now. It returns at once.
func (a *App) retire(d *door) {
	d.stopListening()
	limit := a.current.Load().config.Drain.Timeout
	a.retired.doors.Go(func() {
		ctx := a.retired.ctx
		select {
		case <-time.After(politeness):
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		case <-a.draining: // its limit is enough
		}
		if d.close(ctx) {
			return
		}
		a.log.Warn("requests on a listener that the configuration no longer has were cut off", "for", d.what, "address", d.addr())
		if a.retired.ctx.Err() != nil {
			a.retired.cut.Store(true)
		}
	})
}

// openDoors returns the doors for the application's requests, or else those for
// people, Prometheus and the kubelet.
func (a *App) openDoors(data bool) []*door {
	return slices.DeleteFunc(slices.Clone(*a.doors.Load()), func(d *door) bool { return d.isData() != data })
}
