package recipe

import (
	"time"

	"attache/internal/shape"
)

func tokenShape() shape.Object {
	answers := "what the answer means"
	return shape.Object{Name: "token", Keys: []shape.Key{
		{Name: "let", Type: shape.Map(nameText, shape.Of(letShape)), Doc: "values that are computed for each login", Link: "#let"},
		{Name: "request", Type: shape.Of(requestShape), Otherwise: "one of these five, or none if a [`refresh`](#refresh) has an `initial` value",
			Doc: "where the token comes from: a login", Link: "#request"},
		{Name: "file", Type: templateText(), Doc: "where it comes from: a file that somebody else keeps fresh", Link: "#file"},
		{Name: "exec", Type: shape.Of(execShape), Doc: "where it comes from: a command", Link: "#exec"},
		{Name: "static", Type: templateText(), Doc: "where it comes from: a text that parameters make", Link: "#static"},
		{Name: "mint", Type: shape.Of(jwtShape), Doc: "where it comes from: a JWT that attache signs", Link: "#mint"},
		{Name: "success", Type: shape.Of(matcherShape), Otherwise: "any 2xx", Doc: answers, Link: "#success"},
		{Name: "errors", Type: shape.ListOrOne(shape.Of(errorShape)), Doc: answers, Link: "#errors"},
		{Name: "message", Type: extractors(), Otherwise: "the usual places", Doc: "the vendor's error text", Link: "#message"},
		{Name: "value", Type: extractors(), Otherwise: "required with `request`", Doc: "where the token is", Link: "#value-and-outputs"},
		{Name: "outputs", Type: shape.Map(nameText, extractors()), Doc: "further values of the answer", Link: "#value-and-outputs"},
		{Name: "lifetime", Type: lifetimeType(), Otherwise: "required with `request`, a `refresh` alone, `mint`, and `exec` with a `value`",
			Doc: "how long the token lives", Link: "#lifetime"},
		{Name: "renewal", Type: shape.Of(renewalShape), Doc: "when it is renewed, and by which request", Link: "#renewal"},
		{Name: "revoke", Type: shape.Of(revokeShape), Doc: "how it is ended", Link: "#revoke"},
	}}
}

func errorShape() shape.Object {
	return matcherShape().With("errors",
		shape.Key{Name: "class", Type: shape.Word("permanent", "throttled", "transient"), Required: true, Doc: "when the login is tried again"},
		shape.Key{Name: "message", Type: extractors(), Otherwise: "the token's", Doc: "the vendor's error text"},
	)
}

func extractors() *shape.Type {
	return shape.ListOrOne(shape.Of(extractorShape)).Named("map, or list of these")
}

func extractorShape() shape.Object {
	return shape.Object{Name: "value", Exactly: extractorKinds(), Keys: []shape.Key{
		{Name: "json", Type: shape.Text("path"), Doc: "a member of the body: `data.token`, `items.0.id`, `0.id` for a body that is a list; a dot within a name is written `\\.`"},
		{Name: "header", Type: shape.Text("name"), Doc: "a header of the answer"},
		{Name: "cookie", Type: shape.Text("name"), Doc: "a cookie that the answer sets"},
		{Name: "text", Type: shape.Bool().Named("`true`"), Doc: "the whole body, less white space at both ends"},
		{Name: "regexp", Type: shape.Text("regular expression"), Doc: "over the body; the value is its group, or the whole match"},
		{Name: "trim", Type: shape.Text("text"), Doc: "characters that are cut from both ends"},
	}}
}

// extractorKinds lists where an extractor may look.
func extractorKinds() []string { return []string{"json", "header", "cookie", "text", "regexp"} }

func lifetimeType() *shape.Type {
	fixed := shape.Forms(shape.Duration(time.Second, maxLifetime).Named("duration"), shape.Word(untilRefused))
	return shape.ListOrOne(shape.Forms(fixed, shape.Of(lifetimeShape))).Named("duration, `" + untilRefused + "`, map, or list of these")
}

