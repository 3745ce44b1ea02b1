package config

import (
	"time"

	"attache/internal/shape"
)

func listenerShape() shape.Object {
	return shape.Object{Name: "listener", Exactly: []string{"address", "unix"}, Keys: []shape.Key{
		{Name: "address", Type: address(), Otherwise: "this or `unix`", Doc: "where to listen; an empty host means all addresses"},
		{Name: "unix", Type: shape.Text("path"), Otherwise: "this or `address`", Doc: "a Unix socket, of at most 107 bytes (103 elsewhere than on Linux)"},
		{Name: "mode", Type: fileModeType(), Default: "0600", Doc: "with `unix`: who may connect is who may write the file"},
		{Name: "owner", Type: shape.Text("`USER` or `USER:GROUP`"), Otherwise: "attache's own", Doc: "with `unix`: by name or number"},
		{Name: "tls", Type: shape.Of(serverTLSShape), Otherwise: "none", Doc: "to speak TLS", Link: "#tls-on-a-listener"},
		{Name: "callers", Type: shape.List(shape.Of(callerShape)), Otherwise: "whoever reaches the listener", Doc: "who may call", Link: "#callers"},
		{Name: "hosts", Type: shape.ListOrOne(shape.Text("host name")).Named("list of host names, or one"), Otherwise: "none",
			Doc: "names, without port, that requests may carry as their `Host` besides loopback names, `*.localhost` and the `host` of every route"},
		{Name: "origins", Type: shape.ListOrOne(shape.Matching("site", `^[hH][tT][tT][pP][sS]?://`)).Named("list of sites, or one"), Otherwise: "none",
			Doc: "web sites (`SCHEME://HOST[:PORT]`) whose pages may call"},
		{Name: "unsafe", Type: shape.Bool(), Default: "false",
			Doc: "required to be true if the address is not loopback and there are no `callers`, or their tokens would be sent without TLS"},
		{Name: "limits", Type: shape.Of(limitsShape), Doc: "what clients may hold", Link: "#limits"},
	}}
}

func handoutShape() shape.Object {
	return shape.Object{Name: "handout", Exactly: []string{"address", "unix"}, Keys: []shape.Key{
		{Name: "address", Type: address(), Otherwise: "this or `unix`", Doc: "where to listen, as at [`listen`](#listen); `callers` are required, and `tls` too where their tokens would cross a network"},
		{Name: "unix", Type: shape.Text("path"), Otherwise: "this or `address`", Doc: "a Unix socket, as at [`listen`](#listen)"},
		{Name: "mode", Type: fileModeType(), Default: "0600", Doc: "with `unix`: as at [`listen`](#listen); without `callers` it must not let every user in"},
		{Name: "owner", Type: shape.Text("`USER` or `USER:GROUP`"), Otherwise: "attache's own", Doc: "with `unix`: by name or number"},
		{Name: "tls", Type: shape.Of(serverTLSShape), Otherwise: "none", Doc: "with `address`: to speak TLS", Link: "#tls-on-a-listener"},
		{Name: "callers", Type: shape.List(shape.Of(callerShape)), Otherwise: "with `unix`: whoever may connect", Doc: "who may ask", Link: "#callers"},
		{Name: "limits", Type: shape.Of(limitsShape), Doc: "what clients may hold", Link: "#limits"},
		{Name: "credentials", Type: shape.ListOrOne(credentialName()).Named("list of credentials, or one"), Otherwise: "all", Doc: "whose tokens are given"},
	}}
}

func fileModeType() *shape.Type { return shape.Matching("file mode, octal", octalText) }

func adminShape() shape.Object {
	return shape.Object{Name: "admin", Keys: []shape.Key{
		{Name: "address", Type: address(), Default: defaultAdmin, Doc: "where to listen; must be loopback"},
		{Name: "quit", Type: shape.Bool(), Default: "false",
			Doc: "whether `POST /-/quit` there ends attache as SIGTERM does, for containers that run beside a job: whoever reaches the address can stop it"},
	}}
}

func limitsShape() shape.Object {
	return shape.Object{Name: "limits", Keys: []shape.Key{
		{Name: "connections", Type: shape.Int(1, 1_000_000), Default: "10000", Doc: "at a time; others wait until one ends"},
		{Name: "header", Type: shape.Size(4<<10, 1<<20), Default: "64KiB",
			Doc: "of a request's head; a larger one is answered 431, but over HTTP/2 a single field that is too large ends the connection"},
		{Name: "header_timeout", Type: shape.Duration(100*time.Millisecond, 10*time.Minute), Default: "10s", Doc: "for a request's head, and for a TLS handshake"},
		{Name: "idle", Type: shape.Duration(time.Second, 24*time.Hour), Default: "2m", Doc: "how long a connection may wait for the next request"},
		{Name: "stall", Type: shape.Duration(time.Second, 24*time.Hour), Default: "1m",
			Doc: "a client that sends nothing of a body that it owes, or takes nothing of an answer, for so long is cut off"},
	}}
}

