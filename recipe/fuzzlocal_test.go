package recipe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"attache/refresher"
)

// FuzzLocalToken: whatever a file holds or a command prints, the outcome is a
// token that is legal in a header, or a printable error.
func FuzzLocalToken(f *testing.F) {
	f.Add("tok\n", "")
	f.Add("a\r\nX: y", "why\r\nnot")
	f.Add(`{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"tok","expirationTimestamp":"2024-05-01T12:30:00Z"}}`, "")
	f.Add(`{"apiVersion":{},"kind":[],"status":"\u0000"}`, "\x1b[2J\x00")
	f.Add(strings.Repeat("[", 1000), "\xff")
	f.Add("a.eyJleHAiOjE3MTQ1NjQ4NjB9.c", "a.eyJleHAiOjE3MTQ1NjQ4NjB9.c")
	const recipe = `
recipe: x
params: {path: {}}
tokens:
  file: {file: "${path}", outputs: {o: {json: "0.a"}}}
  credential: {exec: {command: [c]}}
  text: {exec: {command: [c]}, value: {text: true}, lifetime: [{jwt: exp}, until_refused]}
`
	path := filepath.Join(f.TempDir(), "token")
	c := loadConfig(f, recipe, "credentials: {c: {with: {path: "+path+"}}}").creds["c"]
	f.Fuzz(func(t *testing.T, out, said string) {
		if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Tokens() {
			src := fixedSource(p, nil)
			src.run = func(context.Context, Command) ([]byte, []byte, error) {
				if said != "" {
					return []byte(out), []byte(said), io.ErrUnexpectedEOF
				}
				return []byte(out), nil, nil
			}
			_, tok, err := src.trace(t.Context(), refresher.Input{})
			if err != nil {
				if _, ok := err.(*refresher.FetchError); !ok {
					t.Fatalf("%v is no FetchError", err)
				}
				if text := err.Error(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) || len(text) > 1000 {
					t.Errorf("error %q", text)
				}
				continue
			}
			v := tok.Value.Reveal()
			if v == "" || badInHeader(v) != "" || len(v) > maxValue || strings.TrimSpace(v) != v && p.Name != "credential" {
				t.Errorf("token %q", v)
			}
			if life := tok.Lifetime(); life < 0 || life > maxLifetime {
				t.Errorf("lifetime %v", life)
			}
		}
	})
}

// FuzzJWT: a value never leaves its place in the header or in the claims, and a
// JWT is one word of the base64url alphabet.
func FuzzJWT(f *testing.F) {
	for _, seed := range []string{"x", "", `","admin":true,"x":"`, "a\r\nX: y", "\x00", "é ", "\\", "<>&\u2028", "."} {
		f.Add(seed)
	}
	const recipe = `
recipe: x
params: {v: {}, k: {secret: true, default: key}}
tokens:
  access:
    let:
      now: {now: unix}
      j: {jwt: {alg: HS256, key: "${k}", header: {kid: "${v}"}, claims: {iss: "${v}", iat: "${now}", list: ["${v}"]}}}
    request: {url: "https://h/", headers: {Authorization: "Bearer ${j}"}}
    value: {json: t}
    lifetime: 1h
`
	c := loadConfig(f, recipe, "credentials: {c: {with: {v: {header: X}}}}").creds["c"]
	f.Fuzz(func(t *testing.T, v string) {
		if !utf8.ValidString(v) {
			t.Skip("no parameter is like that")
		}
		sent := false
		rt := roundTrip(func(req *http.Request) (*http.Response, error) {
			sent = true
			parts := strings.Split(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), ".")
			if len(parts) != 3 {
				t.Fatalf("%q: %d parts", v, len(parts))
			}
			var header, claims map[string]any
			for i, into := range []*map[string]any{&header, &claims} {
				data, err := base64.RawURLEncoding.DecodeString(parts[i])
				if err != nil || json.Unmarshal(data, into) != nil {
					t.Fatalf("%q: part %d is %s, %v", v, i, data, err)
				}
			}
			list, _ := claims["list"].([]any)
			if header["kid"] != v || claims["iss"] != v || len(list) != 1 || list[0] != v {
				t.Errorf("%q: header %v, claims %v", v, header, claims)
			}
			if len(header) != 3 || header["alg"] != "HS256" || len(claims) != 3 || claims["iat"] != 1714564800.0 {
				t.Errorf("%q: header %v, claims %v", v, header, claims)
			}
			return nil, io.EOF
		})
		_, err := fixedSource(c.program("access"), rt).Fetch(t.Context(), refresher.Input{Params: refresher.Params{v}})
		if _, ok := err.(*refresher.FetchError); !ok || !sent {
			t.Errorf("%q: %v", v, err)
		}
	})
}

// FuzzPrivateKey: whatever is given for a key, it is one or there is an error
// that has nothing of it.
func FuzzPrivateKey(f *testing.F) {
	k := newTestKeys(f)
	for _, seed := range []string{"", "opaque-text", k.rsa, k.rsa1, k.sec1, k.ed25519, strings.Replace(k.p256, "M", "N", 1), k.p256[:60], strings.ReplaceAll(k.p256, "\n", `\n`)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
			s, err := newJWTSigner(alg, key)
			if err == nil {
				if out, err := s.sign([]byte("x"), zeros{}); err == nil && len(out) == 0 {
					t.Error("an empty signature")
				}
				continue
			}
			if text := err.Error(); len(text) > 200 || len(key) > 40 && strings.Contains(text, key[:40]) {
				t.Errorf("error %q", text)
			}
		}
	})
}
