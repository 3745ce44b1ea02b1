package config

import (
	"time"

	"attache/internal/shape"
	"attache/recipe"
)

func routeShape() shape.Object {
	return shape.Object{Name: "route", Keys: []shape.Key{
		{Name: "name", Type: name(), Otherwise: "`host` and `path`",
			Doc: "unique; logs and metrics carry it. Without it a route is called `chat.localhost/openim`, `/openim`, or `chat.localhost` if its path is `/`"},
		{Name: "host", Type: shape.Text("host, with or without port"), Otherwise: "any",
			Doc: "the `Host` of requests; without port it is right for every port. No patterns"},
		{Name: "path", Type: shape.Matching("path", `^/[^*?#]*$`), Default: "/",
			Doc: "a prefix that ends with a segment; `/aicc` and `/aicc/` are the same. It is compared with the bytes on the wire, so special characters stand percent-encoded"},
		{Name: "methods", Type: shape.ListOrOne(shape.Matching("method", `^[^a-z\s]+$`)).Named("list of methods, or one"), Otherwise: "all", Doc: "in capitals"},
		{Name: "upstream", Type: shape.Matching("URL", `^(https?://|unix:/|\$\{)[^?#]+$`), Required: true,
			Doc: "`http://` or `https://` with host, and if wanted port and path; or a Unix socket: `unix:/run/app.sock`, with a path `unix:/run/app.sock:/v1`. No user, query or fragment. It may [come with a token](#upstreams-that-come-with-a-token)"},
		{Name: "upstream_allow", Type: shape.ListOrOne(shape.Matching("pattern", `^https?://[^?#@]+$`)).Named("list of patterns, or one"), Otherwise: "none",
			Doc: "what an `upstream` that outputs of tokens say may be", Link: "#upstreams-that-come-with-a-token"},
		{Name: "protocol", Type: shape.Word("auto", "http1", "h2", "h2c"), Default: "auto",
			Doc: "towards the upstream. `auto`: HTTP/2 if TLS agrees on it, else HTTP/1.1. `h2` needs https, and `h2c`, HTTP/2 without TLS, an upstream without it. " +
				"A WebSocket needs HTTP/1.1: `auto` sees to that, with `h2` and `h2c` its handshake is answered 502"},
		{Name: "use", Type: shape.ListOrOne(credentialName()).Named("list of credentials, or one"), Otherwise: "none",
			Doc: "whose recipes' `inject`, `strip`, `refused` and `renewed` apply"},
		{Name: "inject", Type: shape.List(shape.Of(recipe.RouteInjectShape)), Otherwise: "the recipes'",
			Doc: "what is added to requests; replaces the recipes' lists", Link: "#inject-refused-renewed"},
		{Name: "refused", Type: shape.List(shape.Of(recipe.RouteRefusedShape)), Otherwise: "the recipes'",
			Doc: "which answers mean that a token is bad; replaces the recipes' lists", Link: "#inject-refused-renewed"},
		{Name: "renewed", Type: shape.List(shape.Of(recipe.RouteRenewedShape)), Otherwise: "the recipes'",
			Doc: "where answers carry a new token; replaces the recipes' lists", Link: "#inject-refused-renewed"},
		{Name: "allow", Type: shape.ListOrOne(shape.Of(allowShape)), Otherwise: "none",
			Doc: "names that the client may send although a recipe strips them", Link: "#allow"},
		{Name: "optional", Type: shape.Bool(), Default: "false", Doc: "without a token the request goes on without it", Link: "#optional-and-wait"},
		{Name: "wait", Type: shape.Duration(0, time.Hour), Default: "5s", Doc: "the longest wait for tokens; with 0 no request waits", Link: "#optional-and-wait"},
		{Name: "replay", Type: shape.Of(replayShape), Doc: "which refused requests are sent again", Link: "#replay"},
		{Name: "timeout", Type: shape.Of(timeoutShape), Doc: "how long the upstream may take", Link: "#timeout"},
		{Name: "tls", Type: shape.Of(tlsShape), Otherwise: "the system's roots", Doc: "TLS towards the upstream, which has to be https", Link: "#tls-and-corporate-proxies"},
		{Name: "proxy", Type: proxyType(), Default: "env", Doc: "the proxy towards the upstream", Link: "#tls-and-corporate-proxies"},
	}}
}

func allowShape() shape.Object {
	return shape.Object{Name: "allow", Exactly: []string{"header", "query", "cookie"}, Keys: []shape.Key{
		{Name: "header", Type: shape.Text("name"), Doc: "a header, whatever the case of its letters"},
		{Name: "query", Type: shape.Text("name"), Doc: "a query parameter"},
		{Name: "cookie", Type: shape.Text("name"), Doc: "a cookie"},
	}}
}

func replayShape() shape.Object {
	return shape.Object{Name: "replay", Keys: []shape.Key{
		{Name: "max_body", Type: shape.Size(0, 64<<20), Default: "64KiB",
			Doc: "the largest request body that is kept for a replay; 0: only requests without a body are replayed"},
	}}
}

func timeoutShape() shape.Object {
	return shape.Object{Name: "timeout", Keys: []shape.Key{
		{Name: "dial", Type: shape.Duration(time.Millisecond, 10*time.Minute), Default: "5s",
			Doc: "for connecting to the upstream; a TLS handshake has as long again"},
		{Name: "response_header", Type: shape.Duration(time.Millisecond, 24*time.Hour), Default: "60s",
			Doc: "from the request's end to the head of the answer; not for gRPC and upgrades"},
	}}
}
