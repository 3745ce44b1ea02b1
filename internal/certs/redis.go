package certs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/gomodule/redigo/redis"

	"attache/internal/secret"
)

const (
	// redisHash is the one Redis key that holds everything, as a hash by
	// certmagic's keys: they are few, so a listing reads them all, and nothing
	// else in the database is looked at.
	redisHash = "attache:certificates"
	// redisLocks begins the Redis key of a lock.
	redisLocks = "attache:certificates:lock:"
	// redisTime bounds connecting, and each exchange.
	redisTime = 5 * time.Second
	// redisConnections are few: storage is used when certificates come and go.
	redisConnections = 8
)

// Times of a lock. One whose owner has died is free after lockLease.
const (
	lockLease = 30 * time.Second
	lockRenew = lockLease / 3
	lockRetry = 500 * time.Millisecond
)

// redisStorage implements [certmagic.Storage] in one Redis server. Values are
// encrypted; their names, which contain host names, are not.
type redisStorage struct {
	pool *redis.Pool
	seal *seal
	host string
	log  *slog.Logger

	mu   sync.Mutex
	held map[string]heldLock // by name
}

// heldLock is a lock that this process has.
type heldLock struct {
	token string
	stop  context.CancelFunc // ends its renewal
}

var _ certmagic.Storage = (*redisStorage)(nil)

func newRedis(address, key secret.String, log *slog.Logger) (*redisStorage, error) {
	s, err := newSeal(key)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return nil, errors.New("the URL of Redis cannot be read") // err repeats it
	}
	return &redisStorage{
		seal: s, host: u.Host, log: log, held: map[string]heldLock{},
		pool: &redis.Pool{
			MaxIdle: 2, MaxActive: redisConnections, IdleTimeout: time.Minute, Wait: true,
			DialContext: func(ctx context.Context) (redis.Conn, error) {
				return redis.DialURLContext(ctx, address.Reveal(), redis.DialConnectTimeout(redisTime),
					redis.DialReadTimeout(redisTime), redis.DialWriteTimeout(redisTime), redis.DialClientName("attache"))
			},
		},
	}, nil
}

func (r *redisStorage) close() { r.pool.Close() }

// do runs one command.
func (r *redisStorage) do(ctx context.Context, command string, args ...any) (any, error) {
	return r.with(ctx, func(c redis.Conn) (any, error) { return redis.DoContext(c, ctx, command, args...) })
}

func (r *redisStorage) with(ctx context.Context, f func(c redis.Conn) (any, error)) (any, error) {
	c, err := r.pool.GetContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to Redis at %s: %w", r.host, err)
	}
	defer c.Close()
	reply, err := f(c)
	if err != nil {
		return nil, fmt.Errorf("ask Redis at %s: %w", r.host, err)
	}
	return reply, nil
}

// Store implements [certmagic.Storage].
func (r *redisStorage) Store(ctx context.Context, key string, value []byte) error {
	_, err := r.do(ctx, "HSET", redisHash, key, r.seal.lock(key, value, time.Now()))
	return err
}

// Load implements [certmagic.Storage].
func (r *redisStorage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := r.load(ctx, key)
	return value, err
}

func (r *redisStorage) load(ctx context.Context, key string) ([]byte, time.Time, error) {
	reply, err := r.do(ctx, "HGET", redisHash, key)
	if err != nil {
		return nil, time.Time{}, err
	}
	sealed, ok := reply.([]byte)
	if !ok {
		return nil, time.Time{}, fs.ErrNotExist
	}
	value, at, err := r.seal.unlock(key, sealed)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%s in Redis at %s: %w", key, r.host, err)
	}
	return value, at, nil
}

// Delete implements [certmagic.Storage].
func (r *redisStorage) Delete(ctx context.Context, key string) error {
	below, err := r.keys(ctx, key)
	if err != nil {
		return err
	}
	_, err = r.do(ctx, "HDEL", redis.Args{}.Add(redisHash, key).AddFlat(below)...)
	return err
}

