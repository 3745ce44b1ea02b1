package refresher

import (
	"sync/atomic"
	"time"
)

// owner is whom an instance works for: the pool that it counts in, and what
// that pool's logins need. It changes when a reload has retired the pool and
// another one has the same key: the instance goes on with all that it knows,
// and no second one of its key ever exists beside it.
type owner struct {
	pool    *Pool
	parents []*Instance            // pinned as long as this is the owner
	params  atomic.Pointer[Params] // the latest values, in the pool's order
}

func newOwner(p *Pool, params Params, parents []*Instance) *owner {
	o := &owner{pool: p, parents: parents}
	o.params.Store(&params)
	return o
}

func (in *Instance) pool() *Pool { return in.owner.Load().pool }

func (in *Instance) policy() Policy { return in.pool().work.Load().policy }

// orphan reports whether the pool of the instance has retired. An orphan logs
// in for nobody but those who wait for it. It is kept for as long as any unused
// instance, with its token and its back-off: so a token that is only renamed
// needs no login, and one that is removed and defined again keeps its
// intervals, however fast that goes.
func (in *Instance) orphan() bool { return !in.pool().inService.Load() }

// become gives the orphan in a new owner. It is called with Engine.rooms held.
func (in *Instance) become(o *owner) {
	in.mu.Lock()
	old := in.owner.Load()
	in.leaveQueue()
	in.leaveParents()
	in.owner.Store(o)
	in.leaveRoom()
	o.pool.list(in)
	if in.lastErr != nil { // a new token of a parent is what it waits for
		in.joinParents()
	}
	in.reconsider(old.pool.work.Load().policy)
	in.mu.Unlock()
	release(old.parents)
}

// reconsider takes account of a new configuration: of its policy, if it is
// another than before, and of its plans, which remember texts with tokens: what
// the old ones remembered would stay as long as the token. It is called with
// in.mu held.
func (in *Instance) reconsider(before Policy) {
	if cur := in.cur.Load(); cur != nil {
		same := *cur
		same.token.memo = newMemo()
		in.cur.Store(&same)
	}
	if in.policy() != before {
		in.setDue()
	}
	in.plan()
}

// orphaned is called once the instance is an orphan, with Engine.rooms held.
func (in *Instance) orphaned() {
	in.leaveRoom()
	in.enterRoom(&in.engine.orphans)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.leaveQueue()
	if in.waiters == 0 && !in.running {
		in.leaveParents()
	}
	in.plan()
}

// leaveParents has no parent tell the instance of anything, until it asks
// again. It is called with in.mu held.
func (in *Instance) leaveParents() {
	for _, parent := range in.owner.Load().parents {
		parent.forgetChild(in)
	}
}

func (in *Instance) joinParents() {
	for _, parent := range in.owner.Load().parents {
		parent.mu.Lock()
		parent.adopt(in)
		parent.mu.Unlock()
	}
}

// claimParents makes parents that another, retired pool made work for the pool
// that this instance gets them from.
func (in *Instance) claimParents() {
	o := in.owner.Load()
	if !o.pool.inService.Load() {
		return
	}
	for i, parent := range o.parents {
		if !parent.orphan() {
			continue
		}
		from := o.pool.def.Parents[i]
		// Without room for it there it stays an orphan, which logs in for
		// those who wait.
		if same, err := from.Pool.Instance(from.pick(*o.params.Load())); err == nil {
			same.Release()
		}
	}
}

// keep makes the instance one that is refreshed though nobody uses it, for one
// more pool that takes no Params. The caller's pin keeps it from being evicted.
func (in *Instance) keep() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.keepers++
	in.always.Store(true)
	in.asleep.Store(false) // uses of such an instance wake nobody
	in.plan()
}

// unkeep takes one keep back. After the last one the instance counts as unused
// from now on, whatever it was used before.
func (in *Instance) unkeep() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.keepers--
	if in.keepers > 0 {
		return
	}
	now := int64(time.Since(in.engine.epoch))
	in.used.Store(now)
	in.wantedFrom = now + 1
	in.always.Store(false)
	in.plan()
}

// enterRoom lists the instance in a ranking by recency. It is called with
// Engine.rooms held.
func (in *Instance) enterRoom(room *ranking) {
	in.room = room
	room.add(in, in.used.Load())
}

// leaveRoom takes the instance out of the ranking it is in, if any. It is called
// with Engine.rooms held.
func (in *Instance) leaveRoom() {
	if in.room != nil {
		in.room.remove(int(in.places[byRecent]) - 1)
		in.room = nil
	}
}
