package recipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// loginRecipe has one of everything that a login can mention.
const loginRecipe = `
recipe: x
params:
  endpoint: {default: "https://api.example.com/base/", type: url}
  user: {default: u1}
  n: {type: int}
  b: {type: bool}
  none: {}
  password: {secret: true, default: pass-word-1}
  parent: {}
tokens:
  first:
    request: {url: "${endpoint}/first"}
    value: {json: token}
    lifetime: [1h]
  access:
    let:
      sign: {hmac_sha256: "${user}", key: "${password}"}
      id: {uuid: v4}
    request:
      url: ${endpoint}/users/${user}/login?v=1&u=${user}
      query: {q: "a b&${user}", none: "${none}", list: [x, "${user}"]}
      headers: {X-Id: "${id}", X-First: "${first}", X-Parent: "${parent}", X-None: "${none}"}
      basic: {user: "${user}", password: "${password}"}
      json:
        user: "${user}"
        n: "${n}"
        text: "n=${n}"
        b: "${b}"
        none: "${none}"
        sign: "${sign}"
        list: [1, 2.50, true, null, "${none}", {none: "${none}"}]
        big: 9007199254740993
    errors:
      - {json: {code: 7}, class: permanent, message: {json: why}}
      - {status: 503, class: permanent}
    success: {json: {code: [0, null]}}
    value: [{json: token}, {header: X-Token}]
    outputs: {id: {json: id}, more: {json: more}}
    lifetime: [{json: ttl, as: seconds}, {jwt: exp}]
refused:
  - {token: first, status: 403, json: {code: 1}}
  - {token: parent, status: 403}
`

var fixedNow = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// program returns the token access of loginRecipe.
func program(t testing.TB, with string) *TokenProgram {
	t.Helper()
	c := loadConfig(t, loginRecipe, "credentials:\n  other:\n    with: {}\n  c:\n    with: {"+with+"}\n")
	return c.creds["c"].program("access")
}

func fixedSource(p *TokenProgram, rt http.RoundTripper) *Source {
	s := p.Source(rt, "attache/test")
	s.now = func() time.Time { return fixedNow }
	s.random = zeros{}
	return s
}

func input(p *TokenProgram) refresher.Input {
	in := refresher.Input{Previous: refresher.Token{Value: secret.New("previous-token")}}
	for i := range p.Parents {
		in.Parents = append(in.Parents, refresher.Token{Value: secret.New(fmt.Sprintf("parent-token-%d", i))})
	}
	return in
}

func TestRequestIsEscapedForItsPlace(t *testing.T) {
	p := program(t, `user: "a/b?c&d=\"e\" f", n: "0012", b: true, parent: {credential: other.first}`)
	rt := &canned{answer: []byte("HTTP/1.1 200 OK\n\n{}")}
	_, _ = fixedSource(p, rt).Fetch(t.Context(), input(p))
	want := `POST https://api.example.com/base/users/a%2Fb%3Fc&d=%22e%22%20f/login?v=1&u=a%2Fb%3Fc%26d%3D%22e%22%20f&q=a%20b%26a%2Fb%3Fc%26d%3D%22e%22%20f&list=x&list=a%2Fb%3Fc%26d%3D%22e%22%20f HTTP/1.1
Accept: application/json, */*;q=0.5
Accept-Encoding: gzip
Authorization: Basic YS9iP2MmZD0iZSIgZjpwYXNzLXdvcmQtMQ==
Content-Type: application/json
User-Agent: attache/test
X-First: parent-token-0
X-Id: 00000000-0000-4000-8000-000000000000
X-Parent: parent-token-1

{"user":"a/b?c&d=\"e\" f","n":12,"text":"n=12","b":true,"sign":"b36f5a0e1a1c9bd7ba33e60aa81f8da9be08e5a29a0c13a8a36d8f5ba1a23a5c","list":[1,2.50,true,null],"big":9007199254740993}`
	got := rt.sent
	if i := strings.Index(got, `"sign":"`); i >= 0 { // its value is checked in TestLet
		want = want[:strings.Index(want, `"sign":"`)] + got[i:i+8+64] + want[strings.Index(want, `"sign":"`)+8+64:]
	}
	if got != want {
		t.Errorf("sent:\n%s\nwant:\n%s", got, want)
	}
}

