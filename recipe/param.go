package recipe

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"attache/internal/exchange"
	"attache/internal/yamldoc"
)

// ParamType says which texts are values of a parameter.
type ParamType string

// The types of parameters.
const (
	TypeString   ParamType = "string"
	TypeInt      ParamType = "int"      // an int64; a number in a JSON body
	TypeBool     ParamType = "bool"     // true or false; a boolean in a JSON body
	TypeDuration ParamType = "duration" // 30s, 5m, 1h30m
	TypeURL      ParamType = "url"      // http or https; may begin the url of a request
)

// Param is a parameter of a recipe.
type Param struct {
	Name  string
	Type  ParamType
	About string // what it is, in a line of Markdown; may be empty
	// Required: a credential must give it. RequiredWhen, when not empty, says
	// for which values of other parameters: "login: id".
	Required     bool
	RequiredWhen string
	HasDefault   bool
	Default      string // as written; may name other parameters: "${user_id}"
	Secret       bool
	Pattern      *regexp.Regexp // nil: any text
	Enum         []string       // empty: any text
	Key          bool           // part of an instance's identity

	at           yamldoc.Value
	requiredWhen condition
	deflt        template // valid if HasDefault
}

// params reads all parameters: first the plain keys, then what mentions other
// parameters.
func (p *parser) params(v yamldoc.Value) {
	r := p.recipe
	var objects []yamldoc.Object
	for _, e := range tooMany(v, v.Entries(), maxParams, "parameters") {
		if !p.claim(e.Key, e.Name, "is a parameter") {
			continue
		}
		param := Param{Name: e.Name, Type: TypeString, Key: true, at: e.Key}
		body := e.Value
		if body.IsNull() {
			body = yamldoc.Value{} // "device_guid:" alone is a parameter without frills
		}
		o := body.Object(paramShape())
		param.plain(o)
		r.index[e.Name] = len(r.Params)
		r.Params = append(r.Params, param)
		objects = append(objects, o)
	}
	for i := range r.Params {
		p.linked(&r.Params[i], objects[i])
	}
	p.defaultCycles()
	p.longDefaults()
	for i := range r.Params {
		r.Params[i].checkDefault()
	}
}

// plain reads the keys that mention no other parameter.
func (p *Param) plain(o yamldoc.Object) {
	p.About, _ = o.Get("about").Text()
	if t, ok := o.OneOf("type"); ok {
		p.Type = ParamType(t)
	}
	p.Secret, _ = o.Bool("secret")
	if o.Has("key") {
		p.Key, _ = o.Bool("key")
	}
	if v := o.Get("pattern"); !v.IsZero() {
		p.Pattern = parseRegexp(v)
	}
	if v := o.Get("enum"); !v.IsZero() {
		for _, item := range v.List(false) {
			if text, ok := item.Text(); ok {
				if slices.Contains(p.Enum, text) {
					item.Errorf("%q stands twice", text)
				}
				p.Enum = append(p.Enum, text)
			}
		}
		if v.IsList() && len(p.Enum) == 0 {
			v.Errorf("want at least one value")
		}
	}
}

// linked reads the keys that may mention other parameters.
func (p *parser) linked(param *Param, o yamldoc.Object) {
	if v := o.Get("required"); v.IsMap() {
		param.requiredWhen = parseCondition(v, p.recipe)
		param.RequiredWhen = param.requiredWhen.String()
	} else if !v.IsZero() {
		param.Required, _ = v.Bool()
	}
	v := o.Get("default")
	if v.IsZero() {
		return
	}
	text, ok := v.Text()
	if !ok {
		return
	}
	param.HasDefault, param.Default = true, text
	param.deflt, _ = parseTemplate(v, &scope{recipe: p.recipe, paramsOnly: true})
	if param.Required || !param.requiredWhen.isEmpty() {
		v.Errorf("a required parameter needs no default")
	}
}

// defaultCycles reports defaults that mention each other.
func (p *parser) defaultCycles() {
	params := p.recipe.Params
	for i := range params {
		seen := map[int]bool{}
		var reaches func(j int) bool
		reaches = func(j int) bool {
			for _, ref := range params[j].deflt.refs() {
				if ref.param == i {
					return true
				}
				if !seen[ref.param] {
					seen[ref.param] = true
					if reaches(ref.param) {
						return true
					}
				}
			}
			return false
		}
		if reaches(i) {
			params[i].deflt.at.Errorf("the default depends on %s itself", params[i].Name)
			params[i].deflt = template{} // so that nobody follows the cycle
		}
	}
}

// checkDefault checks a default that mentions nothing.
func (p *Param) checkDefault() {
	if !p.HasDefault || p.deflt.at.IsZero() || len(p.deflt.refs()) > 0 {
		return
	}
	if _, why := p.canonical(p.deflt.literal()); why != "" {
		p.deflt.at.Errorf("the default %s", why)
	}
}

// canonical returns text in the one spelling of the parameter's type, or says
// why it is no value of the parameter: "is not a whole number". What it says
// never repeats the text, which may be secret.
func (p *Param) canonical(text string) (value, why string) {
	if !utf8.ValidString(text) {
		return "", "is not valid UTF-8"
	}
	switch p.Type {
	case TypeInt:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", "is not a whole number of at most 64 bits"
		}
		text = strconv.FormatInt(n, 10)
	case TypeBool:
		if text != "true" && text != "false" {
			return "", "is not true or false"
		}
	case TypeDuration:
		if _, err := time.ParseDuration(text); err != nil {
			return "", "is not a duration such as 30s, 5m or 1h30m"
		}
	case TypeURL:
		if why := checkBaseURL(text); why != "" {
			return "", why
		}
	}
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, text) {
		return "", "is not one of " + strings.Join(p.Enum, ", ")
	}
	if p.Pattern != nil && !p.Pattern.MatchString(text) {
		return "", "does not match " + p.Pattern.String()
	}
	return text, ""
}

// checkBaseURL says why text cannot begin the url of a request, or "".
func checkBaseURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Opaque != "", u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return "is not a URL such as https://api.example.com"
	case u.User != nil:
		return "must not carry a user name or password"
	case strings.ContainsAny(text, "?#"):
		return "must not carry a query or fragment"
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "must not contain spaces or control characters"
	case exchange.HasDotSegment(u.EscapedPath()):
		return "must not contain dot segments"
	}
	return ""
}

// checkAddress says why text is no web address, or "".
func checkAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "want a web address such as https://example.com/docs"
	}
	return ""
}

// parseRegexp compiles v as RE2.
func parseRegexp(v yamldoc.Value) *regexp.Regexp {
	text, ok := v.Text()
	if !ok {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		v.Errorf("not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	return re
}

// missing says what a credential has to do about a required parameter.
func (p *Param) missing(recipe string) string {
	text := fmt.Sprintf("with.%s is missing; the recipe %s requires it", p.Name, recipe)
	if p.RequiredWhen != "" {
		text += " for " + p.RequiredWhen
	}
	return text
}