func lifetimeShape() shape.Object {
	return shape.Object{Name: "lifetime", Exactly: []string{"json", "header", "jwt", "cookie"}, Keys: []shape.Key{
		{Name: "json", Type: shape.Text("path"), Doc: "the member of the body that has it"},
		{Name: "header", Type: shape.Text("name"), Doc: "the header that has it"},
		{Name: "as", Type: shape.Word("seconds", "milliseconds", "minutes", "epoch", "rfc3339"), Otherwise: "required with `json` and `header`",
			Doc: "`seconds`, `milliseconds`, `minutes` from now; `epoch`, an instant in seconds or milliseconds, told apart by size; `rfc3339`. A number may be a string"},
		{Name: "jwt", Type: shape.Word("exp"), Doc: "the token's own claim"},
		{Name: "cookie", Type: shape.Word("max_age"), Doc: "of the cookie that the value comes from"},
	}}
}

func letShape() shape.Object {
	digest := func(name string) shape.Key {
		return shape.Key{Name: name, Type: templateText(), Doc: "a digest of the text"}
	}
	mac := func(name string) shape.Key {
		return shape.Key{Name: name, Type: templateText(), Doc: "a MAC of the text; needs `key`"}
	}
	return shape.Object{Name: "let", Exactly: letFunctions(), Keys: []shape.Key{
		{Name: "now", Type: shape.Word("unix", "unix_ms", "rfc3339"), Doc: "the time, shifted by `add`"},
		{Name: "base64", Type: templateText(), Doc: "the text in base64"},
		{Name: "percent", Type: templateText(),
			Doc: "the text percent-encoded, all but letters, digits, `-`, `.`, `_` and `~` (RFC 3986): for signatures over a query"},
		{Name: "uuid", Type: shape.Word("v4"), Doc: "a random UUID"},
		{Name: "nonce", Type: shape.Int(1, 256), Doc: "so many random letters and digits"},
		digest("md5"), digest("sha1"), digest("sha256"), digest("sha384"), digest("sha512"),
		mac("hmac_md5"), mac("hmac_sha1"), mac("hmac_sha256"), mac("hmac_sha384"), mac("hmac_sha512"),
		{Name: "jwt", Type: shape.Of(jwtShape), Doc: "a signed JWT"},
		{Name: "add", Type: shape.Duration(-365*24*time.Hour, 365*24*time.Hour).Named("duration, also negative"), Otherwise: "nothing", Doc: "of `now`: the shift"},
		{Name: "type", Type: shape.Word("string", "int"), Default: "string", Doc: "of `now`: with `int` it is a number in `json`, where it is the whole text"},
		{Name: "encode", Type: shape.Word("hex", "base64", "base64url"), Default: "hex", Doc: "of digests and MACs; `base64url` has no padding"},
		{Name: "key", Type: templateText(), Otherwise: "required with `hmac_…`", Doc: "of MACs: the key"},
		{Name: "key_decode", Type: shape.Word("hex", "base64"), Otherwise: "the text is the key", Doc: "of MACs: the key is what its text decodes to"},
	}}
}

func jwtShape() shape.Object {
	return shape.Object{Name: "jwt", Keys: []shape.Key{
		{Name: "alg", Type: shape.Word(jwtAlgorithms()...), Required: true,
			Doc: "`HS…` signs with a secret, `RS…` and `PS…` with RSA of 2048 bits or more, `ES…` with ECDSA on the curve of that size, `EdDSA` with Ed25519"},
		{Name: "key", Type: templateText(), Required: true,
			Doc: "names a parameter: the secret, taken as it is, or the private key in PEM (PKCS #8, PKCS #1 or SEC 1, without a passphrase). A key that does not fit `alg` is a mistake of the configuration"},
		{Name: "key_decode", Type: shape.Word("hex", "base64"), Otherwise: "the text is the key", Doc: "with `HS…` alone, as for a MAC"},
		{Name: "header", Type: shape.Map("", shape.Any("any value")), Otherwise: "none", Doc: "what stands in the header besides `alg` and `typ: JWT`, such as `kid`; it may give another `typ`"},
		{Name: "claims", Type: shape.Map("", shape.Any("any value")), Required: true,
			Doc: "any YAML map, typed as in [`json`](#request). A time of `let` is a number where it is the whole text; `exp`, `iat` and `nbf` want `now: unix`"},
	}}
}

