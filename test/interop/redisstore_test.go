package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"attache/internal/secret"
	"attache/refresher"
	"attache/store"
	"attache/store/storetest"
)

// redisProcess is a redis-server, which can be killed and started again.
type redisProcess struct {
	path string
	args []string
	cmd  *exec.Cmd
}

// runRedis starts a redis-server in a folder of its own until the test ends.
func runRedis(t testing.TB, args ...string) *redisProcess {
	t.Helper()
	p := &redisProcess{path: needTool(t, "redis-server")}
	dir := t.TempDir()
	p.args = append(args, "--bind", "127.0.0.1", "--save", "", "--dir", dir, "--logfile", filepath.Join(dir, "log"))
	p.start(t)
	t.Cleanup(p.kill)
	return p
}

func (p *redisProcess) start(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(p.path, p.args...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (p *redisProcess) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// asks runs one command on a server.
func asks(ctx context.Context, o redis.Options, args ...any) (any, error) {
	o.Protocol = 2
	c := redis.NewClient(&o)
	defer c.Close()
	return c.Do(ctx, args...).Result()
}

// awaitRedis waits until a server answers.
func awaitRedis(t testing.TB, o redis.Options) {
	t.Helper()
	await(t, "redis-server", func(ctx context.Context) error {
		_, err := asks(ctx, o, "PING")
		return err
	})
}

// mustAsk runs one command, which succeeds.
func mustAsk(t testing.TB, o redis.Options, args ...any) any {
	t.Helper()
	reply, err := asks(t.Context(), o, args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// storeKeys returns keys of texts that begin so.
func storeKeys(t testing.TB, begins ...string) *store.Keys {
	t.Helper()
	var texts []secret.String
	for _, b := range begins {
		texts = append(texts, secret.New(b+redisKey))
	}
	keys, err := store.NewKeys(texts...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func openStore(t testing.TB, o store.RedisOptions, keys *store.Keys) *store.Redis {
	t.Helper()
	s, err := store.NewRedis(o, keys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// contract runs the suite, in which each test has namespaces of its own.
func contract(t *testing.T, o store.RedisOptions, interrupt func(t *testing.T)) bool {
	o.Timeout = patience // it is not about how fast this machine is
	var subjects atomic.Int32
	return t.Run("Contract", func(t *testing.T) {
		storetest.Run(t, false, func(t *testing.T) *storetest.Subject {
			mine := fmt.Sprint(subjects.Add(1), "/")
			return &storetest.Subject{Sealed: true, Interrupt: interrupt, Open: func(t *testing.T, s storetest.Settings) refresher.Store {
				o := o
				o.Namespace = mine + s.Namespace
				if len(s.Keys) == 0 {
					s.Keys = []string{"any"}
				}
				return openStore(t, o, storeKeys(t, s.Keys...))
			}}
		})
	})
}

func urls(texts ...string) (list []secret.String) {
	for _, text := range texts {
		list = append(list, secret.New(text))
	}
	return list
}

// TestStoreInRedis holds the store against a real server, which is killed and
// started again meanwhile.
func TestStoreInRedis(t *testing.T) {
	address := freeAddress(t)
	at := redis.Options{Addr: address, Password: "a-password"}
	server := runRedis(t, "--port", portOf(address), "--requirepass", "a-password", "--appendonly", "yes", "--appendfsync", "always")
	awaitRedis(t, at)
	passed := contract(t, store.RedisOptions{URLs: urls("redis://:a-password@" + address + "/2")}, func(t *testing.T) {
		server.kill()
		server.start(t)
		awaitRedis(t, at)
	})
	if passed {
		record(t, suite{name: "tokens in Redis, the store's contract, with kills", tests: 1, passed: 1})
	}
}

// aclOfDocs returns the permissions that docs/stores.md tells to give to a user.
func aclOfDocs(t testing.TB, user string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^    user ` + user + ` on >PASSWORD (.*)$`).FindSubmatch(page)
	if found == nil {
		t.Fatalf("docs/stores.md has no line that begins with user %s", user)
	}
	return strings.Fields(string(found[1]))
}

// TestStoreInRedisWithTLS holds the store against a server that asks for TLS
// with a client's certificate and gives a user what docs/stores.md says; and each
// of these commands is used.
func TestStoreInRedisWithTLS(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: poolOf(t, cert), Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	address, acl := freeAddress(t), aclOfDocs(t, "attache")
	runRedis(t, "--port", "0", "--tls-port", portOf(address), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert,
		"--user", "default", "on", ">an-admin", "allkeys", "allchannels", "+@all")
	admin := redis.Options{Addr: address, Password: "an-admin", TLSConfig: config}
	awaitRedis(t, admin)
	setUser := func(rules []string) {
		args := []any{"ACL", "SETUSER", "attache", "reset", "on", ">a-password"}
		for _, r := range rules {
			args = append(args, r)
		}
		mustAsk(t, admin, args...)
	}
	setUser(acl)
	o := store.RedisOptions{URLs: urls("rediss://attache:a-password@" + address), TLS: config}
	if contract(t, o, nil) {
		record(t, suite{name: "tokens in Redis with TLS and a user of few rights", tests: 1, passed: 1})
	}
	stats := mustAsk(t, admin, "INFO", "commandstats").(string)
	for _, rule := range acl {
		if command, ok := strings.CutPrefix(rule, "+"); ok && !strings.Contains(stats, "cmdstat_"+command+":") {
			t.Errorf("%s is not needed", rule)
		}
	}
	// Who may not announce changes nothing.
	setUser(slices.DeleteFunc(slices.Clone(acl), func(rule string) bool { return strings.HasPrefix(rule, "&") }))
	o.Namespace = "mute"
	mute := openStore(t, o, storeKeys(t, "k"))
	err = mute.Save(t.Context(), refresher.StoreKey{1}, refresher.Guard{}, aToken(1))
	if err == nil || strings.Contains(err.Error(), "a-password") {
		t.Errorf("error %v", err)
	}
	if _, err := mute.Load(t.Context(), refresher.StoreKey{1}); !errors.Is(err, refresher.ErrNoToken) {
		t.Errorf("error %v", err)
	}
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if _, err := openStore(t, o, storeKeys(t, "k")).Load(t.Context(), refresher.StoreKey{1}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
}

// aToken returns a token with an hour to live.
func aToken(generation uint64) refresher.Token {
	now := time.Now().Truncate(time.Millisecond)
	return refresher.Token{Value: secret.New("v"), Generation: generation, IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
}
