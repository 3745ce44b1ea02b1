package recipe

import (
	"time"

	"attache/internal/shape"
)

// Shape describes a recipe file.
func Shape() shape.Object {
	return shape.Object{Name: "recipe", Keys: []shape.Key{
		{Name: "recipe", Type: shape.Matching("text", `^[a-z][a-z0-9_-]*(/[a-z][a-z0-9_-]*)*$`), Required: true,
			Doc: "the name: `[a-z][a-z0-9_-]*`, with `/` between parts"},
		{Name: "about", Type: shape.Text("text"), Doc: "one line for lists"},
		{Name: "docs", Type: shape.ListOrOne(shape.Matching("address", `^https?://`)).Named("list of addresses, or one"), Doc: "addresses of the vendor's documentation"},
		{Name: "params", Type: shape.Map(nameText, shape.Forms(shape.Of(paramShape), shape.Null()).Named("map")), Doc: "what a credential gives in `with`", Link: "#params"},
		{Name: "tokens", Type: shape.Map(nameText, shape.Of(tokenShape)), Doc: "the tokens and their logins", Link: "#tokens"},
		{Name: "inject", Type: shape.List(shape.Of(injectShape)), Doc: "what is added to requests", Link: "#inject"},
		{Name: "strip", Type: shape.List(shape.Of(placeShape)), Doc: "what is removed from requests besides", Link: "#strip"},
		{Name: "refused", Type: shape.List(shape.Of(refusedShape)), Doc: "which answers mean that a token is bad", Link: "#refused"},
		{Name: "renewed", Type: shape.List(shape.Of(renewedShape)), Doc: "where ordinary answers carry a new token", Link: "#renewed"},
	}}
}

// nameText is what names of parameters, tokens, outputs and values of let look
// like.
const nameText = `^[a-z][a-z0-9_-]*$`

// template is a text with ${name} in it.
//
//go:noinline
func templateText() *shape.Type { return shape.Text("text") }

// templates is a map from names to texts or lists of them.
func templates() *shape.Type {
	return shape.Map("", shape.ListOrOne(templateText())).Named("map of texts, or lists of texts")
}

// wanted is what [parseTest] reads.
func wanted() *shape.Type {
	one := shape.Forms(shape.Text("value"), shape.Null())
	return shape.ListOrOne(one)
}

// conditionType is what [parseCondition] reads.
func conditionType() *shape.Type { return shape.Map(nameText, wanted()) }

func paramShape() shape.Object {
	return shape.Object{Name: "param", Keys: []shape.Key{
		{Name: "required", Type: shape.Forms(shape.Bool(), conditionType().Named("condition")), Default: "false",
			Doc: "true, or a condition on other parameters, as in [`when`](#when)"},
		{Name: "default", Type: templateText(), Otherwise: "none", Doc: "may name other parameters"},
		{Name: "secret", Type: shape.Bool(), Default: "false", Doc: "the value is shown nowhere"},
		{Name: "pattern", Type: shape.Text("regular expression"), Otherwise: "any", Doc: "RE2; it matches anywhere, so anchor it"},
		{Name: "enum", Type: shape.List(shape.Text("text")), Otherwise: "any", Doc: "the values that are allowed"},
		{Name: "type", Type: shape.Word(string(TypeString), string(TypeInt), string(TypeBool), string(TypeDuration), string(TypeURL)), Default: string(TypeString),
			Doc: "`int` has 64 bits; `url` is http or https, and may begin the `url` of a request"},
		{Name: "key", Type: shape.Bool(), Default: "true", Doc: "false: not part of a token's identity"},
		{Name: "about", Type: shape.Text("text"), Doc: "what the parameter is, in a line: editors show it where a credential gives it"},
	}}
}

// placeShape describes a name of a request's header, query or cookies.
func placeShape() shape.Object {
	return shape.Object{Name: "strip", Exactly: []string{"header", "query", "cookie"}, Keys: []shape.Key{
		{Name: "header", Type: shape.Text("name"), Doc: "a header"},
		{Name: "query", Type: shape.Text("name"), Doc: "a query parameter"},
		{Name: "cookie", Type: shape.Text("name"), Doc: "a cookie"},
	}}
}

func whenKey() shape.Key {
	return shape.Key{Name: "when", Type: conditionType(), Doc: "parameters and what they must be", Link: "#when"}
}

func injectShape() shape.Object { return RouteInjectShape().With("inject", whenKey()) }

// RouteInjectShape describes an entry of a route's own `inject`.
func RouteInjectShape() shape.Object {
	return placeShape().With("route-inject",
		shape.Key{Name: "value", Type: templateText(), Required: true, Doc: "what is put there, such as `Bearer ${app}`"},
		shape.Key{Name: "mode", Type: shape.Word("set", "default"), Default: "set",
			Doc: "`set`: what the client sent under the name is removed. `default`: one value of the client's, in exactly this name, stays"},
	)
}

