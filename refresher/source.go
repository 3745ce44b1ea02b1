package refresher

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Params are the values that a request gives to an instance, in the order of
// [Definition.Params]. Nil for instances that take none. Not to be changed
// after they were handed over.
type Params []string

// Input is what one login gets to work with.
type Input struct {
	Params Params
	// Parents are usable tokens of [Definition.Parents], in that order.
	Parents []Token
	// Previous is the instance's current token, refused or expired though it
	// may be; the zero Token at the first login. After a restart it may be one
	// from the store that is past its expiry, if it is [Token].Lasting.
	Previous Token
	// Refused: an upstream refused Previous.
	Refused bool
	// Anew: something that the login reads has changed since Previous (see
	// [Pool.Renew]), which may therefore be for another account.
	Anew bool
}

// Source logs in.
type Source interface {
	// Fetch makes one attempt to get a token: no cache, no retry, no waiting
	// beyond ctx, which carries the engine's time-out. Errors are
	// *[FetchError]; any other error counts as [Transient]. It may be called
	// concurrently for different instances, never for the same one.
	Fetch(ctx context.Context, in Input) (Token, error)
}

// Revoker ends tokens at their issuer.
type Revoker interface {
	// Revoke makes one attempt to end in.Previous, within ctx. The other fields
	// are as at a login. Errors hold no secret and may be shown. It may be
	// called concurrently for different instances.
	Revoke(ctx context.Context, in Input) error
}

// Class says what to do after a failed login.
type Class uint8

// The classes of failed logins. The words are values of metric labels.
const (
	Transient Class = iota // try again soon: network, 5xx, unreadable answer
	Throttled              // the upstream asks for patience
	Permanent              // trying again will not help until something changes
)

// String returns the class's word: transient, throttled or permanent.
func (c Class) String() string {
	switch c {
	case Throttled:
		return "throttled"
	case Permanent:
		return "permanent"
	}
	return "transient"
}

// FetchError is why a login failed. Its text holds no secret and may be shown.
type FetchError struct {
	Class Class
	// RetryAfter is the wait that the upstream asked for; 0: none.
	RetryAfter time.Duration
	// Refused holds indexes of [Input].Parents: the upstream refused those
	// tokens. The failure is then [Transient], whatever Class says.
	Refused []int
	Err     error

	outage bool // it waits for the store
}

func (e *FetchError) Error() string {
	if e.Err == nil {
		return "the login failed for a reason that is " + e.Class.String()
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *FetchError) Unwrap() error { return e.Err }

// ErrClosed is returned once the engine has ended.
var ErrClosed = errors.New("the token engine has ended")

// UnavailableError says that there is no usable token and none will come
// before the caller's deadline.
type UnavailableError struct {
	Credential, Token string
	Class             Class         // of the last failed login; Transient when there was none yet
	RetryAfter        time.Duration // until the next attempt; 0: not known
	Err               error         // the last failed login's, or the caller's context error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("no usable token %s.%s: %v", e.Credential, e.Token, e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// LimitError says that a keyed credential has no room for one more instance,
// or may not log in for one more right now.
type LimitError struct {
	Credential, Token string
	Reason            string        // "instances" or "logins_per_minute"
	RetryAfter        time.Duration // always positive
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("credential %s is at its limit of %s", e.Credential, e.Reason)
}
