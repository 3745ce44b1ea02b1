package transcript

import (
	"attache/internal/shape"
	"attache/recipe"
)

// Shape describes what stands at the top of a transcript.
func Shape() shape.Object {
	texts := shape.Map("", shape.Text("text"))
	tokens := shape.Map("", shape.Forms(shape.Text("text"), shape.Of(tokenShape)))
	return shape.Object{Name: "transcript", Keys: []shape.Key{
		{Name: "recipe", Type: shape.Text("text"), Doc: "the recipe's name, to be sure"},
		{Name: "token", Type: shape.Text("name"), Doc: "for logins: which token's; without it the transcript is one of a call"},
		{Name: "now", Type: shape.Text("time"), Default: "2024-05-01T12:00:00Z", Doc: "the time"},
		{Name: "with", Type: shape.Map("", shape.Any("text, `{header: NAME}`, `{query: NAME}` or `{credential: NAME}`")),
			Doc: "the credential's parameters: texts, `{header: NAME}` and `{query: NAME}`; and `{credential: NAME}`, whose token's value `parents` or `tokens` have as `NAME`"},
		{Name: "refresh", Type: shape.Of(recipe.RefreshShape), Doc: "as a credential's"},
		{Name: "params", Type: texts, Doc: "for logins: the values of parameters that come from the request"},
		{Name: "parents", Type: tokens, Doc: "for logins: the values of the tokens that the login needs"},
		{Name: "previous", Type: shape.Forms(shape.Text("text"), shape.Of(tokenShape)),
			Doc: "for logins: the token before, `OLD` or `{value: OLD, outputs: {refresh_token: R}}`: what is sent is then the [`refresh`](#refresh)"},
		{Name: "tokens", Type: tokens, Doc: "for calls: the tokens' values; with outputs: `app: {value: A, outputs: {region: eu}}`"},
		{Name: "allow", Type: shape.List(shape.Of(allowShape)), Doc: "for calls: as a route's"},
		{Name: "gzip", Type: shape.Bool(), Default: "false", Doc: "true: the answers come compressed"},
	}}
}

func tokenShape() shape.Object {
	return shape.Object{Name: "transcript-token", Keys: []shape.Key{
		{Name: "value", Type: shape.Text("text"), Doc: "the token"},
		{Name: "outputs", Type: shape.Map("", shape.Text("text")), Doc: "its outputs"},
	}}
}

func allowShape() shape.Object {
	return shape.Object{Name: "transcript-allow", Keys: []shape.Key{
		{Name: "header", Type: shape.Text("name"), Doc: "a header"},
		{Name: "query", Type: shape.Text("name"), Doc: "a query parameter"},
		{Name: "cookie", Type: shape.Text("name"), Doc: "a cookie"},
	}}
}
