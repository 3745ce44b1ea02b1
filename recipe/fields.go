package recipe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// planField is an injection, ready to be filled in. Its address is the key
// under which tokens remember what was rendered from them.
type planField struct {
	field  exchange.Field // without the value
	value  secret.String  // if it is constant; parameters may be secret
	who    string         // for errors: "credential aicc"
	pieces []piece        // empty: constant
	slots  []int          // tokens that the value mentions
	memo   bool           // the value depends on slots[0] alone
}

// pieceKind says where a piece of a value comes from.
type pieceKind uint8

const (
	pieceText    pieceKind = iota
	pieceToken             // a token or an output of it
	pieceRequest           // a parameter from the request
	pieceFile              // a parameter from a file
	pieceUUID
	pieceNow
)

// piece is a piece of an injected value.
type piece struct {
	kind    pieceKind
	text    secret.String // pieceText: escaped; parameters may be secret
	program *TokenProgram
	slot    int
	output  string
	req     *requestParam
	param   int // index into the vector
	ref     *secret.Ref
	// defaults are the parameters whose default brought the piece here.
	defaults []paramRef
}

// field compiles an injection. ok is false when it mentions a parameter
// without a value, or is wrong.
func (b *planner) field(d ownedInjection) (f planField, ok bool) {
	f = planField{
		field: exchange.Field{In: d.name.In, Name: d.name.Name, IfAbsent: d.ifAbsent},
		who:   "route " + b.cfg.Name,
	}
	if d.owner != nil {
		f.who = "credential " + d.owner.name
	}
	pieces, ok := flatten(nil, d.owner, d.value)
	if !ok {
		return f, false
	}
	constant := true
	for i := range pieces {
		constant = b.settle(&pieces[i], d.name.In) && constant
	}
	if !constant {
		f.pieces = pieces
		return f, true
	}
	var value strings.Builder
	for _, p := range pieces {
		value.WriteString(p.text.Reveal())
	}
	f.value = secret.New(value.String())
	if why := badField(f.field.In, f.value.Reveal()); why != "" {
		b.errorf(d.at, "the value of %s %s %s", d.name.In, d.name.Name, why)
		return f, false
	}
	return f, true
}

// settle makes the plan hold what a piece needs; it reports whether the piece
// is a constant.
func (b *planner) settle(p *piece, in exchange.Place) bool {
	switch p.kind {
	case pieceText:
		if in == exchange.Query {
			p.text = secret.New(escapeQuery(p.text.Reveal()))
		}
		return true
	case pieceToken:
		b.need(p.program)
	case pieceRequest:
		p.param = b.needParam(p.req)
	case pieceFile, pieceUUID, pieceNow:
	}
	for _, d := range p.defaults {
		b.needDerived(d.cred, []int{d.param})
	}
	return false
}

// flatten appends the pieces of a template of owner's recipe; defaults are
// replaced by what they stand for.
func flatten(pieces []piece, owner *Credential, t template) ([]piece, bool) {
	for _, part := range t.parts {
		if part.ref == nil {
			pieces = append(pieces, piece{kind: pieceText, text: secret.New(part.text)})
			continue
		}
		c := owner
		if part.ref.cred != nil {
			c = part.ref.cred
		}
		switch part.ref.kind {
		case refUUID:
			pieces = append(pieces, piece{kind: pieceUUID})
		case refNowMS:
			pieces = append(pieces, piece{kind: pieceNow})
		case refToken:
			pieces = append(pieces, piece{kind: pieceToken, program: c.programs[part.ref.token], output: part.ref.output})
		case refParam:
			var ok bool
			if pieces, ok = flattenParam(pieces, c, part.ref.param); !ok {
				return nil, false
			}
		}
	}
	return pieces, true
}

func flattenParam(pieces []piece, c *Credential, i int) ([]piece, bool) {
	switch bound := &c.bindings[i]; bound.kind {
	case bindConstant:
		return append(pieces, piece{kind: pieceText, text: bound.text}), true
	case bindFile:
		return append(pieces, piece{kind: pieceFile, ref: bound.ref}), true
	case bindRequest:
		return append(pieces, piece{kind: pieceRequest, req: bound.req}), true
	case bindToken:
		return append(pieces, piece{kind: pieceToken, program: bound.program}), true
	case bindDerived:
		start := len(pieces)
		pieces, ok := flatten(pieces, c, c.recipe.Params[i].deflt)
		for k := start; k < len(pieces); k++ {
			pieces[k].defaults = append(pieces[k].defaults, paramRef{c, i})
		}
		return pieces, ok
	}
	return nil, false
}

