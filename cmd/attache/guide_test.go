package main

import (
	"strings"
	"testing"
)

// guide is a page, or a section of one, that is followed from an empty folder.
type guide struct{ page, section string }

// guides are followed word for word: their files are written, their commands
// run, and what these print is compared.
func guides() []guide {
	return []guide{
		{"README.md", "Use it"},
		{"docs/first-steps.md", "One of the four vendors"},
		{"docs/first-steps.md", "An API with OAuth 2.0"},
		{"docs/first-steps.md", "An API of your own"},
		{"docs/write-a-recipe.md", ""},
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
			f.follow(g.blocks(t))
			if f.commands < 5 {
				t.Errorf("only %d commands", f.commands)
			}
			if len(f.running) == 0 {
				t.Error("it does not end with a working proxy")
			}
		})
	}
}