func callerShape() shape.Object {
	id := shape.Text("number or name")
	return shape.Object{Name: "caller", Exactly: []string{"bearer", "certificate", "uid", "gid"}, Keys: []shape.Key{
		{Name: "bearer", Type: secretText().Named("`{file: PATH}` or `{env: NAME}`"),
			Doc: "a token of at least 16 printable ASCII characters. A changed file takes effect at once; to exchange a token without a gap, list both for a while"},
		{Name: "certificate", Type: shape.Text("text"),
			Doc: "with `tls`: a DNS name, URI or e-mail address in the client's certificate, or its common name if it has no alternative names"},
		{Name: "uid", Type: id, Doc: "with `unix`, on Linux: the user of the process that connected"},
		{Name: "gid", Type: id, Doc: "with `unix`, on Linux: the primary group of the process that connected"},
		{Name: "name", Type: name(), Doc: "for logs; by default `uid 1000`, the certificate's name, or `bearer 1`"},
	}}
}

func serverTLSShape() shape.Object {
	return shape.Object{Name: "listener-tls", Keys: []shape.Key{
		{Name: "cert", Type: pemFile(), Otherwise: "this with `key`, `internal` or `acme`",
			Doc: "the certificate, with its chain: a path, `{file: PATH}` or `{env: NAME}`, which holds the text itself. It is shown whatever name a client asks for"},
		{Name: "key", Type: pemFile(), Doc: "the key of `cert`"},
		{Name: "internal", Type: shape.Forms(shape.Word("true"), shape.ListOrOne(shape.Text("name"))).Named("`true`, or list of names and IP addresses, or one"),
			Doc: "certificates of attache's own CA, for these names and always for `localhost`, `127.0.0.1` and `::1`"},
		{Name: "acme", Type: shape.Of(acmeShape), Doc: "certificates by ACME", Link: "#certificates-by-acme"},
		{Name: "client_ca", Type: pemFile(), Otherwise: "none",
			Doc: "who issues the certificates of [callers](#callers); required if one is known by a certificate, and a mistake otherwise. It goes with each of the three"},
	}}
}

func acmeShape() shape.Object {
	return shape.Object{Name: "acme", Keys: []shape.Key{
		{Name: "names", Type: shape.ListOrOne(shape.Text("name")).Named("list of names and IP addresses, or one"), Required: true,
			Doc: "each gets a certificate of its own. A client that asks for no name is shown that of the address that it connected to, or else the first"},
		{Name: "directory", Type: shape.Matching("https URL", "^https://"), Default: letsEncrypt,
			Doc: "the ACME server's directory. Using it accepts the server's terms of service"},
		{Name: "email", Type: shape.Text("text"), Otherwise: "none", Doc: "told to the ACME server"},
		{Name: "ca", Type: pemFile(), Otherwise: "the system's roots", Doc: "who issues the certificate of the ACME server itself"},
		{Name: "eab", Type: shape.Of(eabShape), Otherwise: "none", Doc: "the account that the ACME server knows already: `kid`, its name, and `hmac`, its key in base64url as `{env: NAME}` or `{file: PATH}`"},
		{Name: "http", Type: address(), Otherwise: "none",
			Doc: "where HTTP-01 challenges are answered, and nothing else. It is open as long as a listener has it. Without it TLS-ALPN-01 challenges are answered on the listener itself"},
	}}
}

func eabShape() shape.Object {
	return shape.Object{Name: "eab", Keys: []shape.Key{
		{Name: "kid", Type: shape.Text("text"), Required: true, Doc: "the account's name"},
		{Name: "hmac", Type: secretText().Named("`{env: NAME}` or `{file: PATH}`"), Required: true, Doc: "its key, in base64url"},
	}}
}

func certificatesShape() shape.Object {
	return shape.Object{Name: "certificates", Exactly: []string{"folder", "redis"}, Keys: []shape.Key{
		{Name: "folder", Type: shape.Text("path of a folder"), Otherwise: "this or `redis`",
			Doc: "made if it is not there; only its owner can read what is in it. Replicas may share it"},
		{Name: "redis", Type: orElsewhere(shape.Matching("URL", "^rediss?://")), Otherwise: "this or `folder`",
			Doc: "`redis://` or `rediss://` (TLS), with `USER:PASSWORD@` before the host and `/DATABASE` behind the port if need be. One server; neither cluster nor sentinels"},
		{Name: "key", Type: secretText().Named("`{file: PATH}` or `{env: NAME}`"), Otherwise: "required with `redis`",
			Doc: "at least 32 random characters, for example from `openssl rand -hex 32`. All values in Redis are encrypted with it (AES-256-GCM). Names of hosts are not"},
	}}
}