// Exists implements [certmagic.Storage].
func (r *redisStorage) Exists(ctx context.Context, key string) bool {
	_, err := r.Stat(ctx, key)
	return err == nil
}

// Stat implements [certmagic.Storage].
func (r *redisStorage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, at, err := r.load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: at, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	below, err := r.keys(ctx, key)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	if len(below) == 0 {
		return certmagic.KeyInfo{}, fs.ErrNotExist
	}
	return certmagic.KeyInfo{Key: key}, nil
}

// List implements [certmagic.Storage].
func (r *redisStorage) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	below, err := r.keys(ctx, folder)
	if err != nil {
		return nil, err
	}
	if len(below) == 0 {
		return nil, fs.ErrNotExist
	}
	return listing(below, folder, recursive), nil
}

// keys returns the keys below folder, all if that is empty.
func (r *redisStorage) keys(ctx context.Context, folder string) ([]string, error) {
	reply, err := r.do(ctx, "HKEYS", redisHash)
	all, err := redis.Strings(reply, err)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(key string) bool { return folder != "" && !strings.HasPrefix(key, folder+"/") }), nil
}

// listing returns what a folder with these keys holds: files and folders in it,
// or with recursive, those in its folders as well.
func listing(keys []string, folder string, recursive bool) []string {
	var list []string
	for _, key := range keys {
		rest := strings.TrimPrefix(strings.TrimPrefix(key, folder), "/")
		parts := strings.Split(rest, "/")
		if !recursive {
			parts = parts[:1]
		}
		for i := range parts {
			list = append(list, path.Join(folder, strings.Join(parts[:i+1], "/")))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Lock implements [certmagic.Locker].
func (r *redisStorage) Lock(ctx context.Context, name string) error {
	token := rand.Text()
	for {
		reply, err := r.do(ctx, "SET", redisLocks+name, token, "NX", "PX", lockLease.Milliseconds())
		if err != nil {
			return err
		}
		if reply != nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the lock %s in Redis at %s: %w", name, r.host, ctx.Err())
		case <-time.After(lockRetry):
		}
	}
	// The lock is held until Unlock, however long ctx lasts.
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.mu.Lock()
	r.held[name] = heldLock{token, stop}
	r.mu.Unlock()
	go r.keep(keep, name, token)
	return nil
}

// ifMine runs a command on a lock only if it still has the token: its lease may
// be over, and another process may have it.
func ifMine(command string) *redis.Script {
	return redis.NewScript(1, `if redis.call("GET", KEYS[1]) == ARGV[1] then return `+command+` end return 0`)
}

// keep renews the lease of a lock until ctx ends.
func (r *redisStorage) keep(ctx context.Context, name, token string) {
	tick := time.NewTicker(lockRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mine, err := r.script(ctx, ifMine(`redis.call("PEXPIRE", KEYS[1], ARGV[2])`), name, token, lockLease.Milliseconds())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.log.Warn("the lease of a lock for certificates cannot be renewed", "lock", name, "error", err)
		case !mine:
			return // Unlock tells
		}
	}
}

func (r *redisStorage) script(ctx context.Context, s *redis.Script, name string, args ...any) (bool, error) {
	reply, err := r.with(ctx, func(c redis.Conn) (any, error) {
		return s.DoContext(ctx, c, append([]any{redisLocks + name}, args...)...)
	})
	done, err := redis.Int(reply, err)
	return done == 1, err
}

// Unlock implements [certmagic.Locker].
func (r *redisStorage) Unlock(ctx context.Context, name string) error {
	r.mu.Lock()
	lock, ok := r.held[name]
	delete(r.held, name)
	r.mu.Unlock()
	if !ok {
		return fmt.Errorf("the lock %s is not held here", name)
	}
	lock.stop()
	mine, err := r.script(ctx, ifMine(`redis.call("DEL", KEYS[1])`), name, lock.token)
	if err == nil && !mine {
		return fmt.Errorf("the lease of the lock %s was over before the work was: another attache may have done the same work", name)
	}
	return err
}
