package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions are lines that somebody begins, and what a shell offers for their
// last word.
func completions() map[string][]string {
	return map[string][]string{
		"attache to":                          {"token", "top"},
		"attache recipes s":                   {"show"},
		"attache token ":                      {"im", "pay"},
		"attache token -c other.yaml ":        {"else"},
		"attache token -c broken.yaml ":       {},
		"attache token im ":                   {},
		"attache token --config=other.yaml e": {"else"},
		"attache recipes show oauth2/private": {"oauth2/private-key-jwt", "oauth2/private-key-jwt-es256", "oauth2/private-key-jwt-ps256"},
		"attache recipes show openim ":        {},
		"attache emulate q":                   {"qiniu-im"},
		"attache schema ":                     {"config", "recipe"},
		"attache healthcheck --probe ":        {"live", "ready", "startup"},
		"attache run -c ot":                   {"other.yaml"},
		"attache top -c ot":                   {"other.yaml"},
		"attache check o":                     {"other.yaml"},
		"attache recipes test s":              {"shop.yaml"},
		"attache recipes test shop.yaml l":    {"login.txtar"},
		"attache run ":                        {},
		"attache emulate openim --listen ":    {},
		"attache healthcheck --ti":            {"--timeout"},
		"attache demo --f":                    {"--for"},
		"attache no-such-command ":            {},
	}
}

// completionFolder makes a folder with what is completed.
func completionFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"attache.yaml": "credentials:\n  im: {recipe: none, with: {x: {env: NOT_SET}}}\n  pay: nonsense\n  \"$(touch pwned)\": {}\n",
		"other.yaml":   "credentials: {else: {}}\n",
		"broken.yaml":  "credentials: [\n",
		"shop.yaml":    "", "login.txtar": "", "lists.txt": "", "settings.json": "", "other.txt": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// offered has a shell complete all lines, and compares. program returns what prints
// for each argument, which is a line, the line itself and what is offered, a word a
// line.
func offered(t *testing.T, shell string, wanted map[string][]string, program func(script string) string, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("missing tool: %s", shell)
	}
	script, err := exec.CommandContext(t.Context(), "attache", "completion", shell).Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range wanted {
		lines = append(lines, line)
	}
	if shell == "bash" {
		lines = append([]string{"bash"}, lines...) // its $0
	}
	cmd := exec.CommandContext(t.Context(), shell, append(append(arguments, "-c", program(file)), lines...)...)
	cmd.Dir = completionFolder(t)
	cmd.Env = append(os.Environ(), "GORACE="+quickExit)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	got := map[string][]string{}
	line := ""
	for text := range strings.Lines(string(out)) {
		text = strings.TrimSuffix(text, "\n")
		if next, ok := strings.CutPrefix(text, "LINE "); ok {
			line = next
			got[line] = []string{}
			continue
		}
		word, _, _ := strings.Cut(text, "\t") // what fish says about it
		if word = strings.TrimSpace(word); word != "" {
			got[line] = append(got[line], word)
		}
	}
	for line, want := range wanted {
		slices.Sort(got[line])
		if fmt.Sprint(got[line]) != fmt.Sprint(want) {
			t.Errorf("%s offers %q for %q, want %q\n%s", shell, got[line], line, want, stderr.String())
		}
	}
	if found, _ := filepath.Glob(filepath.Join(cmd.Dir, "*pwned*")); len(found) > 0 {
		t.Error("a name from a configuration was run")
	}
}

// TestCompletionOfBash sets what bash sets while Tab is pressed, and calls what it
// calls, with the package bash-completion if it is installed and with stand-ins.
func TestCompletionOfBash(t *testing.T) {
	t.Parallel()
	const installed = "/usr/share/bash-completion/bash_completion"
	const stand = `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
_filedir() {
	local file
	for file in "$cur"*; do
		[[ $file =~ \.(${1%|})$ ]] && COMPREPLY+=("$file")
	done
}
__ltrim_colon_completions() { :; }
`
	libraries := map[string]string{"stand-ins": stand}
	if _, err := os.Stat(installed); err == nil {
		libraries["bash-completion"] = ". " + installed + "\n"
	}
	for name, library := range libraries {
		t.Run(name, func(t *testing.T) {
			offered(t, "bash", completions(), func(script string) string {
				return library + `
compopt() { :; } # it works while a completion runs, and there is none
. ` + script + `
for COMP_LINE; do
	COMP_POINT=${#COMP_LINE} COMP_TYPE=63 COMP_KEY=9 COMPREPLY=()
	read -ra COMP_WORDS <<<"$COMP_LINE"
	if [[ $COMP_LINE == *" " ]]; then COMP_WORDS+=(""); fi
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	__start_attache attache "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
	printf 'LINE %s\n' "$COMP_LINE"
	printf '%s\n' "${COMPREPLY[@]%% (*}"
done`
			}, "--norc", "--noprofile", "-O", "extglob")
		})
	}
}

// TestCompletionOfFish: fish offers the same, but files of any ending.
func TestCompletionOfFish(t *testing.T) {
	t.Parallel()
	wanted := completions()
	for line, files := range map[string][]string{
		"attache run -c ot":                {"other.txt", "other.yaml"},
		"attache top -c ot":                {"other.txt", "other.yaml"},
		"attache check o":                  {"other.txt", "other.yaml"},
		"attache recipes test s":           {"settings.json", "shop.yaml"},
		"attache recipes test shop.yaml l": {"lists.txt", "login.txtar"},
	} {
		wanted[line] = files
	}
	offered(t, "fish", wanted, func(script string) string {
		return "source " + script + `
for line in $argv
	echo "LINE $line"
	complete --do-complete=$line
end`
	}, "--no-config")
}
