package interop

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"

	"attache/internal/certs"
	"attache/internal/certs/storagetest"
	"attache/internal/secret"
)

// redisKey is what values in Redis are encrypted with.
const redisKey = "a-key-of-at-least-thirty-two-characters"

// redisServer is a running Redis.
type redisServer struct{ url string }

// startRedis starts a Redis with a password, without files, until the test ends.
func startRedis(t testing.TB) *redisServer {
	t.Helper()
	path := needTool(t, "redis-server")
	address, dir := freeAddress(t), t.TempDir()
	cmd := exec.Command(path, "--port", portOf(address), "--bind", "127.0.0.1", "--save", "", "--dir", dir, "--requirepass", "a-password",
		"--logfile", filepath.Join(dir, "log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	r := &redisServer{"redis://:a-password@" + address + "/2"}
	await(t, "redis-server", func(context.Context) error {
		_, err := r.ask("PING")
		return err
	})
	return r
}

func (r *redisServer) ask(args ...any) (any, error) {
	o, err := redis.ParseURL(r.url)
	if err != nil {
		return nil, err
	}
	o.Protocol = 2
	c := redis.NewClient(o)
	defer c.Close()
	return c.Do(context.Background(), args...).Result()
}

// texts returns the replies to a command that gives a list.
func (r *redisServer) texts(t testing.TB, args ...any) []string {
	t.Helper()
	reply, err := r.ask(args...)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, x := range reply.([]any) {
		texts = append(texts, x.(string))
	}
	return texts
}

// storage is the value of certificates in a configuration.
func (r *redisServer) storage() string { return fmt.Sprintf("{redis: %q, key: %q}", r.url, redisKey) }

// forgetCertificates removes the certificates, but not the ACME account.
func (r *redisServer) forgetCertificates(t testing.TB) {
	t.Helper()
	fields := r.texts(t, "HKEYS", "attache:certificates")
	removed := 0
	for _, field := range fields {
		if strings.HasPrefix(field, "certificates/") {
			if _, err := r.ask("HDEL", "attache:certificates", field); err != nil {
				t.Fatal(err)
			}
			removed++
		}
	}
	if removed == 0 {
		t.Fatalf("there are no certificates among %q", fields)
	}
}

// dump returns all values.
func (r *redisServer) dump(t testing.TB) string {
	t.Helper()
	values := r.texts(t, "HVALS", "attache:certificates")
	if len(values) == 0 {
		t.Fatal("Redis has no values")
	}
	return strings.Join(values, "\n")
}

// TestRedisStorage holds the storage of certificates against a real Redis.
func TestRedisStorage(t *testing.T) {
	server := startRedis(t)
	const cases = 5 // of storagetest
	ok := t.Run("Contract", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) certmagic.Storage {
			s, closeIt, err := certs.Open(certs.Storage{Redis: secret.New(server.url), Key: secret.New(redisKey)}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(closeIt)
			return s
		})
	})
	if ok {
		record(t, suite{name: "certificates in Redis, the storage's contract", tests: cases, passed: cases})
	}
}

// lineWriter adds what is written to a log, line by line.
type lineWriter struct{ log *lockedLines }

func (w lineWriter) Write(p []byte) (int, error) {
	w.log.add(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
