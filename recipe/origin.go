package recipe

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"attache/internal/yamldoc"
	"attache/refresher"
)

// origin is where a token comes from that no request fetches.
type origin interface {
	// templates calls f for everything that it mentions.
	templates(f func(template))
	// read gives the text that the value is taken from. what names it in
	// messages and in transcripts. An error says everything that may be shown.
	read(ctx context.Context, a *attempt) (text []byte, err error)
	what() string
}

// originKinds lists the keys that say where a token comes from; each token has
// one of them.
func originKinds() []string { return []string{"request", "file", "exec", "static", "mint"} }

// parseOrigin reads where the token comes from, and what depends on that: the
// defaults of value and lifetime, and which keys mean something.
func (p *parser) parseOrigin(t *tokenDecl, s *scope) {
	o := t.object
	kind := ""
	for _, k := range originKinds() {
		if !o.Has(k) {
			continue
		}
		if kind != "" {
			o.Get(k).Errorf("says both %s and %s; a token comes from one place", kind, k)
			continue
		}
		kind = k
	}
	if kind == "" {
		if hasRefresh(o) { // which has an initial value
			t.value = parseExtractors(o.Require("value"))
			t.lifetime = parseLifetime(o.Require("lifetime"), t.value)
			return
		}
		o.Self().Errorf("does not say where the token comes from; want one of %s", strings.Join(originKinds(), ", "))
		return
	}
	switch v := o.Get(kind); kind {
	case "request":
		t.login = true
		t.request = parseRequest(v, s)
		t.value = parseExtractors(o.Require("value"))
		t.lifetime = parseLifetime(o.Require("lifetime"), t.value)
		return
	case "file":
		t.origin = parseFileOrigin(v, s)
		t.lifetime = []lifetimeDecl{{kind: lifetimeJWT}, {kind: lifetimeConstant, d: rereadAfter}}
	case "exec":
		t.origin = parseExecOrigin(v, s, !o.Has("value"))
		t.lifetime = []lifetimeDecl{{kind: lifetimeFrom, from: extractor{json: "status.expirationTimestamp"}, as: "rfc3339"}, {kind: lifetimeJWT}, {kind: lifetimeForever}}
	case "static":
		text, _ := parseTemplate(v, s)
		t.origin = &staticOrigin{text}
		t.lifetime = []lifetimeDecl{{kind: lifetimeForever}}
	case "mint":
		d, _ := parseJWT(v, s)
		t.origin = &mintOrigin{d}
	}
	p.localKeys(t, kind)
}

// localKeys reads value and lifetime of a token without a request, and reports
// what only the answer to a request has.
func (p *parser) localKeys(t *tokenDecl, kind string) {
	o := t.object
	for _, k := range []string{"success", "errors", "message"} {
		if o.Has(k) {
			o.Get(k).Errorf("%s is about the answer to a request, and this token comes from %s", k, kind)
		}
	}
	t.value = []extractor{{text: true}}
	if e, ok := t.origin.(*execOrigin); ok && e.credential {
		t.value = []extractor{{json: "status.token"}}
	}
	if v := o.Get("value"); !v.IsZero() {
		t.value = parseExtractors(v)
		noHead(v, kind)
	}
	for _, e := range o.Get("outputs").Entries() {
		noHead(e.Value, kind)
	}
	if kind == "mint" {
		for _, k := range []string{"value", "outputs"} {
			if o.Has(k) {
				o.Get(k).Errorf("means nothing for mint: the JWT is the token")
			}
		}
	}
	v := o.Get("lifetime")
	if kind == "mint" || kind == "exec" && o.Has("value") {
		v = o.Require("lifetime")
	}
	if !v.IsZero() {
		t.lifetime = parseLifetime(v, t.value)
		noHead(v, kind)
	}
}

// noHead reports extractors of what only the head of an answer has.
func noHead(v yamldoc.Value, kind string) {
	for _, item := range v.List(true) {
		if !item.IsMap() {
			continue
		}
		for _, e := range item.Entries() {
			if e.Name == "header" || e.Name == "cookie" {
				e.Key.Errorf("%s is of the answer to a request, and this token comes from %s", e.Name, kind)
			}
		}
	}
}

