package recipe

import (
	"slices"

	"attache/internal/secret"
	"attache/refresher"
)

// Credential is a recipe with its parameters. It is immutable and safe for
// concurrent use; values of files are re-read by logins.
type Credential struct {
	name     string
	recipe   *Recipe
	bindings []binding       // parallel to the recipe's parameters
	requests []*requestParam // own, then those of credentials that it needs
	programs []*TokenProgram // parallel to the recipe's tokens
	sorted   []*TokenProgram // parents first
	inject   []injection     // those whose conditions hold
	refused  []refusal
	renewed  []renewedDecl
}

// Name returns the credential's name.
func (c *Credential) Name() string { return c.name }

// String returns the name. It is there so that package fmt prints nothing else:
// with %s it follows pointers down to the configuration's text. It implements
// [fmt.Stringer].
func (c Credential) String() string { return c.name }

// Recipe returns the credential's recipe.
func (c *Credential) Recipe() *Recipe { return c.recipe }

// RequestParams names the parameters whose value comes from a request: its own
// in the recipe's order, then those of credentials that it needs, as
// "CREDENTIAL.PARAM".
func (c *Credential) RequestParams() []string {
	names := make([]string, len(c.requests))
	for i, req := range c.requests {
		names[i] = req.decl().Name
		if req.cred != c {
			names[i] = req.cred.name + "." + names[i]
		}
	}
	return names
}

// Tokens returns the programs of all tokens of the recipe, parents before
// children.
func (c *Credential) Tokens() []*TokenProgram { return slices.Clone(c.sorted) }

// Secrets returns the values that secret parameters have now, for scrubbing.
func (c *Credential) Secrets() []secret.String {
	var list []secret.String
	for i := range c.bindings {
		if !c.recipe.Params[i].Secret {
			continue
		}
		switch b := &c.bindings[i]; b.kind {
		case bindConstant:
			list = append(list, b.text)
		case bindFile:
			list = append(list, b.ref.Current())
		}
	}
	return list
}

// Files returns the files whose content is a parameter of the credential,
// whether a login or a request gets it, or one of its tokens.
func (c *Credential) Files() []*secret.Ref {
	var files []*secret.Ref
	for i := range c.bindings {
		if b := &c.bindings[i]; b.kind == bindFile {
			files = append(files, b.ref)
		}
	}
	for _, t := range c.programs {
		if t.file != nil {
			files = append(files, t.file)
		}
	}
	return files
}

// program returns the token of that name, or nil.
func (c *Credential) program(name string) *TokenProgram {
	if i := c.recipe.tokenIndex(name); i >= 0 {
		return c.programs[i]
	}
	return nil
}

// resolve returns the token that a rule is about; nil when the rule is
// inactive.
func (c *Credential) resolve(t target) *TokenProgram {
	if t.isParam {
		return c.bindings[t.index].program
	}
	return c.programs[t.index]
}

// depends reports whether the value of a parameter is of that kind, or derived
// from one that is.
func (c *Credential) depends(i int, kind bindKind) bool {
	b := &c.bindings[i]
	if b.kind == bindDerived {
		return slices.ContainsFunc(c.recipe.Params[i].deflt.refs(), func(ref *reference) bool {
			return c.depends(ref.param, kind)
		})
	}
	return b.kind == kind
}

// decl returns the parameter's declaration.
func (r *requestParam) decl() *Param { return &r.cred.recipe.Params[r.param] }

// supplier gives what bindings leave open.
type supplier interface {
	fromRequest(req *requestParam) (string, bool)
	fromToken(t *TokenProgram, output string) (string, bool)
	fromFile(ref *secret.Ref) string
}

// paramValue returns the value of a parameter. s may be nil for constants.
func (c *Credential) paramValue(i int, s supplier) (string, bool) {
	switch b := &c.bindings[i]; b.kind {
	case bindConstant:
		return b.text.Reveal(), true
	case bindFile:
		return s.fromFile(b.ref), true
	case bindRequest:
		return s.fromRequest(b.req)
	case bindToken:
		return s.fromToken(b.program, "")
	case bindDerived:
		return c.recipe.Params[i].deflt.render(boundValues{c, s}, verbatim)
	}
	return "", false
}

// boundValues gives the values of parameters to templates that mention nothing
// else.
type boundValues struct {
	c *Credential
	s supplier
}

func (v boundValues) value(ref *reference) (string, bool) {
	if ref.kind != refParam {
		return "", false
	}
	return v.c.paramValue(ref.param, v.s)
}

// TokenProgram knows how to log in for one token of a credential. It is
// immutable and safe for concurrent use.
type TokenProgram struct {
	Name       string
	Key        []refresher.KeyPart // who the token is; see [refresher.Definition]
	Params     []refresher.Param   // request parameters that this login mentions, itself or through its parents
	ParamIndex []int               // where each of Params stands in [Credential.RequestParams]
	Parents    []ParentRef         // in the order of [refresher.Input].Parents
	Policy     refresher.Policy

	cred      *Credential
	decl      *tokenDecl
	parents   []*TokenProgram // parallel to Parents
	requests  []*requestParam // parallel to Params
	mentioned []int           // parameters that the login mentions, also through defaults
	success   *matcher        // nil: any 2xx
	errors    []errorRule     // those whose conditions hold
	refused   []parentRule
	file      *secret.Ref   // what the token is read from; nil: it comes from elsewhere
	refresh   *TokenProgram // used instead while the token before has what it needs; nil: none
	revoke    *TokenProgram // ends the token; nil: nothing does
	running   chan struct{} // one for each command that runs; nil: the token comes from none
}

// Reads reports whether the token is in a file of its credential, or the login
// mentions its content, itself or through defaults. Once that changes, the token
// has to be renewed, unless the parameter is none of its identity (`key: false`):
// then later is true, the next login sends what the file holds by then, and one that
// failed may be tried again.
func (t *TokenProgram) Reads(file *secret.Ref) (reads, later bool) {
	later = t.file != file
	for _, i := range t.mentioned {
		if t.cred.bindings[i].ref == file {
			reads = true
			later = later && !t.cred.recipe.Params[i].Key
		}
	}
	reads = reads || t.file == file
	return reads, reads && later
}

// Local reports whether the token comes from this machine, and not by a request
// that other processes need not make as well.
func (t *TokenProgram) Local() bool { return t.decl.origin != nil }

// ParentRef is a token that a login needs.
type ParentRef struct {
	Credential *Credential
	Token      string
	Params     []int // indexes into the child's Params, in the parent's order
}

// parentRule says which answers to this login refuse a parent.
type parentRule struct {
	parent  int // index into Parents
	matcher *matcher
}
