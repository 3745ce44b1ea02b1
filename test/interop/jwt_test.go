package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	golangjwt "github.com/golang-jwt/jwt/v5"
)

// hmacKey is long enough for every hash: go-jose takes no shorter one.
const hmacKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// TestJWTs has attache sign with every algorithm; go-jose and golang-jwt, neither of
// which is in attache, must both take the result.
func TestJWTs(t *testing.T) {
	dir := t.TempDir()
	keys := signingKeys(t, dir)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		alg := strings.TrimPrefix(r.URL.Path, "/")
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		for name, check := range map[string]func(token, alg string, key any) error{"go-jose": checkByGoJose, "golang-jwt": checkByGolangJWT} {
			if err := check(token, alg, keys[alg]); err != nil {
				http.Error(w, name+": "+err.Error(), http.StatusBadRequest)
				return
			}
		}
		io.WriteString(w, "good")
	}))
	t.Cleanup(api.Close)
	var credentials, routes strings.Builder
	for alg := range keys {
		recipe := filepath.Join(dir, alg+".yaml")
		text := fmt.Sprintf(`recipe: minted
params: {key: {required: true, secret: true}}
tokens:
  proof:
    let: {id: {uuid: v4}, start: {now: unix}, end: {now: unix, add: 5m}}
    mint: {alg: %s, key: "${key}", header: {kid: k1}, claims: {iss: app, sub: é&"\, aud: [api], jti: "${id}", iat: "${start}", exp: "${end}"}}
    lifetime: {jwt: exp}
inject:
  - {header: Authorization, value: "Bearer ${proof}"}
`, alg)
		if err := os.WriteFile(recipe, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		name := strings.ToLower(alg)
		fmt.Fprintf(&credentials, "  %s: {recipe: %s, with: {key: {file: %s}}}\n", name, recipe, filepath.Join(dir, alg))
		fmt.Fprintf(&routes, "  - {path: /%s, upstream: %q, use: %s}\n", alg, api.URL+"/"+alg, name)
	}
	a := start(t, "listen: 127.0.0.1:0\ncredentials:\n"+credentials.String()+"routes:\n"+routes.String())
	for alg := range keys {
		answer, err := http.Get("http://" + a.address + "/" + alg)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(body) != "good" {
			t.Errorf("%s: %s %s", alg, answer.Status, body)
		}
	}
}

// signingKeys writes a key for each algorithm into a file of its name, and returns
// what verifies.
func signingKeys(t *testing.T, dir string) map[string]any {
	t.Helper()
	keys := map[string]any{}
	write := func(alg, text string) {
		if err := os.WriteFile(filepath.Join(dir, alg), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	private := func(key crypto.Signer, err error, algs ...string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, alg := range algs {
			keys[alg] = key.Public()
			write(alg, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		}
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		keys[alg] = []byte(hmacKey)
		write(alg, hmacKey)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	private(rsaKey, err, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		private(key, err, alg)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	private(edKey, err, "EdDSA")
	return keys
}

const wantSubject = `é&"\`

func checkByGoJose(text, alg string, key any) error {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return err
	}
	var claims jwt.Claims
	if err := token.Claims(key, &claims); err != nil {
		return err
	}
	if token.Headers[0].KeyID != "k1" || claims.ID == "" {
		return fmt.Errorf("kid %q, jti %q", token.Headers[0].KeyID, claims.ID)
	}
	return claims.Validate(jwt.Expected{Issuer: "app", Subject: wantSubject, AnyAudience: jwt.Audience{"api"}, Time: time.Now()})
}

func checkByGolangJWT(text, alg string, key any) error {
	_, err := golangjwt.Parse(text, func(*golangjwt.Token) (any, error) { return key, nil }, golangjwt.WithValidMethods([]string{alg}),
		golangjwt.WithIssuer("app"), golangjwt.WithSubject(wantSubject), golangjwt.WithAudience("api"), golangjwt.WithExpirationRequired())
	return err
}
