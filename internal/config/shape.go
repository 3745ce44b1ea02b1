package config

import (
	"time"

	"attache/internal/shape"
	"attache/recipe"
)

// Shape describes the configuration file.
func Shape() shape.Object {
	return shape.Object{Name: "config", Keys: []shape.Key{
		{Name: "listen", Type: shape.ListOrOne(shape.Forms(address(), shape.Of(listenerShape))).Named("address, map, or list of these"), Default: defaultListen,
			Doc: "where the application sends its requests", Link: "#listen"},
		{Name: "admin", Type: shape.Forms(address(), shape.Of(adminShape)), Default: defaultAdmin,
			Doc: "[metrics, health and status](#metrics-health-and-status), with reasons; must be loopback", Link: "#admin"},
		{Name: "probes", Type: address(), Otherwise: "none",
			Doc: "metrics and health alone, for Prometheus and the kubelet; any address"},
		{Name: "handout", Type: shape.Of(handoutShape), Otherwise: "none",
			Doc: "gives tokens themselves to processes that cannot use a proxy", Link: "#handout"},
		{Name: "certificates", Type: shape.Of(certificatesShape), Otherwise: "none",
			Doc: "where certificates are kept that no file holds; required if a listener has such", Link: "#certificates"},
		{Name: "drain", Type: shape.Of(drainShape), Doc: "how long stopping takes", Link: "#drain"},
		{Name: "store", Type: shape.Forms(shape.Word(string(StoreMemory)), shape.Of(storeShape)), Default: string(StoreMemory),
			Doc: "where tokens are kept: in this process's memory, in a file, or in Redis", Link: "#store"},
		{Name: "lane", Type: shape.Word(string(LaneExpress), string(LaneStandard)), Default: string(LaneExpress),
			Doc: "what serves requests: attache's own HTTP/1.1 where it can, or Go's net/http alone", Link: "#lane"},
		{Name: "log", Type: shape.Of(logShape), Doc: "what is logged, and how", Link: "#log"},
		{Name: "credentials", Type: shape.Map(nameText, shape.Of(credentialShape)).Named("map of names"), Otherwise: "none",
			Doc: "the tokens", Link: "#credentials"},
		{Name: "routes", Type: shape.List(shape.Of(routeShape)), Otherwise: "none", Doc: "where requests go", Link: "#routes"},
	}}
}

// nameText is what names of credentials and routes look like, their length
// included.
const nameText = `^[a-z][a-z0-9_-]{0,63}$`

//
//go:noinline
func address() *shape.Type { return shape.Matching("address", `:[0-9]{1,5}$`) }

func name() *shape.Type { return shape.Matching("name", nameText) }

// credentialName is the name of a credential where it is referred to.
func credentialName() *shape.Type { return shape.Matching("credential", nameText) }

// pemFile is what [loader.pem] reads.
func pemFile() *shape.Type {
	return shape.Forms(shape.Text("path"), shape.Of(valueShape)).Named("PEM file")
}

// secretText is what [loader.value] reads.
func secretText() *shape.Type { return orElsewhere(shape.Text("text")) }

// orElsewhere is what [loader.value] reads where a text is of some type.
func orElsewhere(text *shape.Type) *shape.Type {
	return shape.Forms(text, shape.Of(valueShape)).Named(text.String() + ", `{env: NAME}` or `{file: PATH}`")
}

// valueShape describes a value that stands elsewhere and is read with the
// configuration.
func valueShape() shape.Object {
	return shape.Object{Name: "reference", Exactly: []string{"env", "file"}, Keys: []shape.Key{
		{Name: "env", Type: envNameType(), Doc: "an environment variable, read when attache starts"},
		{Name: "file", Type: shape.Text("path"), Doc: "a file's content, less one line break at its end. At most 1 MiB"},
	}}
}

func envNameType() *shape.Type {
	return shape.Matching("name of a variable", `^[A-Za-z_][A-Za-z0-9_]*$`)
}

// ParameterShape describes the map that says where the value of a credential's
// parameter comes from.
func ParameterShape() shape.Object {
	return shape.Object{Name: "with", Exactly: []string{"env", "file", "credential", "header", "query"}, Keys: []shape.Key{
		{Name: "env", Type: envNameType(), Doc: "an environment variable, read when attache starts"},
		{Name: "file", Type: shape.Text("path"),
			Doc: "a file's content, less one line break at its end. It is read at each login and whenever it changes, which renews the tokens whose logins use it. At most 1 MiB"},
		{Name: "credential", Type: shape.Matching("`NAME` or `NAME.TOKEN`", `^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?$`),
			Doc: "the token of another credential; `{credential: NAME.TOKEN}` if that has several. The login waits for that token. Credentials that need each other in a circle are a mistake"},
		{Name: "header", Type: shape.Text("name"), Doc: "a header of the request"},
		{Name: "query", Type: shape.Text("name"), Doc: "a query parameter of the request; it is always decoded"},
		{Name: "decode", Type: shape.Word("percent"), Doc: "with `header`: the value is percent-decoded, for what a header cannot carry, such as Chinese names"},
	}}
}

