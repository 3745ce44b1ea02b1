package refresher

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrStale is returned by [Change.Commit] when what is in service is no longer
// what the Change began with.
var ErrStale = errors.New("the tokens in service were changed meanwhile; begin a new change")

// maxOrphans bounds how many instances of retired pools are kept: as many as
// a pool has by default.
const maxOrphans = 10000

// Change is a new set of definitions, to replace the one that is in service.
// Make one with [Engine.Change], add all tokens, then commit. Until then nothing
// changes, and a Change that is not committed leaves nothing behind.
//
// Changes are made one at a time: of two that began with the same set, the
// second to be committed is refused. A Change is not safe for concurrent use.
type Change struct {
	engine *Engine
	began  int // Engine.commits
	free   map[tokenName][]*Pool
	mine   map[*Pool]bool
	next   []entry
}

type tokenName struct{ credential, token string }

// entry is a pool of the new set. A work that is nil stays what it is.
type entry struct {
	pool *Pool
	work *work
}

// Change begins a new set of definitions, without any.
func (e *Engine) Change() *Change {
	c, pools := e.change()
	for _, p := range pools {
		c.free[p.name()] = append(c.free[p.name()], p)
	}
	return c
}

func (e *Engine) change() (c *Change, inService []*Pool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c = &Change{engine: e, began: e.commits, free: map[tokenName][]*Pool{}, mine: map[*Pool]bool{}}
	return c, e.inService()
}

// Add adds a token to those in service: it is a [Change] that leaves all others
// as they are. It may be called before Run and while it runs. The error says
// what the definition lacks.
func (e *Engine) Add(d Definition) (*Pool, error) {
	for {
		c, pools := e.change()
		for _, p := range pools {
			c.add(p, nil)
		}
		p, err := c.Add(d)
		if err != nil {
			return nil, err
		}
		if err := c.Commit(); !errors.Is(err, ErrStale) {
			return p, err
		}
	}
}

// Add defines a token of the new set. When the same token is in service, under
// the same names, its pool is returned, and goes on with all that it has; only
// Recipe, Source, Revoker, Policy and Limits will change. The same is a token whose Key,
// Params and Parents are the same. Otherwise Add returns a new pool, which is not
// to be used before the commit. The error says what the definition lacks.
func (c *Change) Add(d Definition) (*Pool, error) {
	if err := c.check(d); err != nil {
		return nil, fmt.Errorf("token %s.%s: %w", d.Credential, d.Token, err)
	}
	if p := c.take(d); p != nil {
		c.add(p, newWork(d))
		return p, nil
	}
	p := newPool(c.engine, d)
	c.add(p, nil)
	return p, nil
}

func (c *Change) add(p *Pool, w *work) {
	c.mine[p] = true
	c.next = append(c.next, entry{p, w})
}

// take returns the pool in service of the same token, once.
func (c *Change) take(d Definition) *Pool {
	name := tokenName{d.Credential, d.Token}
	for i, p := range c.free[name] {
		if p.def.same(d) {
			c.free[name] = slices.Delete(c.free[name], i, i+1)
			return p
		}
	}
	return nil
}

func (c *Change) check(d Definition) error {
	if d.Source == nil {
		return errors.New("it has no source")
	}
	if len(d.Key) == 0 {
		return errors.New("it has no key that tells it from others")
	}
	for _, part := range d.Key {
		if part.FromRequest && (part.Param < 0 || part.Param >= len(d.Params)) {
			return fmt.Errorf("key part %s names no parameter", part.Name)
		}
	}
	for _, parent := range d.Parents {
		if !c.mine[parent.Pool] {
			return errors.New("it needs a token that is not among those defined before it")
		}
		if len(parent.Params) != len(parent.Pool.def.Params) {
			return fmt.Errorf("it gives %d parameters to %s, which takes %d",
				len(parent.Params), parent.Pool.def.Token, len(parent.Pool.def.Params))
		}
		for _, i := range parent.Params {
			if i < 0 || i >= len(d.Params) {
				return fmt.Errorf("it has no parameter %d to give to %s", i, parent.Pool.def.Token)
			}
		}
	}
	return nil
}

