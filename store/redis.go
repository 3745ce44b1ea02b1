package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"attache/internal/redisclient"
	"attache/internal/secret"
	"attache/refresher"
)

const (
	// redisPrefix begins every key in Redis. The name follows in braces: all that
	// belongs to one token is in one slot of a cluster.
	redisPrefix = "attache:token:{"
	// redisChannels begins every channel.
	redisChannels = "attache:tokens:"
	// redisTime is the default of [RedisOptions].Timeout.
	redisTime = time.Second
	// redisPause is how long operations fail at once after one that Redis did
	// not answer.
	redisPause = time.Second
	// redisConnections bounds those to one server.
	redisConnections = 16
	// redisForever is how long Redis keeps what has no end: what nobody has used
	// for so long belongs to nobody.
	redisForever = 1000 * 24 * time.Hour
	// redisGrace is how much longer than it can be used a token is kept.
	redisGrace = time.Hour
)

// RedisOptions say which Redis keeps tokens.
type RedisOptions struct {
	// URLs are redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS; at
	// least one, and all with the same user and database. Several are the nodes
	// of a cluster or, with Master, Sentinels.
	URLs []secret.String
	// Master is the name of the master that the Sentinels at the URLs watch; "":
	// there are none. User, password and database of the URLs are the master's.
	Master string
	// SentinelUsername and SentinelPassword are for the Sentinels themselves, if
	// they ask for it.
	SentinelUsername string
	SentinelPassword secret.String
	// Cluster: the URLs are nodes of a cluster. It is not implied by several.
	Cluster bool
	// TLS is used for rediss; nil: the system's roots, and the name of the host.
	TLS *tls.Config
	// Namespace keeps apart what shares a Redis and a key; it may be empty.
	Namespace string
	// Timeout bounds connecting, and each exchange; 0: 1 s. A whole operation
	// takes twice that at most.
	Timeout time.Duration
}

// Redis is a [refresher.Store] in Redis 6 or later, which replicas share. It is a
// [refresher.Watcher] and a [refresher.Forgetter] as well. What is not said of
// one of its errors, it means that Redis could not be asked; this heals by itself.
//
// Redis is trusted with the times of tokens and with leases, not with tokens:
// see the package. Times are kept by the clock of Redis, so that processes whose
// clocks differ agree on them.
type Redis struct {
	client    *redisclient.Client
	keys      *Keys
	namespace string
	channels  []string // one for each key; the first is written to
	writer    string   // tells the announcements of this process from others'
	log       *slog.Logger
	clock     clock

	mu    sync.Mutex
	known map[refresher.StoreKey]*redisKey // what this process has loaded
	names map[string]refresher.StoreKey    // of those in known
}

// redisKey is what is remembered of a key, under Redis.mu.
type redisKey struct {
	names []Name
	// unreadable is the mark of what is stored but cannot be read; a save may
	// replace that, and nothing else.
	unreadable string
	// told has the marks of what was said to be unreadable.
	told map[Name]string
}

var (
	_ refresher.Store     = (*Redis)(nil)
	_ refresher.Watcher   = (*Redis)(nil)
	_ refresher.Forgetter = (*Redis)(nil)
)

// NewRedis returns a store in Redis. It connects when it is used. The error says
// what is wrong with the options. The store must be closed.
func NewRedis(o RedisOptions, keys *Keys, log *slog.Logger) (*Redis, error) {
	client, err := redisclient.New(redisclient.Options{
		URLs: o.URLs, Master: o.Master, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		Cluster: o.Cluster, TLS: o.TLS, Timeout: cmp.Or(o.Timeout, redisTime), Connections: redisConnections, Pause: redisPause,
	})
	if err != nil {
		return nil, err
	}
	r := &Redis{
		client: client, keys: keys, namespace: o.Namespace, writer: newWriter(), log: log,
		known: map[refresher.StoreKey]*redisKey{}, names: map[string]refresher.StoreKey{},
	}
	// No token has this key, which is no hash of anything.
	for _, name := range keys.Names(o.Namespace, refresher.StoreKey{}) {
		r.channels = append(r.channels, redisChannels+text(name))
	}
	return r, nil
}

// Close ends all connections. Operations fail from then on.
func (r *Redis) Close() { r.client.Close() }

// String says where the store is, without any secret.
func (r *Redis) String() string { return "Redis at " + r.client.Hosts() }

func text(n Name) string { return hex.EncodeToString(n[:]) }

// short names a token in logs and errors.
func short(n Name) string { return hex.EncodeToString(n[:4]) }

func redisToken(n Name) string { return redisPrefix + text(n) + "}" }
func redisLease(n Name) string { return redisToken(n) + ":lease" }
func redisEpoch(n Name) string { return redisToken(n) + ":epoch" }