func requestShape() shape.Object {
	return shape.Object{Name: "request", Keys: []shape.Key{
		{Name: "method", Type: shape.Word("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"), Otherwise: "POST with a body, else GET", Doc: "of the request"},
		{Name: "url", Type: templateText(), Required: true, Doc: "begins with `https://`, `http://` or a parameter of `type: url`"},
		{Name: "query", Type: templates(), Doc: "parameters behind those of `url`; a list of texts sends several"},
		{Name: "headers", Type: templates(), Doc: "headers; a list of texts sends several"},
		{Name: "basic", Type: shape.Of(basicShape), Doc: "`user` and `password` as HTTP Basic; `escape: form` form-encodes both first, as RFC 6749 asks"},
		{Name: "json", Type: shape.Any("any value"), Doc: "a JSON body: texts, numbers, booleans, null, lists and maps become what they look like"},
		{Name: "form", Type: templates(), Doc: "a body as of a form, written as `query`"},
		{Name: "text", Type: templateText(), Doc: "a body as it is"},
		{Name: "timeout", Type: shape.Duration(100*time.Millisecond, maxTimeout), Default: "10s",
			Doc: "for the whole login, where there is a [`refresh`](#refresh) the longer one of the two; a credential's `refresh: {timeout: …}` goes before"},
		{Name: "max_body", Type: shape.Size(1, maxMaxBody), Default: "1MiB", Doc: "a longer answer is an error"},
	}}
}

func basicShape() shape.Object {
	return shape.Object{Name: "basic", Keys: []shape.Key{
		{Name: "user", Type: templateText(), Required: true, Doc: "the user's name"},
		{Name: "password", Type: templateText(), Required: true, Doc: "the password"},
		{Name: "escape", Type: shape.Word("none", "form"), Default: "none", Doc: "`form`: both are form-encoded first, as RFC 6749 asks"},
	}}
}

func execShape() shape.Object {
	return shape.Object{Name: "exec", Keys: []shape.Key{
		{Name: "command", Type: shape.List(templateText()).Named("list of texts"), Required: true,
			Doc: "the program, looked for in `PATH`, and its arguments. No shell reads them. They must name no secret, since every user of the machine can see them, and nothing from a request"},
		{Name: "env", Type: templates(), Doc: "variables besides attache's own environment, which the command gets as well; the place for secrets"},
		{Name: "timeout", Type: shape.Duration(100*time.Millisecond, maxTimeout), Default: "10s", Doc: "then the command is killed, with every process of its group. Of a token at most eight run at once, for different users; waiting for one of these counts"},
	}}
}

func refreshShape() shape.Object {
	as, differs := "the token's", "where the answer to the refresh differs from that to the login"
	return shape.Object{Name: "refresh", Keys: []shape.Key{
		{Name: "needs", Type: shape.Word(needsRefreshToken, needsValue), Required: true,
			Doc: "`refresh_token`: the output of that name; whether the value is still good does not matter. `value`: the value itself, neither expired nor refused: it is renewed in place"},
		{Name: "initial", Type: templateText(), Doc: "what a token without a login begins with"},
		{Name: "rotates", Type: shape.Forms(shape.Bool(), conditionType().Named("condition")), Default: "false",
			Doc: "each refresh token is good for one use: true, or a condition on parameters as in [`when`](#when)", Link: "#rotating-refresh-tokens"},
		{Name: "request", Type: shape.Of(requestShape), Required: true, Doc: "it has to mention what it needs", Link: "#request"},
		{Name: "success", Type: shape.Of(matcherShape), Otherwise: as, Doc: differs},
		{Name: "errors", Type: shape.ListOrOne(shape.Of(errorShape)), Otherwise: as, Doc: differs},
		{Name: "message", Type: extractors(), Otherwise: as, Doc: differs},
		{Name: "value", Type: extractors(), Otherwise: as, Doc: differs},
		{Name: "outputs", Type: shape.Map(nameText, extractors()), Otherwise: as, Doc: differs},
		{Name: "lifetime", Type: lifetimeType(), Otherwise: as, Doc: differs},
	}}
}

func revokeShape() shape.Object {
	return shape.Object{Name: "revoke", Keys: []shape.Key{
		{Name: "request", Type: shape.Of(requestShape), Required: true,
			Doc: "how the token is ended; as in a refresh, the token's own name stands for the token", Link: "#request"},
		{Name: "success", Type: shape.Of(matcherShape), Otherwise: "any 2xx", Doc: "what the answer means", Link: "#success"},
	}}
}
