package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is in the way of a file of the store is said before the start, and
// nothing is made.
func TestAdvice(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path    string
		refused string // what this user may not touch
		want    string
	}{
		{"tokens", "", ""},
		{"file", "", ""},
		{".", "", "is a folder: name a file in it"},
		{"tokens", ".", "cannot be written by this user"},
		{"file", "file", "cannot be read and written by this user"},
		{"file", ".", "cannot be written by this user"},
		{"state/deep/tokens", "", "state/deep does not exist; attache makes it when it starts"},
		{"state/deep/tokens", ".", "state/deep does not exist, and cannot be made by this user"},
		{"file/tokens", "", "not a directory"},
	} {
		got := advice(filepath.Join(dir, tc.path), func(path string, _ uint32) error {
			if tc.refused != "" && path == filepath.Join(dir, tc.refused) {
				return errors.New("refused")
			}
			return access(path, 0)
		})
		if (got == "") != (tc.want == "") || !strings.HasSuffix(filepath.ToSlash(got), tc.want) {
			t.Errorf("%s, without a right to %q: %q, want %q", tc.path, tc.refused, got, tc.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
		t.Error("a folder was made")
	}
	if got := Advice(filepath.Join(dir, "tokens")); got != "" {
		t.Errorf("a good place: %q", got)
	}
}
