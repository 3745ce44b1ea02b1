package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"attache/internal/secret"
	"attache/refresher"
)

// Name is what a token is kept under: an HMAC of what identifies it.
type Name [sha256.Size]byte

// Keys are what tokens are encrypted with. The first one encrypts and names;
// those behind it, which a change of keys leaves there for a while, only
// decrypt what they encrypted before. Keys are not changed, and may be used
// concurrently.
type Keys struct {
	list []key
}

// key is what is derived of one configured text.
type key struct {
	aead  cipher.AEAD
	names []byte      // the key of the HMAC of names
	id    [idLen]byte // tells keys apart, and nothing about them
}

const (
	// minKey is the least length of a key in bytes: a shorter one is no random text.
	minKey = 32
	// idLen is the length of what tells keys apart.
	idLen = 4
	// sealVersion begins every sealed value.
	sealVersion = 1
	// sealOverhead is how much longer than its content a sealed value is:
	// version, key, nonce and tag.
	sealOverhead = 1 + idLen + 12 + 16
)

// NewKeys derives keys from texts of at least 32 bytes each, which are random. There
// must be at least one, and no two may be the same.
func NewKeys(texts ...secret.String) (*Keys, error) {
	if len(texts) == 0 {
		return nil, errors.New("a store needs a key to encrypt with")
	}
	keys := &Keys{}
	for i, text := range texts {
		if len(text.Reveal()) < minKey {
			return nil, fmt.Errorf("the key can be guessed: want at least %d random characters", minKey)
		}
		for _, before := range texts[:i] {
			if before.Equal(text) {
				return nil, errors.New("two keys are the same")
			}
		}
		k, err := deriveKey(text)
		if err != nil {
			return nil, err
		}
		keys.list = append(keys.list, k)
	}
	return keys, nil
}

// deriveKey makes independent keys of one text (HKDF with SHA-256, RFC 5869).
func deriveKey(text secret.String) (key, error) {
	root, err := hkdf.Extract(sha256.New, []byte(text.Reveal()), nil)
	if err != nil {
		return key{}, err
	}
	derive := func(use string, length int) []byte {
		if err != nil {
			return nil
		}
		var derived []byte
		derived, err = hkdf.Expand(sha256.New, root, "attache store: "+use, length)
		return derived
	}
	encrypt, names, id := derive("encrypt", 32), derive("names", 32), derive("id", idLen)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(encrypt)
	if err != nil {
		return key{}, err
	}
	// Nonces are random: with 2³² values under one key, a save each second for
	// 136 years, the odds that any two are the same are 2⁻³² (NIST SP 800-38D, 8.3).
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return key{}, err
	}
	return key{aead: aead, names: names, id: [idLen]byte(id)}, nil
}

// Names returns the names of a token, one for each key in their order: new
// values are kept under the first. Stores of different namespaces share
// nothing.
func (k *Keys) Names(namespace string, of refresher.StoreKey) []Name {
	names := make([]Name, len(k.list))
	for i := range k.list {
		mac := hmac.New(sha256.New, k.list[i].names)
		mac.Write([]byte(namespace))
		mac.Write(of[:]) // always 32 bytes: nothing else ends in the same way
		names[i] = Name(mac.Sum(nil))
	}
	return names
}

// Errors of [Keys.Open].
var (
	// ErrOtherKey: the value was sealed with a key that is not among these.
	ErrOtherKey = errors.New("a stored token was encrypted with another key")
	// ErrDamaged: the value was changed since it was sealed, or is another
	// name's.
	ErrDamaged = errors.New("a stored token was changed since it was stored")
)

// Seal encrypts a value, which is to be kept under name, with the first key. A
// sealed value is opened only with the same name and the same outside, which is
// what else is kept beside it and must not be changed.
func (k *Keys) Seal(name Name, outside, value []byte) []byte {
	first := &k.list[0]
	sealed := make([]byte, 0, sealOverhead+len(value))
	sealed = append(sealed, sealVersion)
	sealed = append(sealed, first.id[:]...)
	return first.aead.Seal(sealed, nil, value, additional(sealed, name, outside))
}

// Open is the reverse of [Keys.Seal], for whichever key it was sealed with. The
// errors are [ErrOtherKey] and [ErrDamaged].
func (k *Keys) Open(name Name, outside, sealed []byte) ([]byte, error) {
	if len(sealed) < sealOverhead || sealed[0] != sealVersion {
		return nil, ErrDamaged
	}
	head, rest := sealed[:1+idLen], sealed[1+idLen:]
	err := ErrOtherKey
	for i := range k.list { // two keys may have the same id
		if [idLen]byte(head[1:]) != k.list[i].id {
			continue
		}
		if value, wrong := k.list[i].aead.Open(nil, nil, rest, additional(head, name, outside)); wrong == nil {
			return value, nil
		}
		err = ErrDamaged
	}
	return nil, err
}

// isFirst reports whether the first key sealed the value.
func (k *Keys) isFirst(sealed []byte) bool {
	return len(sealed) > idLen && [idLen]byte(sealed[1:1+idLen]) == k.list[0].id
}

// additional returns what a sealed value is bound to. Head and name have fixed
// lengths.
func additional(head []byte, name Name, outside []byte) []byte {
	bound := make([]byte, 0, len(head)+len(name)+len(outside))
	bound = append(bound, head...)
	bound = append(bound, name[:]...)
	return append(bound, outside...)
}
