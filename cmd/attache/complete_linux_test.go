package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"attache/internal/terminal/terminaltest"
)

// TestCompletionOfZsh presses Tab in an interactive zsh, which completes nowhere
// else.
func TestCompletionOfZsh(t *testing.T) {
	t.Parallel()
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("missing tool: zsh")
	}
	script, err := exec.CommandContext(t.Context(), "attache", "completion", "zsh").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := completionFolder(t)
	if err := os.WriteFile(filepath.Join(dir, "_attache"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	pty := terminaltest.Open(t, 120, 40)
	cmd := exec.Command(zsh, "-f", "-i")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GORACE="+quickExit, "TERM=dumb", "PS1=ready> ", "ZDOTDIR="+dir, "HOME="+dir)
	pty.Start(cmd)
	shows := func(want string) {
		t.Helper()
		pty.Wait(want, func(s *terminaltest.Screen) bool { return strings.Contains(s.String(), want) })
	}
	shows("ready>")
	// As docs/command-line.md says: in a folder of fpath.
	pty.Type("unsetopt prompt_sp; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D && echo set up\r")
	shows("\nset up")
	for line, want := range map[string]string{
		"attache token -c other.yaml e":    "attache token -c other.yaml else",
		"attache run -c ot":                "attache run -c other.yaml",
		"attache recipes test shop.yaml l": "attache recipes test shop.yaml login.txtar",
		"attache recipes sh":               "attache recipes show",
		"attache healthcheck --probe ":     "startup",
	} {
		pty.Type(line + "\t")
		shows(want)
		pty.Type("\x15") // forget the line
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*pwned*")); len(found) > 0 {
		t.Error("a name from a configuration was run")
	}
}
