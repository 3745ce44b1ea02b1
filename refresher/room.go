package refresher

import "time"

// lookup bounds what is done at a time with Engine.rooms held: whoever wants to
// look through more lets others have it in between.
const lookup = 256

// patience is after how many instances that were all used since they were ranked
// the search ends with the least recently used of them: the caller waits for it.
const patience = 4 * lookup

// search is what a search for somebody to evict has come to.
type search struct {
	steps int       // instances looked at
	left  int       // of them, before the lock is to be given back
	best  *Instance // the least recently used of those that were used since they were ranked; nil: none
	used  int64     // when
}

// step reports whether one more instance may be looked at.
func (s *search) step() bool {
	if s.left == 0 {
		return false
	}
	s.left--
	s.steps++
	return true
}

// pause gives the lock back for a moment, before the search goes on.
func (s *search) pause(e *Engine) {
	e.rooms.Unlock()
	e.rooms.Lock()
	s.left = lookup
}

// makeRoom sees to it that one more keyed instance fits, by evicting the least
// recently used instance that nobody needs. It returns how many it evicted, and is
// called with Engine.rooms held. It is not done when s has come to a pause; what
// it did until then stays done.
func (p *Pool) makeRoom(s *search) (evicted int, done bool, err error) {
	if !p.Keyed() {
		return 0, true, nil
	}
	// More than one has to go where a reload has made the room smaller.
	for most := p.work.Load().limits.Max; len(p.recent.list) >= most; evicted++ {
		switch in, done := p.engine.evictOldest(&p.recent, s); {
		case !done:
			return evicted, false, nil
		case in == nil:
			return evicted, true, p.limited("instances", time.Second)
		}
	}
	return evicted, true, nil
}

func (p *Pool) limited(reason string, wait time.Duration) error {
	return &LimitError{Credential: p.def.Credential, Token: p.def.Token, Reason: reason, RetryAfter: wait}
}

// saw notes that an instance was used since it was ranked. It returns whom to
// evict if there were too many of those.
func (s *search) saw(in *Instance, used int64) *Instance {
	if s.best == nil || used < s.used {
		s.best, s.used = in, used
	}
	if s.steps < patience {
		return nil
	}
	best := s.best
	s.best = nil
	return best
}

// evictOldest evicts the least recently used instance without pins, waiters or
// a running login, and returns it, or nil if there is none, or if s has come to a
// pause: then it is not done. The ranking is brought up to date on the way, so that
// a use costs nothing but noting its time. Where that is too much for one search,
// so that another one goes on with it, it is one of those used least recently. It
// is called with Engine.rooms held.
func (e *Engine) evictOldest(room *ranking, s *search) (_ *Instance, done bool) {
	now := int64(time.Since(e.epoch))
	// Each instance is looked at twice at most: once to learn that it was used
	// since it was listed, once to learn that somebody needs it now.
	for s.steps < 2*len(room.list) {
		if !s.step() {
			return nil, false
		}
		oldest := room.list[0]
		used := oldest.in.used.Load()
		switch {
		case used > oldest.rank:
			room.change(0, used)
			// It may have gone elsewhere in a pause.
			if best := s.saw(oldest.in, used); best != nil && best.room == room && e.evict(best) {
				*s = search{left: s.left}
				return best, true
			}
		case e.evict(oldest.in):
			*s = search{left: s.left}
			return oldest.in, true
		default:
			// In use at this moment. It goes behind all others, also behind
			// those of the same time.
			room.change(0, max(oldest.rank, now)+int64(s.steps))
		}
	}
	return nil, true
}

// evictIdle evicts in if it is still unused since its deadline.
func (e *Engine) evictIdle(in *Instance) {
	e.rooms.Lock()
	evicted := !time.Now().Before(in.idleAt()) && e.evict(in)
	e.rooms.Unlock()
	switch p := in.pool(); {
	case evicted && p.inService.Load():
		p.observeEvicted()
	case evicted:
		in.revokeAside() // its credential is gone, and nobody asked for it since
	}
}

func (p *Pool) observeEvicted() {
	p.engine.observe(Event{Kind: Evicted, Credential: p.def.Credential, Token: p.def.Token, Keyed: true})
}

// evict removes in unless somebody needs it. It is called with Engine.rooms
// held.
func (e *Engine) evict(in *Instance) bool {
	in.mu.Lock()
	if in.running || in.saving || in.mustSave() || in.waiters > 0 || !in.pins.CompareAndSwap(0, evictedPins) {
		in.mu.Unlock()
		return false
	}
	in.leaveQueue()
	e.sched.set(in, 0)
	in.leaveParents()
	in.mu.Unlock()
	e.table.CompareAndDelete(in.key, in)
	in.leaveRoom()
	release(in.owner.Load().parents)
	in.unlist(in.storeKey.orZero())
	return true
}

// takeLogin takes a unit of the login rate, or else says how long to wait for
// one.
func (p *Pool) takeLogin() (wait time.Duration) {
	return p.logins.take(time.Now())
}

// admit takes the unit of the login rate for the login that the caller needs,
// so that requests beyond the rate fail instead of queueing up. It is called
// with in.mu held.
func (in *Instance) admit() error {
	if in.always.Load() || in.running || in.admitted || in.waiters > 0 || in.failures > 0 || in.cur.Load() == nil {
		return nil // not its first waiter, or a login that back-off or a chain holds up
	}
	if wait := in.pool().takeLogin(); wait > 0 {
		return in.pool().limited("logins_per_minute", wait)
	}
	in.admitted = true
	return nil
}

// mayLogIn takes the unit of the login rate for the next login, unless a
// request did. Without one it arranges for the next look. Instances that wait
// for one look again one after the other: if all came back for the next unit,
// thousands would wake for every login. It is called with in.mu held.
func (in *Instance) mayLogIn(now time.Time) bool {
	p := in.pool()
	if in.always.Load() || in.admitted {
		return true
	}
	wait := p.takeLogin()
	if wait == 0 {
		return true
	}
	in.queued = true
	ahead := p.queue.Add(1) - 1
	in.setLook(now.Add(wait + time.Duration(ahead)*p.loginEvery()))
	return false
}

// leaveQueue is called with in.mu held, before the owner changes.
func (in *Instance) leaveQueue() {
	if in.queued {
		in.queued = false
		in.pool().queue.Add(-1)
	}
}
