package recipe

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"attache/refresher"
)

// TestLet computes every function; the hashes are those of RFC 4231 section
// 4.3 (HMAC) and of the text "abc" (FIPS 180-4, RFC 1321).
func TestLet(t *testing.T) {
	for _, tt := range []struct{ let, want string }{
		{`{now: unix}`, "1714564800"},
		{`{now: unix_ms, add: -60s}`, "1714564740000"},
		{`{now: rfc3339, add: 1h30m}`, "2024-05-01T13:30:00Z"},
		{`{base64: "${p}:\u00ff"}`, "YWJjOsO/"},
		{`{percent: "a b+c&d=~*/:ÿ"}`, "a%20b%2Bc%26d%3D~%2A%2F%3A%C3%BF"},
		{`{hmac_sha1: "what do ya want for nothing?", key: 4a656665, key_decode: hex}`, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{`{hmac_sha1: "what do ya want for nothing?", key: SmVmZQ==, key_decode: base64}`, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{`{uuid: v4}`, "00000000-0000-4000-8000-000000000000"},
		{`{nonce: 5}`, "AAAAA"},
		{`{md5: "${p}"}`, "900150983cd24fb0d6963f7d28e17f72"},
		{`{sha1: abc}`, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{`{sha256: abc}`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{`{sha256: abc, encode: base64}`, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="},
		{`{sha256: abc, encode: base64url}`, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"},
		{`{sha384: abc, encode: base64url}`, "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP_W-2AhgcroefMI1i67KE0yCWn"},
		{`{sha512: abc, encode: hex}`, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{`{hmac_sha256: "what do ya want for nothing?", key: Jefe}`, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{`{hmac_sha384: "what do ya want for nothing?", key: Jefe}`, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"},
		{`{hmac_sha512: "what do ya want for nothing?", key: Jefe}`, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		{`{hmac_sha1: "what do ya want for nothing?", key: Jefe}`, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{`{hmac_md5: "what do ya want for nothing?", key: Jefe}`, "750c783e6ab0b503eaa86e310a5db738"},
		{`{hmac_sha256: "what do ya want for nothing?", key: Jefe, encode: base64}`, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="},
		{`{hmac_sha512: "what do ya want for nothing?", key: Jefe, encode: base64url}`, "Fkt6e_z4GeLjlfvnO1bgo4e9ZCIugx_WECcM1-olBVSXWL91wFqZSm0DT2X48Ob9yuqxo01Ka0tjbgcKOLznNw"},
		{`{md5: abc, encode: base64}`, "kAFQmDzST7DWlj99KOF/cg=="},
		{`{md5: "${earlier}x"}`, "fd5fe9ef9f82c254cc62b2baa1209151"},
		{`{md5: "${none}"}`, ""},              // no value: what mentions it is left out
		{`{hmac_md5: x, key: "${none}"}`, ""}, // likewise
	} {
		recipe := "recipe: x\nparams: {p: {default: abc}, none: {}}\ntokens:\n  access:\n    let:\n      earlier: {base64: \"${p}\"}\n      v: " + tt.let +
			"\n    request: {url: \"https://h/\", headers: {V: \"${v}\", W: \"${v}\"}}\n    value: {json: t}\n    lifetime: [1h]\n"
		c := loadConfig(t, recipe, "credentials: {c: {with: {}}}")
		var v, w []string
		rt := roundTrip(func(req *http.Request) (*http.Response, error) {
			v, w = req.Header["V"], req.Header["W"]
			return nil, io.EOF
		})
		_, _ = fixedSource(c.creds["c"].program("access"), rt).Fetch(t.Context(), refresher.Input{})
		if got := strings.Join(v, "|"); got != tt.want {
			t.Errorf("%s = %q, want %q", tt.let, got, tt.want)
		}
		if strings.Join(v, "|") != strings.Join(w, "|") {
			t.Errorf("%s is computed twice: %q and %q", tt.let, v, w)
		}
	}
}

// TestSignedQuery makes the signature that Alibaba Cloud documents as an example:
// https://help.aliyun.com/document_detail/113251.html.
func TestSignedQuery(t *testing.T) {
	const recipe = `
recipe: x
params: {time: {default: "2019-04-18T08:32:31Z"}}
tokens:
  access:
    let:
      at: {percent: "${time}"}
      query: {percent: "AccessKeyId=my_access_key_id&Action=CreateToken&Format=JSON&RegionId=cn-shanghai&SignatureMethod=HMAC-SHA1&SignatureNonce=b924c8c3-6d03-4c5d-ad36-d984d3116788&SignatureVersion=1.0&Timestamp=${at}&Version=2019-02-28"}
      sign: {hmac_sha1: "GET&%2F&${query}", key: "my_access_key_secret&", encode: base64}
    static: "${sign}"
`
	got, _ := originToken(t, recipe, "", nil)
	if want := "value: hHq4yNsPitlfDJ2L0nQPdugdEzM=\nlifetime: until_refused\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestRandomValuesDiffer(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  access:
    let: {id: {uuid: v4}, n: {nonce: 200}}
    request: {url: "https://h/", headers: {Id: "${id}", N: "${n}"}}
    value: {json: t}
    lifetime: [1h]
`
	c := loadConfig(t, recipe, "credentials: {c: {with: {}}}")
	seen := map[string]bool{}
	rt := roundTrip(func(req *http.Request) (*http.Response, error) {
		id, n := req.Header.Get("Id"), req.Header.Get("N")
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
			t.Errorf("%q is no UUID", id)
		}
		if !regexp.MustCompile(`^[A-Za-z0-9]{200}$`).MatchString(n) {
			t.Errorf("%q is no nonce", n)
		}
		if seen[id] || seen[n] {
			t.Error("a random value came twice")
		}
		seen[id], seen[n] = true, true
		return nil, io.EOF
	})
	src := c.creds["c"].program("access").Source(rt, "")
	for range 20 {
		_, _ = src.Fetch(t.Context(), refresher.Input{})
	}
}

func TestLifetime(t *testing.T) {
	jwt := func(claims string) string { return "e30." + strings.TrimRight(b64(claims), "=") + ".sig" }
	for _, tt := range []struct {
		lifetime, answer, want string
	}{
		{`[{json: e, as: seconds}]`, `{"e":600}`, "10m0s"},
		{`[{json: e, as: seconds}]`, `{"e":"600"}`, "10m0s"},
		{`[{json: e, as: seconds}]`, `{"e":" 6e2 "}`, "10m0s"},
		{`[{json: e, as: seconds}]`, `{"e":0.5}`, "500ms"},
		{`[{json: e, as: seconds}]`, `{"e":0}`, "zero"},
		{`[{json: e, as: seconds}]`, `{"e":-5}`, "negative"},
		{`[{json: e, as: seconds}]`, `{"e":1e12}`, "10 years"},
		{`[{json: e, as: seconds}]`, `{"e":1e999}`, "no number"},
		{`[{json: e, as: seconds}]`, `{"e":"NaN"}`, "no number"},
		{`[{json: e, as: seconds}]`, `{"e":"soon"}`, "no number"},
		{`[{json: e, as: seconds}]`, `{"e":null}`, "missing"},
		{`[{json: e, as: seconds}]`, `{"e":{}}`, "no text"},
		{`[{json: e, as: milliseconds}]`, `{"e":1500}`, "1.5s"},
		{`[{json: e, as: minutes}]`, `{"e":2}`, "2m0s"},
		{`[{json: e, as: epoch}]`, `{"e":1714564860}`, "1m0s"},
		{`[{json: e, as: epoch}]`, `{"e":"1714564860000"}`, "1m0s"},
		{`[{json: e, as: epoch}]`, `{"e":1714564800}`, "zero"},
		{`[{json: e, as: epoch}]`, `{"e":1714564799}`, "past"},
		{`[{json: e, as: epoch}]`, `{"e":99999999999}`, "10 years"},
		{`[{json: e, as: rfc3339}]`, `{"e":"2024-05-01T14:00:00+01:00"}`, "1h0m0s"},
		{`[{json: e, as: rfc3339}]`, `{"e":"2024-05-01T11:00:00Z"}`, "past"},
		{`[{json: e, as: rfc3339}]`, `{"e":"tomorrow"}`, "no RFC 3339 time"},
		{`[{header: X-Ttl, as: seconds}]`, `{}`, "30s"},
		{`[{header: X-Other, as: seconds}]`, `{}`, "missing"},
		{`[{jwt: exp}]`, `{"t":"` + jwt(`{"exp":1714564860}`) + `"}`, "1m0s"},
		{`[{jwt: exp}]`, `{"t":"` + jwt(`{"exp":"1714564860"}`) + `"}`, "missing"},
		{`[{jwt: exp}]`, `{"t":"` + jwt(`{"exp":1}`) + `"}`, "past"},
		{`[{jwt: exp}]`, `{"t":"` + jwt(`[`) + `"}`, "missing"},
		{`[{jwt: exp}]`, `{"t":"opaque"}`, "missing"},
		{`1h`, `{}`, "1h0m0s"},
		{`until_refused`, `{}`, "0s"},
		{`[{json: e, as: seconds}, {jwt: exp}, 5m]`, `{"e":0}`, "5m0s"},
		{`[{json: e, as: seconds}, until_refused]`, `{"e":"x"}`, "0s"},
		{`[{json: e, as: seconds}, 5m]`, `{"e":1}`, "1s"},
	} {
		recipe := "recipe: x\ntokens:\n  access:\n    request: {url: \"https://h/\"}\n    value: [{json: t}, {header: X-Ttl}]\n    lifetime: " + tt.lifetime + "\n"
		p := loadConfig(t, recipe, "credentials: {c: {with: {}}}").creds["c"].program("access")
		src := fixedSource(p, &canned{answer: []byte("HTTP/1.1 200 OK\nX-Ttl: 30\n\n" + tt.answer)})
		warning := ""
		src.Warn = func(text string) { warning = text }
		tok, err := src.Fetch(t.Context(), refresher.Input{})
		if err != nil {
			t.Fatal(err)
		}
		got := tok.Lifetime()
		if want, err := time.ParseDuration(tt.want); err == nil {
			if got != want || warning != "" || tt.want == "0s" != tok.ExpiresAt.IsZero() {
				t.Errorf("%s of %s: %v, want %v (warning %q)", tt.lifetime, tt.answer, got, want, warning)
			}
		} else if got != time.Minute || !strings.Contains(warning, tt.want) {
			t.Errorf("%s of %s: %v, want the fallback and a warning about %q, got %q", tt.lifetime, tt.answer, got, tt.want, warning)
		}
	}
}

func TestCookieToken(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  access:
    request: {url: "https://h/"}
    value: {cookie: session}
    lifetime: [{cookie: max_age}, 7m]
`
	p := loadConfig(t, recipe, "credentials: {c: {with: {}}}").creds["c"].program("access")
	for _, tt := range []struct{ cookies, value, lifetime string }{
		{"Set-Cookie: session=a%3D; Max-Age=60; Path=/", "a%3D", "1m0s"},
		{"Set-Cookie: session=a; Expires=Wed, 01 May 2024 12:02:00 GMT", "a", "2m0s"},
		{"Set-Cookie: session=a; Max-Age=0", "a", "7m0s"},
		{"Set-Cookie: session=a", "a", "7m0s"},
		{"Set-Cookie: other=x\nSet-Cookie: session=a; Max-Age=1\nSet-Cookie: session=b; Max-Age=2", "b", "2s"},
		{"Set-Cookie: other=x", "", ""},
	} {
		tok, err := fixedSource(p, &canned{answer: []byte("HTTP/1.1 200 OK\n" + tt.cookies + "\n\n")}).Fetch(t.Context(), refresher.Input{})
		if tt.value == "" {
			if err == nil {
				t.Errorf("%s: got a token", tt.cookies)
			}
			continue
		}
		if err != nil || tok.Value.Reveal() != tt.value || tok.Lifetime().String() != tt.lifetime {
			t.Errorf("%s: %q for %v, %v; want %q for %s", tt.cookies, tok.Value.Reveal(), tok.Lifetime(), err, tt.value, tt.lifetime)
		}
	}
}

func TestPolicy(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  plain: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
  tuned:
    request: {url: "https://h/", timeout: 3s}
    value: {json: t}
    lifetime: 1h
    renewal: {at: 0.9, margin: 1m, jitter: 0, min_interval: 5s, useless_before: 5m, same_value: backoff, previous: dies, max_per_hour: 6}
`
	c := loadConfig(t, recipe, "credentials:\n  c: {with: {}}\n  d: {with: {}, refresh: {at: 0.6, jitter: 0.1, timeout: 20s, same_value: accept, previous: overlaps}}\n")
	for _, tt := range []struct {
		cred, token string
		want        refresher.Policy
	}{
		{"c", "plain", refresher.Policy{Timeout: 10 * time.Second}},
		{"c", "tuned", refresher.Policy{At: 0.9, Margin: time.Minute, Jitter: -1, MinInterval: 5 * time.Second, Timeout: 3 * time.Second,
			UselessBefore: 5 * time.Minute, SameValueBacksOff: true, PreviousDies: true, MaxPerHour: 6}},
		{"d", "tuned", refresher.Policy{At: 0.6, Margin: time.Minute, Jitter: 0.1, MinInterval: 5 * time.Second, Timeout: 20 * time.Second,
			UselessBefore: 5 * time.Minute, MaxPerHour: 6}},
	} {
		if got := c.creds[tt.cred].program(tt.token).Policy; got != tt.want {
			t.Errorf("%s.%s: %+v, want %+v", tt.cred, tt.token, got, tt.want)
		}
	}
}
