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

// TestTranscripts runs what the tests know about the vendors: the transcripts in
// testdata/<folder>/*.txtar; the folders only sort them.
//
// go test ./recipe/presets -update writes "request" and "want" of all files
// anew; read the difference before believing it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(name), "testdata/"), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rep := &yamldoc.Report{}
			tr, ok := transcript.Parse(rep, name, data)
			if !ok {
				t.Fatal(rep.Err())
			}
			r, ok := recipe.Preset(tr.Recipe())
			if !ok {
				t.Fatalf("no usable preset %q", tr.Recipe())
			}
			res, err := tr.Run(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range res.Steps {
				if !s.OK() && !*update {
					t.Errorf("%s: %s (-the file +what happens):\n%s", name, s.Title, strings.Join(s.Diff(true), "\n"))
				}
			}
			switch {
			case !*update && res.OK() && string(res.After) != string(data):
				t.Errorf("%s: all is as expected, but the file would be written differently:\n%s", name, res.After)
			case *update && string(res.After) != string(data):
				if err := os.WriteFile(name, res.After, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
