package refresher

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// Pool holds the instances of one token of one credential. It comes into
// service and retires by a [Change]. Its methods may be called concurrently, also
// after it has retired: whoever still has it gets instances that work, but are
// not refreshed in the background.
type Pool struct {
	engine *Engine
	def    Definition           // who the token is; the rest of it is in work
	work   atomic.Pointer[work] // never nil
	// inService is written with Engine.rooms held.
	inService atomic.Bool
	// single is the only instance of a pool that takes no Params: pinned and
	// kept while the pool is in service, nil before.
	single *Instance
	// volatile: a parameter may change without making another instance.
	volatile bool

	logins limiter      // logins_per_minute
	queue  atomic.Int64 // instances that wait for a unit of it in the background

	recent ranking // of keyed instances while in service, by their last use as far as it is known; under Engine.rooms
}

// work is what a reload may change of a token that stays the same. It is
// immutable.
type work struct {
	recipe  string
	source  Source
	revoker Revoker
	policy  Policy
	limits  Limits
}

func newWork(d Definition) *work {
	return &work{recipe: d.Recipe, source: d.Source, revoker: d.Revoker, policy: d.Policy.withDefaults(), limits: d.Limits.withDefaults()}
}

func newPool(e *Engine, d Definition) *Pool {
	p := &Pool{engine: e, recent: ranking{kind: byRecent}}
	p.work.Store(newWork(d))
	d.Recipe, d.Source, d.Revoker, d.Policy, d.Limits = "", nil, nil, Policy{}, Limits{}
	p.def = d
	p.volatile = slices.ContainsFunc(d.Params, func(q Param) bool { return !q.Identity })
	p.logins.bucket = newBucket(p.work.Load().limits.LoginsPerMinute, p.loginEvery())
	return p
}

// loginEvery returns how often a unit of the login rate comes back.
func (p *Pool) loginEvery() time.Duration { return p.work.Load().limits.loginEvery() }

// Keyed reports whether the pool takes Params: it then has an instance for
// each of their values.
func (p *Pool) Keyed() bool { return len(p.def.Params) > 0 }

// Credential returns the credential's name, as the definition gave it.
func (p *Pool) Credential() string { return p.def.Credential }

// Token returns the token's name in its recipe.
func (p *Pool) Token() string { return p.def.Token }

// Instance finds or makes the instance of these values, one for each of
// [Definition.Params], and pins it: it is not evicted before
// [Instance.Release], which the caller owes exactly once. Finding is lock-free.
// An instance that has to be made may not fit in the credential's limits:
// *[LimitError].
func (p *Pool) Instance(params Params) (*Instance, error) {
	if p.single != nil && p.single.pin() {
		return p.single, nil
	}
	return p.find(params)
}

func (p *Pool) find(params Params) (*Instance, error) {
	key := p.identity(params)
	if in := p.pinned(key, params); in != nil {
		if !p.claims(in) {
			return in, nil
		}
		in.Release() // until there is room for it
	}
	return p.make(key, params)
}

// claims reports whether in is an orphan that is to work for p from now on.
func (p *Pool) claims(in *Instance) bool { return in.orphan() && p.inService.Load() }

// pinned returns the instance of key with one more pin, or nil.
func (p *Pool) pinned(key identity, params Params) *Instance {
	v, ok := p.engine.table.Load(key)
	if !ok {
		return nil
	}
	in := v.(*Instance)
	if !in.pin() {
		// Evicted in this moment. Whoever evicts it takes it out of the table;
		// doing that here as well spares waiting for it.
		p.engine.table.CompareAndDelete(key, v)
		return nil
	}
	// The values of another credential's request may stand in another order.
	if o := in.owner.Load(); o.pool == p && p.volatile {
		in.setParams(o, params)
	}
	return in
}

// make makes the instance of key, or claims an orphan of that key, unless
// somebody else just did.
func (p *Pool) make(key identity, params Params) (*Instance, error) {
	parents, err := p.pinParents(params)
	if err != nil {
		return nil, err
	}
	o := newOwner(p, params, parents)
	in, owns, err := p.insert(key, o)
	if !owns {
		release(parents)
	}
	return in, err
}

// insert finds room for one more instance and puts it into the table, with that
// owner. Somebody else's instance of that key is returned instead if it came
// first; owns says which.
func (p *Pool) insert(key identity, o *owner) (in *Instance, owns bool, err error) {
	evicted, search, unit := 0, search{left: lookup}, false
	p.engine.rooms.Lock()
	defer func() {
		p.engine.rooms.Unlock()
		if unit {
			p.logins.give() // it came to no login
		}
		for range evicted { // observers are called without a lock
			p.observeEvicted()
		}
	}()
	for {
		in := p.pinned(key, *o.params.Load())
		if in != nil && !p.claims(in) {
			return in, false, nil
		}
		if in == nil && p.Keyed() && !unit { // an orphan needs no login
			if wait := p.takeLogin(); wait > 0 {
				return nil, false, p.limited("logins_per_minute", wait)
			}
			unit = true
		}
		n, done, err := p.makeRoom(&search)
		evicted += n
		switch {
		case !done: // others may have done anything meanwhile
			if in != nil {
				in.Release()
			}
			search.pause(p.engine)
			continue
		case err != nil && in != nil:
			in.Release()
			return nil, false, err
		case err != nil:
			return nil, false, err
		case in != nil:
			in.become(o)
			return in, true, nil
		}
		if in := p.place(newInstance(p.engine, key, o)); in != nil {
			unit = false
			return in, true, nil
		}
	}
}

