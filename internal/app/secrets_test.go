package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/config"
	"attache/internal/secret"
	"attache/refresher"
)

// readLogin is a login that reads a secret file as recipes do.
type readLogin struct {
	ref  *secret.Ref
	mu   sync.Mutex
	used []string
}

func (l *readLogin) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	s, err := l.ref.Read()
	if err != nil {
		return refresher.Token{}, err
	}
	l.mu.Lock()
	l.used = append(l.used, s.Reveal())
	l.mu.Unlock()
	if s.Reveal() == "wrong" {
		return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("wrong secret")}
	}
	return refresher.Token{Value: s, ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// TestChangedSecretRenews runs in virtual time: a wrong secret blocks, and its
// correction is tried within seconds, not at the next probe; a file that is
// gone changes nothing and is complained about once.
func TestChangedSecretRenews(t *testing.T) { testChangedSecret(t, false) }

// TestChangedSecretIsSentLater: what is no part of a token's identity renews no
// token that is good, and has a login that failed tried again.
func TestChangedSecretIsSentLater(t *testing.T) { testChangedSecret(t, true) }

func testChangedSecret(t *testing.T, later bool) {
	path := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	synctest.Test(t, func(t *testing.T) {
		ref := secret.File(path)
		login := &readLogin{ref: ref}
		engine := refresher.New(refresher.Config{Rand: func() float64 { return 0.5 }})
		pool, err := engine.Add(refresher.Definition{Credential: "c", Token: "t", Key: []refresher.KeyPart{{Name: "c"}}, Source: login})
		if err != nil {
			t.Fatal(err)
		}
		var logs bytes.Buffer
		w := &secretFiles{log: slog.New(slog.NewTextHandler(&logs, nil))}
		if _, err := ref.Read(); err != nil {
			t.Fatal(err)
		}
		file := &secretFile{ref: ref, credential: "c", known: ref.Current(), pools: []*refresher.Pool{pool}}
		if later {
			file.pools, file.later = nil, file.pools
		}
		w.files = []*secretFile{file}
		ctx, cancel := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() { engine.Run(ctx) })
		parts.Go(func() {
			for ctx.Err() == nil {
				w.look()
				time.Sleep(compareEvery)
			}
		})
		want := func(uses ...string) {
			t.Helper()
			synctest.Wait()
			login.mu.Lock()
			defer login.mu.Unlock()
			if strings.Join(login.used, " ") != strings.Join(uses, " ") {
				t.Errorf("logins used %q, want %q", login.used, uses)
			}
		}
		time.Sleep(20 * time.Second)
		want("wrong")
		write("right\n")
		time.Sleep(compareEvery + 2*time.Second)
		want("wrong", "right")
		if later {
			write("newer")
			time.Sleep(40 * time.Minute)
			want("wrong", "right")
			time.Sleep(20 * time.Minute)
			want("wrong", "right", "newer")
			cancel()
			parts.Wait()
			return
		}

		os.Remove(path)
		time.Sleep(time.Minute)
		want("wrong", "right")
		if want := " file=" + path + "\n"; !strings.Contains(logs.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, &logs)
		}
		if n := strings.Count(logs.String(), "cannot be read"); n != 1 {
			t.Errorf("%d complaints about a file that is gone, want 1:\n%s", n, &logs)
		}
		write("right")
		time.Sleep(time.Minute)
		want("wrong", "right")
		write("newer")
		time.Sleep(compareEvery + 2*time.Second)
		want("wrong", "right", "newer")
		if strings.Contains(logs.String(), "newer") {
			t.Error("the log shows the secret")
		}
		cancel()
		parts.Wait()
	})
}

// TestSecretFilesAreFound sees which tokens a file's change renews.
func TestSecretFilesAreFound(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"key", "secret", "name"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	recipe := "recipe: pod\nparams: {path: {}}\ntokens: {account: {file: \"${path}\"}, other: {static: x}}\n"
	if err := os.WriteFile(filepath.Join(dir, "pod.yaml"), []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("test.yaml", []byte(`
credentials:
  pod:
    recipe: ./pod.yaml
    with: {path: `+filepath.Join(dir, "token")+`} # it is not there yet
  a:
    recipe: huawei-aicc
    with: {endpoint: "https://example.com", app_key: {file: key}, app_secret: {file: secret}, channel_id: "1", user_id: u, user_name: {file: name}}
routes:
  - {path: /, upstream: "https://example.com", use: [a]}
`), dir)
	if err != nil {
		t.Fatal(err)
	}
	engine := refresher.New(refresher.Config{})
	pools, err := addTokens(engine.Change(), cfg, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range newSecretFiles(cfg, pools, nil).files {
		text := filepath.Base(f.ref.String()) + ":"
		for _, p := range f.pools {
			text += " " + p.Token()
		}
		for _, p := range f.later {
			text += " later " + p.Token()
		}
		found = append(found, text)
	}
	if got, want := strings.Join(found, ", "), "token: account, key: access messaging, secret: access, name: later messaging"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}
