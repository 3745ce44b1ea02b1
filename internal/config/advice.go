package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"attache/internal/shape"
	"attache/recipe"
)

// adviseOnCredentials warns about what is legal and yet hardly meant.
func (l *loader) adviseOnCredentials() {
	for _, d := range l.drafts {
		if !d.used {
			l.warn(d.at.Problem("no route uses this credential"))
		}
		l.adviseOnValues(d)
		c := d.result.Program
		if c == nil {
			continue
		}
		if !d.instances.IsZero() && !keyed(c) {
			l.warn(d.instances.Problem("this has no effect: no parameter comes from a request, so there is one instance"))
		}
		for _, t := range c.Tokens() {
			if why := forgotten(l.cfg.Store.Kind, t); why != "" {
				d.at.Errorf("%s", why)
			}
			if l.cfg.Store.Kind == StoreMemory && t.Policy.PreviousDies {
				l.warn(d.at.Problem("a new %s token ends the one before (previous: dies), and the store is memory: run one replica, or replicas will end each other's tokens", t.Name))
			}
		}
	}
	l.adviseOnSharing()
}

// forgotten says why a token cannot be used with that store, or "".
func forgotten(store StoreKind, t *recipe.TokenProgram) string {
	if store != StoreMemory || !t.Policy.Rotates {
		return ""
	}
	return fmt.Sprintf("each refresh of token %s replaces its refresh token (rotates), and store: memory forgets the new one when attache stops, which ends the session; "+
		"it needs a store that outlives the process, {file: PATH, key: {file: PATH}} or one in Redis; or leave rotates out if the vendor accepts the first refresh token for ever", t.Name)
}

// isShellVariable reports whether shells put a variable's value in place of text:
// $NAME or ${NAME}.
func isShellVariable(text string) bool {
	name, ok := strings.CutPrefix(text, "$")
	if inner, braced := strings.CutPrefix(name, "{"); braced {
		name, ok = strings.CutSuffix(inner, "}")
	}
	return ok && shape.IsVariable(name)
}

// adviseOnValues warns about values of parameters. No warning repeats one.
func (l *loader) adviseOnValues(d *draft) {
	if d.recipe == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(d.with)) {
		or := d.with[name]
		if or.Ref == nil {
			continue
		}
		text := or.Ref.Current().Reveal()
		param, _ := d.recipe.Param(name)
		switch {
		case or.Ref.IsLiteral() && isShellVariable(text):
			l.warn(or.At.Problem("a text such as $NAME is taken as it stands; for an environment variable write {env: NAME}"))
		case or.Ref.IsLiteral() && param.Secret && text != "":
			l.warn(or.At.Problem("a secret stands in the file; write {env: NAME} or {file: PATH}"))
		case !or.Ref.IsLiteral() && !or.Ref.IsFile() && strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "-----\n"): // as PEM does
			l.warn(or.At.Problem("the value of the environment variable ends in a line break, which is taken as a part of it; remove it, or write {file: PATH}, which drops one"))
		}
	}
}

// adviseOnSharing warns about credentials whose tokens are the same, while
// their settings differ: only those of one of them can apply.
func (l *loader) adviseOnSharing() {
	type owner struct {
		credential *Credential
		token      *recipe.TokenProgram
	}
	owners := map[string]owner{} // by identity
	for i := range l.cfg.Credentials {
		c := &l.cfg.Credentials[i]
		for _, t := range c.Program.Tokens() {
			id := identity(t)
			first, shared := owners[id]
			if !shared {
				owners[id] = owner{c, t}
				continue
			}
			differ := difference(first.credential, c, first.token, t)
			if len(differ) == 0 {
				continue
			}
			whose := "whose settings apply"
			if len(t.Params) > 0 {
				whose = "and the settings of the one that is asked first apply"
			}
			l.warn(l.byName[c.Name].at.Problem("token %s is shared with credential %s, %s; they differ in %s",
				t.Name, first.credential.Name, whose, strings.Join(differ, ", ")))
		}
	}
}

// identity returns a text that is equal for tokens that are the same, whatever
// the request.
func identity(t *recipe.TokenProgram) string {
	var b strings.Builder
	add := func(text string) { b.WriteString(strconv.Quote(text)) }
	for _, part := range t.Key {
		add(part.Name)
		if part.FromRequest {
			b.WriteString("request")
		} else {
			add(part.Value.Reveal())
		}
	}
	return b.String()
}

// difference names the settings of two credentials that differ for a token
// that they share.
func difference(a, b *Credential, ta, tb *recipe.TokenProgram) []string {
	var differ []string
	add := func(key string, same bool) {
		if !same {
			differ = append(differ, key)
		}
	}
	keyed := len(tb.Params) > 0
	add("refresh", ta.Policy == tb.Policy)
	add("instances", !keyed || a.Limits == b.Limits)
	add("tls", a.TLS.equal(b.TLS))
	add("proxy", a.Proxy.equal(b.Proxy))
	return differ
}
