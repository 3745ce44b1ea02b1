// Package redisclient owns the connections to Redis: to one server, to the
// master that Sentinels name, or to a cluster. It bounds each exchange in time,
// fails fast while nobody answers, and keeps passwords out of errors.
//
// It is the only package that imports go-redis, and that is pinned to v9.7.3:
// later versions link up to 1.5 MB more into the binary, whose size is
// bounded. For the same reason clients are used by the three methods of the interface
// client here: the library's own interfaces, Cmdable and UniversalClient, make
// each of its several hundred commands reachable for the linker.
package redisclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"attache/internal/secret"
)

// Options says which Redis, and how to talk to it.
type Options struct {
	// URLs are redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS; at
	// least one. All have the same scheme, user, password and database. Several
	// are a cluster's nodes or, with Master, Sentinels; those are then asked
	// without the user of the URL, which is the one of the Redis behind them.
	URLs []secret.String
	// Master is the name of the master that the Sentinels watch; "": there are
	// no Sentinels.
	Master string
	// SentinelUsername and SentinelPassword are for the Sentinels themselves.
	SentinelUsername string
	SentinelPassword secret.String
	// Cluster: the URLs are nodes of a cluster.
	Cluster bool
	// TLS is used for rediss; nil: the system's roots and the name of the host.
	TLS *tls.Config
	// Timeout bounds connecting, and each exchange. A whole operation takes
	// twice that at most.
	Timeout time.Duration
	// Connections bounds those to one server, besides that of [Client.Listen].
	Connections int
	// Pause is how long operations fail at once after one that nobody answered;
	// 0: each tries for itself.
	Pause time.Duration
}

// client is what is used of the library's three clients.
type client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
	Close() error
}

// Client runs commands. Its methods may be called concurrently.
type Client struct {
	client  client
	hosts   string
	hide    *strings.Replacer // passwords
	timeout time.Duration
	silence time.Duration // of a subscription, until it is asked
	gates   *gates
}

// quiet keeps the library from writing to standard error, past every logger:
// what it has to say is in the errors it returns. It takes no other logger than
// one for the whole process.
var quiet = sync.OnceFunc(func() { redis.SetLogger(discard{}) })

type discard struct{}

// Printf implements the library's interface of a logger.
func (discard) Printf(context.Context, string, ...any) {}

// New returns a client. It connects when it is used. The error says what is
// wrong with the options, without repeating a URL.
func New(o Options) (*Client, error) {
	at, err := parse(o)
	if err != nil {
		return nil, err
	}
	quiet()
	var secrets []string
	for _, password := range []string{at.password, o.SentinelPassword.Reveal()} {
		if password != "" {
			secrets = append(secrets, password, "(hidden)")
		}
	}
	hide := strings.NewReplacer(secrets...)
	return &Client{
		client: connect(o, at, hide), hosts: strings.Join(at.hosts, ", "), hide: hide,
		timeout: o.Timeout, silence: listenSilence, gates: newGates(o.Pause, o.Cluster),
	}, nil
}

// place is what the URLs say.
type place struct {
	hosts              []string
	username, password string
	database           int
	tls                bool
}

func parse(o Options) (place, error) {
	if len(o.URLs) == 0 {
		return place{}, errors.New("there is no URL of Redis")
	}
	if o.Master != "" && o.Cluster {
		return place{}, errors.New("a Redis has Sentinels or is a cluster, not both")
	}
	if len(o.URLs) > 1 && o.Master == "" && !o.Cluster {
		return place{}, errors.New("several URLs of Redis are those of a cluster or of Sentinels")
	}
	var at place
	for i, text := range o.URLs {
		one, err := parseURL(text.Reveal())
		if err != nil {
			return place{}, err
		}
		hosts := append(at.hosts, one.hosts...)
		if one.hosts = nil; i > 0 {
			at.hosts = nil
			if one.username != at.username || one.password != at.password || one.database != at.database || one.tls != at.tls {
				return place{}, errors.New("the URLs of Redis must have the same scheme, user, password and database")
			}
		}
		at = one
		at.hosts = hosts
	}
	if o.Cluster && at.database != 0 {
		return place{}, errors.New("a Redis cluster has no database but 0")
	}
	return at, nil
}

