package recipe

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/refresher"
)

// FuzzParse: whatever the text, it is a recipe or gives problems, and a recipe
// can be bound and planned.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, name := range PresetNames() {
		data, _ := PresetSource(name)
		f.Add(data)
	}
	f.Add([]byte(loginRecipe))
	f.Add([]byte(portalRecipe))
	f.Add([]byte(commandRecipe))
	f.Add([]byte(jwtRecipe))
	f.Add([]byte("recipe: x\nparams:\n  a: {default: b}\n" + repeat(20, "  k%[2]d: {default: '${k%[1]d}${a}'}\n")))
	more, _ := filepath.Glob("testdata/recipes/*.yaml")
	for _, name := range more {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rep := &yamldoc.Report{}
		r, ok := Parse(rep, "f", data)
		if ok == rep.Failed() {
			t.Fatalf("ok is %v, problems: %v", ok, rep.Err())
		}
		if !ok {
			return
		}
		with := map[string]Origin{}
		for _, p := range r.Params {
			switch {
			case p.Required:
				with[p.Name] = Origin{Ref: secret.Literal("https://h")}
			case p.Type == TypeString:
				with[p.Name] = Origin{Request: exchange.Name{Name: "X"}}
			}
		}
		c, ok := Bind(rep, r, BindConfig{Name: "c", With: with})
		if !ok {
			return
		}
		p, ok := NewPlan(rep, RouteConfig{Name: "r", Use: []*Credential{c}})
		if !ok {
			return
		}
		_, _ = p.AppendFields(nil, nil, make([]refresher.Token, len(p.Slots())))
		p.Judge(exchange.Head{Path: "/"}, answerHead(200, ""), []byte(`{"code":1}`))
	})
}

// FuzzRequest: a value can fail a login, but never leave its place in the
// request.
func FuzzRequest(f *testing.F) {
	const recipe = `
recipe: x
params: {v: {}}
tokens:
  access:
    request:
      url: https://h.example.com/a/${v}/b?c=${v}&d=e
      query: {q: "${v}"}
      headers: {X-V: "x ${v}"}
      json: {before: 1, v: "a ${v}", after: 2}
    value: {json: t}
    lifetime: 1h
  form:
    request: {url: "https://h.example.com/", form: {before: "1", v: "${v}", after: "2"}, basic: {user: u, password: "${v}"}}
    value: {json: t}
    lifetime: 1h
`
	for _, seed := range []string{"x", "", "..", ".", "%2e%2e", "a/b", "a?b#c", `","x":"`, "a\r\nX: y", "&after=3", "\x00", "é ", "\\", "@evil", "<>&\u2028"} {
		f.Add(seed)
	}
	c := loadConfig(f, recipe, "credentials: {c: {with: {v: {header: X}}}}")
	f.Fuzz(func(t *testing.T, v string) {
		rt := roundTrip(func(req *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(req.Body)
			u, err := url.Parse(req.URL.String())
			if err != nil || u.Host != "h.example.com" || u.Fragment != "" || u.User != nil {
				t.Errorf("%q: url %s, %v", v, req.URL, err)
			}
			for name, values := range req.Header {
				if len(values) != 1 || badInHeader(values[0]) != "" {
					t.Errorf("%q: header %s: %q", v, name, values)
				}
			}
			if len(req.Header) > 6 {
				t.Errorf("%q: headers %v", v, req.Header)
			}
			if u.Path == "/" {
				form, err := url.ParseQuery(string(body))
				if err != nil || len(form) != 3 || form.Get("v") != v || form.Get("after") != "2" {
					t.Errorf("%q: form %s, %v", v, body, err)
				}
				return nil, io.EOF
			}
			if segments := strings.Split(u.EscapedPath(), "/"); len(segments) != 4 || segments[1] != "a" || segments[3] != "b" || u.Path != "/a/"+v+"/b" {
				t.Errorf("%q: path %s", v, u.EscapedPath())
			}
			query, err := url.ParseQuery(u.RawQuery)
			if err != nil || len(query) != 3 || query.Get("c") != v || query.Get("q") != v || query.Get("d") != "e" {
				t.Errorf("%q: query %s, %v", v, u.RawQuery, err)
			}
			var doc map[string]any
			if err := json.Unmarshal(body, &doc); err != nil || len(doc) != 3 || doc["v"] != "a "+v || doc["after"] != 2.0 {
				t.Errorf("%q: body %s, %v", v, body, err)
			}
			return nil, io.EOF
		})
		for _, name := range []string{"access", "form"} {
			_, err := c.creds["c"].program(name).Source(rt, "").Fetch(t.Context(), refresher.Input{Params: refresher.Params{v}})
			if _, ok := err.(*refresher.FetchError); !ok {
				t.Errorf("%q: %v is no FetchError", v, err)
			}
		}
	})
}

