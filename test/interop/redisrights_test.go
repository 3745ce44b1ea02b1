package interop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"attache/refresher"
	"attache/store"
)

// TestRedisRightsAreNeeded takes one permission after the other from the user of
// docs/stores.md: none is there without need.
func TestRedisRightsAreNeeded(t *testing.T) {
	address, acl := freeAddress(t), aclOfDocs(t, "attache")
	runRedis(t, "--port", portOf(address), "--requirepass", "an-admin")
	admin := redis.Options{Addr: address, Password: "an-admin"}
	awaitRedis(t, admin)
	o := store.RedisOptions{URLs: urls("redis://attache:a-password@" + address)}
	try := func(without string) error {
		args := []any{"ACL", "SETUSER", "attache", "reset", "on", ">a-password"}
		for _, rule := range acl {
			if rule != without {
				args = append(args, rule)
			}
		}
		mustAsk(t, admin, args...)
		mustAsk(t, admin, "FLUSHALL")
		mustAsk(t, admin, "SCRIPT", "FLUSH")
		return useStore(t, o)
	}
	// What takes rights away is no right; and whether a silent connection is still
	// there is asked after a while only.
	skipped := []string{"resetkeys", "resetchannels", "-@all", "+ping"}
	for _, rule := range acl {
		if err := try(rule); err == nil && !slices.Contains(skipped, rule) {
			t.Errorf("%s is not needed", rule)
		}
	}
	if err := try("nothing"); err != nil {
		t.Error(err)
	}
}

// useStore does everything with a store once.
func useStore(t *testing.T, o store.RedisOptions) error {
	t.Helper()
	s, key := openStore(t, o, storeKeys(t, "k")), refresher.StoreKey{1}
	ctx := t.Context()
	if _, err := s.Load(ctx, key); !errors.Is(err, refresher.ErrNoToken) {
		return fmt.Errorf("loading nothing: %w", err)
	}
	lease, err := s.Acquire(ctx, key, time.Minute)
	if err != nil {
		return fmt.Errorf("acquiring: %w", err)
	}
	err = lease.Extend(ctx, time.Minute)
	if err == nil {
		err = s.Save(ctx, key, refresher.Guard{Epoch: lease.Epoch()}, aToken(1))
	}
	if err != nil {
		return fmt.Errorf("extending or saving: %w", err)
	}
	lease.Release()
	again, err := s.Acquire(ctx, key, time.Minute)
	if err != nil {
		return fmt.Errorf("acquiring what was released: %w", err)
	}
	if _, err := s.Acquire(ctx, key, time.Minute); !errors.Is(err, refresher.ErrHeld) {
		return fmt.Errorf("acquiring what is held: %w", err)
	}
	again.Release()
	if err := s.Reject(ctx, key, 1); err != nil {
		return fmt.Errorf("rejecting: %w", err)
	}
	if found, err := s.Load(ctx, key); err != nil || !found.Rejected {
		return fmt.Errorf("loading: %+v, %w", found, err)
	}
	return listens(t, o)
}

// listens returns why announcements are not heard, if so.
func listens(t *testing.T, o store.RedisOptions) error {
	t.Helper()
	var log lockedLines
	s, err := store.NewRedis(o, storeKeys(t, "k"), slog.New(slog.NewTextHandler(lineWriter{&log}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	key := refresher.StoreKey{1}
	if _, err := s.Load(t.Context(), key); err != nil {
		return err
	}
	count := watchAll(t, s)
	var refused error
	await(t, "a subscription", func(context.Context) error {
		if count(key) > 0 {
			return nil
		}
		if text := log.String(); text != "" {
			refused = errors.New(text)
			return nil
		}
		return errors.New("nothing is heard yet")
	})
	return refused
}

// wantNothingDenied fails the test if a server refused anybody anything but a
// name in its list of clients.
func wantNothingDenied(t *testing.T, o redis.Options) {
	t.Helper()
	for _, entry := range mustAsk(t, o, "ACL", "LOG").([]any) {
		if fields, _ := entry.([]any); !slices.Contains(fields, any("client|setname")) {
			t.Errorf("the permissions in docs/stores.md denied %v", entry)
		}
	}
}

// TestStoreInClusterOfFewRights holds the store against a cluster as the user of
// docs/stores.md; all nodes are killed meanwhile, and come back.
func TestStoreInClusterOfFewRights(t *testing.T) {
	user := append([]string{"--user", "attache", "on", ">a-password"}, aclOfDocs(t, "attache")...)
	addresses, nodes := startCluster(t, append(user, "+cluster|slots", "--appendonly", "yes", "--appendfsync", "always")...)
	o := store.RedisOptions{URLs: urls("redis://attache:a-password@"+addresses[0], "redis://attache:a-password@"+addresses[1]), Cluster: true}
	passed := contract(t, o, func(t *testing.T) {
		for _, node := range nodes {
			node.kill()
		}
		for i, node := range nodes {
			node.start(t)
			awaitRedis(t, redis.Options{Addr: addresses[i]})
		}
		awaitCluster(t, addresses)
	})
	for _, address := range addresses {
		wantNothingDenied(t, redis.Options{Addr: address})
	}
	if passed && !t.Failed() {
		record(t, suite{name: "tokens in a Redis cluster with a user of few rights, killed as a whole", tests: 1, passed: 1})
	}
}
