package recipe

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// TestMisses holds what explains a mismatch against what decides it, and both
// against a decision written down a second time, on random matchers and
// answers.
func TestMisses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for range 20000 {
		source := randomMatcher(r)
		m := readMatcher(t, source)
		a := randomAnswer(r)
		got := m.match(a)
		misses := m.misses(a, func(s string) string { return s })
		want := oldMatch(m, a)
		if got != want || got != (len(misses) == 0) || got != (m.matchHead(a) && m.hold(m.heads(), m.requirements(), a)) {
			t.Fatalf("%s on %+v: match %v, want %v, misses %q", source, a, got, want, misses)
		}
		if f := m.finding("rule", got, a, func(s string) string { return s }); !got && !strings.Contains(f.String(), strings.Join(misses, "; ")) {
			t.Fatalf("%s on %+v: %q", source, a, f)
		}
		for _, miss := range misses {
			if !strings.Contains(source, strings.Fields(miss)[0]) && !strings.HasPrefix(miss, "the body is no JSON") {
				t.Fatalf("%s on %+v: it has no requirement of the kind: %q", source, a, miss)
			}
		}
		if got {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matched: the dice are loaded", matched)
	}
}

// oldMatch decides key by key.
func oldMatch(m *matcher, a *answer) bool {
	ok := len(m.status) == 0 || slices.ContainsFunc(m.status, func(s statusRange) bool { return s.from <= a.status && a.status <= s.to })
	for i := range m.header {
		ok = ok && matchHeader(&m.header[i], a)
	}
	ok = ok && (m.grpc == 0 || m.grpc.match(a))
	ok = ok && (len(m.path) == 0 || matchPath(m.path, a.path)) && !matchPath(m.notPath, a.path)
	for _, t := range m.json {
		member, isJSON := a.member(t.name)
		ok = ok && isJSON && t.want.matchJSON(member)
	}
	return ok && (m.text == nil || m.text.matchContent(string(a.body)))
}

func randomMatcher(r *rand.Rand) string {
	values := []string{"1", `"x"`, "null", "/x/", "[1, x]", "[null, 2]"}
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	keys := []string{
		"status: " + pick("200", "4xx", "[200, 403]"),
		"header: {X-A: " + pick(values...) + "}",
		"json: {code: " + pick(values...) + "}",
		"json: {code: " + pick(values...) + ", data.kind: " + pick(values...) + "}",
		"text: " + pick("x", "/1/", "/z*/", "[a, b]"),
		"grpc: " + pick("7", "[7, unauthenticated]"),
		"path: " + pick("/a", "/a/*", `"**"`),
		"not_path: " + pick("/a", "/a/*"),
	}
	seen := map[string]bool{}
	var chosen []string
	for range 1 + r.IntN(3) {
		key := keys[r.IntN(len(keys))]
		if name, _, _ := strings.Cut(key, ":"); !seen[name] {
			seen[name] = true
			chosen = append(chosen, key)
		}
	}
	return "{" + strings.Join(chosen, ", ") + "}"
}

// readMatcher reads a matcher; what is wrong with it as a whole does not
// matter here.
func readMatcher(t *testing.T, source string) *matcher {
	t.Helper()
	root, ok := yamldoc.Parse(&yamldoc.Report{}, "matcher", []byte(source))
	if !ok {
		t.Fatal(source)
	}
	return parseMatcher(root.Object(matcherShape()), nil)
}

func randomAnswer(r *rand.Rand) *answer {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	h := http.Header{}
	if v := pick("", "1", "x", "y"); v != "" {
		h.Set("X-A", v)
	}
	if v := pick("", "7", "16", "0", "junk"); v != "" {
		h.Set("Grpc-Status", v)
	}
	body := pick("", "x", "{", `{"code":1}`, `{"code":"x","data":{"kind":2}}`, `{"code":null}`, `{"code":[1,5]}`, `{"code":{}}`, `[1]`)
	return &answer{path: pick("/a", "/a/b", "/c"), status: []int{200, 403, 404, 500}[r.IntN(4)], header: h, body: []byte(body)}
}

