package refresher

import (
	"slices"
	"time"

	"attache/internal/secret"
)

// Definition describes one token of one credential: who it is, how to log in
// and within which bounds. The engine keeps its instances in a [Pool].
type Definition struct {
	// Credential, Token and Recipe name the token in events and status. They
	// are no part of an instance's identity.
	Credential, Token, Recipe string
	// Key is everything that identifies issuer and account: the recipe, the
	// token, and every parameter that the login mentions, directly or through
	// the tokens it needs, less those that are no part of the identity.
	// Instances with equal keys are one instance, whatever credential names
	// them, so the order of the parts is the recipe's, never the
	// configuration's.
	Key []KeyPart
	// Params names the values that come from requests, in the order of
	// [Params]. Empty: there is exactly one instance, which is refreshed from
	// the start. Otherwise instances are made as requests ask for them.
	Params []Param
	// Parents are tokens that the login needs, in the order of
	// [Input].Parents. Their pools belong to the same engine.
	Parents []Parent
	Source  Source
	// Local: the token is of use to this process alone, or costs nothing to get,
	// as one that is read from a file. It stays out of [Config].Store.
	Local bool
	// Revoker ends tokens that are given up for good; nil: they are left to
	// expire. Not for tokens that other processes share.
	Revoker Revoker
	Policy  Policy
	// Limits bounds pools that take Params. Of others Idle alone counts: for so
	// long their token is kept after they retired.
	Limits Limits
}

// KeyPart is one part of an identity: a fixed text, or the value of a request
// parameter.
type KeyPart struct {
	Name string
	// Value is the fixed text. Secrets may stand here: printing it shows none,
	// and only a hash of it leaves the definition.
	Value secret.String
	// File is where the text stands instead; nil: it is Value. In the process the
	// part counts by the file's path, so that an instance goes on when the
	// content changes, and in a store by the content: what another secret got is
	// another account's.
	File *secret.Ref
	// FromRequest says that the value is that of Params[Param].
	FromRequest bool
	Param       int
}

// Param is a value that comes from a request.
type Param struct {
	Name string
	// Identity false: instances that differ in this value alone are one
	// instance, and a login uses the latest value.
	Identity bool
}

// Parent is a token that a login needs. Params says which of the child's
// parameters are the parent's, in the parent's order.
type Parent struct {
	Pool   *Pool
	Params []int
}

// Limits bounds the instances of a pool that takes parameters. Values that are
// not positive stand for the defaults.
type Limits struct {
	Max             int           // instances at a time; 0: 10000
	Idle            time.Duration // an instance not used for so long goes; 0: 30m
	LoginsPerMinute int           // 0: 600
}

// loginEvery returns how often a unit of the login rate comes back.
func (l Limits) loginEvery() time.Duration { return time.Minute / time.Duration(l.LoginsPerMinute) }

func (l Limits) withDefaults() Limits {
	if l.Max <= 0 {
		l.Max = 10000
	}
	if l.Idle <= 0 {
		l.Idle = 30 * time.Minute
	}
	if l.LoginsPerMinute <= 0 {
		l.LoginsPerMinute = 600
	}
	return l
}

// same reports whether d2 defines the same token as d: one whose instances go
// on when d2 replaces d. Names are compared by whoever asks.
func (d Definition) same(d2 Definition) bool {
	sameParent := func(a, b Parent) bool { return a.Pool == b.Pool && slices.Equal(a.Params, b.Params) }
	return d.Local == d2.Local && sameKey(d.Key, d2.Key) && slices.Equal(d.Params, d2.Params) && slices.EqualFunc(d.Parents, d2.Parents, sameParent)
}

func sameKey(a, b []KeyPart) bool {
	return slices.EqualFunc(a, b, func(x, y KeyPart) bool {
		return x.Name == y.Name && x.FromRequest == y.FromRequest && x.Param == y.Param && x.Value.Equal(y.Value) && samePlace(x.File, y.File)
	})
}

func samePlace(a, b *secret.Ref) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}
