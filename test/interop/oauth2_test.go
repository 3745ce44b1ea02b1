package interop

import (
	"crypto"
	"crypto/ecdsa"
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
)

// oauth2Case is a recipe and what the server must make of it. The path of its
// token endpoint says how the server knows the client.
type oauth2Case struct {
	name, recipe, path string
	with               string // beside token_url
	want               string // what the API is told: client, user and scope
}

func oauth2Cases(dir string) []oauth2Case {
	assertion := fmt.Sprintf("client_id: signing, scope: read, key_id: k1, private_key: {file: %s}", dir)
	return []oauth2Case{
		{"client credentials, Basic", "oauth2/client-credentials", "/token/basic",
			`client_id: "urn:app 1", client_secret: "a+b/c=%&: é", scope: "read write"`, "urn:app 1//read write"},
		{"client credentials, Basic as it is", "oauth2/client-credentials-unescaped", "/token/unescaped",
			`client_id: app+2, client_secret: "a+b/c=%&: é"`, "app+2//"},
		{"client credentials, form", "oauth2/client-credentials-post", "/token/form",
			`client_id: "urn:app 1", client_secret: "a+b/c=%&: é", scope: read`, "urn:app 1//read"},
		{"private key, RS256", "oauth2/private-key-jwt", "/token/RS256", assertion, "signing//read"},
		{"private key, PS256", "oauth2/private-key-jwt-ps256", "/token/PS256", assertion, "signing//read"},
		{"private key, ES256", "oauth2/private-key-jwt-es256", "/token/ES256", assertion, "signing//read"},
		{"password, Basic", "oauth2/password", "/token/basic",
			`client_id: "urn:app 1", client_secret: "a+b/c=%&: é", username: anna, password: "p&w 1", scope: read`, "urn:app 1/anna/read"},
		{"password, public client", "oauth2/password-post", "/token/form",
			`client_id: public, username: anna, password: "p&w 1"`, "public/anna/"},
		{"JWT bearer, RS256", "oauth2/jwt-bearer", "/token/bearer-RS256",
			fmt.Sprintf("issuer: signing, subject: anna, scope: read, private_key: {file: %s}", dir), "signing/anna/read"},
		{"JWT bearer, ES256", "oauth2/jwt-bearer-es256", "/token/bearer-ES256",
			fmt.Sprintf("issuer: signing, subject: anna, private_key: {file: %s}", dir), "signing/anna/"},
	}
}

// TestOAuth2 logs in at a server of go-oauth2 with every recipe that it can
// serve, uses the token, and has it renewed once the server has forgotten it.
func TestOAuth2(t *testing.T) {
	keys := map[string]crypto.Signer{}
	var err error
	if keys["RSA"], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if keys["EC"], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, key := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority := newOAuth2Authority(t, keys)
	server := httptest.NewServer(authority)
	t.Cleanup(server.Close)
	authority.url = server.URL

	cases := oauth2Cases(dir)
	var credentials, routes strings.Builder
	for i, c := range cases {
		key := "/RSA}"
		if strings.Contains(c.path, "ES256") {
			key = "/EC}"
		}
		with := strings.ReplaceAll(c.with, dir+"}", dir+key)
		fmt.Fprintf(&credentials, "  c%d: {recipe: %s, with: {token_url: %q, %s}}\n", i, c.recipe, server.URL+c.path, with)
		fmt.Fprintf(&routes, "  - {path: /%d/, upstream: %q, use: [c%d]}\n", i, server.URL+"/api", i)
	}
	a := start(t, "listen: 127.0.0.1:0\ncredentials:\n"+credentials.String()+"routes:\n"+routes.String())

	s := suite{name: "OAuth 2.0 logins at a server of go-oauth2, refused tokens renewed", version: moduleVersion(t, "github.com/go-oauth2/oauth2/v4"), tests: len(cases)}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if authority.try(t, c, fmt.Sprintf("http://%s/%d/whoami", a.address, i)) {
				s.passed++
			}
		})
	}
	if logged := a.log.String(); strings.Contains(logged, "p&w 1") || strings.Contains(logged, "a+b/c") || strings.Contains(logged, "PRIVATE KEY") {
		t.Errorf("a secret is in the log:\n%s", logged)
	}
	record(t, s)
}

// try asks the API, has the server forget the token, and asks again: the same
// answer comes, by a second token.
func (o *oauth2Authority) try(t *testing.T, c oauth2Case, address string) bool {
	t.Helper()
	var tokens []string
	for range 2 {
		answer, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK || string(body) != c.want {
			t.Errorf("got %d %q, want %q", answer.StatusCode, body, c.want)
			return false
		}
		tokens = append(tokens, o.used())
		if err := o.manager.RemoveAccessToken(t.Context(), o.used()); err != nil {
			t.Fatal(err)
		}
	}
	if tokens[0] == tokens[1] {
		t.Errorf("the token %s was used twice, although the server had forgotten it", tokens[0])
		return false
	}
	return true
}
