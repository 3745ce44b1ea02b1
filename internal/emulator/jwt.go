package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strings"
)

// signJWT returns header.claims.signature, the first two being JSON texts.
func signJWT(sum func() hash.Hash, key, header, claims string) string {
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(claims))
	return signed + "." + enc.EncodeToString(mac(sum, key, signed))
}

func mac(sum func() hash.Hash, key, text string) []byte {
	m := hmac.New(sum, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

// splitJWT returns the decoded parts of a JWT and what was signed.
func splitJWT(token string) (header, claims, signature []byte, signed string, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, nil, "", false
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return nil, nil, nil, "", false
		}
		decoded[i] = b
	}
	return decoded[0], decoded[1], decoded[2], parts[0] + "." + parts[1], true
}

func hs256(key, text string) []byte { return mac(sha256.New, key, text) }

func signHS256(key, claims string) string {
	return signJWT(sha256.New, key, `{"alg":"HS256","typ":"JWT"}`, claims)
}

func signHS512(key, claims string) string {
	return signJWT(sha512.New, key, `{"typ":"JWT","alg":"HS512"}`, claims)
}
