package schema

import (
	"math"
	"strings"

	"attache/internal/config"
	"attache/internal/shape"
	"attache/recipe"
)

// builtIn adds to the definition of a credential what the built-in recipes want in
// `with`, each with its parameters.
func (s *schema) builtIn() {
	var names, rules []any
	for _, name := range recipe.PresetNames() {
		r, ok := recipe.Preset(name)
		if !ok {
			continue
		}
		names = append(names, object{{"const", name}, {"description", r.About}})
		then := object{{"properties", object{{"with", s.with(r)}}}}
		for _, p := range r.Params {
			if p.Required {
				then = append(then, member{"required", []any{"with"}})
				break
			}
		}
		rules = append(rules, object{
			{"if", object{{"properties", object{{"recipe", object{{"const", name}}}}}, {"required", []any{"recipe"}}}},
			{"then", then},
		})
	}
	file := object{{"type", "string"}, {"pattern", `^([.]{0,2}/|[A-Za-z]:)|[.]ya?ml$`}, {"description", "the path of a recipe file"}}
	credential := s.defs["credential"]
	recipe := credential.get("properties").(object).get("recipe").(object)
	for i, m := range recipe {
		if m.name == "type" {
			recipe[i] = member{"anyOf", append(names, file)}
		}
	}
	s.defs["credential"] = append(credential, member{"allOf", rules})
}

// with is the schema of a recipe's parameters.
func (s *schema) with(r *recipe.Recipe) object {
	var properties object
	var required []any
	for i := range r.Params {
		p := &r.Params[i]
		properties = append(properties, member{p.Name, s.param(p)})
		if p.Required {
			required = append(required, p.Name)
		}
	}
	out := object{{"description", "The parameters of " + r.Name + ": " + r.About}, {"type", "object"}, {"properties", properties}, {"additionalProperties", false}}
	if len(required) > 0 {
		out = append(out, member{"required", required})
	}
	name := "with." + strings.ReplaceAll(r.Name, "/", ".")
	s.define(name, out)
	return object{{"$ref", "#/$defs/" + name}}
}

// param is the schema of a parameter: a value of its type, or where its value
// comes from.
func (s *schema) param(p *recipe.Param) object {
	typed := s.of(paramType(p))
	forms := []any{typed, s.ref(config.ParameterShape())}
	if p.Secret { // what comes first is what an editor offers first
		forms[0], forms[1] = forms[1], forms[0]
	}
	out := object{{"description", describeParam(p)}, {"anyOf", forms}}
	if p.HasDefault && !strings.Contains(p.Default, "${") {
		out = append(out, member{"default", value(paramType(p), p.Default)})
	}
	return out
}

// paramType is the type of a parameter's value.
func paramType(p *recipe.Param) *shape.Type {
	if len(p.Enum) > 0 {
		return shape.Word(p.Enum...)
	}
	switch p.Type {
	case recipe.TypeInt:
		return shape.Int(math.MinInt64, math.MaxInt64).Named("whole number")
	case recipe.TypeBool:
		return shape.Word("true", "false")
	case recipe.TypeDuration:
		return shape.Duration(math.MinInt64, math.MaxInt64).Named("duration")
	case recipe.TypeURL:
		return shape.Matching("URL", "^[hH][tT][tT][pP][sS]?://")
	}
	if p.Pattern != nil && portable(p.Pattern.String()) {
		return shape.Matching("text", p.Pattern.String())
	}
	return shape.Text("text")
}

// portable reports whether a regular expression means the same in ECMAScript, as
// far as can be told: flags, classes and anchors of RE2's own are unknown there.
func portable(pattern string) bool {
	for _, own := range []string{"(?", `\A`, `\z`, `\p`, `\P`, `\Q`, `\C`, "[["} {
		if strings.Contains(pattern, own) {
			return false
		}
	}
	return true
}

// describeParam is what an editor shows about a parameter.
func describeParam(p *recipe.Param) string {
	k := shape.Key{Type: paramType(p), Required: p.Required, Default: p.Default, Doc: p.About}
	if p.RequiredWhen != "" {
		k.Otherwise = "a mistake for " + p.RequiredWhen
	}
	text := describe(k)
	if p.Secret {
		text += "\n\nA secret: say where it comes from, {env: NAME} or {file: PATH}."
	}
	return strings.TrimSpace(text)
}