func drainShape() shape.Object {
	return shape.Object{Name: "drain", Keys: []shape.Key{
		{Name: "delay", Type: shape.Duration(0, maxDrainDelay), Default: "0s",
			Doc: "how long requests are still taken after `/readyz` has begun to fail, while whoever sends them learns of it"},
		{Name: "timeout", Type: shape.Duration(0, maxDrain), Default: "25s", Doc: "how long requests in flight may then take"},
		{Name: "streams", Type: shape.Duration(0, maxDrain).Named("duration, up to `timeout`"), Default: "10s", Otherwise: "or `timeout` if that is shorter",
			Doc: "the same for what may never end by itself: WebSockets, gRPC calls, and answers of the types `text/event-stream`, NDJSON, JSON lines and `application/json-seq`"},
	}}
}

func logShape() shape.Object {
	return shape.Object{Name: "log", Keys: []shape.Key{
		{Name: "level", Type: shape.Word("debug", "info", "warn", "error"), Default: "info", Doc: "the least important lines that are written"},
		{Name: "format", Type: shape.Word("auto", "text", "json"), Default: "auto", Doc: "`auto`: short lines for people on a terminal, JSON otherwise"},
		{Name: "requests", Type: shape.Word("none", "errors", "all"), Default: "errors",
			Doc: "which requests leave a line; `errors`: every answer that attache makes itself, and every 5xx of an upstream"},
	}}
}

func credentialShape() shape.Object {
	return shape.Object{Name: "credential", Keys: []shape.Key{
		{Name: "recipe", Type: shape.Text("text"), Required: true,
			Doc: "the name of a built-in recipe (`attache recipes` lists them), or the path of a recipe file: it ends in `.yaml` or `.yml`, or begins with `/`, `./` or `../`"},
		{Name: "with", Type: shape.Map("", shape.Forms(shape.Text("text"), shape.Of(ParameterShape))), Otherwise: "none", Doc: "the recipe's parameters", Link: "#with"},
		{Name: "required", Type: shape.Bool(), Otherwise: "see below", Doc: "whether [health](#metrics-health-and-status) waits for the tokens"},
		{Name: "refresh", Type: shape.Of(recipe.RefreshShape), Otherwise: "the recipe's", Doc: "when tokens are renewed", Link: "#refresh"},
		{Name: "instances", Type: shape.Of(instancesShape), Doc: "bounds for tokens that depend on the request", Link: "#instances"},
		{Name: "tls", Type: shape.Of(tlsShape), Otherwise: "the system's roots", Doc: "TLS towards the vendor, for logins", Link: "#tls-and-corporate-proxies"},
		{Name: "proxy", Type: proxyType(), Default: "env", Doc: "the proxy for logins", Link: "#tls-and-corporate-proxies"},
	}}
}

func instancesShape() shape.Object {
	return shape.Object{Name: "instances", Keys: []shape.Key{
		{Name: "max", Type: shape.Int(1, 10_000_000), Default: "10000",
			Doc: "instances at a time. Beyond it the least recently used one that nobody needs right now is dropped; if there is none, the answer is 429"},
		{Name: "idle", Type: shape.Duration(time.Second, 30*24*time.Hour), Default: "30m", Doc: "an instance that was not used for so long is dropped"},
		{Name: "logins_per_minute", Type: shape.Int(1, 1_000_000), Default: "600", Doc: "beyond it, a request that needs a login is answered 429"},
	}}
}

// proxyType is a word, or a URL that may stand elsewhere since it may hold a
// password.
func proxyType() *shape.Type {
	return shape.Forms(shape.Word("env", "none"), shape.Matching("URL", `^(env$|none$|https?://|socks5://)`), shape.Of(valueShape)).
		Named("`env`, `none` or URL")
}

func tlsShape() shape.Object {
	return shape.Object{Name: "tls", Keys: []shape.Key{
		{Name: "ca", Type: pemFile(), Otherwise: "the system's", Doc: "the certificates to trust, instead of the system's"},
		{Name: "cert", Type: pemFile(), Otherwise: "none", Doc: "attache's own certificate; it goes with `key`"},
		{Name: "key", Type: pemFile(), Otherwise: "none", Doc: "the key of `cert`"},
		{Name: "server_name", Type: shape.Text("host name"), Otherwise: "the address's host", Doc: "the name that the other side's certificate must have"},
	}}
}
