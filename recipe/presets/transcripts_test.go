package presets_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/recipe/transcript"
)

var update = flag.Bool("update", false, "write request and want of the transcripts anew")

// TestTranscripts runs what the tests know about vendors: the transcripts in
// testdata/<folder>/*.txtar; the folders only sort them. Those in
// ../testdata/recipes/<folder> are of recipes that are no presets.
//
// go test ./recipe/presets -update writes "request" and "want" of all files
// anew; read the difference before believing it.
func TestTranscripts(t *testing.T) {
	var files []string
	for _, pattern := range []string{"testdata/*/*.txtar", "../testdata/recipes/*/*.txtar"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no transcripts %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.ToSlash(name), ".txtar"), func(t *testing.T) { runTranscript(t, name) })
	}
}

func runTranscript(t *testing.T, name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rep := &yamldoc.Report{}
	tr, ok := transcript.Parse(rep, name, data)
	if !ok {
		t.Fatal(rep.Err())
	}
	res, err := tr.Run(t.Context(), readRecipe(t, tr.Recipe()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range res.Steps {
		if s := &res.Steps[i]; !s.OK() && !*update {
			t.Errorf("%s: %s (-the file +what happens):\n%s", name, s.Title, strings.Join(s.Diff(true), "\n"))
		}
	}
	switch {
	case string(res.After) == string(data):
	case *update:
		if err := os.WriteFile(name, res.After, 0o644); err != nil {
			t.Fatal(err)
		}
	case res.OK():
		t.Errorf("%s: all is as expected, but the file would be written differently:\n%s", name, res.After)
	}
}

// readRecipe returns the preset of that name, or the recipe in the file, whose
// name counts from the folder of package recipe.
func readRecipe(t *testing.T, name string) *recipe.Recipe {
	t.Helper()
	if !strings.HasSuffix(name, ".yaml") {
		r, ok := recipe.Preset(name)
		if !ok {
			t.Fatalf("no usable preset %q", name)
		}
		return r
	}
	data, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	rep := &yamldoc.Report{}
	r, ok := recipe.Parse(rep, name, data)
	if !ok {
		t.Fatal(rep.Err())
	}
	return r
}