// place puts in into the table and the plan, unless there is one of its key. It
// is called with Engine.rooms held.
func (p *Pool) place(in *Instance) *Instance {
	// Whoever finds it in the table waits for the lock before the rest is done.
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, taken := p.engine.table.LoadOrStore(in.key, in); taken {
		return nil
	}
	in.admitted = p.Keyed() // insert took the unit
	p.list(in)
	in.plan()
	return in
}

// list puts an instance of this pool where those are that may be evicted, if it
// is one of them. It is called with Engine.rooms held.
func (p *Pool) list(in *Instance) {
	switch {
	case !p.inService.Load():
		in.enterRoom(&p.engine.orphans)
	case p.Keyed():
		in.enterRoom(&p.recent)
	}
}

func (p *Pool) pinParents(params Params) ([]*Instance, error) {
	var parents []*Instance
	for _, parent := range p.def.Parents {
		in, err := parent.Pool.Instance(parent.pick(params))
		if err != nil {
			release(parents)
			return nil, err
		}
		parents = append(parents, in)
	}
	return parents, nil
}

// pick returns the parent's parameters out of the child's.
func (p Parent) pick(params Params) Params {
	var values Params
	for _, i := range p.Params {
		values = append(values, params[i])
	}
	return values
}

func release(pinned []*Instance) {
	for _, in := range pinned {
		in.Release()
	}
}

// Renew makes every instance log in anew, because something that a login reads
// has changed, a secret for instance. A login under way is finished and
// published first, MinInterval is kept, and the current token serves
// meanwhile. A login that failed for good is tried again.
func (p *Pool) Renew() {
	if !p.inService.Load() {
		return
	}
	for _, in := range p.instances() {
		in.renew()
	}
}

// ErrTooOften says that renewal was asked for as often as refusals may cause it.
var ErrTooOften = errors.New("renewal was asked for too often; five times are possible, and then once in 30 seconds")

// RenewNow is Renew at somebody's wish, without anything having changed. While a
// login runs, whose token is new enough, it asks for nothing; however often it is
// called, MinInterval and MaxPerHour are kept, and so is the patience that an
// upstream asked for. It has a budget as the refusals of a route have one, beyond
// which it does nothing and returns [ErrTooOften]. It reports whether a login is to
// come that was not before.
func (p *Pool) RenewNow() (asked bool, err error) {
	if p.inService.Load() {
		for _, in := range p.instances() {
			one, often := in.renewNow()
			asked = one || asked
			err = cmp.Or(err, often)
		}
	}
	return asked, err
}

// identity names an instance in the process: a hash of everything that
// identifies issuer and account, where files count by their paths.
type identity [32]byte

func (p *Pool) identity(params Params) identity {
	return sha256.Sum256(p.appendKey(make([]byte, 0, 512), params, false))
}

// storeKey names an instance in a store. Files count by what was read of them
// last, as a text in the configuration would.
func (p *Pool) storeKey(params Params) StoreKey {
	return sha256.Sum256(p.appendKey(make([]byte, 0, 512), params, true))
}

// appendKey appends the parts of the key. Each name and value is preceded by its
// length, so that no two lists of parts read the same.
func (p *Pool) appendKey(buf []byte, params Params, byValue bool) []byte {
	for _, part := range p.def.Key {
		name, value := part.Name, part.Value.Reveal()
		switch {
		case part.FromRequest:
			value = params[part.Param]
		case part.File != nil && byValue:
			value = part.File.Current().Reveal()
		case part.File != nil:
			name, value = name+" file", part.File.String()
		}
		buf = binary.AppendUvarint(buf, uint64(len(name)))
		buf = append(buf, name...)
		buf = binary.AppendUvarint(buf, uint64(len(value)))
		buf = append(buf, value...)
	}
	return buf
}

// Status returns what may be shown of the pool. An instance that another pool
// made for an equal key counts there.
func (p *Pool) Status() PoolStatus {
	s := PoolStatus{
		Credential: p.def.Credential, Token: p.def.Token, Recipe: p.work.Load().recipe,
		Keyed: p.Keyed(), Phases: map[Phase]int{},
	}
	if p.single != nil {
		one := p.single.Status()
		s.Single = &one
	}
	var phases [Blocked + 1]int
	now := p.engine.now()
	for _, in := range p.instances() {
		in.mu.Lock()
		phases[in.phase(now)]++
		s.Instances++
		s.Waiters += int(in.waiters)
		s.Failures = max(s.Failures, int(in.failures))
		in.mu.Unlock()
	}
	for phase, n := range phases {
		if n > 0 {
			s.Phases[Phase(phase)] = n
		}
	}
	return s
}

func (p *Pool) instances() []*Instance {
	if p.single != nil {
		return []*Instance{p.single}
	}
	e := p.engine
	e.rooms.Lock()
	n := len(p.recent.list)
	e.rooms.Unlock()
	list := make([]*Instance, 0, n+n/16) // without the lock
	e.rooms.Lock()
	defer e.rooms.Unlock()
	for _, one := range p.recent.list {
		list = append(list, one.in)
	}
	return list
}

// Retry has every login that failed tried again soon, because something has
// changed that may have been in its way, the network's settings for instance.
// Tokens that are there stay. MinInterval is kept, and so is the patience that an
// upstream asked for.
func (p *Pool) Retry() {
	if !p.inService.Load() {
		return
	}
	for _, in := range p.instances() {
		in.mu.Lock()
		if in.lastErr != nil {
			in.unblock()
		}
		in.mu.Unlock()
	}
}
