package refresher_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

const (
	healthy = iota
	down
	busy
	blocking
	slow
	nonsense
	lazyAgain
	panicking
	modes
)

// vendor issues and revokes tokens.
type vendor struct {
	mu     sync.Mutex
	rand   *rand.Rand
	mode   int
	count  int
	good   map[string]bool   // values that are accepted
	latest map[string]string // by token and user
}

func newVendor(r *rand.Rand) *vendor {
	return &vendor{rand: r, good: map[string]bool{}, latest: map[string]string{}}
}

func (v *vendor) lock() (unlock func()) {
	v.mu.Lock()
	return v.mu.Unlock
}

func (v *vendor) set(mode int) {
	defer v.lock()()
	v.mode = mode
}

func (v *vendor) login(token string, in refresher.Input) rt.Answer {
	defer v.lock()()
	for i, p := range in.Parents {
		if !v.good[p.Value.Reveal()] {
			return rt.Refuse(i)
		}
	}
	who := token
	if len(in.Params) > 0 {
		who += "/" + in.Params[0]
	}
	lifetime := time.Duration(5+v.rand.IntN(120)) * time.Minute
	switch v.mode {
	case down:
		return rt.Fail(refresher.Transient)
	case busy:
		return rt.Busy(time.Duration(v.rand.IntN(7200)) * time.Second)
	case blocking:
		return rt.Fail(refresher.Permanent)
	case slow:
		return rt.OK(v.issue(who), lifetime).After(time.Duration(v.rand.IntN(20)) * time.Second)
	case nonsense:
		return rt.OK(v.issue(who), []time.Duration{0, -time.Hour, 1 << 62, time.Millisecond}[v.rand.IntN(4)])
	case lazyAgain:
		if old := v.latest[who]; old != "" {
			return rt.OK(old, lifetime)
		}
	case panicking:
		return rt.Panic("no")
	}
	return rt.OK(v.issue(who), lifetime)
}

func (v *vendor) issue(who string) string {
	v.count++
	value := fmt.Sprintf("%s#%d", who, v.count)
	v.good[value] = true
	v.latest[who] = value
	return value
}

func (v *vendor) valid(t refresher.Token) bool {
	defer v.lock()()
	return v.good[t.Value.Reveal()]
}

// renew is the renewed token in an answer: a new one, or the same with a longer
// life.
func (v *vendor) renew(t refresher.Token, now time.Time) refresher.Token {
	defer v.lock()()
	value := t.Value.Reveal()
	if v.rand.IntN(2) == 0 {
		v.count++
		value = fmt.Sprintf("renewed#%d", v.count)
		v.good[value] = true
	}
	return refresher.Token{Value: secret.New(value), ExpiresAt: now.Add(time.Hour)}
}

// revoke kills every third token.
func (v *vendor) revoke(r *rand.Rand) {
	defer v.lock()()
	for _, value := range slices.Sorted(maps.Keys(v.good)) {
		if r.IntN(3) == 0 {
			delete(v.good, value)
		}
	}
}
