package transcript

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

// Run runs the transcript against the recipe. Errors are [yamldoc.Problems],
// mistakes of the transcript: what does not go as expected is in the result.
func (t *Transcript) Run(ctx context.Context, r *recipe.Recipe) (*Result, error) {
	c, err := t.bind(r)
	if err != nil {
		return nil, err
	}
	if t.token != "" {
		return t.login(ctx, c)
	}
	return t.call(c)
}

// userAgent is what logins of transcripts send.
const userAgent = "attache/test"

func (t *Transcript) login(ctx context.Context, c *recipe.Credential) (*Result, error) {
	i := slices.IndexFunc(c.Tokens(), func(p *recipe.TokenProgram) bool { return p.Name == t.token })
	if i < 0 {
		return nil, t.mistakef("the recipe %s has no token %s; it has %s", c.Recipe().Name, t.token, strings.Join(c.Recipe().TokenNames(), ", "))
	}
	program := c.Tokens()[i]
	if program.IsFromSystem() { // a test runs no command and reads no file
		return nil, t.mistakef("the token %s comes from a file or a command, which no test reads or runs; see what it is with attache token", t.token)
	}
	in, err := t.input(program)
	if err != nil {
		return nil, err
	}
	res := &Result{}
	// Without an answer there is still the request to see.
	answers := t.pairs
	if len(answers) == 0 {
		answers = []pair{{answer: "HTTP/1.1 200 OK\n"}}
	}
	var wants []string
	var request *string
	for i, p := range answers {
		got, tr, sent := t.attempt(ctx, program, in, p.answer)
		first := 0 // of the trace's steps that are about the answer
		if sent != "" {
			first, request = 1, &sent
		}
		if i == 0 && (sent != "" || t.request != nil) {
			res.Steps = append(res.Steps, step("request", t.request, sent, tr.Steps[:first], tr.Scrub))
		}
		if len(t.pairs) == 0 {
			break
		}
		wants = append(wants, got)
		res.Steps = append(res.Steps, step(fmt.Sprintf("answer %d", i+1), p.want, got, tr.Steps[first:], tr.Scrub))
	}
	res.After = t.write(request, nil, wants)
	return res, nil
}

// mistakef returns a mistake of the transcript as a whole.
func (t *Transcript) mistakef(format string, args ...any) error {
	return yamldoc.Problems{{File: t.name, Line: 1, Col: 1, Text: fmt.Sprintf(format, args...)}}
}

// input gathers what the login needs.
func (t *Transcript) input(program *recipe.TokenProgram) (refresher.Input, error) {
	in := refresher.Input{}
	for _, p := range program.Params {
		text, ok := t.params[p.Name]
		if !ok {
			return in, t.mistakef("params has no %s, which comes from the request; say params: {%s: VALUE}", p.Name, p.Name)
		}
		in.Params = append(in.Params, text)
	}
	for _, p := range program.Parents {
		name := t.tokenName(p.Credential, p.Token)
		tok, ok := t.parents[name]
		if !ok {
			return in, t.mistakef("parents has no %s, which the login needs; say parents: {%s: VALUE}", name, name)
		}
		in.Parents = append(in.Parents, tok)
	}
	if t.before == nil {
		return in, nil
	}
	if !program.Refreshes() {
		return in, t.mistakef("previous is for tokens with a refresh, and %s has none", t.token)
	}
	var err error
	if in.Previous, err = program.Source(nil, userAgent).Fixed(t.now, zeros{}).Following(*t.before, in); err != nil {
		return in, t.mistakef("%v", err)
	}
	return in, nil
}

// attempt logs in once. It returns what came of it as a want has it, and the
// request.
func (t *Transcript) attempt(ctx context.Context, program *recipe.TokenProgram, in refresher.Input, answer string) (got string, tr recipe.Transcript, sent string) {
	rt := &canned{answer: rawAnswer(answer, t.gzip)}
	tr, tok, err := program.Source(rt, userAgent).Fixed(t.now, zeros{}).Trace(ctx, in)
	switch {
	case rt.then != "": // the answer is to the refresh, and the login has none
		return describeWarnings(tr.Warnings) + "then: " + rt.then + "\n", tr, rt.sent
	case err != nil:
		return t.describeFailure(program, err), tr, rt.sent
	}
	return describeToken(tok, t.now, tr.Warnings), tr, rt.sent
}

func describeToken(tok refresher.Token, now time.Time, warnings []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "value: %s\n", tok.Value.Reveal())
	for _, name := range slices.Sorted(maps.Keys(tok.Outputs)) {
		if strings.HasPrefix(name, ".") { // no recipe's: the source remembers something by it
			continue
		}
		fmt.Fprintf(&b, "output.%s: %s\n", name, tok.Outputs[name].Reveal())
	}
	life := "until_refused"
	if !tok.ExpiresAt.IsZero() {
		life = tok.ExpiresAt.Sub(now).String()
	}
	fmt.Fprintf(&b, "lifetime: %s\n", life)
	return b.String() + describeWarnings(warnings)
}

func describeWarnings(warnings []string) string {
	var b strings.Builder
	for _, w := range warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

func (t *Transcript) describeFailure(program *recipe.TokenProgram, err error) string {
	fe, ok := errors.AsType[*refresher.FetchError](err)
	if !ok {
		return fmt.Sprintf("text: %v\n", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\ntext: %v\n", fe.Class, err)
	if fe.RetryAfter > 0 {
		fmt.Fprintf(&b, "retry_after: %v\n", fe.RetryAfter)
	}
	for _, i := range fe.Refused {
		fmt.Fprintf(&b, "refused: %s\n", t.tokenName(program.Parents[i].Credential, program.Parents[i].Token))
	}
	return b.String()
}
