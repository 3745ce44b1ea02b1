package certs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"attache/internal/secret"
)

// seal encrypts values with AES-256-GCM under a key that is derived from the
// user's (HKDF, RFC 5869). A value is bound to the name under which it is kept:
// who can write to the storage can neither read nor forge a value, nor put one
// in another's place, only remove it or bring an older one back.
type seal struct{ aead cipher.AEAD }

// sealVersion begins every sealed value.
const sealVersion = 1

func newSeal(key secret.String) (*seal, error) {
	derived, err := hkdf.Key(sha256.New, []byte(key.Reveal()), nil, "attache certificates", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &seal{aead}, err
}

// lock returns the value, and when it was stored, as it is kept under name.
func (s *seal) lock(name string, value []byte, at time.Time) []byte {
	plain := append(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())), value...)
	return s.aead.Seal([]byte{sealVersion}, nil, plain, []byte(name))
}

// errSealed does not tell wrong keys from values that were changed: nobody can.
var errSealed = errors.New("a stored value cannot be decrypted: it was stored with another key, or changed since")

// unlock is the reverse of lock.
func (s *seal) unlock(name string, sealed []byte) (value []byte, at time.Time, err error) {
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, time.Time{}, errSealed
	}
	plain, err := s.aead.Open(nil, nil, sealed[1:], []byte(name))
	if err != nil || len(plain) < 8 {
		return nil, time.Time{}, errSealed
	}
	return plain[8:], time.UnixMilli(int64(binary.BigEndian.Uint64(plain))), nil
}