func parseURL(text string) (place, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" {
		return place{}, errors.New("the URL of Redis cannot be read; want redis://HOST:PORT or rediss://HOST:PORT") // err repeats it
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	at := place{hosts: []string{net.JoinHostPort(u.Hostname(), port)}, tls: u.Scheme == "rediss"}
	if u.User != nil {
		at.username = u.User.Username()
		at.password, _ = u.User.Password()
	}
	if database := strings.Trim(u.Path, "/"); database != "" {
		if at.database, err = strconv.Atoi(database); err != nil || at.database < 0 {
			return place{}, errors.New("the database in the URL of Redis is no number")
		}
	}
	return at, nil
}

// Hosts names the servers, without any secret.
func (c *Client) Hosts() string { return c.hosts }

// Close closes all connections. What is in progress fails.
func (c *Client) Close() { c.client.Close() }

// Do runs a command, whose first key is its second word. The reply is nil, a
// string, an int64 or a list of those. It may run again when the connection
// breaks.
func (c *Client) Do(ctx context.Context, args ...any) (any, error) {
	gate := c.gates.of("")
	if len(args) > 1 {
		gate = c.gates.of(fmt.Sprint(args[1]))
	}
	return c.guarded(ctx, gate, args)
}

// Script is a Lua script, which Redis remembers by its hash.
type Script string

// Run runs a script, like [Client.Do]. There is at least one key, and all are in
// one slot.
func (c *Client) Run(ctx context.Context, s Script, keys []string, args ...any) (any, error) {
	words := []any{"evalsha", redis.NewScript(string(s)).Hash(), len(keys)}
	for _, key := range keys {
		words = append(words, key)
	}
	words = append(words, args...)
	gate := c.gates.of(keys[0])
	reply, err := c.guarded(ctx, gate, words)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		words[0], words[1] = "eval", string(s)
		return c.guarded(ctx, gate, words)
	}
	return reply, err
}

// guarded runs a command unless the gate is closed.
func (c *Client) guarded(ctx context.Context, g *gate, words []any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	begun := time.Now()
	p, err := g.enter(begun)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, 2*c.timeout)
	defer cancel()
	reply, err := c.attempt(bounded, words)
	for range keptIdle { // any of these may have been broken for long
		if err == nil || !brokenOff(err) || bounded.Err() != nil {
			break
		}
		reply, err = c.attempt(bounded, words)
	}
	err = c.explain(err)
	now := time.Now()
	g.leave(p, now, verdict(ctx, err, now.Sub(begun), c.timeout), err)
	return reply, err
}

func (c *Client) attempt(ctx context.Context, words []any) (any, error) {
	cmd := redis.NewCmd(ctx, words...)
	c.client.Process(ctx, cmd) // the error is the command's
	reply, err := cmd.Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return reply, err
}

// maxReply is how much of an error reply is told.
const maxReply = 200

// answer is an error that Redis itself replied.
type answer struct{ text string }

func (a *answer) Error() string { return a.text }

// RedisError makes it one by the library's rules.
func (*answer) RedisError() {}

// Answered reports whether Redis itself replied this error: it can be reached.
func Answered(err error) bool {
	_, ok := errors.AsType[*answer](err)
	return ok
}

// shown is as much of an error reply as is told. It may repeat what was sent.
func shown(reply redis.Error, hide *strings.Replacer) string {
	text := hide.Replace(reply.Error())
	return text[:min(len(text), maxReply)]
}

// explain says whose error it is.
func (c *Client) explain(err error) error {
	if err == nil {
		return nil
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
		err = &answer{shown(reply, c.hide)}
	}
	return fmt.Errorf("ask Redis at %s: %w", c.hosts, err)
}
