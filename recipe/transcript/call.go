package transcript

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

func (t *Transcript) call(c *recipe.Credential) (*Result, error) {
	rep := &yamldoc.Report{}
	plan, ok := recipe.NewPlan(rep, recipe.RouteConfig{Name: "route", At: t.root, Use: []*recipe.Credential{c}, Allow: t.allow})
	if !ok {
		return nil, rep.Err()
	}
	plan = plan.Fixed(t.now, zeros{})
	req, body, err := readRequest(*t.client)
	if err != nil {
		return nil, t.mistakef("client is no request: %v", err)
	}
	params, err := plan.Params(headOf(req))
	if err != nil {
		return t.badRequest(err)
	}
	if t.bad != nil {
		return nil, t.mistakef("the client's request is good; say in -- request -- what goes upstream instead of the want")
	}
	tokens, err := t.slots(plan)
	if err != nil {
		return nil, err
	}
	secrets := t.secrets(c)
	fields, err := plan.AppendFields(nil, params, tokens)
	if err != nil {
		return nil, t.mistakef("%v", err)
	}
	strip(req, plan)
	head := headOf(req)
	inject(req, fields)
	sent := rawRequest(req.Method, req.URL.String(), req.Header, body)
	scrub := scrubber(secrets)
	shown := strings.Split(strings.TrimSuffix(scrub(sent), "\n"), "\n")
	res := &Result{Steps: []Step{step("request", t.request, sent, []recipe.Step{{Title: "Sent", Lines: shown}}, scrub)}}
	var wants []string
	for i, p := range t.pairs {
		got, trace, err := t.judge(plan, head, p.answer, secrets)
		if err != nil {
			return nil, t.mistakef("answer %d: %v", i+1, err)
		}
		wants = append(wants, got)
		res.Steps = append(res.Steps, step(fmt.Sprintf("answer %d", i+1), p.want, got, trace, scrub))
	}
	res.After = t.write(&sent, nil, wants)
	return res, nil
}

// secrets returns everything that a call could show and must not. Very short
// tokens are none: blotting them out would blot out half of every text.
func (t *Transcript) secrets(c *recipe.Credential) []secret.String {
	list := c.Secrets()
	for _, tok := range t.tokens {
		for _, s := range append(slices.Collect(maps.Values(tok.Outputs)), tok.Value) {
			if len(s.Reveal()) >= 4 {
				list = append(list, s)
			}
		}
	}
	return list
}

func scrubber(secrets []secret.String) func(string) string {
	return func(text string) string { return secret.Scrub(text, 0, secrets...) }
}

// badRequest is for a client's request that is refused by itself.
func (t *Transcript) badRequest(err error) (*Result, error) {
	if t.request != nil || len(t.pairs) > 0 {
		return nil, t.mistakef("the client's request is refused, so nothing goes upstream: %v", err)
	}
	got := "bad request: " + err.Error() + "\n"
	return &Result{Steps: []Step{step("request", t.bad, got, nil, scrubber(nil))}, After: t.write(nil, &got, nil)}, nil
}

// slots returns the tokens that the request gets.
func (t *Transcript) slots(plan *recipe.Plan) ([]refresher.Token, error) {
	var tokens []refresher.Token
	for _, s := range plan.Slots() {
		name := t.tokenName(s.Credential, s.Token)
		tok, ok := t.tokens[name]
		if !ok {
			return nil, t.mistakef("tokens has no %s, which the request gets; say tokens: {%s: VALUE}", name, name)
		}
		tokens = append(tokens, tok)
	}
	return tokens, nil
}

// judge says what an answer means, as a want has it.
func (t *Transcript) judge(plan *recipe.Plan, head exchange.Head, text string, secrets []secret.String) (string, []recipe.Step, error) {
	status, h, body, err := readAnswer(text, t.gzip)
	if err != nil {
		return "", nil, err
	}
	ans := exchange.Head{Status: status, Header: h}
	looks := plan.WantsBody(head, ans)
	held := body
	if looks == exchange.NoBody || looks == exchange.JSONBody && !strings.HasPrefix(strings.TrimLeft(string(body), " \t\r\n["), "{") {
		held = nil
	}
	v := plan.Judge(head, ans, held)
	for _, r := range v.Renewed {
		secrets = append(secrets, r.Value)
	}
	var findings []string
	for _, f := range plan.Explain(head, ans, held, secrets...) {
		findings = append(findings, f.String())
	}
	trace := []recipe.Step{
		{Title: "Received", Lines: recipe.ShownAnswer(status, h, string(body), scrubber(secrets))},
		{Title: "Judged", Lines: findings},
	}
	return t.describeVerdict(plan, looks, v), trace, nil
}

func (t *Transcript) describeVerdict(plan *recipe.Plan, looks exchange.BodyWant, v exchange.Verdict) string {
	name := func(slot int) string { s := plan.Slots()[slot]; return t.tokenName(s.Credential, s.Token) }
	var b strings.Builder
	fmt.Fprintf(&b, "looks: %s\n", [...]string{"none", "json", "text"}[looks])
	for _, r := range v.Refused {
		fmt.Fprintf(&b, "refused: %s by %s\n", name(r.Slot), r.Signal)
	}
	for _, r := range v.Renewed {
		life := "ever"
		if r.Lifetime > 0 {
			life = r.Lifetime.String()
		}
		fmt.Fprintf(&b, "renewed: %s = %s for %s\n", name(r.Slot), r.Value.Reveal(), life)
	}
	for _, n := range plan.Hide() {
		fmt.Fprintf(&b, "hide: %s %s\n", n.In, n.Name)
	}
	return b.String()
}
