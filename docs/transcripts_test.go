package docs

import (
	"regexp"
	"strings"
	"testing"

	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/recipe/transcript"
)

// The transcripts in the reference of the recipe language are those of its
// example, and everything in them comes true.
func TestTranscriptsComeTrue(t *testing.T) {
	page := read(t, "recipes.md")
	rep := &yamldoc.Report{}
	shop, ok := recipe.Parse(rep, "shop.yaml", []byte(yamlBlocks(section(t, page, "## A whole recipe"))[0]))
	if !ok {
		t.Fatal(rep.Err())
	}
	blocks := regexp.MustCompile("(?s)\n```\n(.*?)```").FindAllStringSubmatch(section(t, page, "## Testing a recipe"), -1)
	if len(blocks) != 2 {
		t.Fatalf("found %d transcripts", len(blocks))
	}
	for _, block := range blocks {
		tr, ok := transcript.Parse(rep, "recipes.md", []byte(block[1]))
		if !ok {
			t.Fatal(rep.Err())
		}
		res, err := tr.Run(t.Context(), shop)
		if err != nil {
			t.Fatal(err)
		}
		for i := range res.Steps {
			if s := &res.Steps[i]; !s.OK() {
				t.Errorf("%s:\n%s", s.Title, strings.Join(s.Diff(true), "\n"))
			}
		}
		if got := string(res.After); res.OK() && got != block[1] {
			t.Errorf("would be written as\n%s", got)
		}
	}
}
