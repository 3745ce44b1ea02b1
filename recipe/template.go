package recipe

import (
	"slices"
	"strings"

	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// template is a text with ${name} in it, the only syntax inside a string.
type template struct {
	at    yamldoc.Value
	parts []part
}

// part is a literal text, or a reference when ref is not nil.
type part struct {
	text string
	ref  *reference
}

// refKind says what a name stands for.
type refKind uint8

const (
	refParam refKind = iota
	refLet           // a value computed for this login
	refToken         // a token, or one of its outputs
	refUUID          // a new UUID for each request
	refNowMS         // the time of each request
	refOwn           // the token that a refresh or a revocation is about, or one of its outputs
)

// reference is a resolved ${name}.
type reference struct {
	text   string // as written: "user_id", "access.push_token"
	kind   refKind
	param  int    // refParam: index into the recipe's parameters
	let    int    // refLet: index into the token's values
	token  int    // refToken: index into the recipe's tokens
	output string // refToken, refOwn: "" is the value itself
	// cred is the credential whose recipe param and token belong to; nil: the
	// one whose recipe holds the template. Only routes name others.
	cred *Credential
}

// resolver finds what a name stands for, or notes a problem at v.
type resolver interface {
	resolve(v yamldoc.Value, name string) (*reference, bool)
	knows(name string) bool // of a name without dots; notes nothing
}

// parseTemplate reads the text v. In it $name is a mistake where ${name} would
// be known.
func parseTemplate(v yamldoc.Value, names resolver) (template, bool) {
	t, ok := parseBodyTemplate(v, names)
	if text, isText := v.Text(); isText && ok {
		ok = noteShellNames(v, text, names)
	}
	return t, ok
}

// parseBodyTemplate is parseTemplate for the texts of a body, where a language
// may have names with a $ of its own, as GraphQL does: $name is a mistake only
// if it is the whole text.
func parseBodyTemplate(v yamldoc.Value, names resolver) (template, bool) {
	text, ok := v.Text()
	if !ok {
		return template{}, false
	}
	t := template{at: v}
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{text: literal.String()})
			literal.Reset()
		}
	}
	for text != "" {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			literal.WriteString(text)
			break
		}
		literal.WriteString(text[:i])
		text = text[i:]
		switch {
		case strings.HasPrefix(text, "$${"):
			literal.WriteString("${")
			text = text[3:]
		case strings.HasPrefix(text, "${"):
			name, rest, closed := strings.Cut(text[2:], "}")
			if !closed {
				v.Errorf("${ without a closing }; a literal ${ is written $${")
				return template{}, false
			}
			text = rest
			if !shape.AreNames(name, ".") {
				v.Errorf("${%s} holds no name; a literal ${ is written $${", shorten(name, 40))
				ok = false
				continue
			}
			ref, found := names.resolve(v, name)
			if !found {
				ok = false
				continue
			}
			flush()
			if t.parts = append(t.parts, part{ref: ref}); len(t.parts) > 2*maxNames {
				v.Errorf("the text mentions more than %d names", maxNames)
				return template{}, false
			}
		default:
			literal.WriteByte('$')
			text = text[1:]
		}
	}
	flush()
	if alone := t.literal(); ok && len(t.parts) == 1 && strings.HasPrefix(alone, "$") && shape.IsName(alone[1:]) {
		ok = noteShellNames(v, alone, names)
	}
	return t, ok
}

// noteShellNames reports a $name that was surely meant for ${name}. A name with
// = behind it is left alone: $filter=… stands in queries.
func noteShellNames(v yamldoc.Value, text string, names resolver) bool {
	for {
		_, rest, found := strings.Cut(text, "$")
		if !found {
			return true
		}
		text = strings.TrimLeft(rest, shape.NameLetters)
		name := strings.TrimRight(strings.TrimSuffix(rest, text), "_-")
		if shape.IsName(name) && names.knows(name) && !strings.HasPrefix(text, "=") {
			v.Errorf("$%s is taken as it stands; a name is written ${NAME}", name)
			return false
		}
	}
}

// refs returns the references of the template.
//
//go:noinline
func (t template) refs() []*reference {
	var refs []*reference
	for _, p := range t.parts {
		if p.ref != nil {
			refs = append(refs, p.ref)
		}
	}
	return refs
}

// literal returns the text of a template without references.
func (t template) literal() string {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
	}
	return b.String()
}

// alone returns the reference that is the whole template, or nil.
//
//go:noinline
func (t template) alone() *reference {
	if len(t.parts) == 1 {
		return t.parts[0].ref
	}
	return nil
}

