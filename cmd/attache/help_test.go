package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"attache/internal/terminal"
)

// TestHelpFitsATerminal: no line of any help is torn apart in 80 columns.
func TestHelpFitsATerminal(t *testing.T) {
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Long + "\n" + cmd.UsageString()) {
			if n := terminal.Width(strings.TrimRight(line, " \n")); n > 80 {
				t.Errorf("%s --help has a line of %d columns: %s", cmd.CommandPath(), n, line)
			}
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(newRoot())
}
