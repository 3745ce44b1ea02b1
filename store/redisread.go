package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"attache/refresher"
)

// redisFound is what is under a name.
type redisFound struct {
	mark    string // of [markOf]
	stored  refresher.Stored
	problem error // why it cannot be read
}

// read reads what is under a name.
func (r *Redis) read(ctx context.Context, name Name) (redisFound, error) {
	before := time.Now()
	reply, err := r.client.Run(ctx, redisLoad, []string{redisToken(name)}, maxToken+sealOverhead)
	if err != nil {
		return redisFound{}, err
	}
	f, ok := texts(reply, 6)
	if !ok {
		return redisFound{}, r.strange()
	}
	now, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return redisFound{}, r.strange()
	}
	offset := r.clock.adjust(now, before.UnixMilli(), time.Now().UnixMilli())
	found := redisFound{mark: f[1]}
	if found.mark == "" {
		return found, nil
	}
	if f[5] != "" {
		found.problem = errTooBig
		return found, nil
	}
	found.stored, found.problem = r.open(name, found.mark, f[2])
	if found.problem != nil {
		return found, nil
	}
	found.stored.Rejected = f[4] == "1"
	found.stored.Token, found.problem = placed(found.stored.Token, f[3], now, offset)
	return found, nil
}

// open decrypts a token.
func (r *Redis) open(name Name, mark, sealed string) (refresher.Stored, error) {
	plain, err := r.keys.Open(name, []byte(mark), []byte(sealed))
	if err != nil {
		return refresher.Stored{}, err
	}
	s, err := decode(plain)
	if err == nil && strconv.FormatUint(s.Token.Generation, 10) != mark {
		err = ErrDamaged
	}
	return s, err
}

// placed puts the times of a token, which its writer's clock gave, where they
// are by the clock of this process. reference and now are by that of Redis, which
// is offset ahead, in milliseconds.
func placed(t refresher.Token, reference string, now, offset int64) (refresher.Token, error) {
	at := referenceOf(t)
	if at.IsZero() {
		return t, nil
	}
	ref, err := strconv.ParseInt(reference, 10, 64)
	if err != nil {
		return refresher.Token{}, ErrDamaged
	}
	if !t.IssuedAt.IsZero() {
		ref = min(ref, now+clockSlack) // nothing lives longer than it did when it was new
	}
	shift := time.UnixMilli(ref - offset).Sub(at)
	if !t.IssuedAt.IsZero() {
		t.IssuedAt = t.IssuedAt.Add(shift)
	}
	if !t.ExpiresAt.IsZero() {
		t.ExpiresAt = t.ExpiresAt.Add(shift)
	}
	return t, nil
}

// texts returns a reply that is a list of n texts.
func texts(reply any, n int) ([]string, bool) {
	list, ok := reply.([]any)
	if !ok || len(list) != n {
		return nil, false
	}
	all := make([]string, n)
	for i, x := range list {
		if all[i], ok = x.(string); !ok {
			return nil, false
		}
	}
	return all, true
}

// tellUnreadable says once for each state that what is stored cannot be read.
func (r *Redis) tellUnreadable(key refresher.StoreKey, name Name, f redisFound) {
	if !r.firstTold(key, name, f.mark) {
		return
	}
	err := f.problem
	if errors.Is(err, ErrDamaged) || errors.Is(err, errToken) {
		err = fmt.Errorf("%w, or another version of attache stored it", err)
	}
	r.log.Warn("a token in Redis cannot be read; it counts as none and is replaced", "token", short(name), "error", err)
}

// clock knows how far ahead the clock of Redis is. It is safe for concurrent use.
type clock struct {
	mu      sync.Mutex
	known   bool
	current int64 // milliseconds
}

// clockSlack is by how much, in milliseconds, a clock may be off before that is
// corrected: times that change a little with each look would seem to be news.
const clockSlack = 500

// adjust takes a look at the clock of Redis, between two looks at the one of this
// process, and returns how far it is ahead. The least correction will do: 0, if
// that can be.
func (c *clock) adjust(redis, before, after int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Each number lacks what is below the millisecond.
	least, most := redis-after-1, redis-before+1
	switch {
	case !c.known:
		c.known, c.current = true, min(max(0, least), most)
	case c.current < least-clockSlack || c.current > most+clockSlack:
		c.current = min(max(c.current, least), most)
	}
	return c.current
}

// offset returns how far ahead the clock of Redis is, and asks if that is not
// known yet.
func (r *Redis) offset(ctx context.Context) (int64, error) {
	r.clock.mu.Lock()
	known, current := r.clock.known, r.clock.current
	r.clock.mu.Unlock()
	if known {
		return current, nil
	}
	before := time.Now()
	// Any key will do; the token of no key is one that a user may touch.
	reply, err := r.client.Run(ctx, redisTell, []string{redisToken(Name{})})
	if err != nil {
		return 0, err
	}
	said, _ := reply.(string)
	now, err := strconv.ParseInt(said, 10, 64)
	if err != nil {
		return 0, r.strange()
	}
	return r.clock.adjust(now, before.UnixMilli(), time.Now().UnixMilli()), nil
}
