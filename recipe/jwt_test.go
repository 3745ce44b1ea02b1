package recipe

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/refresher"
)

// testKeys are private keys of every kind, in PEM, made once.
type testKeys struct{ rsa, rsa1, p256, sec1, p384, p521, ed25519 string }

func newTestKeys(t testing.TB) testKeys {
	t.Helper()
	pkcs8 := func(key any, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pemText("PRIVATE KEY", der)
	}
	var k testKeys
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	k.rsa = pkcs8(r, err)
	k.rsa1 = pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r))
	p, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.p256 = pkcs8(p, err)
	der, _ := x509.MarshalECPrivateKey(p)
	k.sec1 = pemText("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) + pemText("EC PRIVATE KEY", der)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	k.p384 = pkcs8(p384, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	k.p521 = pkcs8(p521, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	k.ed25519 = pkcs8(ed, err)
	return k
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestJWT signs with every algorithm and checks the signature with the key's
// public half.
func TestJWT(t *testing.T) {
	k := newTestKeys(t)
	for alg, keys := range map[string][]string{
		"HS256": {"short"}, "HS384": {k.rsa}, "HS512": {"x"},
		"RS256": {k.rsa, k.rsa1, strings.ReplaceAll(k.rsa1, "\n", `\n`)}, "RS384": {k.rsa}, "RS512": {k.rsa1},
		"PS256": {k.rsa}, "PS384": {k.rsa1}, "PS512": {k.rsa},
		"ES256": {k.p256, k.sec1}, "ES384": {k.p384}, "ES512": {k.p521},
		"EdDSA": {k.ed25519},
	} {
		for _, key := range keys {
			header, claims, input, signature := splitJWT(t, signedBy(t, alg, key))
			if want := `{"alg":"` + alg + `","typ":"JWT","kid":"k1"}`; header != want {
				t.Errorf("%s: header %s, want %s", alg, header, want)
			}
			const want = `{"iss":"app","n":7,"iat":1714564740,"exp":1714565400,"at":"2024-05-01T12:00:00Z","list":[1,true,null,{"a":"b"}]}`
			if claims != want {
				t.Errorf("%s: claims %s, want %s", alg, claims, want)
			}
			if !verified(t, alg, key, input, signature) {
				t.Errorf("%s: the signature is wrong", alg)
			}
			if verified(t, alg, key, input+"x", signature) {
				t.Errorf("%s: the signature fits another text", alg)
			}
		}
	}
	if got := jwtAlgorithms(); len(got) != 13 {
		t.Errorf("%d algorithms, and not all of them are tested", len(got))
	}
}

const jwtRecipe = `
recipe: x
params: {key: {secret: true}, n: {type: int, default: "7"}, none: {}}
tokens:
  access:
    let:
      iat: {now: unix, add: -60s}
      exp: {now: unix, add: 10m}
      at: {now: rfc3339}
      proof:
        jwt:
          alg: ALG
          key: "${key}"
          header: {kid: k1, x: "${none}"}
          claims: {iss: app, n: "${n}", iat: "${iat}", exp: "${exp}", at: "${at}", gone: "${none}", list: [1, true, null, {a: b}]}
    request: {url: "https://h/", headers: {Authorization: "Bearer ${proof}"}}
    value: {json: t}
    lifetime: [1h]
`

// jwtProgram binds jwtRecipe.
func jwtProgram(t testing.TB, alg string, key *secret.Ref) (*TokenProgram, error) {
	rep := &yamldoc.Report{}
	r, ok := Parse(rep, "r", []byte(strings.Replace(jwtRecipe, "ALG", alg, 1)))
	if !ok {
		t.Fatal(rep.Err())
	}
	c, ok := Bind(rep, r, BindConfig{Name: "c", With: map[string]Origin{"key": {Ref: key}}})
	if !ok {
		return nil, rep.Err()
	}
	return c.program("access"), nil
}

func signedBy(t testing.TB, alg, key string) string {
	t.Helper()
	p, err := jwtProgram(t, alg, secret.Literal(key))
	if err != nil {
		t.Fatalf("%s: %v", alg, err)
	}
	token := ""
	rt := roundTrip(func(req *http.Request) (*http.Response, error) {
		token = strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
		return nil, io.EOF
	})
	_, err = fixedSource(p, rt).Fetch(t.Context(), refresher.Input{})
	if token == "" {
		t.Fatalf("%s: %v", alg, err)
	}
	return token
}

func splitJWT(t testing.TB, token string) (header, claims, input string, signature []byte) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q has %d parts", token, len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	if !json.Valid(decoded[0]) || !json.Valid(decoded[1]) {
		t.Fatalf("%s and %s are no JSON", decoded[0], decoded[1])
	}
	return string(decoded[0]), string(decoded[1]), parts[0] + "." + parts[1], decoded[2]
}

