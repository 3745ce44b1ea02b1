package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"attache/internal/redisclient"
	"attache/refresher"
	"attache/store"
)

// manyKeys returns keys that a cluster has in many slots.
func manyKeys() []refresher.StoreKey {
	keys := make([]refresher.StoreKey, 30)
	for i := range keys {
		keys[i] = refresher.StoreKey{byte(i), 2}
	}
	return keys
}

// awaitTold waits until every key was told of more often than before, and returns
// how often.
func awaitTold(t *testing.T, count func(refresher.StoreKey) int, keys []refresher.StoreKey, before map[refresher.StoreKey]int) map[refresher.StoreKey]int {
	t.Helper()
	now := map[refresher.StoreKey]int{}
	await(t, "all keys are told of", func(context.Context) error {
		for i, k := range keys {
			if now[k] = count(k); now[k] <= before[k] {
				return fmt.Errorf("key %d is not told of", i)
			}
		}
		return nil
	})
	return now
}

// awaitStored waits until all keys can be loaded.
func awaitStored(t *testing.T, s *store.Redis, keys []refresher.StoreKey) {
	t.Helper()
	await(t, "the store has what it had", func(ctx context.Context) error {
		for _, k := range keys {
			if _, err := s.Load(ctx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// signal sends a signal to the process.
func (p *redisProcess) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestRedisOutage kills a Redis, and has one not answer: operations fail
// meanwhile, all but the first without a try, and once it is back everything is
// there, and every key is told of if connections broke.
func TestRedisOutage(t *testing.T) {
	outages := map[string]struct {
		begin, end func(*testing.T, *redisProcess)
		breaks     bool // connections, so that announcements are missed
	}{
		"killed": {func(_ *testing.T, p *redisProcess) { p.kill() }, func(t *testing.T, p *redisProcess) { p.start(t) }, true},
		"hangs": {func(t *testing.T, p *redisProcess) { p.signal(t, syscall.SIGSTOP) },
			func(t *testing.T, p *redisProcess) { p.signal(t, syscall.SIGCONT) }, false},
	}
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			address := freeAddress(t)
			server := runRedis(t, "--port", portOf(address), "--appendonly", "yes", "--appendfsync", "always")
			awaitRedis(t, redis.Options{Addr: address})
			s, keys := openStore(t, store.RedisOptions{URLs: urls("redis://" + address)}, storeKeys(t, "k")), manyKeys()
			for _, k := range keys {
				await(t, "a save", func(ctx context.Context) error { return s.Save(ctx, k, refresher.Guard{}, aToken(1)) })
			}
			awaitStored(t, s, keys)
			count := watchAll(t, s)
			before := awaitTold(t, count, keys, nil)

			outage.begin(t, server)
			// The context never ends: that it fails at all is the store's doing.
			if _, err := s.Load(t.Context(), keys[0]); err == nil || errors.Is(err, refresher.ErrNoToken) {
				t.Errorf("a load without a server: %v", err)
			}
			// On a slow machine the pause may be over; then this one fails itself, and the pause begins again.
			await(t, "an operation that is not tried", func(ctx context.Context) error {
				if _, err := s.Acquire(ctx, keys[1], 1); !errors.Is(err, redisclient.ErrPaused) {
					return fmt.Errorf("acquired without a server: %v", err)
				}
				return nil
			})
			outage.end(t, server)
			awaitStored(t, s, keys)
			if outage.breaks {
				awaitTold(t, count, keys, before)
			}
		})
	}
}
