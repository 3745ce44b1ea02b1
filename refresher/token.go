package refresher

import (
	"sync/atomic"
	"time"

	"attache/internal/secret"
)

// Token is one value issued by an upstream. It is immutable: a renewed value
// is a new Token with a higher Generation. The zero value is no token.
type Token struct {
	// Value is what is injected. A usable token's value is never empty.
	Value secret.String
	// Outputs are further values of the same answer, by the names that the
	// recipe gives them. Not to be changed.
	Outputs map[string]secret.String
	// Generation numbers the values of one instance, from 1. Sources leave it
	// 0; the engine sets it.
	Generation uint64
	// IssuedAt is when the value was received, by the wall clock. Sources leave
	// it zero; the engine sets it.
	IssuedAt time.Time
	// ExpiresAt is when the value stops being usable, by the wall clock. Zero:
	// it lives until it is refused.
	ExpiresAt time.Time
	// Lasting: the token is of use past its expiry, because its Outputs renew
	// it. Sources set it.
	Lasting bool

	memo *atomic.Pointer[memo] // set by the engine
}

// ExpiredAt reports whether the token is past its expiry at the wall-clock
// time now.
func (t Token) ExpiredAt(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// Lifetime returns ExpiresAt − IssuedAt, or 0 for a token that lives until it
// is refused.
func (t Token) Lifetime() time.Duration {
	if t.ExpiresAt.IsZero() {
		return 0
	}
	return t.ExpiresAt.Sub(t.IssuedAt)
}

// sameIssue is how far apart two readings of one token's IssuedAt may be: stores
// may keep it by another clock.
const sameIssue = time.Second / 2

// sameAs reports whether t is u, though perhaps under another number: what a store
// lost, or what two processes numbered alike, is numbered anew. A login that
// returns the same value comes later.
func (t Token) sameAs(u Token) bool {
	return t.Value.Equal(u.Value) && t.IssuedAt.Sub(u.IssuedAt).Abs() < sameIssue
}

// memo is a short immutable list of texts that were rendered from one token.
type memo struct {
	key  any
	text string
	next *memo
}

// Memo returns the text that [Token.SetMemo] stored for key with this very
// generation. What is rendered from a token alone is so rendered once for each
// generation. It may be called concurrently and allocates nothing when key is
// a pointer.
func (t Token) Memo(key any) (string, bool) {
	if t.memo == nil {
		return "", false
	}
	for m := t.memo.Load(); m != nil; m = m.next {
		if m.key == key {
			return m.text, true
		}
	}
	return "", false
}

// SetMemo stores text for key. On a Token that did not come from an [Instance]
// it does nothing. Keys are few and live as long as the configuration.
func (t Token) SetMemo(key any, text string) {
	if t.memo == nil {
		return
	}
	for {
		old := t.memo.Load()
		if t.memo.CompareAndSwap(old, &memo{key: key, text: text, next: old}) {
			return
		}
	}
}

func newMemo() *atomic.Pointer[memo] { return new(atomic.Pointer[memo]) }