// TestExplainAgrees compares the findings of plans with their verdicts.
func TestExplainAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for range 3000 {
		var rules []string
		for range 1 + r.IntN(4) {
			rules = append(rules, "  - {token: a, "+strings.TrimPrefix(randomMatcher(r), "{"))
		}
		source := "recipe: own\ntokens:\n  a: {request: {url: \"http://127.0.0.1\", method: GET}, value: {json: t}, lifetime: 1h}\n" +
			"inject: [{header: X-T, value: \"${a}\"}]\nrefused:\n" + strings.Join(rules, "\n") + "\nrenewed: [{token: a, json: data.kind, lifetime: 1h}]\n"
		rep := &yamldoc.Report{}
		parsed, ok := Parse(rep, "own.yaml", []byte(source))
		if !ok {
			continue // a matcher that says nothing, or grpc beside json
		}
		c, ok := Bind(rep, parsed, BindConfig{Name: "own"})
		if !ok {
			t.Fatal(rep.Err())
		}
		plan, ok := NewPlan(rep, RouteConfig{Use: []*Credential{c}})
		if !ok {
			t.Fatal(rep.Err())
		}
		a := randomAnswer(r)
		req, ans := exchange.Head{Path: a.path}, exchange.Head{Status: a.status, Header: a.header}
		if r.IntN(3) == 0 {
			a.body = nil
		}
		v, list := plan.Judge(req, ans, a.body), plan.Explain(req, ans, a.body)
		holds := slices.ContainsFunc(list[:len(list)-1], func(f Finding) bool { return f.Holds })
		if last := list[len(list)-1]; holds != (len(v.Refused) > 0) || last.Holds != (len(v.Renewed) > 0) {
			t.Fatalf("%s on %+v: %+v, but %v", source, a, v, list)
		}
		for _, f := range list {
			if !f.Holds && f.Why == "" {
				t.Fatalf("%s on %+v: no reason: %v", source, a, list)
			}
		}
		if holds {
			refused++
		}
	}
	if refused < 200 {
		t.Errorf("only %d were refused: the dice are loaded", refused)
	}
}

func TestMissTexts(t *testing.T) {
	for _, tt := range []struct{ matcher, answer, want string }{
		{"{status: 403}", `{}`, `status is 200, want 403`},
		{"{status: [403, 5xx]}", `{}`, `status is 200, want one of 403, 5xx`},
		{"{json: {code: 0}}", `{"code":"1001"}`, `json code is "1001", want "0"`},
		{"{json: {code: 0}}", `{"code":null}`, `json code is missing, want "0"`},
		{"{json: {code: null}}", `{"code":{}}`, `json code is not absent`},
		{"{json: {code: 0}}", `<html>`, `the body is no JSON, want json code "0"`},
		{"{json: {code: 0}}", `{"code":"AAAABBBBCCCCDDDDEEEEFFFFGGGG"}`, `json code is "[28 characters]", want "0"`},
		{"{json: {session: null}}", `{"session":"s3ss10n"}`, `json session is "[masked]", want absent`},
		{"{header: {X-A: /t/}}", `{}`, `header X-A is missing, want /t/`},
		{"{header: {X-B: 1}}", `{}`, `header X-B is not "1"`},
		{"{grpc: 7}", `{}`, `grpc has no status, want permission_denied`},
		{"{status: 200, path: /b, not_path: /a}", `{}`, `path is /a, which no pattern matches; path is /a, which not_path matches`},
		{"{status: 403, text: [a, /b/]}", `{}`, `status is 200, want 403; text does not match one of "a", /b/`},
	} {
		a := &answer{path: "/a", status: 200, header: http.Header{"X-B": {"s3cr3t"}}, body: []byte(tt.answer)}
		m := readMatcher(t, tt.matcher)
		got := m.finding("errors[0]", m.match(a), a, maskWords).String()
		if want := fmt.Sprintf("errors[0] does not match: %s", tt.want); got != want {
			t.Errorf("%s on %s:\n%s\nwant\n%s", tt.matcher, tt.answer, got, want)
		}
	}
}

// TestErrorTextsMaskSecretMembers: what goes to the log quotes no member that is
// called like a secret either.
func TestErrorTextsMaskSecretMembers(t *testing.T) {
	plain := func(text string) string { return text }
	m := readMatcher(t, "{json: {session_key: /^k/}}")
	a := &answer{status: 200, body: []byte(`{"session_key":"s3cr3t"}`)}
	if got, want := m.explain(a, plain), `session_key is "[masked]", want /^k/`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	a = &answer{status: 200, body: []byte(`{"session_key":"ks3cr3t"}`)}
	if got, want := m.found(a, plain), "session_key [masked]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
