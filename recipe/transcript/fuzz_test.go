package transcript

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attache/internal/yamldoc"
	"attache/recipe"
)

// FuzzTranscript: whatever stands in a transcript, it is one that runs, or mistakes
// of one line each; and nothing is written over that was not read.
func FuzzTranscript(f *testing.F) {
	for _, pattern := range []string{"wechat/authorizer-*.txtar", "vault/approle-*.txtar", "openim/*.txtar"} {
		files, _ := filepath.Glob("../presets/testdata/" + pattern)
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rep := &yamldoc.Report{}
		tr, ok := Parse(rep, "t.txtar", data)
		if ok == rep.Failed() {
			t.Fatalf("ok is %v, mistakes: %v", ok, rep.Err())
		}
		if !ok {
			return
		}
		r, found := recipe.Preset(tr.Recipe())
		if !found {
			r, _ = recipe.Preset("openim/user")
		}
		res, err := tr.Run(t.Context(), r)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "t.txtar:") {
					t.Errorf("a mistake of several lines: %q", line)
				}
			}
			return
		}
		if len(res.After) == 0 {
			t.Error("nothing would be left of the file")
		}
	})
}
