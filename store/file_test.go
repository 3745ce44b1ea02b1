package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	"attache/store"
	"attache/store/storetest"
)

// keysOf returns keys of texts that begin so.
func keysOf(t testing.TB, begins ...string) *store.Keys {
	t.Helper()
	if len(begins) == 0 {
		begins = []string{"default"}
	}
	var texts []secret.String
	for _, b := range begins {
		texts = append(texts, secret.New(b+strings.Repeat("x", 32)))
	}
	keys, err := store.NewKeys(texts...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// logged collects what is logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// openFile opens a store that is closed at the end of the test.
func openFile(t testing.TB, path string, log *logged, keys ...string) *store.File {
	t.Helper()
	if log == nil {
		log = &logged{}
	}
	s := store.OpenFile(path, keysOf(t, keys...), "", log.logger())
	t.Cleanup(func() { closeFile(t, s) })
	return s
}

func closeFile(t testing.TB, s *store.File) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileContract(t *testing.T) {
	storetest.Run(t, true, func(t *testing.T) *storetest.Subject {
		path := filepath.Join(t.TempDir(), "folder", "tokens")
		var current *store.File
		var with string
		return &storetest.Subject{
			Open: func(t *testing.T, s storetest.Settings) refresher.Store {
				if as := fmt.Sprint(s); current == nil || as != with || s.Keys != nil {
					if current != nil {
						closeFile(t, current)
					}
					current, with = store.OpenFile(path, keysOf(t, s.Keys...), s.Namespace, slog.New(slog.DiscardHandler)), as
					t.Cleanup(func() { closeFile(t, current) })
				}
				return current
			},
			Sealed: true, Exclusive: true, Advance: time.Sleep,
		}
	})
}

func testKey(n int) refresher.StoreKey { return refresher.StoreKey{byte(n), byte(n >> 8), 31: 1} }

// testToken returns a token that tells its key and generation.
func testToken(n int, generation uint64) refresher.Token {
	now := time.Now()
	return refresher.Token{
		Value: secret.New(fmt.Sprintf("secret %d of %d", generation, n)), Generation: generation,
		IssuedAt: now, ExpiresAt: now.Add(time.Hour), Lasting: true,
	}
}

func mustSave(t testing.TB, s refresher.Store, n int, generation uint64) {
	t.Helper()
	if err := s.Save(context.Background(), testKey(n), refresher.Guard{Generation: generation - 1}, testToken(n, generation)); err != nil {
		t.Errorf("saving generation %d: %v", generation, err)
	}
}

// wantLoad fails the test unless the store holds that generation; 0: nothing.
func wantLoad(t testing.TB, s refresher.Store, n int, generation uint64) {
	t.Helper()
	got, err := s.Load(context.Background(), testKey(n))
	if generation == 0 {
		if !errors.Is(err, refresher.ErrNoToken) {
			t.Errorf("key %d: generation %d, error %v, want no token", n, got.Token.Generation, err)
		}
		return
	}
	if err != nil || got.Token.Generation != generation || got.Token.Value.Reveal() != testToken(n, generation).Value.Reveal() {
		t.Errorf("key %d: generation %d, error %v, want generation %d", n, got.Token.Generation, err, generation)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// asides returns the files that were set aside.
func asides(t testing.TB, path string) []string {
	t.Helper()
	found, err := filepath.Glob(path + ".damaged-*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFileSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "tokens")
	var log logged
	s := openFile(t, path, &log)
	for n := range 5 {
		for g := range uint64(n) {
			mustSave(t, s, n, g+1)
		}
	}
	if err := s.Reject(t.Context(), testKey(3), 3); err != nil {
		t.Fatal(err)
	}
	closeFile(t, s)
	if _, err := s.Load(t.Context(), testKey(1)); err == nil {
		t.Error("a closed store loads")
	}
	data := readFile(t, path)
	if bytes.Contains(data, []byte("secret")) {
		t.Error("a token is in the clear")
	}
	for path, want := range map[string]os.FileMode{path: 0o600, path + ".lock": 0o600, filepath.Dir(path): 0o700 | os.ModeDir, filepath.Dir(filepath.Dir(path)): 0o700 | os.ModeDir} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, error %v, want %v", path, info.Mode(), err, want)
		}
	}

	s = openFile(t, path, &log)
	for n := range 5 {
		wantLoad(t, s, n, uint64(n))
	}
	if got, _ := s.Load(t.Context(), testKey(3)); !got.Rejected {
		t.Error("the rejection is lost")
	}
	mustSave(t, s, 4, 5)
	if text := log.String(); text != "" {
		t.Errorf("logged %s, want nothing", text)
	}
}

// The mode of a file that others could read is made right.
func TestFileModeIsMadeRight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s := openFile(t, path, nil)
	mustSave(t, s, 1, 1)
	closeFile(t, s)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	wantLoad(t, openFile(t, path, nil), 1, 1)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

// One process has the file; the next one gets it without being told.
func TestFileIsOfOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens")
		first, second := openFile(t, path, nil), openFile(t, path, nil)
		mustSave(t, first, 1, 1)
		for range 3 {
			_, lerr := second.Load(t.Context(), testKey(1))
			_, aerr := second.Acquire(t.Context(), testKey(1), time.Minute)
			for op, err := range map[string]error{
				"load": lerr, "acquire": aerr,
				"save":   second.Save(t.Context(), testKey(1), refresher.Guard{Generation: 1}, testToken(1, 2)),
				"reject": second.Reject(t.Context(), testKey(1), 1),
			} {
				if err == nil || !strings.Contains(err.Error(), path+" is in use by another process of attache: give each its own file, or let them share a store in Redis") {
					t.Errorf("%s: error %v", op, err)
				}
			}
			time.Sleep(time.Second)
		}
		mustSave(t, first, 1, 2)
		_, _ = second.Load(t.Context(), testKey(1)) // the last try before the end of the first
		closeFile(t, first)
		if _, err := second.Load(t.Context(), testKey(1)); err == nil {
			t.Error("tried again at once")
		}
		time.Sleep(time.Second)
		wantLoad(t, second, 1, 2)
		mustSave(t, second, 1, 3)
	})
}

