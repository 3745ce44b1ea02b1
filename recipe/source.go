package recipe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// Source logs in over rt, unless the token comes from elsewhere; rt must follow no redirect ([http.Transport] does
// not) and may decode gzip or leave it. userAgent is sent when not empty.
func (t *TokenProgram) Source(rt http.RoundTripper, userAgent string) *Source {
	return &Source{program: t, rt: rt, userAgent: userAgent, now: time.Now, random: rand.Reader, run: runCommand}
}

// Source implements [refresher.Source]. It is safe for concurrent use.
type Source struct {
	// Warn is told of what went well enough but not well, such as an answer
	// without a usable lifetime; may be nil. Set it before the first Fetch. It
	// may be called concurrently, and holds no secret.
	Warn func(text string)

	program   *TokenProgram
	rt        http.RoundTripper
	userAgent string
	now       func() time.Time
	random    io.Reader
	run       Runner
}

// Fetch makes one attempt to log in. Errors are *[refresher.FetchError].
func (s *Source) Fetch(ctx context.Context, in refresher.Input) (refresher.Token, error) {
	token, warnings, err := s.obtain(ctx, in, nil)
	if s.Warn != nil {
		for _, text := range warnings {
			s.Warn(text)
		}
	}
	return token, err
}

// attempt is one login. It reads every secret once, so that a change in the
// middle cannot mix two accounts.
type attempt struct {
	s        *Source
	t        *TokenProgram
	in       refresher.Input
	files    map[*secret.Ref]secret.String
	params   map[int]string // canonical values of the parameters that are mentioned
	lets     []letValue
	secrets  []secret.String // of this login, to be scrubbed from whatever is shown
	host     string
	received time.Time // when the head of the answer came
	warnings []string
	trace    *tracer // nil: nobody watches
}

// letValue is a computed value; ok is false when it has none.
type letValue struct {
	text string
	ok   bool
}

func (a *attempt) run(ctx context.Context) (refresher.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout())
	defer cancel()
	if err := a.prepare(); err != nil {
		return refresher.Token{}, a.fail(refresher.Permanent, err.Error(), err)
	}
	if a.t.decl.origin != nil {
		return a.fromOrigin(ctx)
	}
	ans, err := a.send(ctx)
	if err != nil {
		return refresher.Token{}, err
	}
	return a.judge(ans, a.received)
}

// send sends the request and reads the answer, once the attempt is prepared.
func (a *attempt) send(ctx context.Context) (*answer, error) {
	req, err := a.t.decl.request.build(ctx, a, a.s.userAgent)
	if err != nil {
		return nil, a.fail(refresher.Permanent, err.Error(), err)
	}
	a.host = req.URL.Host
	if basic, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Basic "); ok {
		a.hide(secret.New(basic))
	}
	a.trace.request(a)
	resp, err := a.s.rt.RoundTrip(req)
	if err != nil {
		return nil, a.failNetwork(ctx, err)
	}
	defer resp.Body.Close()
	a.received = a.s.now().Round(0)
	ans := &answer{path: req.URL.EscapedPath(), status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if ans.body, err = readBody(resp, a.t.decl.request.maxBody); err != nil {
			a.trace.unread(a, ans, err)
			return nil, a.failRead(ctx, ans, err)
		}
	}
	return ans, nil
}

func (a *attempt) timeout() time.Duration {
	if p := &a.s.program.Policy; p.Timeout > 0 {
		return p.Timeout
	}
	return defaultTimeout
}

// prepare reads the parameters and computes the values of let.
func (a *attempt) prepare() error {
	a.trace.watch(a)
	a.readFiles()
	a.collectSecrets()
	a.params = map[int]string{}
	for _, i := range a.t.mentioned {
		p := &a.t.cred.recipe.Params[i]
		text, ok := a.t.cred.paramValue(i, a)
		if !ok {
			continue
		}
		value, why := p.canonical(text)
		if a.t.cred.bindings[i].kind == bindToken {
			value, why = text, "" // another vendor's text: only its place decides what is legal
		}
		if why != "" {
			return fmt.Errorf("the parameter %s %s", p.Name, why)
		}
		a.params[i] = value
	}
	now := a.s.now()
	for i := range a.t.decl.lets {
		l := &a.t.decl.lets[i]
		text, ok, err := l.compute(a, now, a.s.random)
		if err != nil {
			return err
		}
		a.lets = append(a.lets, letValue{text, ok})
		if ok && l.secret() {
			a.secrets = append(a.secrets, secret.New(text))
		}
	}
	return nil
}