// Load implements [refresher.Store]. What is stored but cannot be read counts as
// no token, and may be overwritten: it must not keep anybody from logging in.
func (r *Redis) Load(ctx context.Context, key refresher.StoreKey) (refresher.Stored, error) {
	names := r.remember(key)
	var best refresher.Stored
	from, primary, unreadable := -1, "", ""
	for i, name := range names {
		found, err := r.read(ctx, name)
		if err != nil {
			return refresher.Stored{}, err
		}
		if i == 0 {
			primary = found.mark
		}
		switch {
		case found.mark == "":
		case found.problem != nil:
			if i == 0 {
				unreadable = found.mark
			}
			r.tellUnreadable(key, name, found)
		case from < 0 || found.stored.Token.Generation > best.Token.Generation:
			best, from = found.stored, i
		case found.stored.Token.Generation < best.Token.Generation:
		case !found.stored.Token.Value.Equal(best.Token.Value):
			// Saved at the same moment under two keys. All processes, whatever
			// the order of their keys, have to take the same one.
			if bytes.Compare(name[:], names[from][:]) < 0 {
				best, from = found.stored, i
			}
		default:
			best.Rejected = best.Rejected || found.stored.Rejected
		}
	}
	r.setUnreadable(key, unreadable)
	if from < 0 {
		return refresher.Stored{}, refresher.ErrNoToken
	}
	if from > 0 {
		// It was saved under an older key; from here on it counts under the first.
		if err := r.write(ctx, names[0], primary, 0, best, false); err != nil && !errors.Is(err, refresher.ErrConflict) {
			return refresher.Stored{}, err
		}
		r.setUnreadable(key, "")
	}
	return best, nil
}

// Save implements [refresher.Store]. While keys are changed, two processes whose
// first keys differ can both save in one moment; [Redis.Load] has them agree.
func (r *Redis) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	expected := r.unreadable(key)
	if guard.Generation != 0 {
		expected = strconv.FormatUint(guard.Generation, 10)
	}
	names := r.namesOf(key)
	for _, name := range names[1:] { // a process with other keys may have saved there
		found, err := r.read(ctx, name)
		if err != nil {
			return err
		}
		if found.mark != "" && found.problem == nil && found.stored.Token.Generation > guard.Generation {
			return refresher.ErrConflict
		}
	}
	err := r.write(ctx, names[0], expected, guard.Epoch, refresher.Stored{Token: t}, true)
	if err == nil {
		r.setUnreadable(key, "")
	}
	return err
}

// write seals and writes a token. expected is the mark of what it replaces.
func (r *Redis) write(ctx context.Context, name Name, expected string, epoch uint64, s refresher.Stored, announce bool) error {
	rejected := ""
	if s.Rejected {
		rejected, s.Rejected = "1", false // that changes, and is kept beside it
	}
	plain, err := encode(s)
	if err != nil {
		return err
	}
	offset, err := r.offset(ctx)
	if err != nil {
		return err
	}
	generation := strconv.FormatUint(s.Token.Generation, 10)
	now := time.Now()
	reference := ""
	if at := referenceOf(s.Token); !at.IsZero() {
		reference = strconv.FormatInt(at.UnixMilli()+offset, 10)
	}
	message := ""
	if announce {
		message = text(name) + " " + r.writer
	}
	reply, err := r.client.Run(ctx, redisSave, []string{redisToken(name), redisEpoch(name)},
		expected, strconv.FormatUint(epoch, 10), generation, r.keys.Seal(name, []byte(generation), plain), reference,
		now.UnixMilli()+offset, keepFor(s.Token, now).Milliseconds(), rejected, r.channels[0], message)
	if err != nil {
		return err
	}
	switch reply {
	case redisDone:
		return nil
	case redisHeld:
		return refresher.ErrHeld
	case redisOther:
		return refresher.ErrConflict
	}
	return r.strange()
}

// Reject implements [refresher.Store].
func (r *Redis) Reject(ctx context.Context, key refresher.StoreKey, generation uint64) error {
	for _, name := range r.namesOf(key) {
		_, err := r.client.Run(ctx, redisReject, []string{redisToken(name)},
			strconv.FormatUint(generation, 10), r.channels[0], text(name)+" "+r.writer)
		if err != nil {
			return err
		}
	}
	return nil
}

// referenceOf returns the time of a token that is kept by the clock of Redis;
// zero: it has none.
func referenceOf(t refresher.Token) time.Time {
	if t.IssuedAt.IsZero() {
		return t.ExpiresAt
	}
	return t.IssuedAt
}

// keepFor returns how long Redis is to keep a token.
func keepFor(t refresher.Token, now time.Time) time.Duration {
	if t.Lasting || t.ExpiresAt.IsZero() {
		return redisForever
	}
	return min(max(0, t.ExpiresAt.Sub(now)), redisForever) + redisGrace
}

// strange is the error of a reply that no script gives.
func (r *Redis) strange() error {
	return fmt.Errorf("what Redis at %s replies makes no sense", r.client.Hosts())
}
