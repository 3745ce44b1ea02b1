package recipe

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/refresher"
)

const portalRecipe = `
recipe: portal
params:
  user: {required: true, pattern: "^[a-z0-9]{1,8}$"}
  shown: {default: "${user}!", pattern: "^.{1,5}$", key: false}
  tenant: {default: main}
  spare: {}
tokens:
  app:
    request: {url: "https://h/", json: {tenant: "${tenant}"}}
    value: {json: t}
    lifetime: [1h]
  session:
    request: {url: "https://h/", json: {user: "${user}", shown: "${shown}"}, headers: {A: "${app}"}}
    value: {json: t}
    outputs: {push: {json: p}}
    lifetime: [1h]
inject:
  - {header: X-Session, value: "${session}"}
  - {query: tenant, value: "${tenant} 1&"}
  - {header: X-Request, value: "${uuid}", mode: default}
  - {header: X-Spare, value: "${spare}"}
  - {cookie: push, value: "${session.push}"}
strip: [{header: X_Admin}, {query: as}]
refused:
  - {token: app, status: 403, text: app}
  - {token: session, status: 401}
  - {token: session, json: {code: 5}, not_path: "/login/**"}
renewed:
  - {token: session, header: X-Session, lifetime: 30m, hide: true}
  - {token: session, cookie: sid, lifetime: 30m, hide: true}
`

const portalConfig = `
credentials:
  p:
    with: {user: {header: x-user}, tenant: "t&1"}
route:
  use: [p]
`

