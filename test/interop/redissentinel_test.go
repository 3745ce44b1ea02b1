package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"attache/internal/secret"
	"attache/refresher"
	"attache/store"
)

// sentinels are a master, its replica, and a Sentinel that makes the one the
// other.
type sentinels struct {
	at      redis.Options // the Sentinel
	servers []*redisProcess
	ats     []redis.Options // of the servers
}

// startSentinels starts them, until the test ends. The Sentinel has the user of
// docs/stores.md.
func startSentinels(t *testing.T) *sentinels {
	t.Helper()
	s := &sentinels{at: redis.Options{Addr: freeAddress(t), Password: "an-admin"}}
	for range 2 {
		at := redis.Options{Addr: freeAddress(t), Password: "a-password"}
		s.servers = append(s.servers, runRedis(t, "--port", portOf(at.Addr), "--requirepass", at.Password, "--masterauth", at.Password,
			"--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"))
		s.ats = append(s.ats, at)
		awaitRedis(t, at)
	}
	s.follow(t, 1, 0)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	settings := fmt.Sprintf(`port %s
bind 127.0.0.1
requirepass an-admin
user attache on >a-sentinel %s
sentinel monitor tokens 127.0.0.1 %s 1
sentinel auth-pass tokens a-password
sentinel down-after-milliseconds tokens 500
sentinel failover-timeout tokens 1000
logfile %s.log
`, portOf(s.at.Addr), strings.Join(aclOfDocs(t, "attache-sentinel"), " "), portOf(s.ats[0].Addr), file)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	watcher := &redisProcess{path: needTool(t, "redis-server"), args: []string{file, "--sentinel"}}
	watcher.start(t)
	t.Cleanup(watcher.kill)
	awaitRedis(t, s.at)
	s.ready(t, 1)
	return s
}

// follow makes a server the replica of the other one, and waits until it has all
// that one has.
func (s *sentinels) follow(t *testing.T, replica, master int) {
	t.Helper()
	mustAsk(t, s.ats[replica], "REPLICAOF", "127.0.0.1", portOf(s.ats[master].Addr))
	await(t, "a replica", func(ctx context.Context) error { return says(ctx, s.ats[replica], "master_link_status:up") })
}

// says returns an error unless a server says that of its replication.
func says(ctx context.Context, at redis.Options, text string) error {
	info, err := asks(ctx, at, "INFO", "replication")
	if err == nil && !strings.Contains(fmt.Sprint(info), text) {
		err = errors.New("it is not " + text)
	}
	return err
}

// ready waits until the Sentinel could make that server the master.
func (s *sentinels) ready(t *testing.T, replica int) {
	t.Helper()
	await(t, "a replica that the Sentinel knows", func(ctx context.Context) error {
		reply, err := asks(ctx, s.at, "SENTINEL", "REPLICAS", "tokens")
		if err != nil {
			return err
		}
		replicas, _ := reply.([]any)
		for _, one := range replicas {
			fields := map[string]string{}
			list, _ := one.([]any)
			for i := 0; i+1 < len(list); i += 2 {
				fields[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
			}
			if fields["port"] == portOf(s.ats[replica].Addr) && fields["flags"] == "slave" && fields["master-link-status"] == "ok" {
				return nil
			}
		}
		return fmt.Errorf("it knows %v", replicas)
	})
}

// master returns which server the Sentinel names.
func (s *sentinels) master(ctx context.Context) (int, error) {
	reply, err := asks(ctx, s.at, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tokens")
	if err != nil {
		return 0, err
	}
	named, _ := reply.([]any)
	i := slices.IndexFunc(s.ats, func(at redis.Options) bool { return len(named) == 2 && named[1] == portOf(at.Addr) })
	if i < 0 {
		return 0, fmt.Errorf("the Sentinel names %v", named)
	}
	return i, nil
}

// flush waits until the replica has all that was written: what WAIT waits for are
// writes of its own connection.
func (s *sentinels) flush(t *testing.T, master int) {
	t.Helper()
	o := s.ats[master]
	o.Protocol, o.PoolSize = 2, 1
	c := redis.NewClient(&o)
	defer c.Close()
	await(t, "the replica has everything", func(ctx context.Context) error {
		if err := c.Do(ctx, "SET", "last", "write").Err(); err != nil {
			return err
		}
		n, err := c.Do(ctx, "WAIT", 1, 100).Int()
		if err == nil && n < 1 {
			err = errors.New("it lacks the last write")
		}
		return err
	})
}

// failover kills the master, and waits until the other one is.
func (s *sentinels) failover(t *testing.T) (killed, next int) {
	t.Helper()
	killed, err := s.master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next = 1 - killed
	s.flush(t, killed)
	s.ready(t, next)
	s.servers[killed].kill()
	await(t, "a failover", func(ctx context.Context) error {
		if now, err := s.master(ctx); err != nil || now != next {
			return fmt.Errorf("the Sentinel still names the killed one: %w", err)
		}
		return says(ctx, s.ats[next], "role:master")
	})
	return killed, next
}

func (s *sentinels) options() store.RedisOptions {
	return store.RedisOptions{
		URLs: urls("redis://:a-password@" + s.at.Addr + "/1"), Master: "tokens",
		SentinelUsername: "attache", SentinelPassword: secret.New("a-sentinel"),
	}
}

// TestStoreThroughFailovers holds the store against a master that a Sentinel
// names; what interrupts it is a failover.
func TestStoreThroughFailovers(t *testing.T) {
	s := startSentinels(t)
	passed := contract(t, s.options(), func(t *testing.T) {
		killed, next := s.failover(t)
		s.servers[killed].start(t)
		awaitRedis(t, s.ats[killed])
		s.follow(t, killed, next)
		s.ready(t, killed)
	})
	wantNothingDenied(t, s.at)
	if passed && !t.Failed() {
		record(t, suite{name: "tokens in Redis, the store's contract, with failovers by a Sentinel", tests: 1, passed: 1})
	}
}

// TestRedisFailover kills the master for good: the store goes on with the new
// one, and tells of every key.
func TestRedisFailover(t *testing.T) {
	servers := startSentinels(t)
	s, keys := openStore(t, servers.options(), storeKeys(t, "k")), manyKeys()
	for _, k := range keys {
		await(t, "a save", func(ctx context.Context) error { return s.Save(ctx, k, refresher.Guard{}, aToken(1)) })
	}
	awaitStored(t, s, keys)
	count := watchAll(t, s)
	before := awaitTold(t, count, keys, nil)
	_, next := servers.failover(t)
	awaitStored(t, s, keys)
	awaitTold(t, count, keys, before)
	if err := s.Save(t.Context(), keys[0], refresher.Guard{Generation: 1}, aToken(2)); err != nil {
		t.Fatal(err)
	}
	if info := fmt.Sprint(mustAsk(t, servers.ats[next], "INFO", "keyspace")); !strings.Contains(info, "db1:keys=30,") {
		t.Errorf("the new master has %s", info)
	}
}
