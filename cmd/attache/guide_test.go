package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// guide is a page, or a section of one, that is followed from an empty folder, or
// with the files of an archive in testdata/guide.
type guide struct{ page, section, files string }

// guides are followed word for word: their files are written, their commands
// run, and what these print is compared.
func guides() []guide {
	return []guide{
		{page: "README.md", section: "Use it"},
		{page: "docs/first-steps.md", section: "One of the four vendors"},
		{page: "docs/first-steps.md", section: "An API with OAuth 2.0"},
		{page: "docs/first-steps.md", section: "An API of your own"},
		{page: "docs/write-a-recipe.md"},
		{page: "docs/configuration.md", section: "Mistakes", files: "mistakes.txtar"},
		{page: "docs/command-line.md", section: "attache check", files: "check.txtar"},
		{page: "docs/command-line.md", section: "attache recipes"},
		{page: "docs/command-line.md", section: "attache schema"},
		{page: "docs/command-line.md", section: "attache emulate"},
		{page: "docs/command-line.md", section: "attache completion"},
	}
}

// blocks returns those of the guide.
func (g guide) blocks(t *testing.T) []block {
	t.Helper()
	var list []block
	for _, b := range blocks(t, g.page) {
		if g.section == "" || b.section == g.section {
			list = append(list, b)
		}
	}
	return list
}

func TestGuides(t *testing.T) {
	for _, g := range guides() {
		t.Run(strings.TrimSuffix(g.page+" "+g.section, " "), func(t *testing.T) {
			f := newFollower(t)
			if g.files != "" {
				archive, err := txtar.ParseFile(filepath.Join("testdata/guide", g.files))
				if err != nil {
					t.Fatal(err)
				}
				for _, file := range archive.Files {
					f.write(file.Name, string(file.Data))
				}
			}
			f.follow(g.blocks(t))
			if f.commands == 0 {
				t.Error("there is no command")
			}
		})
	}
}