func TestPlanOverview(t *testing.T) {
	p := loadConfig(t, portalRecipe, portalConfig).plan
	type overview struct {
		Slots               []string
		Strip, Keep, Hide   []string
		Query, Bodies       bool
		RequestParams       []string
		SessionParams       []refresher.Param
		SessionIndex        []int
		SessionParentParams []int
	}
	names := func(list []exchange.Name) (out []string) {
		for _, n := range list {
			out = append(out, n.In.String()+" "+n.Name)
		}
		return out
	}
	c := p.Slots()[0].Credential
	session := c.program("session")
	got := overview{
		Strip: names(p.Strip()), Keep: names(p.KeepOne()), Hide: names(p.Hide()),
		Query: p.InjectsQuery(), Bodies: p.HasBodyRules(), RequestParams: c.RequestParams(),
		SessionParams: session.Params, SessionIndex: session.ParamIndex, SessionParentParams: session.Parents[0].Params,
	}
	for _, s := range p.Slots() {
		got.Slots = append(got.Slots, s.Credential.Name()+"."+s.Token)
	}
	want := overview{
		// app is not injected, so the route needs no slot for it, and its
		// rule, the only one about text, is no rule here.
		Slots: []string{"p.session"},
		Strip: []string{"header X-Session", "query tenant", "header X-Request", "header X-Spare", "cookie push", "header X_Admin", "query as", "header X-User"},
		Keep:  []string{"header X-Request"},
		Hide:  []string{"header X-Session", "cookie sid"},
		Query: true, Bodies: true,
		RequestParams: []string{"user"},
		SessionParams: []refresher.Param{{Name: "user", Identity: true}},
		SessionIndex:  []int{0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestPlanParams(t *testing.T) {
	c := loadConfig(t, portalRecipe, `
credentials:
  p:
    with: {user: {header: X-User, decode: percent}, shown: {query: "sh own"}}
route:
  use: [p]
`)
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		headers []string
		query   string
		want    string
	}{
		{[]string{"anna"}, "", "anna anna!"},
		{[]string{"%61nna"}, "sh%20own=A%2bB", "anna A+B"},
		{[]string{"anna"}, "x=1&sh+own=A+B", "anna A B"},
		{[]string{"anna"}, "sh+own=", "anna anna!"},
		{nil, "", "header X-User is missing"},
		{[]string{""}, "", "header X-User is missing"},
		{[]string{"a", "b"}, "", "header X-User is sent twice"},
		{[]string{"Anna"}, "", "header X-User does not match ^[a-z0-9]{1,8}$"},
		{[]string{"%zz"}, "", "header X-User is not percent-encoded"},
		{[]string{"%ff"}, "", "header X-User is not valid UTF-8"},
		{[]string{"a%0d%0ab"}, "", "header X-User contains a control character"},
		{[]string{long}, "", "header X-User is too long"},
		{[]string{"anna"}, "sh+own=1&sh%20own=2", "query sh own is sent twice"},
		{[]string{"anna"}, "sh+own=%zz", "query sh own is not percent-encoded"},
		{[]string{"anna"}, "sh+own=1234567", "query sh own does not match ^.{1,5}$"},
		{[]string{"annaanna"}, "", "query sh own is missing, and its default does not match ^.{1,5}$"},
	} {
		h := http.Header{}
		if tt.headers != nil {
			h["X-User"] = tt.headers
		}
		got, err := c.plan.Params(exchange.Head{Method: "GET", Path: "/", RawQuery: tt.query, Header: h})
		text := strings.Join(got, " ")
		if err != nil {
			if _, ok := errors.AsType[*exchange.ParamError](err); !ok {
				t.Errorf("%v is no ParamError", err)
			}
			text = err.Error()
		}
		if text != tt.want {
			t.Errorf("%q ?%s: %q, want %q", tt.headers, tt.query, text, tt.want)
		}
	}
	// A default over the request that nobody overrides is checked as well.
	c = loadConfig(t, portalRecipe, portalConfig)
	_, err := c.plan.Params(exchange.Head{Header: http.Header{"X-User": {"annaanna"}}})
	if want := "header X-User gives the parameter shown a value that does not match ^.{1,5}$"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// fieldsText shows fields in one line.
func fieldsText(fields []exchange.Field) string {
	var words []string
	for _, f := range fields {
		w := f.In.String() + " " + f.Name + "=" + f.Value
		if f.IfAbsent {
			w += "?"
		}
		words = append(words, w)
	}
	return strings.Join(words, "; ")
}

func TestAppendFields(t *testing.T) {
	p := loadConfig(t, portalRecipe, portalConfig).plan
	p.random = zeros{}
	tok := func(value, push string) []refresher.Token {
		t := refresher.Token{Value: secret.New(value)}
		if push != "" {
			t.Outputs = map[string]secret.String{"push": secret.New(push)}
		}
		return []refresher.Token{t}
	}
	const static = "query tenant=t%261%201%26; header X-Request=00000000-0000-4000-8000-000000000000?"
	for _, tt := range []struct {
		tokens     []refresher.Token
		want, fail string
	}{
		{tok("S%3D", "P"), "header X-Session=S%3D; " + static + "; cookie push=P", ""},
		{tok("S", ""), "header X-Session=S; " + static, ""},
		{[]refresher.Token{{}}, static, ""}, // an optional route without a token
		{tok("S\r\nX: y", ""), "", "credential p: the value of header X-Session contains a line break"},
		{tok("S\x00", ""), "", "credential p: the value of header X-Session contains a control character"},
		{tok("S", "P; admin=1"), "", "credential p: the value of cookie push contains a semicolon"},
	} {
		fields, err := p.AppendFields(nil, refresher.Params{"anna"}, tt.tokens)
		if tt.fail != "" {
			if err == nil || err.Error() != tt.fail {
				t.Errorf("got %v, want %s", err, tt.fail)
			}
			continue
		}
		if got := fieldsText(fields); err != nil || got != tt.want {
			t.Errorf("got %s, %v; want %s", got, err, tt.want)
		}
	}
}

// TestRequestParamInField: a value that the client chose and that is not legal
// where it is injected is the client's mistake.
func TestRequestParamInField(t *testing.T) {
	const recipe = "recipe: x\nparams: {u: {}, v: {default: \"v-${u}\"}}\ninject:\n  - {cookie: u, value: \"${u}\"}\n  - {query: q, value: \"a ${v}\"}\n"
	p := loadConfig(t, recipe, "credentials: {c: {with: {u: {header: U}}}}\nroute: {use: [c]}\n").plan
	fields, err := p.AppendFields(nil, refresher.Params{"x&y"}, nil)
	if got := fieldsText(fields); err != nil || got != "cookie u=x&y; query q=a%20v-x%26y" {
		t.Errorf("got %s, %v", got, err)
	}
	_, err = p.AppendFields(nil, refresher.Params{"x;y"}, nil)
	if _, ok := errors.AsType[*exchange.ParamError](err); !ok || err.Error() != "header U cannot be sent on as cookie u: it contains a semicolon" {
		t.Errorf("got %v", err)
	}
}

func TestRouteOwnLists(t *testing.T) {
	p := loadConfig(t, portalRecipe, portalConfig+`
  inject:
    - {header: Authorization, value: "Bearer ${p.session}"}
    - {query: t, value: "${p.tenant}"}
    - {header: X-Push, value: "${p.session.push}"}
  refused:
    - {token: p.session, status: 418}
    - {token: p.app, text: /stale app/}
  renewed:
    - {token: p.session, json: fresh, lifetime: until_refused}
  allow: [{header: x-admin}, {header: X-User}]
`).plan
	if len(p.Slots()) != 2 || p.Slots()[0].Token != "app" || p.Slots()[1].Token != "session" {
		t.Fatalf("slots: %v, want app before session", p.Slots())
	}
	if d := cmp.Diff([]int(nil), p.Slots()[0].Params); d != "" || cmp.Diff([]int{0}, p.Slots()[1].Params) != "" {
		t.Errorf("params of the slots: %v and %v", p.Slots()[0].Params, p.Slots()[1].Params)
	}
	for _, n := range p.Strip() {
		if n.Name == "X_Admin" || n.Name == "X-User" {
			t.Errorf("%s is stripped although it is allowed", n.Name)
		}
	}
	if len(p.Strip()) != 9 { // three of the route, five of the recipe, less what is in both or allowed
		t.Errorf("strip: %v", p.Strip())
	}
	if len(p.Hide()) != 0 {
		t.Errorf("hide: %v", p.Hide())
	}
	fields, err := p.AppendFields(nil, refresher.Params{"anna"}, []refresher.Token{{}, {Value: secret.New("S")}})
	if got := fieldsText(fields); err != nil || got != "header Authorization=Bearer S; query t=t%261" {
		t.Errorf("fields: %s, %v", got, err)
	}
	v := p.Judge(exchange.Head{Path: "/"}, answerHead(418, ""), []byte(`{"fresh":"N","x":"stale app"}`))
	want := exchange.Verdict{Refused: []exchange.Refusal{{Slot: 1}}, Renewed: []exchange.Renewal{{Slot: 1, Value: secret.New("N")}}}
	if d := cmp.Diff(want, v, cmp.Comparer(secret.String.Equal)); d != "" {
		t.Errorf("one rule list for each credential, -want +got:\n%s", d)
	}
}

// TestJoinedCredentials: a token of another credential, keyed by the request,
// joins the key and the vector of whoever needs it.
func TestJoinedCredentials(t *testing.T) {
	const config = `
credentials:
  p:
    recipe: x
    with: {user: {header: X-User}}
  q:
    with: {user: {header: X-Other}, subject: {credential: p.session}}
  r:
    with: {user: plain, subject: {credential: q}}
route:
  use: [r, q, p]
`
	const recipe = `
recipe: y
params: {user: {required: true}, subject: {}}
tokens:
  session:
    request: {url: "https://h/", json: {user: "${user}", subject: "${subject}"}}
    value: {json: t}
    lifetime: [1h]
inject:
  - {query: "NAME", value: "${session}"}
refused:
  - {token: session, status: 401}
  - {token: subject, status: 403}
`
	rep := &yamldoc.Report{}
	creds := map[string]*Credential{}
	root, _ := yamldoc.Parse(rep, "config.yaml", []byte(config))
	for i, e := range root.Object(keys("credentials", "route")).Get("credentials").Entries() {
		src := strings.ReplaceAll(recipe, "NAME", e.Name)
		if i == 0 {
			src = strings.ReplaceAll(portalRecipe, "status: 401", "status: [401, 403]")
		}
		r, _ := Parse(rep, "recipe.yaml", []byte(src))
		creds[e.Name], _ = Bind(rep, r, BindConfig{Name: e.Name, At: e.Value, With: readOrigins(e.Value.Object(keys("recipe", "with")).Get("with")),
			Lookup: func(name string) *Credential { return creds[name] }})
	}
	if err := rep.Err(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"user", "p.user"}, creds["q"].RequestParams()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"q.user", "p.user"}, creds["r"].RequestParams()); d != "" {
		t.Error(d)
	}
	plan, ok := NewPlan(rep, RouteConfig{Name: "r", Use: []*Credential{creds["r"], creds["q"], creds["p"]}})
	if !ok {
		t.Fatal(rep.Err())
	}
	var slots []string
	for _, s := range plan.Slots() {
		slots = append(slots, s.Credential.Name())
	}
	if d := cmp.Diff([]string{"p", "q", "r"}, slots); d != "" {
		t.Errorf("slots, parents first: %s", d)
	}
	params, err := plan.Params(exchange.Head{Header: http.Header{"X-User": {"anna"}, "X-Other": {"ben"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"p": {"anna"}, "q": {"ben", "anna"}, "r": {"ben", "anna"}}
	for _, s := range plan.Slots() {
		var got []string
		for _, i := range s.Params {
			got = append(got, params[i])
		}
		if d := cmp.Diff(want[s.Credential.Name()], got); d != "" {
			t.Errorf("parameters of %s: %s", s.Credential.Name(), d)
		}
	}
	// 403 is a rule of each of the three credentials. Two of them refuse p's
	// token, which is refused once.
	v := plan.Judge(exchange.Head{Path: "/"}, answerHead(403, ""), nil)
	if d := cmp.Diff([]exchange.Refusal{{Slot: 1}, {Slot: 0}}, v.Refused); d != "" {
		t.Errorf("403: %s", d)
	}
}

// TestLeftOutEntryNeedsNothing: an entry that is left out for want of a
// parameter asks neither the engine for its token nor the client for anything.
func TestLeftOutEntryNeedsNothing(t *testing.T) {
	const recipe = `
recipe: x
params: {u: {}, none: {}}
tokens:
  a: {request: {url: "https://h/"}, value: {json: t}, lifetime: 1h}
inject:
  - {header: A, value: "${a} ${u} ${none}"}
refused:
  - {token: a, status: 401}
`
	p := loadConfig(t, recipe, "credentials: {c: {with: {u: {header: U}}}}\nroute: {use: [c]}\n").plan
	if len(p.Slots()) != 0 || len(p.requests) != 0 {
		t.Errorf("slots %v, parameters %v", p.Slots(), p.requests)
	}
	if d := cmp.Diff([]exchange.Name{{Name: "A"}, {Name: "U"}}, p.Strip()); d != "" {
		t.Errorf("strip: %s", d)
	}
	if v := p.Judge(exchange.Head{Path: "/"}, answerHead(401, ""), nil); v.Refused != nil {
		t.Errorf("refused %v", v.Refused)
	}
}

// TestPrintingShowsNoSecret prints what is bound with every verb.
func TestPrintingShowsNoSecret(t *testing.T) {
	const recipe = `
recipe: x
params: {key: {secret: true}}
tokens:
  a: {request: {url: "https://h/", basic: {user: u, password: "${key}"}}, value: {json: t}, lifetime: 1h}
inject:
  - {header: Key, value: "Key ${key}"}
  - {header: Both, value: "${a} ${key}"}
`
	c := loadConfig(t, recipe, "credentials: {c: {with: {key: canary-1}}}\nroute: {use: [c]}\n")
	program := c.creds["c"].Tokens()[0]
	program.Key = nil // the engine's to hash; the one place where a secret stands as it is
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{c.creds["c"], *c.creds["c"], c.plan, *c.plan, c.plan.fields, program, *program} {
			if strings.Contains(fmt.Sprintf(verb, v), "canary-1") {
				t.Errorf("%s of %T shows the secret", verb, v)
			}
		}
	}
}
