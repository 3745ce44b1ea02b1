package docs

import (
	"os"
	"path/filepath"
	"testing"

	"attache/internal/picture/proof"
)

// Every picture can be read, on light pages and on dark ones.
func TestPicturesAreLegible(t *testing.T) {
	all, err := filepath.Glob("pictures/*.svg")
	if err != nil || len(all) < 7 {
		t.Fatalf("found %d pictures, %v", len(all), err)
	}
	for _, path := range all {
		for _, fault := range proof.Read(read(t, path)) {
			t.Errorf("%s: %s", path, fault)
		}
	}
}

// keepPicture compares a picture with the file that has it, or with -update
// writes it.
func keepPicture(t *testing.T, name, svg string) {
	t.Helper()
	path := "pictures/" + name + ".svg"
	if *update {
		if err := os.WriteFile(path, []byte(svg), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if read(t, path) != svg {
		t.Errorf("docs/%s is stale: run `make docs`, and commit what it writes", path)
	}
}
