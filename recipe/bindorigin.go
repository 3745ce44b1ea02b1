package recipe

import (
	"path/filepath"
	"slices"

	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// bindOrigin finds the token's file and checks what must be known without a
// request.
func (b *binder) bindOrigin(t *TokenProgram) {
	if t.decl.origin == nil {
		return
	}
	t.Policy.Timeout = defaultTimeout
	// Asking again gives the same value, unless somebody else has put another
	// one there: a refusal must not turn into a loop.
	t.Policy.SameValueBacksOff = true
	switch o := t.decl.origin.(type) {
	case *fileOrigin:
		t.file = b.tokenFile(t.decl, o)
	case *execOrigin:
		t.Policy.Timeout = o.timeout
		t.running = make(chan struct{}, maxCommands)
		for i, w := range o.words {
			b.fixed(t.decl, w, "command", i == 0)
		}
	case *mintOrigin:
		t.Policy.SameValueBacksOff = false // it has another time in it
	}
}

// tokenFile returns the file of a token, read once. It need not be there yet.
func (b *binder) tokenFile(d *tokenDecl, o *fileOrigin) *secret.Ref {
	b.fixed(d, o.path, "file", true)
	path, ok := o.path.render(boundValues{b.c, knownNow{}}, verbatim)
	if !ok {
		return nil // a parameter that is wrong, which was noted
	}
	if !filepath.IsAbs(path) {
		b.errorf(b.place(o.path), "the file of token %s is %q; want the whole path, from the root", d.name, shorten(path, 100))
		return nil
	}
	file := secret.File(path)
	_, _ = file.Read() // so that the first look at it is no change; a login says what is wrong
	return file
}

// fixed makes sure that neither a request nor a vendor chooses what is read or
// run; with needed also that every parameter has a value.
func (b *binder) fixed(d *tokenDecl, t template, what string, needed bool) {
	for _, ref := range t.refs() {
		if ref.kind != refParam {
			continue
		}
		bound := &b.c.bindings[ref.param]
		switch {
		case bound.kind == bindUnset && needed && !b.alreadyWrong(ref.param):
			b.errorf(b.cfg.At, "with.%s is missing: the %s of token %s needs it", ref.text, what, d.name)
		case b.c.depends(ref.param, bindRequest):
			b.errorf(bound.at, "%s is in the %s of token %s, so it cannot come from a request", ref.text, what, d.name)
		case b.c.depends(ref.param, bindToken):
			b.errorf(bound.at, "%s is in the %s of token %s, so it cannot be a token", ref.text, what, d.name)
		case what == "command" && b.madeOfSecret(ref.param):
			b.errorf(b.cfg.At, "%s is made of a secret, and every user of the machine can see the command of token %s; give it in env", ref.text, d.name)
		case what == "file" && b.madeOfSecret(ref.param):
			b.errorf(b.cfg.At, "%s is made of a secret, and messages name the file of token %s", ref.text, d.name)
		case what == "file" && b.c.depends(ref.param, bindFile):
			b.errorf(bound.at, "%s is in the file of token %s, so it cannot be the content of a file", ref.text, d.name)
		}
	}
}

// madeOfSecret reports whether a parameter is secret, or has a default that
// mentions one that is.
func (b *binder) madeOfSecret(i int) bool {
	p := &b.c.recipe.Params[i]
	if p.Secret {
		return true
	}
	if _, given := b.cfg.With[p.Name]; given {
		return false
	}
	return slices.ContainsFunc(p.deflt.refs(), func(ref *reference) bool { return b.madeOfSecret(ref.param) })
}

// place returns where the configuration gives the parameter that is the whole
// text, or else the credential.
func (b *binder) place(t template) yamldoc.Value {
	if ref := t.alone(); ref != nil && ref.kind == refParam {
		return b.c.bindings[ref.param].at // zero for a default: the credential
	}
	return b.cfg.At
}