// values gives what references stand for. ok is false for what has no value.
type values interface {
	value(ref *reference) (text string, ok bool)
}

// render fills in the template; each value passes through escape. ok is false
// when a reference has no value: whatever the template belongs to is then left
// out.
func (t template) render(v values, escape func(string) string) (text string, ok bool) {
	if len(t.parts) == 1 && t.parts[0].ref == nil {
		return t.parts[0].text, true
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.ref == nil {
			b.WriteString(p.text)
			continue
		}
		value, ok := v.value(p.ref)
		if !ok {
			return "", false
		}
		b.WriteString(escape(value))
	}
	return b.String(), true
}

// verbatim escapes nothing.
func verbatim(s string) string { return s }

// scope resolves the names of one recipe.
type scope struct {
	recipe     *Recipe
	token      *tokenDecl // whose login is read; nil outside logins
	own        bool       // token itself is known: its refresh or revocation is read
	inject     bool       // per-request names are known
	paramsOnly bool       // defaults know nothing else
	prefix     string     // stands before names in messages: "aicc." on routes
	needs      []int      // collects the tokens that were mentioned
}

func (s *scope) resolve(v yamldoc.Value, name string) (*reference, bool) {
	head, output, dotted := strings.Cut(name, ".")
	if !dotted {
		if ref, ok := s.plain(head); ok {
			return ref, true
		}
	}
	if slices.Contains(perRequest(), head) {
		v.Errorf("${%s} is new in every request and known in inject alone; in a login write let: {NAME: {uuid: v4}} or {now: unix_ms}", s.prefix+name)
		return nil, false
	}
	if !s.paramsOnly {
		if i := s.recipe.tokenIndex(head); i >= 0 {
			return s.tokenRef(v, name, i, output)
		}
	}
	if _, isParam := s.recipe.index[head]; isParam && dotted {
		v.Errorf("${%s}: %s is a parameter and has no outputs", s.prefix+name, head)
		return nil, false
	}
	if s.token != nil && s.token.laterLet(head) {
		v.Errorf("${%s} is computed later; values of let know only those before them", name)
		return nil, false
	}
	v.Errorf("${%s} is not known%s", name, yamldoc.DidYouMean(name, s.names()))
	return nil, false
}

// knows implements resolver.
func (s *scope) knows(name string) bool {
	_, ok := s.plain(name)
	return ok || !s.paramsOnly && s.recipe.tokenIndex(name) >= 0
}

// plain resolves parameters, values of let and per-request names.
func (s *scope) plain(name string) (*reference, bool) {
	if i, ok := s.recipe.index[name]; ok {
		return &reference{text: name, kind: refParam, param: i}, true
	}
	if s.inject {
		switch name {
		case "uuid":
			return &reference{text: name, kind: refUUID}, true
		case "now_ms":
			return &reference{text: name, kind: refNowMS}, true
		}
	}
	if s.token != nil {
		for i, l := range s.token.lets {
			if l.name == name {
				return &reference{text: name, kind: refLet, let: i}, true
			}
		}
	}
	return nil, false
}

func (s *scope) tokenRef(v yamldoc.Value, name string, i int, output string) (*reference, bool) {
	t := s.recipe.tokens[i]
	if s.token == t && !s.own {
		v.Errorf("${%s}: a login cannot use the token that it is for", name)
		return nil, false
	}
	if output != "" && !t.hasOutput(output) {
		v.Errorf("${%s}: token %s has no output %s%s", s.prefix+name, t.name, output, yamldoc.DidYouMean(output, t.outputNames()))
		return nil, false
	}
	if s.token == t {
		return &reference{text: name, kind: refOwn, output: output}, true
	}
	if s.token != nil && !slices.Contains(s.needs, i) {
		s.needs = append(s.needs, i)
	}
	return &reference{text: name, kind: refToken, token: i, output: output}, true
}

// names lists what may be mentioned, for suggestions.
func (s *scope) names() []string {
	var names []string
	for _, p := range s.recipe.Params {
		names = append(names, p.Name)
	}
	if s.paramsOnly {
		return names
	}
	if s.token != nil {
		for _, l := range s.token.lets {
			names = append(names, l.name)
		}
	}
	for _, t := range s.recipe.tokens {
		if t == s.token && !s.own {
			continue
		}
		names = append(names, t.name)
		for _, out := range t.outputs {
			names = append(names, t.name+"."+out.name)
		}
	}
	if s.inject {
		names = append(names, perRequest()...)
	}
	return names
}

// shorten cuts a text that is shown in a message.
//
//go:noinline
func shorten(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}