func tokenKey() shape.Key {
	return shape.Key{Name: "token", Type: shape.Text("name"), Required: true, Doc: "the token that the answer speaks of"}
}

func refusedShape() shape.Object { return matcherShape().With("refused", tokenKey()) }

// RouteRefusedShape describes an entry of a route's own `refused`.
func RouteRefusedShape() shape.Object {
	return matcherShape().Without("", "when").With("route-refused", tokenKey())
}

func renewedShape() shape.Object { return RouteRenewedShape().With("renewed") }

// RouteRenewedShape describes an entry of a route's own `renewed`.
func RouteRenewedShape() shape.Object {
	return shape.Object{Name: "route-renewed", Exactly: []string{"header", "json", "cookie"}, Keys: []shape.Key{
		{Name: "token", Type: shape.Text("name"), Required: true, Doc: "the token that is renewed"},
		{Name: "header", Type: shape.Text("name"), Doc: "the header that has the new value"},
		{Name: "json", Type: shape.Text("path"), Doc: "the member of the body that has it"},
		{Name: "cookie", Type: shape.Text("name"), Doc: "the cookie that has it"},
		{Name: "trim", Type: shape.Text("text"), Doc: "characters that are cut from both ends"},
		{Name: "lifetime", Type: lifetimeType(), Required: true, Doc: "as in a [token](#lifetime)"},
		{Name: "hide", Type: shape.Bool(), Default: "false", Doc: "true: the header or cookie is removed from every answer"},
	}}
}

// matcherShape describes what an answer looks like.
func matcherShape() shape.Object {
	return shape.Object{Name: "matcher", Keys: []shape.Key{
		{Name: "status", Type: shape.ListOrOne(shape.Matching("status", `^([1-9][0-9][0-9]|[1-5][xX][xX])$`)).Named("status, or list"),
			Doc: "a number or a class such as `5xx`"},
		{Name: "header", Type: shape.Map("", wanted()), Doc: "names and what one of their values must be"},
		{Name: "json", Type: shape.Map("", wanted()), Doc: "paths into the body and what they must be"},
		{Name: "text", Type: shape.ListOrOne(shape.Text("text")).Named("text, or list"), Doc: "what the body contains"},
		{Name: "grpc", Type: shape.ListOrOne(shape.Text("status")).Named("status, or list"),
			Doc: "for `refused` alone: the status of a gRPC call, as number or name, from the answer's head or its trailer"},
		whenKey(),
		{Name: "path", Type: globs(), Doc: "of the request as it goes upstream, without query: `*` stays in a segment, `**` crosses segments"},
		{Name: "not_path", Type: globs(), Doc: "the same, for what must not match"},
	}}
}

func globs() *shape.Type {
	return shape.ListOrOne(shape.Matching("path", `^[/*]`)).Named("path, or list")
}

// RefreshShape describes a credential's `refresh`.
func RefreshShape() shape.Object {
	return renewalKeys().With("refresh-override",
		shape.Key{Name: "timeout", Type: shape.Duration(100*time.Millisecond, maxTimeout), Default: "10s", Doc: "for one login"})
}

func renewalShape() shape.Object {
	return renewalKeys().With("renewal", shape.Key{Name: "refresh", Type: shape.Of(refreshShape), Otherwise: "none",
		Doc: "a second request that is used instead of the login", Link: "#refresh"})
}

func renewalKeys() shape.Object {
	return shape.Object{Keys: []shape.Key{
		// Less than half the lifetime is never waited, so a smaller share would
		// promise what does not happen.
		{Name: "at", Type: shape.Number(0.5, 1), Default: "0.8", Doc: "share of the lifetime after which the token is renewed"},
		{Name: "margin", Type: shape.Duration(0, maxLifetime).Named("duration"), Default: "0", Doc: "renewed at the latest so long before expiry"},
		{Name: "jitter", Type: shape.Number(0, 0.5), Default: "0.05", Doc: "up to this share of the lifetime earlier, at random"},
		{Name: "min_interval", Type: shape.Duration(100*time.Millisecond, 24*time.Hour), Default: "1s", Doc: "the least time between two logins"},
		{Name: "useless_before", Type: shape.Duration(0, maxLifetime).Named("duration"), Otherwise: "none", Doc: "the vendor returns the same token if asked earlier than this before expiry"},
		{Name: "same_value", Type: shape.Word("accept", "backoff"), Default: "accept", Otherwise: "but `backoff` for `file`, `exec` and `static`",
			Doc: "what a login means that returns the refused value again: `accept` it as new, or `backoff`: it is not renewed, try again later"},
		{Name: "previous", Type: shape.Word("stays", "overlaps", "dies"), Default: "stays",
			Doc: "what a new token does to the one before: it `stays`, `overlaps` (is good for a while), or `dies`. With `dies`, `check` warns when several copies would take the token from each other"},
		{Name: "max_per_hour", Type: shape.Int(1, 3600), Otherwise: "none", Doc: "logins and refreshes of this process; the next one waits"},
	}}
}
