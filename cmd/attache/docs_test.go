package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"attache/internal/emulator"
)

// TestDocs compares docs/command-line.md with the commands: each has a section
// that names its subcommands, flags and their defaults, and there is nothing in
// it that does not exist.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	root := newRoot()
	root.InitDefaultHelpCmd() // as Execute does
	root.InitDefaultCompletionCmd()
	commands := map[string]bool{}
	for _, cmd := range root.Commands() {
		name := cmd.CommandPath()
		commands[name] = true
		text := commandSection(page, name)
		if text == "" {
			t.Errorf("command-line.md has no section %q", "## "+name)
			continue
		}
		if !strings.Contains(page, "[`"+name+"`]") {
			t.Errorf("the table at the top does not name %s", name)
		}
		known := map[string]bool{}
		checkFlags(t, cmd, text, known)
		for _, sub := range cmd.Commands() {
			if !strings.Contains(text, "`"+sub.CommandPath()) {
				t.Errorf("the section of %s does not name %s", name, sub.CommandPath())
			}
			checkFlags(t, sub, text, known)
		}
		for _, flag := range flagName.FindAllStringSubmatch(text, -1) {
			if !known[flag[1]] && flag[1] != "help" {
				t.Errorf("the section of %s has the flag --%s, which does not exist", name, flag[1])
			}
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^## (attache .*)$`).FindAllStringSubmatch(page, -1) {
		if !commands[heading[1]] {
			t.Errorf("command-line.md has a section about %s, which is no command", heading[1])
		}
	}
	for _, vendor := range emulator.Names() {
		if !strings.Contains(commandSection(page, "attache emulate"), "`"+vendor+"`") {
			t.Errorf("the section of attache emulate does not name the vendor %s", vendor)
		}
	}
}

// commandSection returns the text under a command's heading; "" if there is
// none.
func commandSection(page, name string) string {
	_, text, _ := strings.Cut(page, "\n## "+name+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

var flagName = regexp.MustCompile(`--([a-z][a-z-]*)`)

// checkFlags looks for a command's flags and their defaults in its section, and
// adds them to known.
func checkFlags(t *testing.T, cmd *cobra.Command, text string, known map[string]bool) {
	t.Helper()
	for _, m := range flagName.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages(), -1) {
		f := cmd.LocalFlags().Lookup(m[1])
		if f == nil || f.Name == "help" {
			continue // a word of a description
		}
		known[f.Name] = true
		names := "`--" + f.Name
		if f.Shorthand != "" {
			names = "`-" + f.Shorthand + "`, " + names
		}
		_, row, there := strings.Cut(text, "| "+names)
		if !there {
			t.Errorf("the section of %s has no row %s`", cmd.CommandPath(), names)
			continue
		}
		row, _, _ = strings.Cut(row, "\n")
		switch f.DefValue {
		case "", "false", "[]":
		default:
			if !strings.Contains(row, "`"+f.DefValue+"`") {
				t.Errorf("the row of %s --%s does not name the default %s", cmd.CommandPath(), f.Name, f.DefValue)
			}
		}
	}
}

// TestDocsOfFaults applies every setting of an emulator that
// docs/command-line.md shows.
func TestDocsOfFaults(t *testing.T) {
	data, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	text := commandSection(string(data), "attache emulate")
	var settings []string
	for _, m := range regexp.MustCompile(`(?:-d|--set) '([^']+)'`).FindAllStringSubmatch(text, -1) {
		settings = append(settings, m[1])
	}
	_, table, _ := strings.Cut(text, "| `fault` |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllStringSubmatch(table, -1) {
		settings = append(settings, `{"login": {"fault": "`+m[1]+`"}}`)
	}
	if len(settings) < 10 {
		t.Errorf("found only the settings %q", settings)
	}
	for _, setting := range settings {
		e, err := emulator.New(emulator.OpenIM, emulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Apply([]byte(setting)); err != nil {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