// number puts numbers in place of programs.
func (f *planField) number(programs []*TokenProgram) {
	alone := true
	for i := range f.pieces {
		p := &f.pieces[i]
		switch p.kind {
		case pieceToken:
			p.slot = slices.Index(programs, p.program)
			if !slices.Contains(f.slots, p.slot) {
				f.slots = append(f.slots, p.slot)
			}
		case pieceText:
		default:
			alone = false
		}
	}
	f.memo = alone && len(f.slots) == 1
}

// AppendFields appends what is injected; tokens are parallel to [Plan.Slots].
// An entry that mentions a zero Token, an output that is not there or a
// parameter without a value is left out. A value that is not legal in its
// place is an error that names the place: *[exchange.ParamError] when the
// client's request caused it. Nothing is allocated for tokens that were seen
// before, except for values of their own in each request.
func (p *Plan) AppendFields(dst []exchange.Field, params refresher.Params, tokens []refresher.Token) ([]exchange.Field, error) {
	for i := range p.fields {
		f := &p.fields[i]
		if len(f.pieces) == 0 {
			dst = append(dst, f.with(f.value.Reveal()))
			continue
		}
		text, ok, err := p.render(f, params, tokens)
		if err != nil {
			return dst, err
		}
		if ok {
			dst = append(dst, f.with(text))
		}
	}
	return dst, nil
}

// with returns the field with a value.
func (f *planField) with(value string) exchange.Field {
	field := f.field
	field.Value = value
	return field
}

func (p *Plan) render(f *planField, params refresher.Params, tokens []refresher.Token) (text string, ok bool, err error) {
	for _, s := range f.slots {
		if s >= len(tokens) || tokens[s].Value.IsEmpty() {
			return "", false, nil
		}
	}
	if f.memo {
		if text, ok := tokens[f.slots[0]].Memo(f); ok {
			return text, true, nil
		}
	}
	if len(f.pieces) == 1 { // no need to copy
		text, ok = p.piece(f, &f.pieces[0], params, tokens)
	} else {
		text, ok = p.join(f, params, tokens)
	}
	if !ok {
		return "", false, nil
	}
	if why := badField(f.field.In, text); why != "" {
		return "", false, f.bad(why)
	}
	if f.memo {
		tokens[f.slots[0]].SetMemo(f, text)
	}
	return text, true, nil
}

func (p *Plan) join(f *planField, params refresher.Params, tokens []refresher.Token) (string, bool) {
	var room [8]string // more are rare
	texts := room[:0]
	for i := range f.pieces {
		text, ok := p.piece(f, &f.pieces[i], params, tokens)
		if !ok {
			return "", false
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ""), true
}

// piece returns a piece of the value, escaped for its place.
func (p *Plan) piece(f *planField, from *piece, params refresher.Params, tokens []refresher.Token) (text string, ok bool) {
	switch from.kind {
	case pieceText:
		return from.text.Reveal(), true
	case pieceToken:
		text, ok = tokenText(tokens[from.slot], from.output)
	case pieceRequest:
		if from.param < len(params) {
			text, ok = params[from.param], true
		}
	case pieceFile:
		text, ok = from.ref.Current().Reveal(), true
	case pieceUUID:
		text, err := newUUID(p.random)
		return text, err == nil // crypto/rand never fails
	case pieceNow:
		return strconv.FormatInt(p.now().UnixMilli(), 10), true
	}
	if ok && f.field.In == exchange.Query {
		text = escapeQuery(text)
	}
	return text, ok
}

// bad makes the error of a value that is not legal. Its text has no value.
func (f *planField) bad(why string) error {
	for i := range f.pieces {
		if req := f.pieces[i].req; req != nil {
			return &exchange.ParamError{Name: req.name, Text: fmt.Sprintf("cannot be sent on as %s %s: it %s", f.field.In, f.field.Name, why)}
		}
	}
	return fmt.Errorf("%s: the value of %s %s %s", f.who, f.field.In, f.field.Name, why)
}

// badField says why text cannot stand in its place, or "". Queries are
// percent-encoded by now. A semicolon would end a cookie and begin another.
func badField(in exchange.Place, text string) string {
	if in == exchange.Cookie && strings.IndexByte(text, ';') >= 0 {
		return "contains a semicolon"
	}
	return badInHeader(text)
}
