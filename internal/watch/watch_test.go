package watch

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestChanged(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "one")
	var f Files
	want := func(what string, paths ...string) {
		t.Helper()
		if got := f.Changed(); !slices.Equal(got, paths) {
			t.Errorf("%s: changed %q, want %q", what, got, paths)
		}
	}
	want("nothing is there")
	f.Add(b)
	f.Add(a)
	want("nothing happened")

	when := time.Now().Add(-time.Hour)
	if err := os.Chtimes(a, when, when); err != nil {
		t.Fatal(err)
	}
	want("another time, the same content")
	write(t, a, "two")
	want("other content of the same size", a)
	f.Add(a) // does not forget what stood there
	want("added again", a)
	write(t, a, "one")
	want("as before")
	write(t, b, "")
	want("a file came, though an empty one", b)
	os.Remove(a)
	want("a file went", a, b)
}

// woken waits for the notifier. The system decides when the news comes.
func woken(t *testing.T, n *Notifier, what string) {
	t.Helper()
	select {
	case <-n.C():
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: no news within 30 s", what)
	}
}

func TestNotifier(t *testing.T) {
	n := NewNotifier(slog.New(slog.DiscardHandler))
	defer n.Close()
	if n.events == nil {
		t.Skip("this system gives no news of files")
	}
	// As Kubernetes lays out a volume: file → ..data/file, ..data → a folder.
	dir := t.TempDir()
	for _, version := range []string{"..1", "..2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "file"), version)
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/file", "file")
	file := filepath.Join(dir, "file")
	var f Files
	f.Add(file)
	n.Follow([]string{file})

	link("..2", "..data_tmp")
	woken(t, n, "a link came") // which is news of its own
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	woken(t, n, "..data was swapped")
	if changed := f.Changed(); !slices.Equal(changed, []string{file}) {
		t.Errorf("changed: %q, want the file", changed)
	}

	n = NewNotifier(slog.New(slog.DiscardHandler)) // without what may be left of that news
	defer n.Close()
	other := filepath.Join(t.TempDir(), "other")
	n.Follow([]string{file})
	n.Follow([]string{other, file})
	write(t, other, "text")
	woken(t, n, "a file came")
	n.Follow([]string{other, filepath.Join(dir, "missing", "file")})
	if got := n.events.WatchList(); !slices.Equal(got, []string{filepath.Dir(other)}) {
		t.Errorf("watches %q, want the folder of %s alone", got, other)
	}
}
