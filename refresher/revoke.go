package refresher

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// revocations is how many tokens are revoked at a time.
	revocations = 16
	// revokeTimeout bounds the revocation of a token while the engine runs.
	revokeTimeout = 5 * time.Second
)

// Revoke revokes every token that has a [Definition].Revoker and is still good
// for something, children before the tokens that they were made with. Call it
// once Run has returned: tokens are served until then, and not any more. It
// returns when all is done or ctx has ended, with the number of those that ctx
// left no time for. What fails is told as [Revoked] and not tried again.
func (e *Engine) Revoke(ctx context.Context) (left int) {
	byDepth := map[int][]*Instance{}
	e.table.Range(func(_, v any) bool {
		if in := v.(*Instance); in.revocable() {
			d := in.depth()
			byDepth[d] = append(byDepth[d], in)
		}
		return true
	})
	depths := slices.Sorted(maps.Keys(byDepth))
	slices.Reverse(depths)
	for _, d := range depths {
		left += revokeAll(ctx, byDepth[d])
	}
	return left
}

// revokeAll revokes the tokens of these, some at a time, and returns how many it
// did not begin with.
func revokeAll(ctx context.Context, list []*Instance) (left int) {
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, revocations)
	for i, in := range list {
		if ctx.Err() != nil {
			return len(list) - i
		}
		select {
		case <-ctx.Done():
			return len(list) - i
		case slots <- struct{}{}:
		}
		all.Go(func() {
			defer func() { <-slots }()
			in.revoke(ctx)
		})
	}
	return 0
}

// revocable reports whether there is something to revoke.
func (in *Instance) revocable() bool {
	cur := in.cur.Load()
	if cur == nil || in.pool().work.Load().revoker == nil {
		return false
	}
	return cur.token.Lasting || cur.usable && !cur.token.ExpiredAt(in.engine.now())
}

// depth is the length of the longest chain of tokens that this one was made
// with.
func (in *Instance) depth() int {
	d := 0
	for _, parent := range in.owner.Load().parents {
		d = max(d, parent.depth()+1)
	}
	return d
}

// revokeAside revokes the token of an instance that was evicted, while the
// engine goes on.
func (in *Instance) revokeAside() {
	if !in.revocable() {
		return
	}
	in.engine.start(func() {
		// The engine's end waits for it: a token that nobody will use any more
		// is not left behind.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(in.engine.ctx), revokeTimeout)
		defer cancel()
		in.revoke(ctx)
	})
}

// revoke makes one attempt.
func (in *Instance) revoke(ctx context.Context) {
	err := in.callRevoker(ctx)
	in.mu.Lock()
	ev := in.event(Revoked)
	in.mu.Unlock()
	ev.Err = err
	in.engine.observe(ev)
}

func (in *Instance) callRevoker(ctx context.Context) (err error) {
	o, cur := in.owner.Load(), in.cur.Load()
	input := Input{Params: *o.params.Load(), Previous: cur.token, Refused: !cur.usable}
	for _, parent := range o.parents {
		t, ok := parent.peek()
		if !ok {
			return errors.New("a token that the revocation needs is not there any more")
		}
		input.Parents = append(input.Parents, t)
	}
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the revoker panicked") // with a text that may hold anything
		}
	}()
	return o.pool.work.Load().revoker.Revoke(ctx, input)
}
