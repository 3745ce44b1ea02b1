package transcript

import (
	"strings"

	"attache/internal/exchange"
	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// readOrigins reads parameters as the configuration has them, but for those
// whose values stand elsewhere: a transcript has to mean the same everywhere.
func readOrigins(rep *yamldoc.Report, v yamldoc.Value) (with map[string]recipe.Origin, ok bool) {
	with = map[string]recipe.Origin{}
	before := rep.Len()
	for _, e := range v.Entries() {
		or := recipe.Origin{At: e.Value}
		switch {
		case e.Value.IsMap():
			if text, ok := onlyCredential(e.Value); ok {
				or.Credential, or.Token, _ = strings.Cut(text, ".")
				break
			}
			name, percent, ok := readRequestName(e.Value)
			if !ok {
				rep.Add(e.Value.Problem("want a text, {header: NAME}, {query: NAME} or {credential: NAME}: a transcript holds its values itself"))
				continue
			}
			or.Request, or.Percent = name, percent
		default:
			text, _ := e.Value.Text()
			or.Ref = secret.Literal(text)
		}
		with[e.Name] = or
	}
	return with, rep.Len() == before
}

func readRequestName(v yamldoc.Value) (n exchange.Name, percent, ok bool) {
	for _, e := range v.Entries() {
		text, _ := e.Value.Text()
		switch e.Name {
		case "header":
			n, ok = exchange.Name{In: exchange.Header, Name: text}, true
		case "query":
			n, ok = exchange.Name{In: exchange.Query, Name: text}, true
		case "decode":
			percent = text == "percent"
		default:
			return n, false, false
		}
	}
	return n, percent, ok
}

// onlyCredential returns the name in {credential: NAME}.
func onlyCredential(v yamldoc.Value) (name string, ok bool) {
	entries := v.Entries()
	if len(entries) != 1 || entries[0].Name != "credential" {
		return "", false
	}
	return entries[0].Value.Text()
}

// otherCredential makes a credential of the name that has every token which a
// parameter asks it for. What the tokens are stands in the transcript.
func otherCredential(name string, with map[string]recipe.Origin) *recipe.Credential {
	text := "recipe: other\ntokens:\n"
	seen := map[string]bool{}
	for _, o := range with {
		token := o.Token
		if token == "" {
			token = "token"
		}
		if o.Credential == name && !seen[token] {
			seen[token] = true
			text += "  " + token + ": {static: x}\n"
		}
	}
	rep := &yamldoc.Report{}
	r, ok := recipe.Parse(rep, "other", []byte(text))
	if !ok {
		return nil
	}
	c, _ := recipe.Bind(rep, r, recipe.BindConfig{Name: name})
	return c
}

// tokenName is the name of a credential's token in a transcript: that of the
// recipe's own tokens, and for those of other credentials what {credential: …} says.
func (t *Transcript) tokenName(c *recipe.Credential, token string) string {
	switch {
	case c.Name() == credential:
		return token
	case len(c.Recipe().TokenNames()) == 1 && token == "token":
		return c.Name()
	}
	return c.Name() + "." + token
}
