package recipe

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/refresher"
)

// maxRequestParam bounds a parameter from a request, in bytes: each value is
// an instance that is kept in memory.
const maxRequestParam = 4096

// Params returns the route's vector of values that the client's request gives;
// client is its head before stripping. It is nil for routes that take none.
// Errors are *[exchange.ParamError].
func (p *Plan) Params(client exchange.Head) (refresher.Params, error) {
	return readParams(client, p.requests, p.derived)
}

// RequestParams returns the values that the client's request gives to this token
// alone, in the order of [TokenProgram].Params; client is its head as it came.
// It is nil for tokens that take none. Errors are *[exchange.ParamError].
func (t *TokenProgram) RequestParams(client exchange.Head) (refresher.Params, error) {
	return readParams(client, t.requests, t.derived(nil))
}

// RequestNames returns where in a client's request the values of [TokenProgram].
// Params stand, in their order.
func (t *TokenProgram) RequestNames() []exchange.Name {
	names := make([]exchange.Name, len(t.requests))
	for i, req := range t.requests {
		names[i] = req.name
	}
	return names
}

// derived appends the defaults over the request that the login mentions, itself
// or through its parents.
func (t *TokenProgram) derived(list []paramRef) []paramRef {
	for _, i := range t.mentioned {
		if t.cred.bindings[i].kind == bindDerived && !t.cred.depends(i, bindToken) {
			list = append(list, paramRef{t.cred, i})
		}
	}
	for _, parent := range t.parents {
		list = parent.derived(list)
	}
	return list
}

func readParams(client exchange.Head, requests []*requestParam, derived []paramRef) (refresher.Params, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	params := make(refresher.Params, len(requests))
	for i, req := range requests {
		text, err := req.read(client)
		if err != nil {
			return nil, err
		}
		// A value outlives the request, with the instance that it is the key of.
		// As it stands it is a part of the request's line or header, all of which
		// it would keep in memory.
		params[i] = strings.Clone(text)
	}
	for _, d := range derived {
		if err := d.check(client); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// read takes the parameter from the request, or else its default.
func (r *requestParam) read(client exchange.Head) (string, error) {
	text, why := r.raw(client)
	if why != "" {
		return "", r.errorf(why)
	}
	if text == "" {
		return r.readDefault(client)
	}
	value, why := r.decl().canonical(text)
	if why != "" {
		return "", r.errorf(why)
	}
	return value, nil
}

// raw takes the text from the request, decoded; "" when it is not there.
func (r *requestParam) raw(client exchange.Head) (text, why string) {
	if r.name.In == exchange.Query {
		text, why = queryValue(client.RawQuery, r.name.Name)
	} else {
		text, why = headerValue(client.Header, r.name.Name, r.percent)
	}
	switch {
	case why != "":
		return "", why
	case len(text) > maxRequestParam:
		return "", "is too long"
	case !utf8.ValidString(text):
		return "", "is not valid UTF-8"
	case hasControl(text):
		return "", "contains a control character"
	}
	return text, ""
}

func hasControl(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

func headerValue(h exchange.Getter, name string, percent bool) (text, why string) {
	values := h.Values(name)
	switch {
	case len(values) == 0:
		return "", ""
	case len(values) > 1: // which of them the next hop would believe, nobody knows
		return "", "is sent twice"
	case !percent:
		return values[0], ""
	}
	text, err := url.PathUnescape(values[0])
	if err != nil {
		return "", "is not percent-encoded"
	}
	return text, ""
}

// queryValue reads the query by hand: url.ParseQuery drops what it cannot
// read, and with it the proof that a parameter was sent twice.
func queryValue(rawQuery, name string) (text, why string) {
	found := false
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err != nil || k != name {
			continue
		}
		if found {
			return "", "is sent twice"
		}
		found = true
		var err error
		if text, err = url.QueryUnescape(value); err != nil {
			return "", "is not percent-encoded"
		}
	}
	return text, ""
}

func (r *requestParam) readDefault(client exchange.Head) (string, error) {
	p := r.decl()
	if !p.HasDefault {
		return "", r.errorf("is missing")
	}
	text, ok := p.deflt.render(boundValues{r.cred, headSupplier{client}}, verbatim)
	if !ok {
		return "", r.errorf("is missing")
	}
	value, why := p.canonical(text)
	if why != "" {
		return "", r.errorf("is missing, and its default " + why)
	}
	return value, nil
}

func (r *requestParam) errorf(text string) error {
	return &exchange.ParamError{Name: r.name, Text: text}
}

// check checks a default that depends on the request. What is wrong with it is
// reported about the first parameter that the client could change.
func (d paramRef) check(client exchange.Head) error {
	text, ok := d.cred.paramValue(d.param, headSupplier{client})
	if !ok {
		return nil
	}
	p := &d.cred.recipe.Params[d.param]
	_, why := p.canonical(text)
	if why == "" {
		return nil
	}
	req := d.cred.firstRequest(d.param)
	if req == nil { // a file alone decides; its logins say so
		return nil
	}
	return req.errorf("gives the parameter " + p.Name + " a value that " + why)
}

// firstRequest returns the first request parameter that a value depends on.
func (c *Credential) firstRequest(i int) *requestParam {
	switch b := &c.bindings[i]; b.kind {
	case bindRequest:
		return b.req
	case bindDerived:
		for _, ref := range c.recipe.Params[i].deflt.refs() {
			if req := c.firstRequest(ref.param); req != nil {
				return req
			}
		}
	}
	return nil
}

// headSupplier gives values from a client's request.
type headSupplier struct{ client exchange.Head }

func (s headSupplier) fromRequest(req *requestParam) (string, bool) {
	text, err := req.read(s.client)
	return text, err == nil
}

func (headSupplier) fromToken(*TokenProgram, string) (string, bool) { return "", false }
func (headSupplier) fromFile(ref *secret.Ref) string                { return ref.Current().Reveal() }
