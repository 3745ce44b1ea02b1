package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// most is how many processes there are at most.
const most = 32

// issue is one token that the vendor gave out. Times are since the start of the
// bench.
type issue struct {
	value   string
	process int // who logged in
	issued  time.Duration
	expires time.Duration
	reason  string
	// dead is when it stopped being good before it expired; 0: it has not.
	dead atomic.Int64
	// revoked: it was the vendor's whim, not a newer token.
	revoked atomic.Bool
	// used[p] is when process p first sent a request with it; 0: never.
	used [most]atomic.Int64
}

// goodAt reports whether the vendor takes the token.
func (i *issue) goodAt(now time.Duration) bool {
	dead := time.Duration(i.dead.Load())
	return now >= i.issued && now < i.expires && (dead == 0 || now < dead)
}

// good reports whether it was good from first to last, and a moment longer:
// attache and the vendor do not begin to count at the same instant.
func (i *issue) good(first, last time.Duration) bool {
	return i.goodAt(first) && i.goodAt(last+moment)
}

const moment = 100 * time.Millisecond

// account is what the vendor knows of one token of one user.
type account struct {
	name     string
	lifetime time.Duration
	dies     bool // a new token kills the one before

	mu     sync.Mutex
	issues []*issue
	tally  map[string]int // logins by reason

	// For refresh tokens; see oauth.go.
	refresh, before string
	consented       bool // the first one is good once more
	reused          int
}

// Reasons for a login that the ideal has as well.
const (
	firstLogin   = "first"
	lifetimeOver = "lifetime"
	wasRevoked   = "revoked"
)

// dueFrom is the share of a lifetime after which a login is no surprise: 0.8
// less a jitter of 0.05, and some room for rounding.
const dueFrom = 0.74

// reasonFor says why a login comes, by what became of the token before; "": it
// should not have come.
func reasonFor(last *issue, lifetime, now time.Duration) string {
	switch {
	case last == nil:
		return firstLogin
	case last.revoked.Load():
		return wasRevoked
	case now-last.issued >= time.Duration(dueFrom*float64(lifetime)):
		return lifetimeOver
	}
	return ""
}

// grant issues a token. explain names the reason of a login that the ideal has
// not.
func (a *account) grant(process int, now time.Duration, value string, explain func(last *issue) string) *issue {
	a.mu.Lock()
	defer a.mu.Unlock()
	var last *issue
	if n := len(a.issues); n > 0 {
		last = a.issues[n-1]
	}
	i := &issue{value: value, process: process, issued: now, expires: now + a.lifetime, reason: reasonFor(last, a.lifetime, now)}
	if i.reason == "" {
		i.reason = explain(last)
	}
	a.tally[i.reason]++
	if a.dies && last != nil {
		last.dead.CompareAndSwap(0, int64(now))
	}
	a.issues = append(a.issues, i)
	return i
}

// revoke makes every token of the account bad, and reports whether there was a
// good one.
func (a *account) revoke(now time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	any := false
	for _, i := range a.issues {
		if i.goodAt(now) && i.dead.CompareAndSwap(0, int64(now)) {
			i.revoked.Store(true)
			any = true
		}
	}
	return any
}

// around returns the tokens that were good at some time from first to last.
func (a *account) around(first, last time.Duration) []*issue {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*issue
	for n := len(a.issues) - 1; n >= 0 && a.issues[n].expires > first; n-- {
		i := a.issues[n]
		if dead := time.Duration(i.dead.Load()); i.issued <= last && (dead == 0 || dead > first) {
			found = append(found, i)
		}
	}
	return found
}

// ledger has all accounts.
type ledger struct {
	mu       sync.RWMutex
	accounts map[string]*account
	tokens   map[string]entry // by value
	serial   atomic.Int64
}

type entry struct {
	account *account
	issue   *issue
}

func newLedger() *ledger {
	return &ledger{accounts: map[string]*account{}, tokens: map[string]entry{}}
}

// open returns an account, which it makes with these properties if there is none.
func (l *ledger) open(name string, lifetime time.Duration, dies bool) *account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[name]
	if a == nil {
		a = &account{name: name, lifetime: lifetime, dies: dies, tally: map[string]int{}}
		l.accounts[name] = a
	}
	return a
}

// find returns the account, or nil.
func (l *ledger) find(name string) *account {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.accounts[name]
}

// newValue returns a text that no token has had.
func (l *ledger) newValue(name string) string {
	return fmt.Sprintf("%s.%d.%s", name, l.serial.Add(1), randomText())
}

func (l *ledger) note(a *account, i *issue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens[i.value] = entry{a, i}
}

// look returns whose token a value is; ok is false if it was never issued.
func (l *ledger) look(value string) (entry, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.tokens[value]
	return e, ok
}

// all returns the accounts.
func (l *ledger) all() []*account {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var all []*account
	for _, a := range l.accounts {
		all = append(all, a)
	}
	return all
}
