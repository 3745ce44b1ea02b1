package recipe

import (
	"slices"
	"strings"

	"attache/internal/yamldoc"
)

// routeScope resolves the names of a route's own lists: ${CREDENTIAL.NAME},
// where NAME is a token, a parameter that is not secret, or TOKEN.OUTPUT.
type routeScope struct{ use []*Credential }

func (s routeScope) resolve(v yamldoc.Value, name string) (*reference, bool) {
	head, rest, dotted := strings.Cut(name, ".")
	if !dotted {
		switch name {
		case "uuid":
			return &reference{text: name, kind: refUUID}, true
		case "now_ms":
			return &reference{text: name, kind: refNowMS}, true
		}
	}
	c := s.credential(head)
	if c == nil {
		v.Errorf("${%s}: this route does not use a credential %s%s", name, head, yamldoc.DidYouMean(head, s.names()))
		return nil, false
	}
	if !dotted {
		v.Errorf("${%s} is a credential; say which of its values: ${%s.NAME}", name, name)
		return nil, false
	}
	inner := &scope{recipe: c.recipe, prefix: head + "."}
	member, _, _ := strings.Cut(rest, ".")
	if i, ok := c.recipe.index[member]; ok {
		if c.recipe.Params[i].Secret {
			v.Errorf("${%s} is a secret parameter; only its recipe may inject it", name)
			return nil, false
		}
	} else if c.recipe.tokenIndex(member) < 0 {
		v.Errorf("${%s}: credential %s has no token or parameter %s%s", name, head, rest, yamldoc.DidYouMean(rest, inner.names()))
		return nil, false
	}
	ref, ok := inner.resolve(v, rest)
	if !ok {
		return nil, false
	}
	ref.text, ref.cred = name, c
	return ref, true
}

// knows implements resolver.
func (s routeScope) knows(name string) bool {
	return slices.Contains(perRequest(), name) || s.credential(name) != nil
}

func (s routeScope) credential(name string) *Credential {
	if i := slices.IndexFunc(s.use, func(c *Credential) bool { return c.name == name }); i >= 0 {
		return s.use[i]
	}
	return nil
}

func (s routeScope) names() []string {
	var names []string
	for _, c := range s.use {
		names = append(names, c.name)
	}
	return names
}

// target resolves the CREDENTIAL.TOKEN of a route's rule.
func (s routeScope) target(v yamldoc.Value) (target, bool) {
	text, ok := v.Text()
	if !ok {
		return target{}, false
	}
	head, name, dotted := strings.Cut(text, ".")
	c := s.credential(head)
	switch {
	case c == nil:
		v.Errorf("this route does not use a credential %s%s", head, yamldoc.DidYouMean(head, s.names()))
		return target{}, false
	case !dotted:
		v.Errorf("say which token of %s: %s.TOKEN", head, head)
		return target{}, false
	}
	i := c.recipe.tokenIndex(name)
	if i < 0 {
		v.Errorf("credential %s has no token %s%s", head, name, yamldoc.DidYouMean(name, c.recipe.TokenNames()))
		return target{}, false
	}
	return target{cred: c, index: i}, true
}