func verified(t testing.TB, alg, key, input string, signature []byte) bool {
	t.Helper()
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	if strings.HasPrefix(alg, "HS") {
		mac := hmac.New(hash.New, []byte(key))
		io.WriteString(mac, input)
		return hmac.Equal(mac.Sum(nil), signature)
	}
	private, err := parsePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var digest []byte
	if hash != 0 {
		h := hash.New()
		io.WriteString(h, input)
		digest = h.Sum(nil)
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		if alg[0] == 'P' {
			return rsa.VerifyPSS(&k.PublicKey, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(&k.PublicKey, hash, digest, signature) == nil
	case *ecdsa.PrivateKey:
		half := len(signature) / 2
		if want := map[string]int{"ES256": 64, "ES384": 96, "ES512": 132}[alg]; len(signature) != want {
			t.Errorf("%s: the signature has %d bytes, want %d", alg, len(signature), want)
		}
		return ecdsa.Verify(&k.PublicKey, digest, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
	case ed25519.PrivateKey:
		return ed25519.Verify(k.Public().(ed25519.PublicKey), []byte(input), signature)
	}
	return false
}

// TestJWTKeys: a key that does not fit is found when the configuration is read,
// and no message repeats any of it.
func TestJWTKeys(t *testing.T) {
	k := newTestKeys(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := x509.MarshalPKIXPublicKey(&small.PublicKey)
	body := strings.Split(k.p256, "\n")[1]
	for _, tt := range []struct{ alg, key, want string }{
		{"RS256", "opaque", "the key is no private key in PEM; give the whole text from BEGIN to END"},
		{"RS256", pemText("PUBLIC KEY", public), "the key is no private key in PEM; give the whole text from BEGIN to END"},
		{"RS256", pemText("ENCRYPTED PRIVATE KEY", []byte("x")), "the key is encrypted; give it without a passphrase"},
		{"RS256", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\neA==\n-----END RSA PRIVATE KEY-----\n", "the key is encrypted; give it without a passphrase"},
		{"RS256", pemText("RSA PRIVATE KEY", []byte("x")), "the key is a damaged RSA PRIVATE KEY"},
		{"RS256", pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), "the key is RSA of 1024 bits; RS256 wants 2048 at least (RFC 7518)"},
		{"RS256", k.p256, "the key is ECDSA, which does not sign RS256"},
		{"ES256", k.rsa, "the key is RSA, which does not sign ES256"},
		{"ES256", k.p384, "the key is on the curve P-384; ES256 wants P-256"},
		{"ES512", k.ed25519, "the key is Ed25519, which does not sign ES512"},
		{"EdDSA", k.p256, "the key is ECDSA, which does not sign EdDSA"},
	} {
		for _, from := range []string{"text", "file"} {
			ref := secret.Literal(tt.key)
			if from == "file" {
				path := filepath.Join(t.TempDir(), "key")
				writeFile(t, path, tt.key)
				ref = secret.File(path)
			}
			_, err := jwtProgram(t, tt.alg, ref)
			if err == nil || !strings.HasSuffix(err.Error(), "token access: "+tt.want) {
				t.Errorf("%s with a %s: %v, want %s", tt.alg, from, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), body) {
				t.Errorf("the message holds the key: %v", err)
			}
		}
	}
}

// TestJWTKeyIsReadAgain: the login signs with what the file holds now, and one
// that can no longer sign makes it fail for good, without a word of the key.
func TestJWTKeyIsReadAgain(t *testing.T) {
	k := newTestKeys(t)
	path := filepath.Join(t.TempDir(), "key")
	writeFile(t, path, k.p256)
	p, err := jwtProgram(t, "ES256", secret.File(path))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "opaque-secret")
	rt := roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, io.EOF
	})
	transcript, _, err := fixedSource(p, rt).trace(t.Context(), refresher.Input{})
	fe, ok := err.(*refresher.FetchError)
	if want := "let proof: the key is no private key in PEM; give the whole text from BEGIN to END"; !ok || fe.Class != refresher.Permanent || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	var shown strings.Builder
	_ = transcript.Write(&shown, nil)
	if strings.Contains(shown.String(), "opaque-secret") {
		t.Errorf("the transcript holds the key:\n%s", &shown)
	}
}

// TestTimesAsNumbers: a time in a body is a text, unless it says otherwise.
func TestTimesAsNumbers(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  access:
    let: {a: {now: unix_ms}, b: {now: unix_ms, type: int}, c: {now: unix, type: string}}
    request: {url: "https://h/", json: {a: "${a}", b: "${b}", c: "${c}", d: "at ${b}"}, query: {b: "${b}"}}
    value: {json: t}
    lifetime: [1h]
`
	rt := &canned{answer: []byte("HTTP/1.1 200 OK\n\n{\"t\":\"x\"}")}
	p := loadConfig(t, recipe, "credentials: {c: {with: {}}}").creds["c"].program("access")
	if _, err := fixedSource(p, rt).Fetch(t.Context(), refresher.Input{}); err != nil {
		t.Fatal(err)
	}
	const want = `{"a":"1714564800000","b":1714564800000,"c":"1714564800","d":"at 1714564800000"}`
	if !strings.Contains(rt.sent, want) || !strings.Contains(rt.sent, "?b=1714564800000 ") {
		t.Errorf("sent\n%s\nwant %s", rt.sent, want)
	}
}