// fromOrigin makes the token of an origin.
func (a *attempt) fromOrigin(ctx context.Context) (refresher.Token, error) {
	from := a.t.decl.origin
	text, err := from.read(ctx, a)
	if err != nil {
		class := refresher.Transient
		if permanent, ok := err.(permanentError); ok {
			class, err = refresher.Permanent, permanent.error
		}
		return refresher.Token{}, a.fail(class, err.Error(), err)
	}
	what := from.what()
	if path, ok := a.t.path(); ok {
		what += " " + path
	}
	now := a.s.now().Round(0)
	ans := &answer{status: http.StatusOK, header: http.Header{}, body: text}
	value, place, outputs := a.taken(ans)
	if e, ok := from.(*execOrigin); ok && e.credential {
		if why := badExecCredential(ans, a.quote); why != "" {
			return refresher.Token{}, a.fail(refresher.Permanent, what+" "+why, nil)
		}
	}
	if place == nil {
		return refresher.Token{}, a.fail(refresher.Transient, what+" gave no token: "+missing(a.t.decl.value, ans), nil)
	}
	if why := checkToken(value); why != "" {
		return refresher.Token{}, a.fail(refresher.Transient, what+" gave a token that "+why, nil)
	}
	return a.accept(ans, value, place, outputs, now), nil
}

// path returns the path of the token's file.
func (t *TokenProgram) path() (string, bool) {
	if t.file == nil {
		return "", false
	}
	return t.file.Path()
}

// permanentError marks what will fail again until somebody corrects something.
type permanentError struct{ error }

// staticOrigin is a text that parameters make.
type staticOrigin struct{ text template }

func (o *staticOrigin) templates(f func(template)) { f(o.text) }
func (o *staticOrigin) what() string               { return "static" }

func (o *staticOrigin) read(_ context.Context, a *attempt) ([]byte, error) {
	text, ok := o.text.render(a, verbatim)
	if !ok {
		return nil, permanentError{fmt.Errorf("static mentions a parameter that has no value")}
	}
	a.trace.step("Made", fmt.Sprintf("%d bytes from parameters", len(text)))
	return []byte(text), nil
}

// mintOrigin is a JWT that is signed here.
type mintOrigin struct{ jwt jwtDecl }

func (o *mintOrigin) templates(f func(template)) { o.jwt.templates(f) }
func (o *mintOrigin) what() string               { return "mint" }

func (o *mintOrigin) read(_ context.Context, a *attempt) ([]byte, error) {
	token, ok, err := o.jwt.sign(a, a.s.random)
	switch {
	case err != nil:
		return nil, permanentError{fmt.Errorf("mint: %w", err)}
	case !ok:
		return nil, permanentError{fmt.Errorf("the key of mint is a parameter that has no value")}
	}
	if a.trace != nil {
		masked := maskedValues{a}
		claims, _ := o.jwt.claims.document(nil, masked)
		lines := []string{"header: " + string(o.jwt.head(masked)), "claims: " + string(claims)}
		a.trace.step("Made", cutLines(a.scrubLines(strings.Join(lines, "\n")))...)
	}
	return []byte(token), nil
}

// rereadAfter is how long a token from a file is taken to live that does not
// say so itself.
const rereadAfter = time.Minute

// fileOrigin is a file that somebody else keeps fresh, as the kubelet does the
// token of a service account.
type fileOrigin struct{ path template }

func parseFileOrigin(v yamldoc.Value, s *scope) *fileOrigin {
	path, _ := parseTemplate(v, s)
	for _, ref := range path.refs() {
		if ref.kind != refParam {
			v.Errorf("${%s} is known at a login alone, and the path of a file before", ref.text)
		}
	}
	return &fileOrigin{path}
}

func (o *fileOrigin) templates(f func(template)) { f(o.path) }
func (o *fileOrigin) what() string               { return "the file" }

func (o *fileOrigin) read(_ context.Context, a *attempt) ([]byte, error) {
	text, err := a.t.file.Read()
	if err != nil {
		return nil, err
	}
	a.trace.step("Read", a.t.file.String(), fmt.Sprintf("%d bytes", len(text.Reveal())))
	return []byte(text.Reveal()), nil
}
