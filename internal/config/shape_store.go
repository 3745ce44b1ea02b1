package config

import "attache/internal/shape"

func storeShape() shape.Object {
	urls := orElsewhere(shape.Matching("URL", "^rediss?://"))
	key := secretText().Named("`{file: PATH}` or `{env: NAME}`")
	return shape.Object{Name: "store", Exactly: []string{"file", "redis"}, Keys: []shape.Key{
		{Name: "file", Type: shape.Text("path of a file"), Otherwise: "this or `redis`",
			Doc: "one encrypted file, which one process at a time has; made if it is not there"},
		{Name: "redis", Type: shape.ListOrOne(urls).Named("URL, `{env: NAME}` or `{file: PATH}`, or a list of these"), Otherwise: "this or `file`",
			Doc: "`redis://` or `rediss://` (TLS), with `USER:PASSWORD@` before the host and `/DATABASE` behind the port if need be. Several URLs agree in all but host and port"},
		{Name: "master", Type: shape.Text("text"), Otherwise: "none",
			Doc: "the URLs are those of Sentinels, and this is the name of the master that they watch. User, password and database are those of the master"},
		{Name: "sentinel", Type: shape.Of(sentinelShape), Otherwise: "none", Doc: "how to log in to the Sentinels themselves, if they ask"},
		{Name: "cluster", Type: shape.Bool(), Otherwise: "true for several URLs without `master`", Doc: "the URLs are nodes of a cluster"},
		{Name: "tls", Type: shape.Of(tlsShape), Otherwise: "the system's roots", Doc: "for `rediss`", Link: "#tls-and-corporate-proxies"},
		{Name: "key", Type: shape.ListOrOne(key).Named("`{file: PATH}` or `{env: NAME}`, or a list of up to 4"), Required: true,
			Doc: "at least 32 random characters, for example from `openssl rand -hex 32`. The first one encrypts, all decrypt", Link: "stores.md#keys"},
		{Name: "namespace", Type: shape.Matching("text", namespaceText), Otherwise: "none",
			Doc: "keeps stores in the same place apart: `A-Z`, `a-z`, `0-9`, `.`, `_`, `/` and `-`, at most 64"},
		{Name: "on_outage", Type: shape.Word(string(OutageHold), string(OutageLogin)), Otherwise: "`hold` for recipes with `previous: dies`, else `login`",
			Doc: "what a login does while the store does not answer: wait for it, or go on without it. Tokens whose refresh token rotates always wait"},
	}}
}

func sentinelShape() shape.Object {
	return shape.Object{Name: "sentinel", Keys: []shape.Key{
		{Name: "username", Type: shape.Text("text"), Otherwise: "the default user", Doc: "a user of their access lists"},
		{Name: "password", Type: secretText(), Required: true, Doc: "the password"},
	}}
}

// namespaceText is what a namespace looks like.
const namespaceText = `^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$`
