package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attache/internal/watch"
	"attache/internal/yamldoc"
)

// TestAllMistakesAtOnce has one file with a mistake of every part.
func TestAllMistakesAtOnce(t *testing.T) {
	environment(t)
	const data = `listen: 0.0.0.0:8484
admin: 10.0.0.1:8485
probes: somewhere
store: redis
log: {level: loud, colour: true}
credentials:
  Bad: {recipe: huawei_aicc}
  api:
    recipe: testdata/recipes/static-client.yaml
    with: {url: "https://api.example.com", id: {env: CONFIG_TEST_UNSET}, secret: {file: nowhere}, scpoe: all}
    requird: true
    instances: {max: 0}
  loop:
    recipe: testdata/recipes/static-client.yaml
    with: {url: "https://api.example.com", id: me, secret: {credential: loop}}
    proxy: nowhere
routes:
  - {path: a, upstream: "ftp://x", use: [aip], wait: 5}
  - {path: /b, methods: get}
  - {host: c, upstream: "https://c", protocol: h2c, replay: {max_body: much}}
  - {host: c, upstream: "https://c"}
nonsense: true
`
	_, err := Parse("attache.yaml", []byte(data), ".")
	problems, _ := errors.AsType[yamldoc.Problems](err)
	wantLines := []int{1, 2, 3, 4, 5, 5, 7, 7, 10, 10, 10, 11, 12, 15, 16, 18, 18, 18, 18, 19, 19, 20, 20, 21, 22}
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
		if p.File != "attache.yaml" || p.Col < 1 || p.Text == "" {
			t.Errorf("problem %v has no place or text", p)
		}
	}
	if !slices.Equal(lines, wantLines) {
		t.Errorf("problems in lines %v, want %v:\n%v", lines, wantLines, err)
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "none.yaml: no such file or directory",
		dir:                             ": is a directory",
	} {
		_, err := Load(path)
		if _, ok := errors.AsType[yamldoc.Problems](err); !ok || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want …%s", err, want)
		}
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, make([]byte, yamldoc.MaxSize+10), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || !strings.HasSuffix(err.Error(), "the file is larger than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}

// FuzzParse feeds arbitrary configurations: nothing panics, and what comes
// without an error is complete.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("attache.yaml", data, "testdata/good")
		if err != nil {
			problems, ok := errors.AsType[yamldoc.Problems](err)
			if !ok || len(problems) == 0 || cfg != nil {
				t.Fatalf("got %v with %v", cfg, err)
			}
			for _, p := range problems {
				if strings.ContainsAny(p.String(), "\n\r") || p.Line < 1 {
					t.Fatalf("problem %q", p)
				}
			}
			return
		}
		if len(cfg.Listen) == 0 || cfg.Admin.Address == "" {
			t.Fatal("an address is missing")
		}
		for _, c := range cfg.Credentials {
			if c.Program == nil || c.Program.Name() != c.Name {
				t.Fatalf("credential %s has no program", c.Name)
			}
		}
		for _, r := range cfg.Routes {
			if r.Plan == nil || r.Upstream == nil || r.Name == "" || !strings.HasPrefix(r.Path, "/") || r.DialTimeout <= 0 {
				t.Fatalf("route %+v is not complete", r)
			}
		}
	})
}

// Who waits for what a failed configuration needs also waits for secrets that a
// credential lacks; with one that is good, logins look after them.
func TestFilesOfAFailure(t *testing.T) {
	dir := t.TempDir()
	path, key := filepath.Join(dir, "attache.yaml"), filepath.Join(dir, "key")
	text := `
credentials:
  im: {recipe: openim, with: {endpoint: "http://127.0.0.1:1", secret: {file: key}, platform_id: 1, user_id: u}}
routes:
  - {path: /, upstream: "http://127.0.0.1:1", use: [im]}
`
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, text)
	for _, before := range []string{"missing", ""} {
		var files watch.Files
		if before == "" {
			write(key, before)
		}
		if _, err := LoadAnew(path, &files); err == nil {
			t.Fatalf("%q: a secret is lacking, and there is no error", before)
		}
		if changed := files.Changed(); len(changed) != 0 {
			t.Errorf("%q: changed: %q, but nothing was", before, changed)
		}
		write(key, "a secret")
		if changed := files.Changed(); !slices.Equal(changed, []string{key}) {
			t.Errorf("%q: changed: %q, want %q", before, changed, key)
		}
	}
	var files watch.Files
	if _, err := LoadAnew(path, &files); err != nil {
		t.Fatal(err)
	}
	if got := files.Paths(); !slices.Equal(got, []string{path}) {
		t.Errorf("files of a good configuration: %q", got)
	}
}
