package recipe

import (
	"fmt"
	"strings"

	"attache/internal/exchange"
	"attache/internal/secret"
)

// Finding says what one rule made of an answer, for people: which one matched,
// and why the others did not. It holds no secret.
type Finding struct {
	Rule  string // its place in the recipe: "refused[0] (user)", "success", "value"
	Holds bool   // it matched, or the value was there
	Why   string // why it does not hold, or where the value was; may be empty
}

// String is a line for people: `refused[0] (user) does not match: status is
// 200, want 403`. It implements [fmt.Stringer].
func (f Finding) String() string {
	verb := " matches"
	taken := f.Rule == "value" || strings.HasPrefix(f.Rule, "renewed")
	switch {
	case taken && f.Holds:
		verb = " found"
	case taken:
		verb = " not found"
	case !f.Holds:
		verb = " does not match"
	}
	if f.Why == "" {
		return f.Rule + verb
	}
	return f.Rule + verb + ": " + f.Why
}

// finding is what the matcher makes of an answer. Whether it holds was decided
// before; what it quotes passes through quote.
func (m *matcher) finding(rule string, holds bool, a *answer, quote func(string) string) Finding {
	f := Finding{Rule: rule, Holds: holds}
	if holds {
		f.Why = m.found(a, quote)
	} else {
		f.Why = strings.Join(m.misses(a, quote), "; ")
	}
	return f
}

// Explain says what each rule makes of an answer, in the order in which
// [Plan.Judge] asks them; of a credential's refusals those behind the first
// match are not asked. It takes what Judge takes. secrets are removed from what
// it quotes.
func (p *Plan) Explain(req, ans exchange.Head, body []byte, secrets ...secret.String) []Finding {
	a := answer{path: req.Path, status: ans.Status, header: ans.Header, trailer: ans.Trailer, body: body}
	a.members.paths = p.paths
	quote := func(text string) string { return maskWords(secret.Scrub(text, maxQuote, secrets...)) }
	var list []Finding
	for _, group := range p.refused {
		first := firstMatch(group, &a)
		for i := range group {
			list = append(list, group[i].finding(i == first, &a, quote))
			if i == first {
				break
			}
		}
	}
	for i := range p.renewed {
		r := &p.renewed[i]
		_, why := r.find(&a)
		f := Finding{Rule: fmt.Sprintf("%s (%s)", r.place, r.program.Name), Holds: why == "", Why: why}
		if f.Holds {
			f.Why = r.from.String()
		}
		list = append(list, f)
	}
	return list
}

// finding is that of the rule's matcher, which cannot match on a body that was
// not looked at.
func (r *planRule) finding(holds bool, a *answer, quote func(string) string) Finding {
	rule := fmt.Sprintf("%s (%s)", r.matcher.place, r.program.Name)
	if holds || !r.matcher.needsBody() || a.body != nil {
		return r.matcher.finding(rule, holds, a, quote)
	}
	misses := r.matcher.missesOf(0, r.matcher.heads(), a, quote)
	if len(misses) == 0 {
		misses = append(misses, "the body was not looked at")
	}
	return Finding{Rule: rule, Why: strings.Join(misses, "; ")}
}

// matches decides a rule of a login, and notes what it found.
func (a *attempt) matches(rule string, m *matcher, ans *answer) bool {
	ok := m.match(ans)
	if a.trace != nil {
		a.trace.find(m.finding(rule, ok, ans, a.shown))
	}
	return ok
}

// refuses is matches for the refusal of a parent.
func (a *attempt) refuses(rule parentRule, ans *answer) bool {
	return a.matches(fmt.Sprintf("%s (%s)", rule.matcher.place, a.t.parents[rule.parent].Name), rule.matcher, ans)
}

// place names a rule of the login's token: "errors[0]".
func (a *attempt) place(m *matcher) string {
	return strings.TrimPrefix(m.place, "tokens."+a.t.Name+".")
}

// shown is quote for the trace, where nothing that could be a token stays.
func (a *attempt) shown(text string) string { return maskWords(a.quote(text)) }

// maskWords replaces long words: any of them could be a token that the recipe
// does not know.
func maskWords(text string) string {
	return longWord().ReplaceAllStringFunc(text, func(word string) string {
		return fmt.Sprintf("[%d characters]", len(word))
	})
}

// find writes down what a rule made of the answer, in a step of its own.
func (tr *tracer) find(f Finding) {
	if tr == nil {
		return
	}
	const title = "Judged"
	if n := len(tr.out.Steps); n == 0 || tr.out.Steps[n-1].Title != title {
		tr.step(title)
	}
	last := &tr.out.Steps[len(tr.out.Steps)-1]
	last.Lines = append(last.Lines, cutLines(f.String())[0])
}
