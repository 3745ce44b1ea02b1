package refresher

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pool holds the instances of one token of one credential. Its methods may be
// called concurrently.
type Pool struct {
	engine *Engine
	def    Definition
	single *Instance // the only instance of a pool that takes no Params
	// volatile: a parameter may change without making another instance.
	volatile bool

	logins limiter      // logins_per_minute
	queue  atomic.Int64 // instances that wait for a unit of it in the background

	mu     sync.Mutex
	recent recency // keyed instances, the least recently used first
}

func newPool(e *Engine, d Definition) *Pool {
	p := &Pool{engine: e, def: d}
	p.volatile = slices.ContainsFunc(d.Params, func(q Param) bool { return !q.Identity })
	p.logins.bucket = newBucket(d.Limits.LoginsPerMinute, p.loginEvery())
	return p
}

// loginEvery returns how often a unit of the login rate comes back.
func (p *Pool) loginEvery() time.Duration {
	return time.Minute / time.Duration(p.def.Limits.LoginsPerMinute)
}

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
	if p.single != nil {
		return p.single, nil
	}
	return p.find(params)
}

func (p *Pool) find(params Params) (*Instance, error) {
	key := p.key(params)
	if in := p.pinned(key, params); in != nil {
		return in, nil
	}
	return p.make(key, params)
}

// pinned returns the instance of key with one more pin, or nil.
func (p *Pool) pinned(key StoreKey, params Params) *Instance {
	v, ok := p.engine.table.Load(key)
	if !ok {
		return nil
	}
	in := v.(*Instance)
	if in.pins.Add(1) <= evictedPins/2 {
		// Evicted in this moment. Whoever evicts it takes it out of the table;
		// doing that here as well spares waiting for it.
		p.engine.table.CompareAndDelete(key, v)
		return nil
	}
	// The values of another credential's request may stand in another order.
	if in.pool == p && p.volatile {
		in.setParams(params)
	}
	return in
}

// make makes the instance of key, unless somebody else just did.
func (p *Pool) make(key StoreKey, params Params) (*Instance, error) {
	parents, err := p.pinParents(params)
	if err != nil {
		return nil, err
	}
	in, made, err := p.insert(key, params, parents)
	if !made {
		release(parents)
	}
	return in, err
}

// insert finds room for one more instance and puts it into the table. Somebody
// else's instance of that key is returned instead if it came first; made says
// which.
func (p *Pool) insert(key StoreKey, params Params, parents []*Instance) (in *Instance, made bool, err error) {
	evicted := 0
	p.mu.Lock()
	defer func() {
		p.mu.Unlock()
		for range evicted { // observers are called without a lock
			p.observeEvicted()
		}
	}()
	for {
		if in := p.pinned(key, params); in != nil {
			return in, false, nil
		}
		n, err := p.makeRoom()
		evicted += n
		if err != nil {
			return nil, false, err
		}
		if in := p.place(newInstance(p, key, params, parents)); in != nil {
			return in, true, nil
		}
	}
}

// place puts in into the table and the plan, unless there is one of its key. It
// is called with p.mu held.
func (p *Pool) place(in *Instance) *Instance {
	// Whoever finds it in the table waits for the lock before the rest is done.
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, taken := p.engine.table.LoadOrStore(in.key, in); taken {
		return nil
	}
	if p.Keyed() {
		in.admitted = p.takeLogin() == 0 // makeRoom saw that there is a unit
		heap.Push(&p.recent, in)
	}
	in.plan()
	return in
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
	for _, in := range p.instances() {
		in.renew()
	}
}

// key hashes everything that identifies issuer and account. Each part is
// preceded by its length, so that no two lists of parts read the same.
func (p *Pool) key(params Params) StoreKey {
	buf := make([]byte, 0, 512)
	for _, part := range p.def.Key {
		value := part.Value.Reveal()
		if part.FromRequest {
			value = params[part.Param]
		}
		buf = binary.AppendUvarint(buf, uint64(len(part.Name)))
		buf = append(buf, part.Name...)
		buf = binary.AppendUvarint(buf, uint64(len(value)))
		buf = append(buf, value...)
	}
	return sha256.Sum256(buf)
}

// Status returns what may be shown of the pool. An instance that another pool
// made for an equal key counts there.
func (p *Pool) Status() PoolStatus {
	s := PoolStatus{
		Credential: p.def.Credential, Token: p.def.Token, Recipe: p.def.Recipe,
		Keyed: p.Keyed(), Phases: map[Phase]int{},
	}
	for _, in := range p.instances() {
		one := in.Status()
		s.Instances++
		s.Phases[one.Phase]++
		s.Waiters += one.Waiters
		s.Failures = max(s.Failures, one.Failures)
		if p.single != nil {
			s.Single = &one
		}
	}
	return s
}

func (p *Pool) instances() []*Instance {
	if p.single != nil {
		return []*Instance{p.single}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.recent)
}