func TestFormAndTextBodies(t *testing.T) {
	for _, tt := range []struct{ request, want string }{
		{`{url: "https://h/", form: {a: "x y&z=${user}", none: "${none}"}}`, "POST https://h/|application/x-www-form-urlencoded|a=x+y%26z%3Du1"},
		{`{url: "https://h/", form: {none: "${none}"}}`, "POST https://h/|application/x-www-form-urlencoded|"},
		{`{url: "https://h/", form: {b: [y, "${user}", "${none}"], a: "", B: é}}`, "POST https://h/|application/x-www-form-urlencoded|b=y&b=u1&a=&B=%C3%A9"},
		{`{url: "https://h/", method: HEAD, query: {b: [1, true], a: 2}}`, "HEAD https://h/?b=1&b=true&a=2||"},
		{`{url: "https://h/", method: DELETE, json: {a: [true, false, null, -1.5e3, "1"], b: {c: {}}}}`, `DELETE https://h/|application/json|{"a":[true,false,null,-1.5e3,"1"],"b":{"c":{}}}`},
		{`{url: "https://h/?a=b", query: {c: d}}`, "GET https://h/?a=b&c=d||"},
		{`{url: "https://h/", method: PUT, text: "<a>${user}</a>", headers: {content-type: text/xml}}`, "PUT https://h/|text/xml|<a>u1</a>"},
		{`{url: "https://h/", json: {a: {b: {c: "${none}"}, d: ["${none}"]}, e: {}, f: [], g: [{h: "${none}"}, 1]}}`, `POST https://h/|application/json|{"e":{},"f":[],"g":[1]}`},
		{`{url: "https://h/", json: {a: {b: "${none}"}}}`, `POST https://h/|application/json|{}`},
		{`{url: "https://h/", json: ["${none}"]}`, `POST https://h/|application/json|[]`},
		{`{url: "https://h/", json: "${user}"}`, `POST https://h/|application/json|"u1"`},
		{`{url: "https://h/", basic: {user: "a:b", password: "c d", escape: form}, json: {}}`, `POST https://h/|application/json|{}|Basic YSUzQWI6Yytk`},
		{`{url: "https://h/", basic: {user: "${none}", password: p}, json: []}`, `POST https://h/|application/json|[]`},
	} {
		recipe := "recipe: x\nparams: {user: {default: u1}, none: {}}\ntokens:\n  access:\n    request: " + tt.request +
			"\n    value: {json: token}\n    lifetime: [1h]\n"
		c := loadConfig(t, recipe, "credentials: {c: {with: {}}}")
		var sent string
		rt := roundTrip(func(req *http.Request) (*http.Response, error) {
			body := []byte{}
			if req.Body != nil {
				body, _ = io.ReadAll(req.Body)
			}
			sent = req.Method + " " + req.URL.String() + "|" + req.Header.Get("Content-Type") + "|" + string(body)
			if a := req.Header.Get("Authorization"); a != "" {
				sent += "|" + a
			}
			return nil, errors.New("enough")
		})
		_, _ = c.creds["c"].program("access").Source(rt, "").Fetch(t.Context(), refresher.Input{})
		if sent != tt.want {
			t.Errorf("%s\nsent %s\nwant %s", tt.request, sent, tt.want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestLoginOutcomes(t *testing.T) {
	const host = "api.example.com"
	html := "<!DOCTYPE html><html><body>pass-word-1</body></html>"
	for name, tt := range map[string]struct{ answer, want string }{
		"parent before errors":     {"HTTP/1.1 403 F\n\n{\"code\":1,\"why\":\"x\"}", "error: transient\ntext: " + host + " answered 403 and refused the token first\nrefused: first\n"},
		"errors before success":    {"HTTP/1.1 200 OK\n\n{\"code\":7,\"why\":\"bad pass-word-1\",\"token\":\"tok-1234\"}", "error: permanent\ntext: " + host + " answered 200 with code 7: bad [redacted]\n"},
		"class of a rule":          {"HTTP/1.1 503 S\nRetry-After: 7\n\n", "error: permanent\ntext: " + host + " answered 503 with an empty body\nretry_after: 7s\n"},
		"no success":               {"HTTP/1.1 200 OK\n\n{\"code\":9,\"msg\":\"no\"}", "error: transient\ntext: " + host + ` answered 200, but code is "9", want one of "0", absent: no` + "\n"},
		"success wants 2xx":        {"HTTP/1.1 500 OK\n\n{\"code\":0,\"token\":\"tok-1234\"}", "error: transient\ntext: " + host + " answered 500\n"},
		"redirect":                 {"HTTP/1.1 302 F\nLocation: https://evil\n\n", "error: transient\ntext: " + host + " answered 302 (a redirect, which no login follows) with an empty body\n"},
		"429":                      {"HTTP/1.1 429 T\nRetry-After: Wed, 01 May 2024 12:00:30 GMT\n\nslow", "error: throttled\ntext: " + host + " answered 429 with 4 bytes that are no JSON\nretry_after: 30s\n"},
		"Retry-After throttles":    {"HTTP/1.1 400 B\nRetry-After: 120\n\n{}", "error: throttled\ntext: " + host + " answered 400\nretry_after: 2m0s\n"},
		"408":                      {"HTTP/1.1 408 T\n\n", "error: transient\ntext: " + host + " answered 408 with an empty body\n"},
		"404":                      {"HTTP/1.1 404 N\n\n" + html, "error: permanent\ntext: " + host + " answered 404 with an HTML page of 52 bytes\n"},
		"HTML with 200":            {"HTTP/1.1 200 OK\n\n" + html, "error: transient\ntext: " + host + " answered 200 with an HTML page of 52 bytes\n"},
		"no token":                 {"HTTP/1.1 200 OK\n\n{}", "error: transient\ntext: " + host + " answered 200 without a token: json token is missing, header X-Token is missing\n"},
		"token is null":            {"HTTP/1.1 200 OK\n\n{\"token\":null}", "error: transient\ntext: " + host + " answered 200 without a token: json token is missing, header X-Token is missing\n"},
		"token is an object":       {"HTTP/1.1 200 OK\n\n{\"token\":{}}", "error: transient\ntext: " + host + " answered 200 without a token: json token is no text, header X-Token is missing\n"},
		"line break":               {"HTTP/1.1 200 OK\n\n{\"token\":\"a\\r\\nX-Evil: 1\"}", "error: transient\ntext: " + host + " answered 200 with a token that contains a line break\n"},
		"NUL":                      {"HTTP/1.1 200 OK\n\n{\"token\":\"a\\u0000bcd\"}", "error: transient\ntext: " + host + " answered 200 with a token that contains a control character\n"},
		"too long":                 {"HTTP/1.1 200 OK\n\n{\"token\":\"" + strings.Repeat("x", 16385) + "\"}", "error: transient\ntext: " + host + " answered 200 with a token that is longer than 16384 bytes\n"},
		"second place":             {"HTTP/1.1 200 OK\nX-Token: tok\n\n{\"ttl\":\"600\"}", "value: tok\nlifetime: 10m0s\n"},
		"outputs":                  {"HTTP/1.1 200 OK\n\n{\"token\":\"tok\",\"ttl\":600.5,\"id\":2302128618880,\"more\":null}", "value: tok\noutput.id: 2302128618880\nlifetime: 10m0.5s\n"},
		"no lifetime":              {"HTTP/1.1 200 OK\n\n{\"token\":\"tok\",\"ttl\":0}", "value: tok\nlifetime: 1m0s\nwarning: no usable lifetime (json ttl as seconds is zero, jwt exp is missing); assuming 1m0s\n"},
		"deep JSON":                {"HTTP/1.1 200 OK\n\n" + strings.Repeat("[", 900000), "error: transient\ntext: " + host + " answered 200 with 900000 bytes that are no JSON\n"},
		"deep but complete JSON":   {"HTTP/1.1 200 OK\n\n" + strings.Repeat("[", 100000) + strings.Repeat("]", 100000), "error: transient\ntext: " + host + " answered 200 with 200000 bytes that are no JSON\n"},
		"truncated JSON":           {"HTTP/1.1 200 OK\n\n{\"token\":\"tok\",", "error: transient\ntext: " + host + " answered 200 with 15 bytes that are no JSON\n"},
		"unknown compression":      {"HTTP/1.1 200 OK\nContent-Encoding: br\n\nxxx", "error: transient\ntext: " + host + ` answered 200, but the answer is compressed as "br", which was not asked for` + "\n"},
		"broken compression":       {"HTTP/1.1 200 OK\nContent-Encoding: gzip\n\n{\"token\":\"tok\"}", "error: transient\ntext: " + host + " answered 200, but the answer is no valid gzip: gzip: invalid header\n"},
		"too large":                {"HTTP/1.1 200 OK\n\n" + strings.Repeat(" ", 1<<20+1), "error: transient\ntext: " + host + " answered 200, but the answer is larger than 1MiB (max_body)\n"},
		"broke off":                {"HTTP/1.1 200 OK\nContent-Length: 50\n\n{", "error: transient\ntext: " + host + " answered 200, but the answer broke off: unexpected EOF\n"},
		"wrong key, broken answer": {"HTTP/1.1 401 U\nContent-Length: 50\n\n{", "error: permanent\ntext: " + host + " answered 401, but the answer broke off: unexpected EOF\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := program(t, "n: 1")
			src := fixedSource(p, &canned{answer: []byte(tt.answer)})
			var warnings []string
			src.Warn = func(text string) { warnings = append(warnings, text) }
			tok, err := src.Fetch(t.Context(), input(p))
			got := ""
			if err != nil {
				got = describeFailure(p, err)
			} else {
				got = describeToken(tok, fixedNow, warnings)
			}
			if got != tt.want {
				t.Errorf("got:\n%swant:\n%s", got, tt.want)
			}
		})
	}
}

func TestRefusedParentOfAnotherCredential(t *testing.T) {
	p := program(t, "parent: {credential: other.first}")
	_, err := fixedSource(p, &canned{answer: []byte("HTTP/1.1 403 F\n\n")}).Fetch(t.Context(), input(p))
	fe, ok := errors.AsType[*refresher.FetchError](err)
	if !ok || len(fe.Refused) != 1 || fe.Refused[0] != 1 {
		t.Errorf("got %v, want the second parent refused", err)
	}
	// Without that parent the rule is inactive, and 403 is what it always is.
	p = program(t, "parent: text")
	_, err = fixedSource(p, &canned{answer: []byte("HTTP/1.1 403 F\n\n")}).Fetch(t.Context(), input(p))
	if fe, _ := errors.AsType[*refresher.FetchError](err); fe == nil || fe.Class != refresher.Permanent || fe.Refused != nil {
		t.Errorf("got %v, want a permanent error", err)
	}
}

// TestParentJudgedByItsOwnRules: a recipe that has no rule for a parameter
// that is another credential's token leaves it to that credential's recipe.
func TestParentJudgedByItsOwnRules(t *testing.T) {
	const recipe = `
recipe: x
params: {subject: {}}
tokens:
  access:
    request: {url: "https://h/", json: {s: "${subject}"}}
    value: {json: token}
    lifetime: [1h]
refused:
  - {token: access, status: 401}
`
	c := loadConfig(t, recipe, "credentials:\n  a: {with: {}}\n  b: {with: {subject: {credential: a}}}\n")
	p := c.creds["b"].program("access")
	_, err := fixedSource(p, &canned{answer: []byte("HTTP/1.1 401 U\n\n")}).Fetch(t.Context(), input(p))
	if fe, _ := errors.AsType[*refresher.FetchError](err); fe == nil || len(fe.Refused) != 1 {
		t.Errorf("got %v, want the parent refused", err)
	}
}

func TestNetworkErrors(t *testing.T) {
	p := program(t, "")
	_, err := fixedSource(p, &canned{err: errors.New("dial tcp: lookup api.example.com: no such host, Basic dTE6cGFzcy13b3JkLTE=")}).Fetch(t.Context(), input(p))
	if got, want := describeFailure(p, err), "error: transient\ntext: api.example.com: dial tcp: lookup api.example.com: no such host, Basic [redacted]\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestTimeout(t *testing.T) {
	for name, rt := range map[string]roundTrip{
		"no answer": func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		},
		"slow answer": func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(slow{req.Context()})}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := program(t, "")
				start := time.Now()
				_, err := p.Source(rt, "").Fetch(t.Context(), input(p))
				if d := time.Since(start); d != 10*time.Second {
					t.Errorf("took %v", d)
				}
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "within 10s") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// slow never gives more than a byte a second.
type slow struct{ ctx context.Context }

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

// TestSecretsStayInside puts a canary into every secret place and lets a
// vendor echo all of them, in several spellings, in every way of failing.
func TestSecretsStayInside(t *testing.T) {
	const pass = `can"ary/pass word+1`
	p := program(t, `password: 'can"ary/pass word+1', parent: {credential: other.first}`)
	in := input(p)
	var echo http.Header
	for _, status := range []string{"200", "403"} {
		for _, body := range []string{
			`{"code":7,"why":%q,"token":"fresh-token-9","more":"fresh-output-9"}`,
			`{"code":8,"msg":%q,"token":"fresh-token-9","more":"fresh-output-9"}`,
			`{"code":1,"msg":%q,"token":"fresh-token-9"}`,
			`{"code":0,"message":%q,"token":"fresh-token-9\n"}`,
			`{"message":%q}`,
			`%s`,
		} {
			secrets := []string{pass, "parent-token-0", "parent-token-1", "previous-token"}
			for _, fresh := range []string{"fresh-token-9", "fresh-output-9"} {
				if strings.Contains(body, fresh) { // else nobody can know that it is one
					secrets = append(secrets, fresh)
				}
			}
			rt := roundTrip(func(req *http.Request) (*http.Response, error) {
				data, _ := io.ReadAll(req.Body)
				echo = req.Header
				text := fmt.Sprint(req.URL, req.Header, string(data), strings.Join(secrets, " "))
				answer := "HTTP/1.1 " + status + " X\n\n" + fmt.Sprintf(body, text)
				return (&canned{answer: []byte(answer)}).RoundTrip(req)
			})
			tr, tok, err := fixedSource(p, rt).trace(t.Context(), in)
			var shown bytes.Buffer
			tr.Write(&shown, nil)
			fmt.Fprintf(&shown, "%v %+v %#v %v", err, err, err, tok)
			for _, s := range append(secrets, echo.Get("Authorization"), strings.TrimPrefix(echo.Get("Authorization"), "Basic ")) {
				for _, spelling := range []string{s, strings.ReplaceAll(s, `"`, `\"`), escapeQuery(s)} {
					if strings.Contains(shown.String(), spelling) {
						t.Fatalf("status %s, body %s: %q is shown in\n%s", status, body, spelling, shown.String())
					}
				}
			}
		}
	}
}

func TestSecretFileIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one-1")
	p := program(t, "password: {file: "+path+"}")
	rt := &canned{answer: []byte("HTTP/1.1 200 OK\n\n{\"token\":\"tok\",\"ttl\":60}")}
	src := fixedSource(p, rt)
	var warnings []string
	src.Warn = func(text string) { warnings = append(warnings, text) }
	fetch := func(want string) {
		t.Helper()
		if _, err := src.Fetch(t.Context(), input(p)); err != nil {
			t.Fatal(err)
		}
		req := &http.Request{Header: http.Header{"Authorization": {between(rt.sent, "Authorization: ", "\n")}}}
		if _, got, _ := req.BasicAuth(); got != want {
			t.Errorf("sent the password %q, want %q", got, want)
		}
	}
	fetch("one-1")
	write("two-2\n")
	fetch("two-2")
	write("")
	fetch("two-2")
	if len(warnings) != 1 || !strings.Contains(warnings[0], "is empty; using the value read before") {
		t.Errorf("warnings: %q", warnings)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestBadParameterAtLogin(t *testing.T) {
	for _, tt := range []struct{ recipe, with, params, want string }{
		{`{u: {}}`, `u: {header: U}`, "..", "a parameter would make a dot segment in the url"},
		{`{u: {}}`, `u: {header: U}`, "a\r\nX: y", "header X-U: its value contains a line break"},
		{`{u: {}}`, `u: {header: U}`, "a:b", "basic: the user contains a colon, which ends a user name"},
		{`{u: {}}`, `u: {header: U}`, "", "u is empty, which a path cannot hold"},
		{`{u: {type: int}}`, `u: {header: U}`, "x", "the parameter u is not a whole number of at most 64 bits"},
	} {
		c := loadConfig(t, "recipe: x\nparams: "+tt.recipe+"\ntokens:\n  access:\n    request: {url: \"https://h/${u}\", headers: {X-U: \"${u}\"}, basic: {user: \"${u}\", password: p}}\n    value: {json: t}\n    lifetime: [1h]\n",
			"credentials: {c: {with: {"+tt.with+"}}}")
		p := c.creds["c"].program("access")
		_, err := p.Source(&canned{}, "").Fetch(t.Context(), refresher.Input{Params: refresher.Params{tt.params}})
		if got, want := describeFailure(p, err), "error: permanent\ntext: "+tt.want+"\n"; got != want {
			t.Errorf("got:\n%swant:\n%s", got, want)
		}
	}
}
