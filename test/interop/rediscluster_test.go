package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"attache/internal/secret"
	"attache/refresher"
	"attache/store"
)

// watchAll counts what a store tells of a key, until the test ends.
func watchAll(t *testing.T, s *store.Redis) (count func(refresher.StoreKey) int) {
	var mu sync.Mutex
	told := map[refresher.StoreKey]int{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func(k refresher.StoreKey) {
			mu.Lock()
			defer mu.Unlock()
			told[k]++
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return func(k refresher.StoreKey) int {
		mu.Lock()
		defer mu.Unlock()
		return told[k]
	}
}

// TestStoreBehindSentinels has a master die: the store goes on with the next one,
// with what was saved, and announcements are heard again.
func TestStoreBehindSentinels(t *testing.T) {
	server := needTool(t, "redis-server")
	first, second, sentinel := freeAddress(t), freeAddress(t), freeAddress(t)
	old := runRedis(t, "--port", portOf(first), "--requirepass", "a-password", "--masterauth", "a-password")
	at := func(address string) redis.Options { return redis.Options{Addr: address, Password: "a-password"} }
	awaitRedis(t, at(first))
	runRedis(t, "--port", portOf(second), "--requirepass", "a-password", "--masterauth", "a-password",
		"--replicaof", "127.0.0.1 "+portOf(first))
	await(t, "the replica", func(ctx context.Context) error {
		info, err := asks(ctx, at(second), "INFO", "replication")
		if err == nil && !strings.Contains(fmt.Sprint(info), "master_link_status:up") {
			err = errors.New("it is not there yet")
		}
		return err
	})
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	settings := fmt.Sprintf(`port %s
bind 127.0.0.1
requirepass a-sentinel
sentinel monitor tokens 127.0.0.1 %s 1
sentinel auth-pass tokens a-password
sentinel down-after-milliseconds tokens 300
sentinel failover-timeout tokens 5000
logfile %s.log
`, portOf(sentinel), portOf(first), file)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	watcher := &redisProcess{path: server, args: []string{file, "--sentinel"}}
	watcher.start(t)
	t.Cleanup(watcher.kill)
	await(t, "the Sentinel", func(ctx context.Context) error {
		info, err := asks(ctx, redis.Options{Addr: sentinel, Password: "a-sentinel"}, "INFO", "sentinel")
		if err == nil && !strings.Contains(fmt.Sprint(info), "status=ok") || !strings.Contains(fmt.Sprint(info), "slaves=1") {
			err = fmt.Errorf("it does not know all yet: %v", info)
		}
		return err
	})

	o := store.RedisOptions{
		URLs:   urls("redis://:a-password@"+freeAddress(t)+"/2", "redis://:a-password@"+sentinel+"/2"), // one of them is down
		Master: "tokens", SentinelPassword: secret.New("a-sentinel"), Timeout: patience,
	}
	a, b := openStore(t, o, storeKeys(t, "k")), openStore(t, o, storeKeys(t, "k"))
	key, told := refresher.StoreKey{1}, watchAll(t, b)
	if _, err := b.Load(t.Context(), key); !errors.Is(err, refresher.ErrNoToken) {
		t.Fatal(err)
	}
	generation := uint64(0)
	saved := func(ctx context.Context) error {
		found, err := a.Load(ctx, key)
		if err != nil && !errors.Is(err, refresher.ErrNoToken) {
			return err
		}
		generation = found.Token.Generation + 1
		return a.Save(ctx, key, refresher.Guard{Generation: found.Token.Generation}, aToken(generation))
	}
	heard := func(ctx context.Context) error {
		before := told(key)
		if err := saved(ctx); err != nil {
			return err
		}
		for range 20 {
			if told(key) > before {
				return nil
			}
			time.Sleep(10 * time.Millisecond) // looking again
		}
		return errors.New("nothing was announced")
	}
	await(t, "an announcement", heard)
	last := generation
	await(t, "the replica has it", func(ctx context.Context) error {
		n, err := asks(ctx, at(first), "WAIT", 1, 1000)
		if err == nil && n != int64(1) {
			err = fmt.Errorf("%v replicas", n)
		}
		return err
	})
	old.kill()
	await(t, "the next master", saved)
	if generation <= last {
		t.Errorf("generation %d after %d", generation, last)
	}
	await(t, "an announcement of the next master", heard)
	// The old master comes back, as a replica.
	old.start(t)
	await(t, "the old master follows", func(ctx context.Context) error {
		info, err := asks(ctx, at(first), "INFO", "replication")
		if err == nil && !strings.Contains(fmt.Sprint(info), "role:slave") {
			err = errors.New("it does not yet")
		}
		return err
	})
	await(t, "an announcement after that", heard)
	record(t, suite{name: "tokens in Redis behind a Sentinel, with a failover", tests: 1, passed: 1})
}

// startCluster starts a cluster of three masters with these arguments.
func startCluster(t *testing.T, args ...string) (addresses []string, nodes []*redisProcess) {
	t.Helper()
	for range 3 {
		address := freeAddress(t)
		_, bus, err := net.SplitHostPort(freeAddress(t))
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, runRedis(t, append([]string{"--port", portOf(address), "--cluster-port", bus, "--cluster-enabled", "yes",
			"--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000"}, args...)...))
		awaitRedis(t, redis.Options{Addr: address})
		addresses = append(addresses, address)
	}
	bus := nodes[0].args[3]
	for i, address := range addresses {
		at := redis.Options{Addr: address}
		mustAsk(t, at, "CLUSTER", "ADDSLOTSRANGE", i*16384/3, (i+1)*16384/3-1)
		mustAsk(t, at, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		mustAsk(t, at, "CLUSTER", "MEET", "127.0.0.1", portOf(addresses[0]), bus)
	}
	awaitCluster(t, addresses)
	return addresses, nodes
}

// awaitCluster waits until all nodes serve all slots.
func awaitCluster(t *testing.T, addresses []string) {
	t.Helper()
	for _, address := range addresses {
		await(t, "the cluster", func(ctx context.Context) error {
			info, err := asks(ctx, redis.Options{Addr: address}, "CLUSTER", "INFO")
			if text := fmt.Sprint(info); err == nil && (!strings.Contains(text, "cluster_state:ok") || !strings.Contains(text, "cluster_slots_ok:16384")) {
				err = errors.New(text)
			}
			return err
		})
	}
}

// TestStoreInCluster holds the store against a cluster, whose slots move and of
// which a node dies.
func TestStoreInCluster(t *testing.T) {
	addresses, nodes := startCluster(t)
	o := store.RedisOptions{URLs: urls("redis://"+addresses[0], "redis://"+addresses[1]), Cluster: true}
	passed := contract(t, o, nil)
	s := openStore(t, o, storeKeys(t, "k"))
	keyOf := func(n int) refresher.StoreKey { return refresher.StoreKey{byte(n), 1} }
	const keys = 100
	for n := range keys {
		await(t, "a save", func(ctx context.Context) error { return s.Save(ctx, keyOf(n), refresher.Guard{}, aToken(1)) })
	}
	id := func(i int) string {
		return fmt.Sprint(mustAsk(t, redis.Options{Addr: addresses[i]}, "CLUSTER", "MYID"))
	}
	moved := make(chan struct{})
	go func() { // a third of all slots, while everybody works
		defer close(moved)
		moveSlots(t, addresses[0], addresses[1], id(0), id(1))
	}()
	rounds := 0
	for working := true; working || rounds < 3; rounds++ {
		select {
		case <-moved:
			working = false
		default:
		}
		for n := range keys {
			await(t, "a save while slots move", func(ctx context.Context) error {
				found, err := s.Load(ctx, keyOf(n))
				if err != nil {
					return err
				}
				if found.Token.Generation < uint64(rounds+1) {
					t.Fatalf("round %d: generation %d", rounds, found.Token.Generation)
				}
				err = s.Save(ctx, keyOf(n), refresher.Guard{Generation: found.Token.Generation}, aToken(found.Token.Generation+1))
				if errors.Is(err, refresher.ErrConflict) || errors.Is(err, refresher.ErrHeld) {
					t.Errorf("nobody else saves, and the error is %v", err)
				}
				return err
			})
		}
	}
	t.Logf("%d rounds while slots moved", rounds)
	nodes[2].kill()
	await(t, "the node that is left over", func(ctx context.Context) error {
		there := 0
		for n := range keys {
			if _, err := s.Load(ctx, keyOf(n)); err == nil {
				there++
			}
		}
		// Two thirds of the slots are there, and none of those waits for the rest.
		if there < keys/3 {
			return fmt.Errorf("%d of %d tokens are there", there, keys)
		}
		return nil
	})
	if passed && !t.Failed() {
		record(t, suite{name: "tokens in a Redis cluster whose slots move", tests: 1, passed: 1})
	}
}

// moveSlots moves all slots of one node to another, with what is in them.
func moveSlots(t *testing.T, from, to, fromID, toID string) {
	ask := func(address string, args ...any) any {
		reply, err := asks(t.Context(), redis.Options{Addr: address}, args...)
		if err != nil && t.Context().Err() == nil {
			t.Errorf("%v: %v", args, err)
		}
		return reply
	}
	for slot := 0; slot < 16384/3 && t.Context().Err() == nil; slot++ {
		if n, _ := ask(from, "CLUSTER", "COUNTKEYSINSLOT", slot).(int64); n == 0 && slot%50 != 0 {
			continue // most are empty, and moving one takes six questions
		}
		ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
		ask(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
		for {
			names, _ := ask(from, "CLUSTER", "GETKEYSINSLOT", slot, 1).([]any)
			if len(names) == 0 {
				break
			}
			ask(from, "MIGRATE", "127.0.0.1", portOf(to), names[0], 0, 5000)
		}
		ask(to, "CLUSTER", "SETSLOT", slot, "NODE", toID)
		ask(from, "CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
}
