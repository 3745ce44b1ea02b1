package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"attache/internal/config"
	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/terminal"
	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/refresher"
)

// TraceConfig says which logins to show.
type TraceConfig struct {
	Config     *config.Config
	Credential string
	// Header and Query stand for the request that gives a keyed credential its
	// parameters; both may be empty.
	Header http.Header
	Query  url.Values
	// Reveal shows the tokens and what would be injected as they are.
	Reveal bool
}

// Trace logs in once for every token of a credential, parents first, and
// writes what was sent, what came back, and what would be injected, with
// everything secret masked. It returns the first login's error.
func Trace(ctx context.Context, w io.Writer, cfg TraceConfig) error {
	var rep yamldoc.Report
	t := tracer{w: w, cfg: cfg, tokens: map[tokenName]refresher.Token{}, transports: map[string]http.RoundTripper{}}
	for _, c := range cfg.Config.Credentials {
		if c.Name == cfg.Credential {
			t.program = c.Program
		}
		t.transports[c.Name] = loginTransport(c)
	}
	plan, ok := recipe.NewPlan(&rep, recipe.RouteConfig{Name: cfg.Credential, Use: []*recipe.Credential{t.program}})
	if !ok {
		return rep.Err()
	}
	vector, err := plan.Params(exchange.Head{Method: http.MethodGet, Path: "/", RawQuery: cfg.Query.Encode(), Header: cfg.Header})
	if err != nil {
		return fmt.Errorf("the credential takes parameters from requests: %w (give it with -H 'NAME: VALUE' or --query NAME=VALUE)", err)
	}
	// Tokens that no request gets, too: other credentials may need them.
	for _, program := range t.program.Tokens() {
		if len(program.Params) > 0 {
			continue // what it takes is known for the tokens of the plan alone
		}
		if _, err := t.login(ctx, t.program, program.Name, nil); err != nil {
			return err
		}
	}
	slots := plan.Slots()
	tokens := make([]refresher.Token, len(slots))
	for i, s := range slots {
		tokens[i], err = t.login(ctx, s.Credential, s.Token, pick(vector, s.Params))
		if err != nil {
			return err
		}
	}
	fields, err := plan.AppendFields(nil, vector, tokens)
	if err != nil {
		return err
	}
	t.show(fields)
	return nil
}

// tracer logs in once for each token that is asked for.
type tracer struct {
	w          io.Writer
	cfg        TraceConfig
	program    *recipe.Credential
	transports map[string]http.RoundTripper
	tokens     map[tokenName]refresher.Token
}

func (t *tracer) login(ctx context.Context, c *recipe.Credential, name string, params refresher.Params) (refresher.Token, error) {
	id := tokenName{c.Name(), name}
	if token, done := t.tokens[id]; done {
		return token, nil
	}
	program, err := tokenProgram(c, name)
	if err != nil {
		return refresher.Token{}, err
	}
	if program.Policy.Rotates {
		return refresher.Token{}, fmt.Errorf("%s.%s: its "+goodOnce, c.Name(), name)
	}
	in := refresher.Input{Params: params}
	for _, p := range program.Parents {
		parent, err := t.login(ctx, p.Credential, p.Token, pick(params, p.Params))
		if err != nil {
			return refresher.Token{}, err
		}
		in.Parents = append(in.Parents, parent)
	}
	t.title(c.Name() + "." + name)
	transcript, token, err := program.Trace(ctx, t.transports[c.Name()], in)
	if werr := transcript.Write(t.w, t.mark); werr != nil {
		return refresher.Token{}, werr
	}
	fmt.Fprintln(t.w)
	if err != nil {
		return refresher.Token{}, fmt.Errorf("log in for %s.%s: %w", c.Name(), name, err)
	}
	if t.cfg.Reveal {
		fmt.Fprintf(t.w, "the token: %s\n\n", t.revealed(token.Value.Reveal()))
	}
	t.tokens[id] = token
	return token, nil
}

func (t *tracer) title(text string) {
	fmt.Fprintln(t.w, terminal.Colors(t.w, os.Getenv).Paint(terminal.Bold, "== "+text+" =="))
}

// mark puts a title of a transcript into a style.
func (t *tracer) mark(title string) string {
	style := terminal.Bold
	switch title {
	case "Failed":
		style = terminal.Bad
	case "Warning":
		style = terminal.Notice
	}
	return terminal.Colors(t.w, os.Getenv).Paint(style, title)
}

// show writes what would be injected.
func (t *tracer) show(fields []exchange.Field) {
	t.title("what a request would get")
	var secrets []secret.String
	for _, token := range t.tokens {
		secrets = append(secrets, token.Value)
		for _, output := range token.Outputs {
			secrets = append(secrets, output)
		}
	}
	secrets = append(secrets, t.program.Secrets()...)
	for _, f := range fields {
		value := f.Value
		if t.cfg.Reveal {
			value = t.revealed(value)
		} else {
			value = terminal.Clean(secret.Scrub(value, 0, secrets...))
		}
		note := ""
		if f.IfAbsent {
			note = "   (unless the client sends one)"
		}
		fmt.Fprintf(t.w, "%-6s %s: %s%s\n", f.In, f.Name, strings.TrimSpace(value), note)
	}
}

// revealed is a value as it is, but for what a terminal would obey: a vendor may
// send that in a token.
func (t *tracer) revealed(value string) string {
	if terminal.Is(t.w) {
		return terminal.Clean(value)
	}
	return value
}

func tokenProgram(c *recipe.Credential, name string) (*recipe.TokenProgram, error) {
	for _, t := range c.Tokens() {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("credential %s has no token %s", c.Name(), name)
}

// pick returns the values at the given indexes.
func pick(values refresher.Params, indexes []int) refresher.Params {
	picked := make(refresher.Params, len(indexes))
	for i, index := range indexes {
		picked[i] = values[index]
	}
	return picked
}
