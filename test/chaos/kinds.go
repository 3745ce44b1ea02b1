package main

import (
	"fmt"
	"time"
)

// kind is one way to break something.
type kind string

const (
	redisKilled   kind = "Redis killed, back with its data"
	redisEmptied  kind = "Redis killed, back without its data"
	redisPaused   kind = "Redis paused"
	killed        kind = "attache killed"
	paused        kind = "attache paused for longer than a lease"
	clockWrong    kind = "a clock set wrong"
	thirdFails    kind = "a third of the logins fail"
	throttled     kind = "logins answered 429"
	slowLogins    kind = "slow logins"
	loginsRefused kind = "login server down"
	loginsHang    kind = "logins that hang"
	revoked       kind = "a token revoked"
	diskFull      kind = "disk full"
	fileDamaged   kind = "attache killed, its file damaged"
	fileKilled    kind = "attache with a file killed"
)

// link is one of the three ways out of a process.
type link string

const (
	toRedis link = "Redis"
	toLogin link = "logins"
	toAPI   link = "API"
)

// toxin is what happens on a link.
type toxin string

const (
	latency   toxin = "latency"
	slicing   toxin = "slicing"
	resets    toxin = "resets"
	blackHole toxin = "black hole"
)

func links() []link   { return []link{toRedis, toLogin, toAPI} }
func toxins() []toxin { return []toxin{latency, slicing, resets, blackHole} }

// onLink is the kind of a toxin on a link.
func onLink(t toxin, l link) kind { return kind(fmt.Sprintf("%s to %s", t, l)) }

// family is a list of kinds of which one happens at a time, because they break
// the same thing.
type family struct {
	kinds []kind
	// shortest and longest bound how long one lasts; both 0: it is over at once.
	shortest, longest time.Duration
	// fixed: the bounds hold though that leaves no room between two of them.
	fixed bool
}

// families returns every kind that a world with a shared store and a process
// with a file can break.
func families() []family {
	all := []family{
		{kinds: []kind{redisKilled, redisEmptied, redisPaused}, shortest: time.Second, longest: 4 * time.Second},
		{kinds: []kind{killed}, shortest: 200 * time.Millisecond, longest: 3 * time.Second},
		{kinds: []kind{paused}, shortest: leaseTime + time.Second, longest: leaseTime + 2*time.Second, fixed: true},
		{kinds: []kind{clockWrong}, shortest: 4 * time.Second, longest: 9 * time.Second},
		{kinds: []kind{thirdFails, throttled, slowLogins, loginsRefused, loginsHang}, shortest: time.Second, longest: 4 * time.Second},
		{kinds: []kind{revoked}},
		{kinds: []kind{diskFull, fileKilled, fileDamaged}, shortest: time.Second, longest: 4 * time.Second},
	}
	for _, l := range links() {
		f := family{shortest: time.Second, longest: 5 * time.Second}
		for _, t := range toxins() {
			f.kinds = append(f.kinds, onLink(t, l))
		}
		all = append(all, f)
	}
	return all
}

// leaseTime is how long a lease lasts that nobody extends, as in the package
// refresher.
const leaseTime = 5 * time.Second

// ways takes the kind of a toxin on a link apart; ok is false for other kinds.
func (k kind) ways() (t toxin, l link, ok bool) {
	for _, l := range links() {
		for _, t := range toxins() {
			if onLink(t, l) == k {
				return t, l, true
			}
		}
	}
	return "", "", false
}

// tail is how long after its end a fault may still be why there is no token:
// the longest back-off that it can have led to, and what the next attempt takes.
func (k kind) tail() time.Duration {
	switch k {
	case redisKilled, redisEmptied, redisPaused:
		return 8 * time.Second // attempts at 1, 2, 4 and 4 s ±20 %, and the pause of the store's client
	case thirdFails, throttled, slowLogins, loginsRefused, loginsHang:
		return 12 * time.Second // 1, 2, 4 s after failures in a row, and a login's time-out
	case killed, paused, fileKilled, fileDamaged, diskFull:
		return leaseTime + 3*time.Second // others wait for its lease
	case clockWrong:
		return 3 * time.Second
	case revoked:
		return 2 * time.Second
	}
	if t, l, ok := k.ways(); ok {
		switch {
		case l == toAPI:
			return time.Second
		case t == latency || t == slicing:
			return 4 * time.Second
		}
		return 12 * time.Second
	}
	return 0
}
