package refresher

import "sync"

// readers is how many instances look into the store at a time because of what it
// told.
const readers = 8

// news is what a store that is a [Watcher] told and nobody has looked at yet.
type news struct {
	byKey sync.Map // StoreKey → *Instance: who is told

	mu      sync.Mutex
	pending map[*Instance]struct{}
	kick    chan struct{} // for one reader, that there is something
}

func newNews() *news {
	return &news{pending: map[*Instance]struct{}{}, kick: make(chan struct{}, 1)}
}

// changed is what the store calls.
func (n *news) changed(key StoreKey) {
	v, ok := n.byKey.Load(key)
	if !ok {
		return
	}
	n.mu.Lock()
	n.pending[v.(*Instance)] = struct{}{}
	n.mu.Unlock()
	n.wake()
}

func (n *news) wake() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// take returns an instance that is to look, or nil. Where there are more, it
// wakes another reader.
func (n *news) take() *Instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	for in := range n.pending {
		delete(n.pending, in)
		if len(n.pending) > 0 {
			n.wake()
		}
		return in
	}
	return nil
}

// watch starts what adopts the tokens of other processes as soon as they are in
// the store. It ends with the engine.
func (e *Engine) watch() {
	if e.news == nil {
		return
	}
	e.start(func() { e.store.(Watcher).Watch(e.ctx, e.news.changed) })
	for range readers {
		e.start(func() {
			for {
				select {
				case <-e.ctx.Done():
					return
				case <-e.news.kick:
				}
				for in := e.news.take(); in != nil; in = e.news.take() {
					in.hear()
				}
			}
		})
	}
}

// hear looks into the store, unless nobody wants the token. It does so also while
// a login runs, which may take long, and fail: what the login gets is published
// after what is found here.
func (in *Instance) hear() {
	in.mu.Lock()
	got := outcome{key: in.storeKey.orZero()}
	idle := in.gone() || !in.wanted()
	in.mu.Unlock()
	if idle || !in.load(in.engine.ctx, &got) {
		return
	}
	in.adoptStored(got)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.plan()
}

// listAs has the instance hear of key, and no more of the one before.
func (in *Instance) listAs(key StoreKey) {
	in.mu.Lock()
	old := in.storeKey.orZero()
	in.storeKey = in.keepKey(key)
	in.mu.Unlock()
	if old == key {
		return
	}
	in.unlist(old)
	if n := in.engine.news; n != nil && !in.pool().def.Local {
		n.byKey.Store(key, in)
	}
}

// unlist has nobody told of key any more.
func (in *Instance) unlist(key StoreKey) {
	if key == (StoreKey{}) {
		return
	}
	if n := in.engine.news; n != nil && !in.pool().def.Local && !n.byKey.CompareAndDelete(key, in) {
		return // another instance has the key by now
	}
	if f, ok := in.backing().(Forgetter); ok {
		f.Forget(key)
	}
}
