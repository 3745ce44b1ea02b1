package certs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"attache/internal/redisclient"
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
	client *redisclient.Client
	seal   *seal
	host   string
	log    *slog.Logger

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
	c, err := redisclient.New(redisclient.Options{URLs: []secret.String{address}, Timeout: redisTime, Connections: redisConnections})
	if err != nil {
		return nil, err
	}
	return &redisStorage{client: c, seal: s, host: c.Hosts(), log: log, held: map[string]heldLock{}}, nil
}

func (r *redisStorage) close() { r.client.Close() }

// Store implements [certmagic.Storage].
func (r *redisStorage) Store(ctx context.Context, key string, value []byte) error {
	_, err := r.client.Do(ctx, "HSET", redisHash, key, r.seal.lock(key, value, time.Now()))
	return err
}

// Load implements [certmagic.Storage].
func (r *redisStorage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := r.load(ctx, key)
	return value, err
}

func (r *redisStorage) load(ctx context.Context, key string) ([]byte, time.Time, error) {
	reply, err := r.client.Do(ctx, "HGET", redisHash, key)
	if err != nil {
		return nil, time.Time{}, err
	}
	sealed, ok := reply.(string)
	if !ok {
		return nil, time.Time{}, fs.ErrNotExist
	}
	value, at, err := r.seal.unlock(key, []byte(sealed))
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
	args := []any{"HDEL", redisHash, key}
	for _, field := range below {
		args = append(args, field)
	}
	_, err = r.client.Do(ctx, args...)
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
	reply, err := r.client.Do(ctx, "HKEYS", redisHash)
	if err != nil {
		return nil, err
	}
	all, _ := reply.([]any)
	var below []string
	for _, field := range all {
		if key, ok := field.(string); ok && (folder == "" || strings.HasPrefix(key, folder+"/")) {
			below = append(below, key)
		}
	}
	return below, nil
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
		reply, err := r.client.Do(ctx, "SET", redisLocks+name, token, "NX", "PX", lockLease.Milliseconds())
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
func ifMine(command string) redisclient.Script {
	return redisclient.Script(`if redis.call("GET", KEYS[1]) == ARGV[1] then return ` + command + ` end return 0`)
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

func (r *redisStorage) script(ctx context.Context, s redisclient.Script, name string, args ...any) (bool, error) {
	reply, err := r.client.Run(ctx, s, []string{redisLocks + name}, args...)
	done, _ := reply.(int64)
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
