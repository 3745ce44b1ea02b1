// Package config reads attache's configuration file: YAML in, a checked and
// typed [Config] out. Nothing of the result can fail later for a reason that
// stands in the file: recipes are parsed and bound to their parameters,
// certificates are loaded, addresses and URLs are checked.
//
// All mistakes of a file, and of the recipe files that it names, are found in
// one go and reported together, each with its place. No message repeats a
// value that may be a secret.
package config

import (
	"log/slog"
	"net/url"
	"time"

	"attache/recipe"
	"attache/refresher"
)

// Config is a checked configuration.
type Config struct {
	// File is the name of the file, as given to [Load] or [Parse].
	File string
	// Listen holds the listeners for the application's requests; at least one.
	// 127.0.0.1:8484 when the file names none.
	Listen []Listener
	// Admin is where the status page, JSON API, metrics and health are;
	// 127.0.0.1:8485 when the file names no address.
	Admin Admin
	// Probes is the address of a second listener that serves only metrics and
	// health, to whoever asks. Empty: none.
	Probes string
	// Handout gives tokens to processes that cannot use a proxy; nil: nothing
	// does.
	Handout *Handout
	// Certificates says where certificates are kept that no file holds; nil:
	// the configuration does not say. Not nil if a listener has one of those.
	Certificates *Certificates
	// Drain says how attache stops; every field is set.
	Drain Drain
	// Store says where tokens are kept; [StoreMemory] when the file says nothing.
	Store Store
	// Lane says what serves requests; [LaneExpress] when the file says nothing.
	Lane Lane
	Log  Log
	// Credentials come in an order in which each stands behind those whose
	// tokens it needs; otherwise in that of the file.
	Credentials []Credential
	// Routes come in the order of the file. None of them shadows another.
	Routes []Route
	// Warnings are complaints that stop nothing, in the order of places; each
	// is "file:line:col: path: text".
	Warnings []string
}

// Listener is a place that takes the application's requests.
type Listener struct {
	// Address is HOST:PORT; port 0 means any free one. Empty with Unix.
	Address string
	// Loopback: only this machine reaches the address.
	Loopback bool
	// Unix is a socket file instead of an address; nil: none.
	Unix *Socket
	// TLS is spoken there; nil: it is not.
	TLS *ServerTLS
	// Callers are those who may call. Empty: whoever reaches the listener.
	Callers []Caller
	// Hosts are names, in lower case and without port, IPv6 addresses in
	// brackets, that requests may carry as their Host beside the loopback names
	// and *.localhost.
	Hosts []string
	// Origins are the sites, as SCHEME://HOST[:PORT] in lower case, whose pages
	// may call. Empty: none.
	Origins []string
	// Unsafe: the user knows that other machines reach this address. Without
	// Callers always true when the address is not loopback.
	Unsafe bool
	Bounds Bounds
}

// Log says what is logged and how.
type Log struct {
	Level slog.Level // info when the file says nothing
	// Format is "auto" (text on a terminal, JSON otherwise), "text" or "json".
	Format string
	// Requests says which requests leave a line: "none", "errors" or "all".
	Requests string
}

// Credential is a named use of a recipe.
type Credential struct {
	Name    string
	Program *recipe.Credential
	// RequiredTokens are the tokens, by their names in the recipe, that health
	// waits for. Those keyed by the request are never among them: nobody knows
	// their users yet. But the unkeyed tokens that they need are, unless the
	// file says `required: false`.
	RequiredTokens []string
	// Limits bounds the instances of tokens that are keyed by the request.
	// Every field is set.
	Limits refresher.Limits
	// TLS and Proxy are for logins.
	TLS   TLS
	Proxy Proxy
}

// Route leads requests to an upstream.
type Route struct {
	// Name is unique; host and path when the file gives none.
	Name string
	// Host is the Host of requests, in lower case, IPv6 addresses in brackets.
	// With a port that has to match as well. Empty: any.
	Host string
	// Path is "/" or a prefix that ends with a whole segment and without a
	// slash: "/aicc". It is compared with the raw path of a request.
	Path string
	// Methods are those that the route takes. Empty: all.
	Methods []string
	// Upstream is http://, https:// or unix:. Its path is a raw prefix of the
	// path of every request; it has neither query nor user. For unix: the path
	// is that of the socket, and behind ":/", if that is in it, such a prefix.
	Upstream *url.URL
	// UpstreamOf is the text of an upstream that outputs of tokens say, and for
	// which Plan has to be asked; Upstream is nil then. Empty: it is fixed.
	UpstreamOf string
	// Protocol is spoken to the upstream: "auto", "http1", "h2" or "h2c".
	Protocol string
	// Plan is what the recipes say about requests and answers; never nil.
	Plan *recipe.Plan
	// Optional: without a token the request goes on without it.
	Optional bool
	// Wait bounds all waits of a request for tokens together; 5s when the file
	// says nothing. 0: a request never waits.
	Wait time.Duration
	// ReplayMaxBody is the size in bytes of the largest request body that is
	// kept for a replay; 64 KiB when the file says nothing. 0: only requests
	// without a body are replayed.
	ReplayMaxBody int64
	// DialTimeout bounds connecting to the upstream, 5s when the file says
	// nothing; HeaderTimeout the wait for the head of an answer, 60s. Both are
	// positive.
	DialTimeout, HeaderTimeout time.Duration
	// TLS and Proxy are for the connections to the upstream.
	TLS   TLS
	Proxy Proxy
}

// What holds where the file says nothing.
const (
	defaultListen        = "127.0.0.1:8484"
	defaultAdmin         = "127.0.0.1:8485"
	defaultWait          = 5 * time.Second
	defaultReplayMaxBody = 64 << 10
	defaultDialTimeout   = 5 * time.Second
	defaultHeaderTimeout = 60 * time.Second
	defaultMaxInstances  = 10000
	defaultIdle          = 30 * time.Minute
	defaultLoginRate     = 600
)