// Commit puts the new set into service. Pools that go on get their new Source,
// Revoker, Policy and Limits: for logins from now on, and for when the current tokens
// are due. New pools start, with the token and the back-off of any instance of
// the same key, whoever had it. All others retire. Commit does not block and
// starts no login itself. It may be called before Run. After [ErrStale] and
// [ErrClosed] nothing has changed.
func (c *Change) Commit() error {
	gone, err := c.commit()
	for _, in := range gone {
		in.revokeAside()
	}
	return err
}

// commit also returns the instances that there was no room for any more.
func (c *Change) commit() (gone []*Instance, _ error) {
	e := c.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.ended():
		return nil, ErrClosed
	case e.commits != c.began:
		return nil, ErrStale
	}
	e.commits++
	fresh, retired := e.replacePools(c)
	for _, p := range fresh {
		p.inheritRate(retired)
	}
	for _, n := range c.next {
		if n.work != nil {
			n.pool.update(n.work)
		}
		if !n.pool.Keyed() {
			n.pool.takeSingle() // parents come before children
		}
	}
	room := maxOrphans
	for _, p := range retired {
		p.retire()
		room = max(room, p.work.Load().limits.Max)
	}
	return e.limitOrphans(room), nil
}

// replacePools notes which pools are in service from now on, and tells the new
// and the retired ones.
func (e *Engine) replacePools(c *Change) (fresh, retired []*Pool) {
	e.rooms.Lock()
	defer e.rooms.Unlock()
	old := e.inService()
	pools := make([]*Pool, len(c.next))
	for i, n := range c.next {
		pools[i] = n.pool
		if !n.pool.inService.Swap(true) {
			fresh = append(fresh, n.pool)
		}
	}
	e.pools.Store(&pools)
	for _, p := range old {
		if !c.mine[p] {
			p.inService.Store(false)
			retired = append(retired, p)
		}
	}
	return fresh, retired
}

// limitOrphans has those go that nobody used for longest, and returns them.
func (e *Engine) limitOrphans(most int) (gone []*Instance) {
	e.rooms.Lock()
	defer e.rooms.Unlock()
	search := search{left: lookup}
	for len(e.orphans.list) > most {
		in, done := e.evictOldest(&e.orphans, &search)
		switch {
		case !done:
			search.pause(e)
		case in == nil:
			return gone
		default:
			gone = append(gone, in)
		}
	}
	return gone
}

func (p *Pool) name() tokenName { return tokenName{p.def.Credential, p.def.Token} }

// update gives a pool that stays in service its new work. Limits count the next
// time that one of them is asked for.
func (p *Pool) update(w *work) {
	old := p.work.Swap(w)
	if w.limits.LoginsPerMinute != old.limits.LoginsPerMinute {
		p.logins.resize(w.limits.LoginsPerMinute, p.loginEvery(), time.Now())
	}
	for _, in := range p.instances() {
		if in.pool() == p {
			in.mu.Lock()
			in.reconsider(old.policy)
			in.mu.Unlock()
		}
	}
}

// inheritRate has a new pool go on with the login rate of a retired one of the
// same name or key, so that a reload allows no more logins.
func (p *Pool) inheritRate(retired []*Pool) {
	var from *Pool
	for _, r := range retired {
		if r.name() == p.name() || from == nil && sameKey(r.def.Key, p.def.Key) {
			from = r
		}
	}
	if from != nil {
		p.logins.bucket = from.logins.snapshot()
		p.logins.resize(p.work.Load().limits.LoginsPerMinute, p.loginEvery(), time.Now())
	}
}

// takeSingle makes or finds the instance of a pool that takes no Params, and
// makes it work for this pool unless another one in service has it.
func (p *Pool) takeSingle() {
	// It cannot fail: only pools that take Params have limits, and none of them
	// is a parent of this one.
	in, _ := p.find(nil)
	if p.single != nil {
		in.Release() // it is p.single, which has been pinned since
		return
	}
	p.single = in
	in.keep()
}

// retire makes orphans of the pool's own instances.
func (p *Pool) retire() {
	e := p.engine
	for some := true; some; {
		e.rooms.Lock()
		for range lookup {
			last := len(p.recent.list) - 1
			if some = last >= 0; !some {
				break
			}
			p.recent.list[last].in.orphaned()
		}
		e.rooms.Unlock()
	}
	e.rooms.Lock()
	if p.single != nil && p.single.pool() == p {
		p.single.orphaned()
	}
	e.rooms.Unlock()
	if p.single != nil {
		p.single.unkeep()
		p.single.Release()
	}
}
