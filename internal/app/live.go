package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"attache/internal/config"
	"attache/internal/exchange"
	"attache/internal/terminal"
	"attache/recipe"
	"attache/refresher"
)

// LiveConfig is what [CheckLive] checks.
type LiveConfig struct {
	Config *config.Config
	// Timeout bounds all logins together; each has the bound of its credential
	// besides.
	Timeout time.Duration
}

// CheckLive logs in once for every token whose login needs nothing from a
// request, parents first and once, and writes a table of what came of it. It
// holds no secret. The error tells how many logins failed.
func CheckLive(ctx context.Context, w io.Writer, cfg LiveConfig) error {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	checks := planLive(ctx, cfg)
	var wg sync.WaitGroup
	for _, c := range checks {
		wg.Go(func() { c.login() })
	}
	wg.Wait()
	rows := [][]terminal.Cell{{{Text: "CREDENTIAL"}, {Text: "TOKEN"}, {Text: "RESULT"}, {Text: "LIFETIME"}, {}}}
	tried, failed := 0, 0
	for _, c := range checks {
		r := c.login()
		style := terminal.Good
		switch {
		case r.skipped:
			style = terminal.Notice
		case r.failed:
			style = terminal.Bad
			failed++
		}
		if !r.skipped {
			tried++
		}
		rows = append(rows, []terminal.Cell{{Text: c.credential}, {Text: c.token}, {Style: style, Text: r.result}, {Text: r.lifetime}, {Text: r.text}})
	}
	if err := terminal.Table(w, rows); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d logins failed", failed, tried)
	}
	return nil
}

// liveCheck is a row of the table. login logs in when it is called first, and
// waits for the parents' logins before.
type liveCheck struct {
	credential, token string
	login             func() liveResult
}

// liveResult is what came of a login.
type liveResult struct {
	token           refresher.Token
	failed, skipped bool
	result          string // "ok", the class of the failure, "not tried"
	lifetime, text  string
}

// planLive makes the rows. Credentials come in an order in which parents are
// there before their children.
func planLive(ctx context.Context, cfg LiveConfig) []liveCheck {
	var rows []liveCheck
	logins := map[tokenName]func() liveResult{}
	room := make(chan struct{}, 8) // logins at a time
	for _, c := range cfg.Config.Credentials {
		transport := loginTransport(c)
		for _, program := range c.Program.Tokens() {
			l := liveLogin{program: program, transport: transport, room: room, timeout: cfg.Timeout}
			for _, p := range program.Parents {
				l.parents = append(l.parents, logins[tokenName{p.Credential.Name(), p.Token}])
			}
			name := tokenName{c.Name, program.Name}
			logins[name] = sync.OnceValue(func() liveResult {
				switch {
				case len(program.Params) > 0:
					return liveResult{skipped: true, result: "needs a request", text: traceCommand(c.Name, program)}
				case program.Policy.Rotates:
					return liveResult{skipped: true, result: notTried, text: "its " + goodOnce}
				}
				return l.run(ctx)
			})
			rows = append(rows, liveCheck{c.Name, program.Name, logins[name]})
		}
	}
	return rows
}

// traceCommand is how a token is tried that takes parameters from requests.
func traceCommand(credential string, program *recipe.TokenProgram) string {
	words := "attache token " + credential
	for _, n := range program.RequestNames() {
		if n.In == exchange.Query {
			words += " --query " + n.Name + "=…"
		} else {
			words += fmt.Sprintf(" -H '%s: …'", n.Name)
		}
	}
	return words
}

const (
	notTried = "not tried"
	// goodOnce is why a login by hand, whose token nobody keeps, spares a token
	// that rotates.
	goodOnce = "refresh token is good for one use, so it is not used here: the next one would be lost"
)

// liveLogin is the login of one token.
type liveLogin struct {
	program   *recipe.TokenProgram
	parents   []func() liveResult
	transport http.RoundTripper
	room      chan struct{}
	timeout   time.Duration
}

func (l *liveLogin) run(ctx context.Context) liveResult {
	var in refresher.Input
	for i, parent := range l.parents {
		r := parent()
		if r.failed || r.skipped {
			p := l.program.Parents[i]
			return liveResult{failed: r.failed, skipped: r.skipped, result: notTried, text: fmt.Sprintf("it needs %s.%s", p.Credential.Name(), p.Token)}
		}
		in.Parents = append(in.Parents, r.token)
	}
	select {
	case l.room <- struct{}{}:
		defer func() { <-l.room }()
	case <-ctx.Done():
		return l.cut(notTried)
	}
	var warnings []string
	source := l.program.Source(l.transport, "attache")
	source.Warn = func(text string) { warnings = append(warnings, text) }
	token, err := source.Fetch(ctx, in)
	if err != nil {
		return l.failure(ctx, err)
	}
	life := "until refused"
	if !token.ExpiresAt.IsZero() {
		life = token.ExpiresAt.Sub(token.IssuedAt).String()
	}
	return liveResult{token: token, result: "ok", lifetime: life, text: strings.Join(warnings, "; ")}
}

// failure is what came of a login that failed.
func (l *liveLogin) failure(ctx context.Context, err error) liveResult {
	class := refresher.Transient
	if fe, ok := errors.AsType[*refresher.FetchError](err); ok {
		class = fe.Class
	}
	if ctx.Err() != nil {
		return l.cut(class.String())
	}
	return liveResult{failed: true, result: class.String(), text: err.Error()}
}

// cut is for a login that the time for all of them did not suffice for.
func (l *liveLogin) cut(result string) liveResult {
	return liveResult{failed: true, result: result, text: fmt.Sprintf("not done within the %v for all logins", l.timeout)}
}
