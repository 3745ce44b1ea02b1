package config

import (
	"net/http"
	"strings"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/shape"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// origin reads where the value of a parameter comes from: a scalar, or a map
// with one of env, file, credential, header and query. After a mistake the
// Origin names no place: the parameter counts as given, and nothing more can be
// said about it.
func (l *loader) origin(v yamldoc.Value) (recipe.Origin, bool) {
	const want = "a value or one of {env: NAME}, {file: PATH}, {credential: NAME}, {header: NAME} and {query: NAME}"
	none := recipe.Origin{At: v}
	if text, ok := scalar(v); ok {
		return recipe.Origin{At: v, Ref: secret.Literal(text)}, true
	}
	if !v.IsMap() {
		v.Errorf("want %s, got %s", want, v.Kind())
		return none, false
	}
	before := l.rep.Len()
	o := v.Object(ParameterShape())
	kind, ok := only(o, ParameterShape().Exactly)
	if !ok {
		if l.rep.Len() == before {
			v.Errorf("want %s", want)
		}
		return none, false
	}
	or := recipe.Origin{At: v}
	at := o.Get(kind)
	switch kind {
	case "env", "file":
		if or.Ref, ok = l.ref(kind, at); ok && kind == "file" {
			path, _ := or.Ref.Path()
			l.secrets.Add(path)
		}
	case "credential":
		or.Credential, or.Token, ok = tokenName(at)
	default:
		or.Request, ok = requestName(kind, at)
	}
	if o.Has("decode") {
		_, or.Percent = o.OneOf("decode")
		if kind != "header" {
			o.Get("decode").Errorf("decode goes with header only%s", map[bool]string{true: "; a query is decoded anyway"}[kind == "query"])
		}
	}
	if !ok || l.rep.Len() != before {
		return none, false
	}
	return or, true
}

// only returns the one of kinds that is a member of o; none or several are not
// ok.
func only(o yamldoc.Object, kinds []string) (kind string, ok bool) {
	for _, k := range kinds {
		if o.Has(k) {
			if kind != "" {
				return "", false
			}
			kind = k
		}
	}
	return kind, kind != ""
}

// ref makes a reference to an environment variable or a file. What stands in
// the wrong place may be the secret itself, so messages do not repeat it.
func (l *loader) ref(kind string, v yamldoc.Value) (*secret.Ref, bool) {
	text, ok := v.Text()
	switch {
	case !ok:
		return nil, false
	case kind == "env" && !shape.IsVariable(text):
		v.Errorf("want the name of an environment variable: letters, digits and _")
		return nil, false
	case kind == "env":
		return secret.Env(text), true
	case !isPath(text):
		v.Errorf("want the path of a file")
		return nil, false
	}
	return secret.File(l.path(text)), true
}

// isPath reports whether text may be the path of a file rather than the
// content of one.
func isPath(text string) bool {
	const maxPath = 4096
	return text != "" && len(text) <= maxPath && !strings.ContainsAny(text, "\n\r\x00") && !strings.Contains(text, "-----BEGIN")
}

// read reads a value that is needed right now, and for good: a change of its
// file is one of the configuration.
func (l *loader) read(v yamldoc.Value, ref *secret.Ref) (secret.String, bool) {
	if path, ok := ref.Path(); ok {
		l.files.Add(path)
	}
	value, err := ref.Read()
	switch {
	case err != nil:
		v.Errorf("%v", err)
		return secret.String{}, false
	case value.IsEmpty():
		v.Errorf("the value is empty")
		return secret.String{}, false
	}
	return value, true
}

// value reads a scalar, {env: NAME} or {file: PATH} for use right now.
func (l *loader) value(v yamldoc.Value) (secret.String, bool) {
	ref := (*secret.Ref)(nil)
	if text, ok := scalar(v); ok {
		ref = secret.Literal(text)
	} else {
		const want = "want a text, {env: NAME} or {file: PATH}"
		if !v.IsMap() {
			v.Errorf("%s; got %s", want, v.Kind())
			return secret.String{}, false
		}
		before := l.rep.Len()
		o := v.Object(valueShape())
		kind, ok := only(o, valueShape().Exactly)
		if !ok {
			if l.rep.Len() == before {
				v.Errorf(want)
			}
			return secret.String{}, false
		}
		if ref, ok = l.ref(kind, o.Get(kind)); !ok {
			return secret.String{}, false
		}
	}
	return l.read(v, ref)
}

// tokenName reads NAME or NAME.TOKEN.
func tokenName(v yamldoc.Value) (credential, token string, ok bool) {
	text, ok := v.Text()
	if !ok {
		return "", "", false
	}
	credential, token, dotted := strings.Cut(text, ".")
	if !shape.IsName(credential) || dotted && !shape.IsName(token) {
		v.Errorf("want the name of a credential, or CREDENTIAL.TOKEN")
		return "", "", false
	}
	return credential, token, true
}

// requestName reads the name of a header, query parameter or cookie.
func requestName(kind string, v yamldoc.Value) (exchange.Name, bool) {
	text, ok := v.Text()
	if !ok {
		return exchange.Name{}, false
	}
	place := map[string]exchange.Place{"header": exchange.Header, "query": exchange.Query, "cookie": exchange.Cookie}[kind]
	if place == exchange.Query {
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			v.Errorf("want the name of a query parameter")
			return exchange.Name{}, false
		}
		return exchange.Name{In: place, Name: text}, true
	}
	if !exchange.IsToken(text) {
		v.Errorf("want the name of a %s", kind)
		return exchange.Name{}, false
	}
	if key := http.CanonicalHeaderKey(text); place == exchange.Header && exchange.OfConnection(key) {
		v.Errorf("the header %s belongs to the connection and cannot carry a value", key)
		return exchange.Name{}, false
	}
	return exchange.Name{In: place, Name: text}, true
}