// FuzzAnswer: whatever a vendor answers, the outcome is a token that is legal
// in a header, or a printable error.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"token":"t","ttl":600,"id":"x"}`)
	f.Add(200, "text/html", "<html>")
	f.Add(403, "", `{"code":1}`)
	f.Add(200, "", `{"token":"a\nb","ttl":1e400}`)
	f.Add(200, "", `[{"token":1}]`)
	f.Add(200, "", `{"token":"a.eyJleHAiOjF9.c","ttl":-1}`)
	f.Add(200, "", strings.Repeat("[", 100000))
	f.Add(200, "", strings.Repeat(`{"token":`, 20000)+"1"+strings.Repeat("}", 20000))
	f.Add(200, "", `{"`+strings.Repeat("k", 100000)+`":1,"token":"t","ttl":1`+strings.Repeat("0", 10000)+`}`)
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		p := program(t, "n: 1")
		rt := roundTrip(func(*http.Request) (*http.Response, error) {
			h := http.Header{"Content-Type": {contentType}, "X-Token": {contentType}, "Retry-After": {contentType}}
			return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		_, tok, err := fixedSource(p, rt).trace(t.Context(), input(p))
		if err != nil {
			fe, ok := err.(*refresher.FetchError)
			if !ok {
				t.Fatalf("%v is no FetchError", err)
			}
			if text := err.Error(); !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) || len(text) > 1000 || fe.RetryAfter < 0 {
				t.Errorf("error %q, retry after %v", text, fe.RetryAfter)
			}
			return
		}
		v := tok.Value.Reveal()
		if v == "" || badInHeader(v) != "" || len(v) > maxValue {
			t.Errorf("token %q", v)
		}
		if life := tok.Lifetime(); life <= 0 || life > maxLifetime {
			t.Errorf("lifetime %v", life)
		}
	})
}

// FuzzField: what is injected is legal in its place, whatever the token and
// the client's request hold.
func FuzzField(f *testing.F) {
	const recipe = `
recipe: x
params: {u: {}}
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject:
  - {header: A, value: "x ${a}"}
  - {header: B, value: "${u}"}
  - {cookie: c, value: "${a}${u}"}
  - {query: q, value: "${a}/${u}"}
`
	p := loadConfig(f, recipe, "credentials: {c: {with: {u: {query: u}}}}\nroute: {use: [c]}\n").plan
	f.Add("tok", "u=anna")
	f.Add("t\r\nX: y", "u=a%0d%0ab")
	f.Add("t;x=y", "u=a%3bb&v=1&u=2")
	f.Add("&x=y", "u=%zz")
	f.Fuzz(func(t *testing.T, tok, query string) {
		params, err := p.Params(exchange.Head{RawQuery: query, Header: http.Header{}})
		if err != nil {
			if _, ok := err.(*exchange.ParamError); !ok {
				t.Errorf("%v is no ParamError", err)
			}
			return
		}
		fields, err := p.AppendFields(nil, params, []refresher.Token{{Value: secret.New(tok)}})
		if err != nil {
			return
		}
		for _, field := range fields {
			if strings.ContainsAny(field.Value, "\r\n\x00") {
				t.Errorf("%v", field)
			}
			if field.In == exchange.Cookie && strings.Contains(field.Value, ";") {
				t.Errorf("%v", field)
			}
			if field.In == exchange.Query {
				if got, err := url.QueryUnescape(field.Value); err != nil || strings.ContainsAny(field.Value, "&=#+ ") || got != tok+"/"+params[0] {
					t.Errorf("%v, %v", field, err)
				}
			}
		}
	})
}