func TestFileAtOddPaths(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "target"), nil)
	writeFile(t, filepath.Join(dir, "text"), []byte("listen: 127.0.0.1:8484\n"))
	writeFile(t, filepath.Join(dir, "att"), []byte("attachment"))
	for _, link := range []string{"link", "locked.lock"} {
		if err := os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "folder"):    "is a folder: name a file in it",
		filepath.Join(dir, "link"):      "is a symbolic link: name the file that it leads to",
		filepath.Join(dir, "locked"):    "locked.lock is a symbolic link",
		filepath.Join(dir, "text"):      "is no store of attache, and stays as it is",
		filepath.Join(dir, "att"):       "is no store of attache, and stays as it is",
		filepath.Join(dir, "text", "x"): "not a directory",
	} {
		s := openFile(t, path, nil)
		if _, err := s.Load(t.Context(), testKey(1)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
	}
	if text := readFile(t, filepath.Join(dir, "text")); string(text) != "listen: 127.0.0.1:8484\n" {
		t.Errorf("the other file is now %q", text)
	}
}

// What of the operating system is no file is refused before it is opened: a
// pipe would hang.
func TestFileIsADevice(t *testing.T) {
	s := openFile(t, os.DevNull, nil)
	if _, err := s.Load(t.Context(), testKey(1)); err == nil || !strings.Contains(err.Error(), "is a device, socket or pipe") {
		t.Errorf("error %v", err)
	}
}

// A file that somebody removes or replaces while it is open is written anew, and
// the other one is kept.
func TestFileIsRemovedWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	var log logged
	s := openFile(t, path, &log)
	mustSave(t, s, 1, 1)
	mustSave(t, s, 2, 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustSave(t, s, 1, 2)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, []byte("a backup"))
	mustSave(t, s, 1, 3)
	closeFile(t, s)
	if found := asides(t, path); len(found) != 1 || string(readFile(t, found[0])) != "a backup" {
		t.Errorf("set aside: %v, want the other file", found)
	}
	if !strings.Contains(log.String(), "removed or replaced") {
		t.Errorf("logged %s", &log)
	}
	s = openFile(t, path, nil)
	wantLoad(t, s, 1, 3)
	wantLoad(t, s, 2, 1)
}

// Saves that wait at the same time share a flush, and all of them are there.
func TestFileConcurrentSaves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s := openFile(t, path, nil)
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() {
			for g := range uint64(5) {
				mustSave(t, s, n, g+1)
			}
		})
	}
	all.Wait()
	closeFile(t, s)
	s = openFile(t, path, nil)
	for n := range 64 {
		wantLoad(t, s, n, 5)
	}
}

// Expired tokens that renew nothing are gone after the next start.
func TestFileDropsExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens")
		s := openFile(t, path, nil)
		for n, token := range []refresher.Token{
			{Generation: 1, Value: secret.New("v"), ExpiresAt: time.Now().Add(time.Minute)},
			{Generation: 1, Value: secret.New("v"), ExpiresAt: time.Now().Add(time.Minute), Lasting: true},
			{Generation: 1, Value: secret.New("v")},
		} {
			if err := s.Save(t.Context(), testKey(n), refresher.Guard{}, token); err != nil {
				t.Fatal(err)
			}
		}
		closeFile(t, s)
		before := len(readFile(t, path))
		time.Sleep(time.Minute)
		s = openFile(t, path, nil)
		for n, there := range []bool{false, true, true} {
			if _, err := s.Load(t.Context(), testKey(n)); (err == nil) != there {
				t.Errorf("token %d: error %v, want it there: %v", n, err, there)
			}
		}
		if after := len(readFile(t, path)); after >= before {
			t.Errorf("the file has %d bytes, and had %d", after, before)
		}
	})
}
