package main

import "testing"

// TestGuide follows docs/write-a-recipe.md word for word: it writes the files,
// runs the commands, and compares what they print.
func TestGuide(t *testing.T) {
	f := newFollower(t)
	f.follow(blocks(t, "docs/write-a-recipe.md"))
	if f.commands < 15 {
		t.Errorf("only %d commands", f.commands)
	}
}
