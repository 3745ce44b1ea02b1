package recipe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
)

// minRSABits is what RFC 7518 section 3.3 asks of keys.
const minRSABits = 2048

// jwtSigner signs with a key that fits its algorithm. One of the keys is set.
type jwtSigner struct {
	hash    crypto.Hash
	pss     bool
	secret  []byte
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

// newJWTSigner takes a text as it is for HS…, and a private key in PEM for the
// others. Errors never repeat any of the key.
func newJWTSigner(alg, key string) (*jwtSigner, error) {
	s := &jwtSigner{hash: hashOf(alg)}
	if strings.HasPrefix(alg, "HS") {
		if key == "" {
			return nil, errors.New("the key is empty")
		}
		s.secret = []byte(key)
		return s, nil
	}
	private, err := parsePrivateKey(key)
	if err != nil {
		return nil, err
	}
	switch alg[:2] {
	case "RS", "PS":
		s.rsa, _ = private.(*rsa.PrivateKey)
		s.pss = alg[0] == 'P'
	case "ES":
		s.ecdsa, _ = private.(*ecdsa.PrivateKey)
	case "Ed":
		s.ed25519, _ = private.(ed25519.PrivateKey)
	}
	if why := s.unfit(alg, private); why != "" {
		return nil, errors.New(why)
	}
	return s, nil
}

// unfit says why a private key does not go with the algorithm, or "".
func (s *jwtSigner) unfit(alg string, private any) string {
	switch {
	case s.rsa != nil:
		if n := s.rsa.N.BitLen(); n < minRSABits {
			return fmt.Sprintf("the key is RSA of %d bits; %s wants %d at least (RFC 7518)", n, alg, minRSABits)
		}
		return ""
	case s.ecdsa != nil:
		want := map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg]
		if is := s.ecdsa.Curve.Params().Name; is != want {
			return fmt.Sprintf("the key is on the curve %s; %s wants %s", is, alg, want)
		}
		return ""
	case s.ed25519 != nil:
		return ""
	}
	kind := "of a kind that is not known here"
	switch private.(type) {
	case *rsa.PrivateKey:
		kind = "RSA"
	case *ecdsa.PrivateKey:
		kind = "ECDSA"
	case ed25519.PrivateKey:
		kind = "Ed25519"
	}
	return fmt.Sprintf("the key is %s, which does not sign %s", kind, alg)
}

// parsePrivateKey reads the first private key of a PEM text, in PKCS #8, PKCS #1
// or SEC 1. What stands before it, such as the parameters of a curve, is skipped.
func parsePrivateKey(text string) (any, error) {
	// In environment variables line breaks are often written as \n, which means
	// nothing else in PEM.
	rest := []byte(strings.ReplaceAll(text, `\n`, "\n"))
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("the key is no private key in PEM; give the whole text from BEGIN to END")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, errors.New("the key is encrypted; give it without a passphrase")
		}
		var key any
		var err error
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		}
		if err != nil {
			// What the parser says could quote bytes of the key.
			return nil, fmt.Errorf("the key is a damaged %s", block.Type)
		}
		return key, nil
	}
}

// sign returns the signature as RFC 7518 section 3 and RFC 8037 have it.
func (s *jwtSigner) sign(input []byte, random io.Reader) ([]byte, error) {
	if s.ed25519 != nil {
		return ed25519.Sign(s.ed25519, input), nil
	}
	if s.secret != nil {
		mac := hmac.New(s.hash.New, s.secret)
		mac.Write(input)
		return mac.Sum(nil), nil
	}
	h := s.hash.New()
	h.Write(input)
	digest := h.Sum(nil)
	switch {
	case s.rsa != nil && s.pss:
		return signed(rsa.SignPSS(random, s.rsa, s.hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	case s.rsa != nil:
		return signed(rsa.SignPKCS1v15(nil, s.rsa, s.hash, digest))
	}
	r, t, err := ecdsa.Sign(random, s.ecdsa, digest)
	if err != nil {
		return signed(nil, err)
	}
	size := (s.ecdsa.Curve.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	t.FillBytes(out[size:])
	return out, nil
}

// signed keeps what a library says of a key out of errors.
func signed(signature []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, errors.New("the key cannot sign")
	}
	return signature, nil
}
