package recipe

import (
	"context"
	"net/http"
	"testing"
	"time"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// loginOnce is a refresher.Source with one fixed answer.
type loginOnce struct{ token refresher.Token }

func (s loginOnce) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	return s.token, nil
}

// engineToken returns the token as an engine hands it out, with the memory
// that goes with a generation.
func engineToken(t testing.TB, tok refresher.Token) refresher.Token {
	t.Helper()
	e := refresher.New(refresher.Config{})
	pool, err := e.Add(refresher.Definition{
		Credential: "c", Token: "t", Recipe: "r", Key: []refresher.KeyPart{{Name: "recipe", Value: secret.New(t.Name())}}, Source: loginOnce{tok},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = e.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	inst, err := pool.Instance(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Release()
	wait, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	got, err := inst.Token(wait)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestHotPathAllocatesNothing(t *testing.T) {
	const recipe = `
recipe: x
params: {key: {}, file: {}, user: {default: u}}
tokens:
  a:
    request: {url: "https://h/"}
    value: {json: t}
    outputs: {push: {json: p}}
    lifetime: 1h
inject:
  - {header: x-app-key, value: "${key}"}
  - {header: Authorization, value: "Bearer ${a}"}
  - {query: access_token, value: "${a} ${key}"}
  - {header: X-Plain, value: "${a}"}
  - {cookie: push, value: "${a.push}"}
  - {header: X-User, value: "${user}"}
  - {header: X-File, value: "${file}"}
refused:
  - {token: a, status: 401}
  - {token: a, status: 403, header: {X-Error: /token/}, path: "/v1/**"}
renewed:
  - {token: a, header: X-New, lifetime: 1h}
  - {token: a, cookie: new, lifetime: 1h}
`
	file := t.TempDir() + "/secret"
	writeFile(t, file, "from-file")
	c := loadConfig(t, recipe, "credentials: {c: {with: {key: k, file: {file: "+file+"}, user: {header: U}}}}\nroute: {use: [c]}\n")
	p := c.plan
	tokens := []refresher.Token{engineToken(t, refresher.Token{
		Value: secret.New("to ken"), Outputs: map[string]secret.String{"push": secret.New("P")}, ExpiresAt: time.Now().Add(time.Hour),
	})}
	params := refresher.Params{"anna"}
	dst := make([]exchange.Field, 0, 16)
	n := testing.AllocsPerRun(100, func() {
		fields, err := p.AppendFields(dst, params, tokens)
		if err != nil || len(fields) != 7 {
			t.Fatal(fieldsText(fields), err)
		}
	})
	if n != 0 {
		t.Errorf("AppendFields allocates %v times", n)
	}
	fields, _ := p.AppendFields(nil, params, tokens)
	want := "header x-app-key=k; header Authorization=Bearer to ken; query access_token=to%20ken%20k; header X-Plain=to ken; cookie push=P; header X-User=anna; header X-File=from-file"
	if got := fieldsText(fields); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	req := exchange.Head{Method: "GET", Path: "/v1/x", Header: http.Header{}}
	ans := answerHead(200, "application/json", "X-Error", "none")
	n = testing.AllocsPerRun(100, func() {
		if p.WantsBody(req, ans) != exchange.NoBody {
			t.Fatal("wants a body")
		}
		if v := p.Judge(req, ans, nil); v.Refused != nil || v.Renewed != nil {
			t.Fatal(v)
		}
	})
	if n != 0 {
		t.Errorf("WantsBody and Judge allocate %v times", n)
	}
}

// TestMemoIsPerField: two fields of one token, and two plans, must not share
// what they remember.
func TestMemoIsPerField(t *testing.T) {
	const recipe = `
recipe: x
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject:
  - {header: A, value: "a ${a}"}
  - {query: A, value: "b ${a}"}
`
	c := loadConfig(t, recipe, "credentials: {c: {with: {}}}\nroute: {use: [c]}\n")
	d := loadConfig(t, recipe, "credentials: {c: {with: {}}}\nroute: {use: [c], inject: [{header: A, value: \"c ${c.a}\"}]}\n")
	tokens := []refresher.Token{engineToken(t, refresher.Token{Value: secret.New("T")})}
	for range 2 {
		for _, tt := range []struct {
			p    *Plan
			want string
		}{{c.plan, "header A=a T; query A=b%20T"}, {d.plan, "header A=c T"}} {
			fields, err := tt.p.AppendFields(nil, nil, tokens)
			if got := fieldsText(fields); err != nil || got != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		}
	}
}

// TestMemoKeepsRequestsApart: what one user's request adds to a token's value
// must never reach another user's.
func TestMemoKeepsRequestsApart(t *testing.T) {
	const recipe = `
recipe: x
params: {u: {}, f: {}}
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
  b: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject:
  - {header: User, value: "${a} ${u}"}
  - {header: File, value: "${a} ${f}"}
  - {header: Both, value: "${a} ${b}"}
  - {header: Id, value: "${a} ${uuid}"}
`
	file := t.TempDir() + "/f"
	writeFile(t, file, "one")
	p := loadConfig(t, recipe, "credentials: {c: {with: {u: {header: U}, f: {file: "+file+"}}}}\nroute: {use: [c]}\n").plan
	a := engineToken(t, refresher.Token{Value: secret.New("A")})
	first, err := p.AppendFields(nil, refresher.Params{"anna"}, []refresher.Token{a, {Value: secret.New("B")}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, "two")
	if _, err := p.fields[1].pieces[2].ref.Read(); err != nil {
		t.Fatal(err)
	}
	second, err := p.AppendFields(nil, refresher.Params{"ben"}, []refresher.Token{a, {Value: secret.New("C")}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]string{{"A anna", "A ben"}, {"A one", "A two"}, {"A B", "A C"}} {
		if first[i].Value != want[0] || second[i].Value != want[1] {
			t.Errorf("%s: %q then %q, want %q", first[i].Name, first[i].Value, second[i].Value, want)
		}
	}
	if first[3].Value == second[3].Value {
		t.Error("two requests have one UUID")
	}
}
