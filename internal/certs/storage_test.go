package certs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/caddyserver/certmagic"

	"attache/internal/certs/storagetest"
	"attache/internal/secret"
)

const storageKey = "a-storage-key-of-at-least-32-bytes"

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// opened opens a storage until the test ends.
func opened(t *testing.T, s Storage) *storage {
	t.Helper()
	st, err := open(s, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.close)
	return st
}

// inRedis starts a server and returns a storage in it.
func inRedis(t *testing.T) (*miniredis.Miniredis, Storage) {
	t.Helper()
	server := miniredis.RunT(t)
	server.RequireUserAuth("attache", "a-password-canary")
	return server, Storage{
		Redis: secret.New("redis://attache:a-password-canary@" + server.Addr() + "/3"),
		Key:   secret.New(storageKey),
	}
}

func TestFolderKeepsTheContract(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	storagetest.Run(t, func(t *testing.T) certmagic.Storage { return opened(t, Storage{Folder: folder}) })
}

func TestRedisKeepsTheContract(t *testing.T) {
	_, settings := inRedis(t)
	storagetest.Run(t, func(t *testing.T) certmagic.Storage { return opened(t, settings) })
}

// Keys are for the owner's eyes alone.
func TestFolderIsClosed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	if _, err := Root(t.Context(), Storage{Folder: folder}, quiet()); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen++
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || seen < 3 {
		t.Errorf("%d files and folders, %v", seen, err)
	}
}

// Whoever reads Redis sees neither values nor the key, and cannot pass one value
// off as another.
func TestRedisHoldsSealedValues(t *testing.T) {
	server, settings := inRedis(t)
	st := opened(t, settings)
	ctx := t.Context()
	for _, key := range []string{"t/a", "t/b"} {
		if err := st.Store(ctx, key, []byte("a-private-key-canary")); err != nil {
			t.Fatal(err)
		}
	}
	db := server.DB(3)
	a, b := db.HGet(redisHash, "t/a"), db.HGet(redisHash, "t/b")
	if dump := server.Dump() + a + b; strings.Contains(dump, "canary") {
		t.Errorf("the value shows:\n%s", dump)
	}
	if a[13:] == b[13:] {
		t.Error("the same value looks the same")
	}
	bad := map[string]string{
		"another's": b, "cut": a[:len(a)-1], "empty": "", "short": a[:1], "of another version": "\x02" + a[1:],
		"changed": a[:20] + string(a[20]^1) + a[21:],
	}
	for what, value := range bad {
		db.HSet(redisHash, "t/a", value)
		if _, err := st.Load(ctx, "t/a"); !errors.Is(err, errSealed) {
			t.Errorf("a value that is %s gives %v", what, err)
		}
	}
	db.HSet(redisHash, "t/a", a)
	settings.Key = secret.New(storageKey + "!")
	if _, err := opened(t, settings).Load(ctx, "t/a"); !errors.Is(err, errSealed) {
		t.Errorf("with another key there is %v", err)
	}
	if got, err := st.Load(ctx, "t/a"); err != nil || !bytes.Equal(got, []byte("a-private-key-canary")) {
		t.Errorf("got %q, %v", got, err)
	}
}

// A lock whose owner has died is free after a while; one whose owner lives stays
// his.
func TestRedisLockHasALease(t *testing.T) {
	server, settings := inRedis(t)
	one, other := opened(t, settings), opened(t, settings)
	ctx := t.Context()
	if err := one.Lock(ctx, "l"); err != nil {
		t.Fatal(err)
	}
	if ttl := server.DB(3).TTL(redisLocks + "l"); ttl != lockLease {
		t.Errorf("the lease is %v", ttl)
	}
	server.FastForward(lockLease + time.Millisecond) // as if the owner had not renewed it
	if err := other.Lock(ctx, "l"); err != nil {
		t.Fatal(err)
	}
	if err := one.Unlock(ctx, "l"); err == nil || !strings.Contains(err.Error(), "lease") {
		t.Errorf("who has lost the lock is told %v", err)
	}
	if !server.DB(3).Exists(redisLocks + "l") {
		t.Error("the lock of another was released")
	}
	r := other.Storage.(*redisStorage)
	server.FastForward(lockLease - time.Second)
	token := r.held["l"].token
	mine, err := r.script(ctx, ifMine(`redis.call("PEXPIRE", KEYS[1], ARGV[2])`), "l", token, lockLease.Milliseconds())
	if ttl := server.DB(3).TTL(redisLocks + "l"); !mine || err != nil || ttl != lockLease {
		t.Errorf("renewing gives %v, %v; the lease is %v", mine, err, ttl)
	}
	if err := other.Unlock(ctx, "l"); err != nil {
		t.Error(err)
	}
}

// A server that is away, or that does not let attache in, is named, and the
// password is not.
func TestRedisErrors(t *testing.T) {
	server, settings := inRedis(t)
	address := server.Addr()
	settings.Redis = secret.New("redis://attache:a-wrong-canary@" + address + "/3")
	_, denied := opened(t, settings).Load(t.Context(), "t/a")
	server.Close()
	_, away := opened(t, settings).Load(t.Context(), "t/a")
	for _, err := range []error{denied, away} {
		text := fmt.Sprint(err)
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(text, address) || strings.Contains(text, "canary") {
			t.Errorf("got %v", err)
		}
	}
}

// A source that is out of service begins nothing, and is waited for until it has
// given back its locks.
func TestClosedViewIsWaitedFor(t *testing.T) {
	v := newView(opened(t, Storage{Folder: t.TempDir()}))
	ctx := t.Context()
	if err := errors.Join(v.Lock(ctx, "a"), v.Store(ctx, "t/a", nil)); err != nil {
		t.Fatal(err)
	}
	v.close()
	if err := v.Store(ctx, "t/a", nil); !errors.Is(err, errClosed) {
		t.Errorf("storing gives %v", err)
	}
	if err := v.Lock(ctx, "b"); !errors.Is(err, errClosed) {
		t.Errorf("locking gives %v", err)
	}
	select {
	case <-v.idle:
		t.Error("a lock is held, and nobody waits for it")
	default:
	}
	if err := v.Unlock(ctx, "a"); err != nil {
		t.Error(err)
	}
	<-v.idle
}
