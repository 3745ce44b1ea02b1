package recipe

import (
	"slices"
	"strings"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// planRule is a refusal of a route.
type planRule struct {
	program *TokenProgram
	slot    int
	matcher *matcher
}

// planRenewal is where a renewed token may stand in an answer.
type planRenewal struct {
	place    string // in the file
	program  *TokenProgram
	slot     int
	from     extractor
	lifetime []lifetimeDecl
}

// rules collects what answers mean. A rule of a recipe that is about a token
// which this route does not inject is no rule here: an answer to a request
// that did not carry the token says nothing about it.
func (b *planner) rules() {
	if v := b.cfg.Refused; v.IsZero() {
		for _, c := range b.cfg.Use {
			b.refusals(c, c.refused, false)
		}
	} else {
		b.routeRefusals(v)
	}
	if v := b.cfg.Renewed; v.IsZero() {
		for _, c := range b.cfg.Use {
			b.renewals(c, c.renewed, false)
		}
	} else {
		for _, item := range v.List(false) {
			if d, ok := parseRenewed(item, routeScope{b.cfg.Use}.target); ok {
				b.renewals(d.target.cred, []renewedDecl{d}, true)
			}
		}
	}
}

// paths collects the places in bodies that rules look at.
func (b *planner) paths() {
	var paths []string
	for _, group := range b.p.refused {
		for i := range group {
			for _, t := range group[i].matcher.json {
				paths = append(paths, t.name)
			}
		}
	}
	for i := range b.p.renewed {
		if path := b.p.renewed[i].from.json; path != "" {
			paths = append(paths, path)
		}
	}
	b.p.paths = newJSONPaths(paths)
}

func (b *planner) routeRefusals(v yamldoc.Value) {
	byCredential := map[*Credential][]refusal{}
	var order []*Credential
	for _, item := range v.List(false) {
		d, ok := parseRefusal(item, routeScope{b.cfg.Use}.target, nil)
		if !ok {
			continue
		}
		c := d.target.cred
		if byCredential[c] == nil {
			order = append(order, c)
		}
		byCredential[c] = append(byCredential[c], d)
	}
	for _, c := range order {
		b.refusals(c, byCredential[c], true)
	}
}

// refusals adds the rules of one credential. With need, they make their tokens
// slots of the route.
func (b *planner) refusals(c *Credential, list []refusal, need bool) {
	var group []planRule
	for _, d := range list {
		t := c.resolve(d.target)
		if need {
			b.need(t)
		}
		if !slices.Contains(b.programs, t) {
			continue
		}
		group = append(group, planRule{program: t, matcher: d.matcher})
		b.p.bodies = b.p.bodies || d.matcher.needsBody()
		b.p.trailers = b.p.trailers || d.matcher.grpc != 0
	}
	if len(group) > 0 {
		b.p.refused = append(b.p.refused, group)
	}
}

func (b *planner) renewals(c *Credential, list []renewedDecl, need bool) {
	for _, d := range list {
		if d.hide {
			b.hide(d.from)
		}
		t := c.resolve(d.target)
		if need {
			b.need(t)
		}
		if !slices.Contains(b.programs, t) {
			continue
		}
		b.p.renewed = append(b.p.renewed, planRenewal{place: d.at.Path(), program: t, from: d.from, lifetime: d.lifetime})
		b.p.bodies = b.p.bodies || d.from.json != ""
	}
}

func (b *planner) hide(from extractor) {
	n := exchange.Name{In: exchange.Header, Name: from.name}
	if from.cookie != "" {
		n = exchange.Name{In: exchange.Cookie, Name: from.cookie}
	}
	if !slices.Contains(b.p.hide, n) {
		b.p.hide = append(b.p.hide, n)
	}
}

// WantsBody says whether the body of this answer could matter, now that its
// head is known.
func (p *Plan) WantsBody(req, ans exchange.Head) exchange.BodyWant {
	if !p.bodies || !readable(req, ans) {
		return exchange.NoBody
	}
	a := answer{path: req.Path, status: ans.Status, header: ans.Header}
	want := exchange.NoBody
	for _, group := range p.refused {
		for i := range group {
			m := group[i].matcher
			if !m.matchHead(&a) {
				continue
			}
			if !m.needsBody() {
				break // it matches, whatever the body: later rules do not count
			}
			if m.text != nil {
				return exchange.TextBody
			}
			want = exchange.JSONBody
		}
	}
	for i := range p.renewed {
		if p.renewed[i].from.json != "" {
			want = exchange.JSONBody
		}
	}
	return want
}

// readable reports whether the body of an answer may be held and looked at at
// all: not when there is none, when it is part of something, or when it is a
// stream whose first line may be long in coming.
func readable(req, ans exchange.Head) bool {
	if req.Method == "HEAD" || ans.Status < 200 || ans.Status == 204 || ans.Status == 206 || ans.Status == 304 {
		return false
	}
	kind, _, _ := strings.Cut(ans.Header.Get("Content-Type"), ";")
	kind = strings.TrimSpace(kind)
	if kind == "application/json" { // nearly all of them are
		return true
	}
	for _, stream := range [...]string{
		"text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl",
		"application/x-jsonlines", "application/stream+json", "application/json-seq", "multipart/x-mixed-replace",
	} {
		if strings.EqualFold(kind, stream) {
			return false
		}
	}
	return len(kind) < len("application/grpc") || !strings.EqualFold(kind[:len("application/grpc")], "application/grpc")
}

// Judge says what an answer means for the tokens of its request. req is the
// request as it went upstream; body is the decoded beginning of the body, or
// nil if it was not looked at. Nothing is allocated when there is nothing to
// say, unless names or texts beside or at the end of a rule's path hold escapes,
// numbers there are no plain integers, or the path names more than members and
// items.
func (p *Plan) Judge(req, ans exchange.Head, body []byte) exchange.Verdict {
	var v exchange.Verdict
	if len(p.refused) == 0 && len(p.renewed) == 0 {
		return v
	}
	a := answer{path: req.Path, status: ans.Status, header: ans.Header, trailer: ans.Trailer, body: body}
	a.members.paths = p.paths
	for _, group := range p.refused {
		if i := firstMatch(group, &a); i >= 0 {
			v.Refused = appendRefusal(v.Refused, &group[i])
		}
	}
	for i := range p.renewed {
		p.appendRenewal(&v, &p.renewed[i], &a)
	}
	return v
}

func firstMatch(group []planRule, a *answer) int {
	for i := range group {
		if group[i].matches(a) {
			return i
		}
	}
	return -1
}

// matches decides the rule; on a body that was not looked at none matches.
func (r *planRule) matches(a *answer) bool {
	if r.matcher.needsBody() && a.body == nil {
		return false
	}
	return r.matcher.match(a)
}

// appendRefusal leaves out a token that another credential's rules refused
// already.
func appendRefusal(list []exchange.Refusal, rule *planRule) []exchange.Refusal {
	for _, r := range list {
		if r.Slot == rule.slot {
			return list
		}
	}
	signal := exchange.SignalStatus
	switch {
	case rule.matcher.grpc != 0:
		signal = exchange.SignalGRPC
	case rule.matcher.needsBody():
		signal = exchange.SignalBody
	}
	return append(list, exchange.Refusal{Slot: rule.slot, Signal: signal})
}

// appendRenewal adds a renewed token that is there and legal. The first for
// each token counts.
func (p *Plan) appendRenewal(v *exchange.Verdict, rule *planRenewal, a *answer) {
	text, why := rule.find(a)
	if why != "" {
		return
	}
	for _, r := range v.Renewed {
		if r.Slot == rule.slot {
			return
		}
	}
	life := chooseLifetime(rule.lifetime, a, text, rule.from.cookie, p.now().Round(0))
	v.Renewed = append(v.Renewed, exchange.Renewal{Slot: rule.slot, Value: secret.New(strings.Clone(text)), Lifetime: life.d})
}

// find takes the renewed token, or says why there is none that is legal.
func (r *planRenewal) find(a *answer) (text, why string) {
	switch {
	case r.from.header != "" && a.header.Get(r.from.header) == "":
		return "", "it is missing"
	case r.from.json != "" && a.body == nil:
		return "", "the body was not looked at"
	}
	text, found, why := r.from.extract(a)
	if !found {
		return "", why
	}
	return text, checkToken(text)
}