// readFiles reads the secret files anew. One that cannot be read keeps its old
// value: it may be replaced at this very moment.
func (a *attempt) readFiles() {
	a.files = map[*secret.Ref]secret.String{}
	for _, i := range a.t.mentioned {
		b := &a.t.cred.bindings[i]
		if b.kind != bindFile {
			continue
		}
		text, err := b.ref.Read()
		if err != nil {
			text = b.ref.Current()
			a.warnings = append(a.warnings, fmt.Sprintf("%v; using the value read before", err))
		}
		a.files[b.ref] = text
	}
}

func (a *attempt) collectSecrets() {
	c := a.t.cred
	a.secrets = append(a.secrets, c.Secrets()...)
	for i := range c.bindings {
		if c.recipe.Params[i].Secret && c.bindings[i].kind == bindRequest {
			if text, ok := a.fromRequest(c.bindings[i].req); ok {
				a.secrets = append(a.secrets, secret.New(text))
			}
		}
	}
	for _, text := range a.files {
		a.secrets = append(a.secrets, text)
	}
	for _, t := range append(slices.Clone(a.in.Parents), a.in.Previous) {
		a.hide(t.Value)
		for _, text := range t.Outputs {
			a.hide(text)
		}
	}
}

// hide adds a value that came from a vendor to the secrets. Very short ones
// are no tokens, and blotting them out would blot out half of every text.
func (a *attempt) hide(s secret.String) {
	if len(s.Reveal()) >= 4 {
		a.secrets = append(a.secrets, s)
	}
}

// value implements values.
func (a *attempt) value(ref *reference) (string, bool) {
	switch ref.kind {
	case refParam:
		text, ok := a.params[ref.param]
		return text, ok
	case refLet:
		if ref.let < len(a.lets) {
			return a.lets[ref.let].text, a.lets[ref.let].ok
		}
	case refToken:
		return a.fromToken(a.t.cred.programs[ref.token], ref.output)
	case refOwn:
		return tokenText(a.in.Previous, ref.output)
	}
	return "", false
}

// typeOf implements typedValues.
func (a *attempt) typeOf(ref *reference) ParamType { return a.t.cred.recipe.Params[ref.param].Type }

func (a *attempt) fromRequest(req *requestParam) (string, bool) {
	if i := slices.Index(a.t.requests, req); i >= 0 && i < len(a.in.Params) {
		return a.in.Params[i], true
	}
	return "", false
}

func (a *attempt) fromToken(t *TokenProgram, output string) (string, bool) {
	if i := slices.Index(a.t.parents, t); i >= 0 && i < len(a.in.Parents) {
		return tokenText(a.in.Parents[i], output)
	}
	return "", false
}

func (a *attempt) fromFile(ref *secret.Ref) string { return a.files[ref].Reveal() }

// tokenText returns a token's value, or an output of it. ok is false when it
// is not there.
func tokenText(t refresher.Token, output string) (string, bool) {
	s := t.Value
	if output != "" {
		s = t.Outputs[output]
	}
	return s.Reveal(), !s.IsEmpty()
}

// loginError is why a login failed. Its text is scrubbed; the cause is there
// for errors.Is alone, and its own text may hold anything.
type loginError struct {
	text  string
	cause error
}

func (e *loginError) Error() string { return e.text }
func (e *loginError) Unwrap() error { return e.cause }

// fail makes the error of this login. What of its text comes from elsewhere
// went through scrub.
func (a *attempt) fail(class refresher.Class, text string, cause error) *refresher.FetchError {
	a.trace.step("Failed", "class: "+class.String(), "text: "+text)
	return &refresher.FetchError{Class: class, Err: &loginError{text, cause}}
}

// failNetwork is for a request that got no answer.
func (a *attempt) failNetwork(ctx context.Context, err error) *refresher.FetchError {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return a.fail(refresher.Transient, fmt.Sprintf("%s: no answer within %v", a.host, a.timeout()), context.DeadlineExceeded)
	}
	return a.fail(refresher.Transient, a.host+": "+a.scrub(err.Error(), maxMessage), err)
}

// failRead is for an answer that could not be read to its end.
func (a *attempt) failRead(ctx context.Context, ans *answer, err error) *refresher.FetchError {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		text := fmt.Sprintf("%s answered %d, but the answer did not end within %v", a.host, ans.status, a.timeout())
		return a.fail(refresher.Transient, text, context.DeadlineExceeded)
	}
	return a.failAnswer(ans, classOf(ans), fmt.Sprintf("%s answered %d, but %s", a.host, ans.status, a.scrub(err.Error(), maxMessage)), err)
}
