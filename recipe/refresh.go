package recipe

import (
	"slices"
	"time"

	"attache/internal/yamldoc"
)

// What a refresh needs of the token before.
const (
	needsRefreshToken = "refresh_token" // the output of that name
	needsValue        = "value"         // the value itself, still good: it is renewed in place
)

// refreshDecl is `renewal.refresh`: a second request that is used instead of
// the login as long as the token before has what it needs.
type refreshDecl struct {
	needs string
	// initial is what a token without a login begins with; nil: it has one.
	initial *template
	// rotates says that a refresh token is good for one use: always, or where a
	// condition on parameters holds that is not empty.
	rotates     bool
	rotatesWhen condition
	// decl is the token with what the refresh says in the place of what the
	// login says.
	decl *tokenDecl
}

// hasRefresh reports whether the token says how to refresh it. It notes
// nothing.
func hasRefresh(token yamldoc.Object) bool {
	renewal := token.Get("renewal")
	return renewal.IsMap() && slices.ContainsFunc(renewal.Entries(), func(e yamldoc.Entry) bool { return e.Name == "refresh" })
}

// refresh reads `renewal.refresh` of t, of which everything else is read.
func (p *parser) refresh(t *tokenDecl, v yamldoc.Value, s *scope) {
	if v.IsZero() {
		return
	}
	if t.origin != nil {
		v.Errorf("is for tokens that a request fetches, or that have nothing but a refresh")
		return
	}
	o := v.Object(refreshShape())
	if !v.IsMap() {
		return
	}
	r := &refreshDecl{decl: p.refreshed(t, o, s)}
	o.Require("needs")
	r.needs, _ = o.OneOf("needs")
	r.parseRotates(o.Get("rotates"), p.recipe)
	r.parseInitial(t, o, p.recipe)
	if r.needs == needsRefreshToken && !t.hasOutput(needsRefreshToken) {
		o.Get("needs").Errorf("token %s has no output refresh_token: say where the answer has it, outputs: {refresh_token: {json: refresh_token}}", t.name)
	} else if name := r.needed(t); name != "" && o.Has("request") && !r.sends() {
		o.Get("request").Errorf("does not mention ${%s}, which the refresh needs", name)
	}
	t.refresh = r
}

// refreshed returns t as the refresh has it.
func (p *parser) refreshed(t *tokenDecl, o yamldoc.Object, s *scope) *tokenDecl {
	d := *t
	d.request = parseRequest(o.Require("request"), s)
	if v := o.Get("success"); !v.IsZero() {
		d.success = p.success(v)
	}
	if o.Has("errors") {
		d.errors = nil
		for _, v := range o.Get("errors").List(true) {
			d.errors = append(d.errors, p.errorRule(v))
		}
	}
	if v := o.Get("message"); !v.IsZero() {
		d.message = parseExtractors(v)
	}
	if v := o.Get("value"); !v.IsZero() {
		d.value = parseExtractors(v)
	}
	d.outputs = slices.Clone(t.outputs)
	for _, e := range o.Get("outputs").Entries() {
		i := slices.IndexFunc(d.outputs, func(out output) bool { return out.name == e.Name })
		if i < 0 {
			e.Key.Errorf("token %s has no output %s%s", t.name, e.Name, yamldoc.DidYouMean(e.Name, t.outputNames()))
			continue
		}
		d.outputs[i].from = parseExtractors(e.Value)
	}
	if v := o.Get("lifetime"); !v.IsZero() {
		d.lifetime = parseLifetime(v, d.value)
	}
	return &d
}

func (r *refreshDecl) parseRotates(v yamldoc.Value, recipe *Recipe) {
	switch {
	case v.IsZero():
		return
	case v.IsMap():
		r.rotatesWhen = parseCondition(v, recipe)
	default:
		r.rotates, _ = v.Bool()
	}
	if r.needs == needsValue {
		v.Errorf("speaks of refresh tokens, and with needs: value there is none")
	}
}

// parseInitial reads what a token without a login begins with.
func (r *refreshDecl) parseInitial(t *tokenDecl, o yamldoc.Object, recipe *Recipe) {
	v := o.Get("initial")
	switch {
	case v.IsZero() && !t.login:
		o.Self().Errorf("initial is missing: without a request of its own the token has to begin with a parameter, such as initial: ${refresh_token}")
	case v.IsZero():
	case t.login:
		v.Errorf("is for tokens without a request of their own: this one begins with its login")
	default:
		text, ok := parseTemplate(v, &scope{recipe: recipe, paramsOnly: true})
		if ok && len(text.refs()) == 0 {
			v.Errorf("want a parameter, such as ${refresh_token}")
		}
		r.initial = &text
	}
}

// needed returns what the request has to send, as a template names it.
func (r *refreshDecl) needed(t *tokenDecl) string {
	switch r.needs {
	case needsRefreshToken:
		return t.name + "." + needsRefreshToken
	case needsValue:
		return t.name
	}
	return ""
}

// sends reports whether the request mentions what it needs.
func (r *refreshDecl) sends() bool {
	output := ""
	if r.needs == needsRefreshToken {
		output = needsRefreshToken
	}
	found := false
	r.decl.request.templates(func(t template) {
		for _, ref := range t.refs() {
			found = found || ref.kind == refOwn && ref.output == output
		}
	})
	return found
}

// revoke reads `revoke` of t.
func (p *parser) revoke(t *tokenDecl, v yamldoc.Value, s *scope) {
	if v.IsZero() {
		return
	}
	o := v.Object(revokeShape())
	if !v.IsMap() {
		return
	}
	if _, runs := t.origin.(*execOrigin); t.origin != nil && !runs {
		v.Errorf("is for tokens that attache itself got: from a request or a command")
		return
	}
	d := &tokenDecl{name: t.name, at: v, index: t.index, lets: t.lets, message: t.message}
	d.request = parseRequest(o.Require("request"), s)
	if v := o.Get("success"); !v.IsZero() {
		d.success = p.success(v)
	}
	t.revoke = d
}

// requests calls f for every request of the token.
func (t *tokenDecl) requests(f func(*requestDecl)) {
	if t.login {
		f(&t.request)
	}
	if t.refresh != nil {
		f(&t.refresh.decl.request)
	}
	if t.revoke != nil {
		f(&t.revoke.request)
	}
}

// timeout returns the longest of its login and its refresh.
func (t *tokenDecl) timeout() time.Duration {
	longest := t.request.timeout
	if t.refresh != nil {
		longest = max(longest, t.refresh.decl.request.timeout)
	}
	return longest
}
