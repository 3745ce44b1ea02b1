package refresher

import (
	"time"

	"attache/internal/exchange"
)

// EventKind says what happened to an instance.
type EventKind uint8

// The kinds of events.
const (
	// LoggedIn: a login gave a token; Generation, ExpiresAt, Duration, DueAt
	// and ExpiryReplaced are set.
	LoggedIn EventKind = iota
	// Adopted: a newer token was found in the store.
	Adopted
	// LoginFailed: Class, Err, Duration, Failures and NextAttempt are set.
	LoginFailed
	// Refused: an answer refused a token; Signal, By and Rejection are set.
	Refused
	// Renewed: a token that an answer offered was adopted, or extended the
	// expiry of the current one; what is set is as for LoggedIn.
	Renewed
	// Evicted: a keyed instance was idle or made room for another.
	Evicted
	// StoreFailed: Op and Err are set; a token that is there is served all the
	// same.
	StoreFailed
	// Revoked: a token that was given up was revoked, or could not be: then Err
	// is set.
	Revoked
)

// EventKinds lists all kinds of events.
func EventKinds() []EventKind {
	return []EventKind{LoggedIn, Adopted, LoginFailed, Refused, Renewed, Evicted, StoreFailed, Revoked}
}

// String returns the kind's word.
func (k EventKind) String() string {
	return [...]string{"logged_in", "adopted", "login_failed", "refused", "renewed", "evicted", "store_failed", "revoked"}[k]
}

// Event is something that happened to an instance. It holds no secret.
type Event struct {
	Kind              EventKind
	Credential, Token string
	Keyed             bool // the instance is one of many; it has a user in its key
	Generation        uint64
	ExpiresAt         time.Time
	DueAt             time.Time
	// ExpiryReplaced: the token's stated expiry made no sense, so that
	// [FallbackLifetime] is taken for its lifetime.
	ExpiryReplaced bool
	NextAttempt    time.Time
	Duration       time.Duration
	Class          Class
	Failures       int
	Err            error
	Signal         exchange.Signal
	By             string
	Rejection      Rejection
	Op             string // StoreFailed: load, save, reject, acquire or extend
}

// Cause says who refused a token and how.
type Cause struct {
	// By names who says so: the route whose upstream refused, the login, or the
	// hand-out. The refusal budget is counted for each By of an instance on its
	// own.
	By     string
	Signal exchange.Signal
}

// Rejection is what became of a refusal.
type Rejection uint8

// The words are values of metric labels.
const (
	// Renewing: the token is out of service and a login was started. Wait for
	// the next one with [Instance.Token].
	Renewing Rejection = iota
	// Stale: the refused token is no longer current, or is already being
	// renewed. Wait for the next one with [Instance.Token].
	Stale
	// OverBudget: refusals renewed this token too often of late, or the
	// upstream returned the refused value again. The token stays in service;
	// pass the refusal on.
	OverBudget
)

// String returns renewed, stale or over_budget.
func (r Rejection) String() string {
	return [...]string{"renewed", "stale", "over_budget"}[r]
}

// Phase is the state of an instance, derived from its snapshot and the time.
type Phase uint8

// The phases of an instance. The words are values of metric labels.
const (
	Empty   Phase = iota // no token yet, or the only one was refused
	Fresh                // usable, not to be refreshed yet
	Due                  // usable, to be refreshed
	Expired              // there was a token, it is past its expiry
	Blocked              // the last login failed permanently, whether or not the token is still usable
)

// Phases lists all phases.
func Phases() []Phase { return []Phase{Empty, Fresh, Due, Expired, Blocked} }

// String returns the phase's word.
func (p Phase) String() string {
	return [...]string{"empty", "fresh", "due", "expired", "blocked"}[p]
}

// InstanceStatus is what may be shown of an instance. It holds no secret.
type InstanceStatus struct {
	Phase       Phase
	Generation  uint64
	IssuedAt    time.Time // zero: no token yet
	ExpiresAt   time.Time // zero: lives until refused
	DueAt       time.Time
	NextAttempt time.Time // zero: none planned
	LastSuccess time.Time // zero: none
	Failures    int       // logins that failed since the last success
	Class       Class     // of the last failure; meaningful if Failures > 0
	LastError   string    // text of the last failure; empty if Failures is 0
	Waiters     int
}

// PoolStatus is what may be shown of the instances of one token of one
// credential.
type PoolStatus struct {
	Credential, Token, Recipe string
	Keyed                     bool
	Phases                    map[Phase]int // counts instances
	Instances                 int
	Waiters                   int
	// Failures is the largest number of failed logins in a row among the
	// instances.
	Failures int
	// Single is the status of the only instance; nil for keyed pools.
	Single *InstanceStatus
}
