package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"time"

	"attache/refresher"
)

// newWriter returns a text that no other process has.
func newWriter() string { return rand.Text() }

// redisHold is a [refresher.Lease]: on all names of a key, so that while keys
// are changed two processes that write under different names exclude each
// other. All take the names in the same order.
type redisHold struct {
	store  *Redis
	owner  string
	epoch  uint64          // of the first key's name, which is what Save looks at
	epochs map[Name]string // of the names that are held
	names  []Name          // sorted
}

// Acquire implements [refresher.Store].
func (r *Redis) Acquire(ctx context.Context, key refresher.StoreKey, ttl time.Duration) (refresher.Lease, error) {
	names := r.namesOf(key)
	h := &redisHold{store: r, owner: rand.Text(), epochs: map[Name]string{}, names: sortedNames(names)}
	for _, name := range h.names {
		reply, err := r.client.Run(ctx, redisAcquire, []string{redisLease(name), redisEpoch(name)},
			h.owner, milliseconds(ttl), redisForever.Milliseconds())
		if err == nil {
			err = h.got(name, reply)
		}
		if err != nil {
			// It may have been got without a reply.
			h.epochs[name] = ""
			h.Release()
			return nil, err
		}
	}
	h.epoch, _ = strconv.ParseUint(h.epochs[names[0]], 10, 64)
	return h, nil
}

// got notes the reply of redisAcquire.
func (h *redisHold) got(name Name, reply any) error {
	if reply == redisHeld {
		return refresher.ErrHeld
	}
	said, _ := reply.(string)
	if n, err := strconv.ParseUint(said, 10, 64); err != nil || n == 0 {
		return h.store.strange()
	}
	h.epochs[name] = said
	return nil
}

// Epoch implements [refresher.Lease].
func (h *redisHold) Epoch() uint64 { return h.epoch }

// Extend implements [refresher.Lease].
func (h *redisHold) Extend(ctx context.Context, ttl time.Duration) error {
	for _, name := range h.names {
		reply, err := h.store.client.Run(ctx, redisExtend, []string{redisLease(name), redisEpoch(name)},
			h.owner, milliseconds(ttl), h.epochs[name], redisForever.Milliseconds())
		switch {
		case err != nil:
			return err
		case reply == redisHeld:
			return refresher.ErrHeld
		case reply != redisDone:
			return h.store.strange()
		}
	}
	return nil
}

// Release implements [refresher.Lease]. When Redis does not answer, the lease
// runs out.
func (h *redisHold) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), redisTime)
	defer cancel()
	for _, name := range h.names {
		if _, held := h.epochs[name]; held {
			h.store.client.Run(ctx, redisRelease, []string{redisLease(name)}, h.owner)
		}
	}
}

// milliseconds returns a time to live as Redis takes it, which is never 0.
func milliseconds(d time.Duration) int64 { return max(1, d.Milliseconds()) }

// sortedNames returns the names in one order for all processes, so that none of two
// waits for the other. Pointers sort with code that others need too.
func sortedNames(names []Name) []Name {
	var order []*Name
	for i := range names {
		order = append(order, &names[i])
	}
	slices.SortFunc(order, func(a, b *Name) int { return bytes.Compare(a[:], b[:]) })
	var sorted []Name
	for _, name := range order {
		sorted = append(sorted, *name)
	}
	return sorted
}
