// Package secret owns values that must never be shown. [String] redacts
// itself on every path by which a value usually leaks: printing with any verb,
// logging, JSON, YAML and text encoding. [Ref] is a place where such a value
// lives: the environment, a file, or the configuration itself.
package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// String is a text that redacts itself: every printing, logging, JSON, YAML
// and text path shows [String.Fingerprint]. Only [String.Reveal] gives the
// text. The zero value is the empty text. A String is immutable and safe for
// concurrent use.
//
// The text lies behind a pointer because package fmt prints unexported struct
// fields without calling their methods: a String inside somebody's unexported
// field then shows an address at worst. So == compares identities; use
// [String.Equal] to compare texts.
type String struct{ text *string }

// New returns text as a String.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{text: &text}
}

// Reveal returns the text itself. Call it where the text goes on the wire and
// nowhere else.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsEmpty reports whether the text is empty.
func (s String) IsEmpty() bool { return s.text == nil }

// Equal reports whether both texts are the same, in a time that depends on
// their lengths alone.
func (s String) Equal(t String) bool {
	if s.text == t.text {
		return true
	}
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// fingerprintKey makes fingerprints useless outside this process: without it
// somebody could test guesses of a short secret against a log line.
var fingerprintKey = sync.OnceValue(func() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand documents it
	return key
})

// Fingerprint returns a short text that is equal for equal secrets within one
// process and says nothing about the secret: "secret:1f2e3d4c", or
// "secret:empty" for the empty text.
func (s String) Fingerprint() string {
	if s.IsEmpty() {
		return "secret:empty"
	}
	mac := hmac.New(sha256.New, fingerprintKey())
	mac.Write([]byte(*s.text))
	return "secret:" + hex.EncodeToString(mac.Sum(nil)[:4])
}

// String returns the fingerprint. It implements [fmt.Stringer].
func (s String) String() string { return s.Fingerprint() }

// GoString returns the fingerprint. It implements [fmt.GoStringer].
func (s String) GoString() string { return s.Fingerprint() }

// Format writes the fingerprint whatever the verb, %x and %q included. It
// implements [fmt.Formatter].
func (s String) Format(f fmt.State, _ rune) { io.WriteString(f, s.Fingerprint()) }

// LogValue returns the fingerprint. It implements [slog.LogValuer].
func (s String) LogValue() slog.Value { return slog.StringValue(s.Fingerprint()) }

// MarshalText returns the fingerprint; encoding/json uses it too, for map keys
// as well.
func (s String) MarshalText() ([]byte, error) { return []byte(s.Fingerprint()), nil }

// MarshalYAML returns the fingerprint.
func (s String) MarshalYAML() (any, error) { return s.Fingerprint(), nil }
