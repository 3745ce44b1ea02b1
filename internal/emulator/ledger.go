package emulator

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the ledger: a token that ended is remembered for a while, so that
// "expired" and "rotated" can be told from "never heard of"; the oldest tokens
// go first when there are too many, live ones too.
const (
	remembered = 10 * time.Minute
	maxTokens  = 1 << 18
)

// condition is what a vendor thinks of a token value at one moment.
type condition uint8

const (
	unknown condition = iota // never issued, or forgotten
	live                     // good
	grace                    // replaced, but still accepted for a while
	expired                  // its own time is over
	rotated                  // replaced by a newer one
	kicked                   // revoked
	conditions
)

// owner is whom a token was issued to: the kind of token and the account.
type owner struct{ kind, name string }

// matches reports whether name selects the owner: all of "", the owner itself,
// or the part of its name before a slash ("u1" selects "u1/web").
func (o owner) matches(kind, name string) bool {
	if kind != "" && kind != o.kind {
		return false
	}
	return name == "" || name == o.name || strings.HasPrefix(o.name, name+"/")
}

// grant is one issued token. The fields of the first group never change.
type grant struct {
	value   string
	owner   owner
	user    string    // the user the token speaks for
	scope   string    // the rest: AICC's channel, OpenIM's platform
	expires time.Time // zero: never

	// Guarded by ledger.mu. fate is live, or what the token becomes at endsAt,
	// which then counts instead of expires.
	fate         condition
	endsAt       time.Time
	older, newer *grant // of the same owner

	used atomic.Int64 // time of the last accepted call in Unix nanoseconds; 0: none
}

// at returns the grant's condition at one moment. The ledger's lock is held.
func (g *grant) at(now time.Time) condition {
	if g.fate != live {
		if now.Before(g.endsAt) {
			return grace
		}
		return g.fate
	}
	if !g.expires.IsZero() && !now.Before(g.expires) {
		return expired
	}
	return live
}

// end makes a good token turn into fate at the given time, or earlier if it
// ends earlier anyway. It reports whether that changed anything. The ledger's
// lock is held.
func (g *grant) end(fate condition, now, at time.Time) bool {
	switch g.at(now) {
	case live:
		if !g.expires.IsZero() && g.expires.Before(at) {
			at = g.expires
		}
	case grace:
		if !at.Before(g.endsAt) {
			return false
		}
	default:
		return false
	}
	g.fate, g.endsAt = fate, at
	return true
}

// ledger is what the vendor remembers of the tokens that it issued. It is safe
// for concurrent use; its lock is only held for work in memory.
type ledger struct {
	mu     sync.RWMutex
	byText map[string]*grant
	newest map[owner]*grant
	queue  []*grant // in the order of issue
	head   int      // queue[:head] is forgotten
	max    int      // of remembered tokens
}

func newLedger() *ledger {
	return &ledger{byText: map[string]*grant{}, newest: map[owner]*grant{}, max: maxTokens}
}

// check returns the grant of a token value and its condition. The grant is nil
// exactly when the condition is unknown.
func (l *ledger) check(value string, now time.Time) (*grant, condition) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	g := l.byText[value]
	if g == nil {
		return nil, unknown
	}
	return g, g.at(now)
}

// order is what a login asks of the ledger. Its functions run under the lock.
type order struct {
	// fresh is the token to be issued, ready to use.
	fresh *grant
	// reuse says whether the owner's newest token is handed out again instead;
	// nil: never.
	reuse func(g *grant, c condition) bool
	// retire ends older tokens when the fresh one is issued; nil: they stay.
	retire func(l *ledger)
}

// obtain answers a login: with the owner's newest token or with a fresh one. It
// reports whether the token is fresh.
func (l *ledger) obtain(o order, now time.Time) (*grant, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.newest[o.fresh.owner]; g != nil && o.reuse != nil && o.reuse(g, g.at(now)) {
		return g, false
	}
	if o.retire != nil {
		o.retire(l)
	}
	l.add(o.fresh, now)
	return o.fresh, true
}

// replace issues fresh beside old and lets old live until the given time, even
// if it expired: a renewal inside an answer. A token that was replaced before
// keeps the end it got then.
func (l *ledger) replace(old, fresh *grant, now, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old.fate == live {
		old.fate, old.endsAt = rotated, until
	}
	l.add(fresh, now)
}

// add puts a grant in and forgets old ones. The lock is held.
func (l *ledger) add(g *grant, now time.Time) {
	l.forget(now)
	g.fate = live
	if g.older = l.newest[g.owner]; g.older != nil {
		g.older.newer = g
	}
	l.newest[g.owner] = g
	l.byText[g.value] = g
	l.queue = append(l.queue, g)
}

// forget drops the oldest grants that ended long ago, or that are too many. The
// lock is held.
func (l *ledger) forget(now time.Time) {
	for l.head < len(l.queue) {
		g := l.queue[l.head]
		if len(l.queue)-l.head < l.max && !g.endedBefore(now.Add(-remembered)) {
			break
		}
		if l.byText[g.value] == g {
			delete(l.byText, g.value)
		}
		if l.newest[g.owner] == g {
			delete(l.newest, g.owner)
		}
		g.unlink()
		l.queue[l.head] = nil
		l.head++
	}
	if l.head > 1024 && l.head > len(l.queue)/2 {
		l.queue = append([]*grant(nil), l.queue[l.head:]...)
		l.head = 0
	}
}

// unlink takes the grant out of its owner's chain, unless it is the newest. The
// lock is held.
func (g *grant) unlink() {
	if g.newer == nil {
		return
	}
	g.newer.older = g.older
	if g.older != nil {
		g.older.newer = g.newer
	}
	g.newer, g.older = nil, nil
}

func (g *grant) endedBefore(t time.Time) bool {
	if g.fate != live {
		return g.endsAt.Before(t)
	}
	return !g.expires.IsZero() && g.expires.Before(t)
}

// known reports whether a value is taken. Used to make values unique; two
// callers may get the same answer at the same time.
func (l *ledger) known(value string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.byText[value] != nil
}

// selectTokens calls f for every remembered token that kind and name select, newest
// first, until f has answered true limit times (0: no limit). It returns how
// often f did.
func (l *ledger) selectTokens(kind, name string, limit int, f func(g *grant) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for i := len(l.queue) - 1; i >= l.head; i-- {
		if g := l.queue[i]; g.owner.matches(kind, name) && f(g) {
			if n++; n == limit {
				break
			}
		}
	}
	return n
}

// countLive returns how many tokens of each kind are good now.
func (l *ledger) countLive(now time.Time) map[string]int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	counts := map[string]int{}
	for _, g := range l.queue[l.head:] {
		if c := g.at(now); c == live || c == grace {
			counts[g.owner.kind]++
		}
	}
	return counts
}
