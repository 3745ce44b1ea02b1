package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// elsewhere is a command that no test of this package runs as it stands, and
// what does instead, or why nothing can.
type elsewhere struct{ pages, command, why string }

func commandsElsewhere() []elsewhere {
	const (
		runbook = `docs/(alerts|operating)\.md`
		example = `examples/[a-z0-9-]+/README\.md`
		bench   = "it takes minutes, and other machines' tools"
	)
	return []elsewhere{
		{`README\.md`, `go run \./cmd/attache demo`, "it goes on until Ctrl-C: demo.txtar runs it for three seconds"},
		{`README\.md`, `make test`, "it runs this test"},
		{`docs/performance\.md`, `make bench.*`, bench},
		{`docs/reliability\.md`, `make chaos.*`, bench},
		{`docs/scale\.md`, `make scale.*`, bench},

		{`docs/recipes/.*`, `curl .*`, "TestPagesOfRecipes in examples sends it, with a stand-in for the vendor"},
		{example, `curl http.*|curl '.*|curl -[dH] '[^']*' .*`, "TestOtherExamples in examples sends it, with a stand-in for the vendor"},
		{example, `export [A-Z_]+=.*`, "TestExamples in internal/config sets it"},
		{example, `attache check attache\.yaml`, "TestExamples in internal/config checks the file, with the files beside it that the reader has"},
		{example, `attache (token [a-z]+|run -c attache\.yaml)`, "it logs in at the real vendor: TestOtherExamples in examples runs it with a stand-in"},

		{`examples/kubernetes/README\.md`, `(kubectl|helm) .*`, "it takes a cluster: test/deploy checks what is applied and rendered"},
		{`examples/kubernetes/README\.md`, `password=\$\(openssl rand -hex 32\)`, "what uses it takes a cluster"},
		{`examples/kubernetes/README\.md`, `curl --cacert attache-ca\.pem .*`, "it takes a cluster: TestListenWithTLSAndCallers in internal/app calls with TLS and a token"},
		{`examples/systemd/README\.md`, `(install|systemctl) .*`, "it takes root and systemd: test/deploy checks the unit"},
		{`examples/compose/README\.md`, `(mkdir secrets|docker compose) .*`, "it takes Docker: test/deploy checks the file"},
		{`examples/prometheus/README\.md`, `attache demo &|prometheus .*|promtool .*`, "it takes Prometheus: make interop runs it"},
		{`examples/prometheus/README\.md`, `sed -i .* rules\.yaml`, "it writes into the example: a test of examples looks for the address"},

		{`docs/alerts\.md`, `kubectl .*|systemctl .*|openssl s_client .*|curl -s http://PROMETHEUS:9090/.*`, "it takes a cluster, a unit, a listener with TLS or a Prometheus"},
		{`docs/alerts\.md`, `attache check -c /etc/attache/attache\.yaml`, "it is run with a file in this folder"},
		{runbook, `attache token CREDENTIAL .*`, "TestRunbook runs it with a credential and a file"},
		{runbook, `.*curl .*http://127\.0\.0\.1:8485/.*`, "TestRunbook runs it"},

		{`docs/configuration\.md`, `curl -H .* https://attache\.example\.com:8443/.*`, "it takes a host of that name: TestListenWithTLSAndCallers in internal/app calls with a token"},
		{`docs/configuration\.md`, `curl --unix-socket /run/attache/token\.sock .*`, "it takes a folder of root's: TestAnswersOfTheReference asks in another one"},
		{`docs/configuration\.md`, `curl -i http://127\.0\.0\.1:8484/openim/.*`, "the vendor is to be down: TestAnswersOfTheReference sees to that"},
		{`docs/tls\.md`, `attache (ca export|run) .*|curl --cacert .*|export REDIS_URL=.*`, "it takes certificates, Redis or a listener for other machines: ca.txtar exports the CA, TestListenWithTLSAndCallers in internal/app calls with TLS"},

		{`docs/command-line\.md`, `attache run -c /etc/attache/attache\.yaml`, "run.txtar runs one with another file"},
		{`docs/command-line\.md`, `attache check --live|attache token .*`, "it asks real vendors: checklive.txtar and TestGuides ask emulated ones"},
		{`docs/command-line\.md`, `attache recipes test im\.yaml login\.txtar`, "recipestest.txtar has such a transcript"},
		{`docs/command-line\.md`, `attache demo --for 10s`, "demo.txtar runs it for three seconds"},
		{`docs/command-line\.md`, `attache top -c /etc/attache/attache\.yaml`, "TestTopOnATerminal and top.txtar run it with other addresses, and TestDocsShowAPicture in internal/top draws that picture"},
		{`docs/command-line\.md`, `sudo install .* docs/man/\*\.1`, "it takes root: TestManPages and TestManPagesAreFormatted look at the pages"},
		{`docs/command-line\.md`, `attache healthcheck.*|echo \$\?`, "healthcheck.txtar runs it, with an address that is free"},
		{`docs/command-line\.md`, `(sudo )?attache ca .*`, "ca.txtar runs it; trust takes root"},
		{`docs/command-line\.md`, `attache version`, "usage.txtar runs it; a release has another version"},
	}
}

// matches reports whether it is such a command of that page.
func (e elsewhere) matches(page string, c command) bool {
	return regexp.MustCompile(`^(?:`+e.pages+`)$`).MatchString(page) && regexp.MustCompile(`^(?:`+e.command+`)$`).MatchString(c.plain())
}

func isElsewhere(page string, c command) bool {
	return slices.ContainsFunc(commandsElsewhere(), func(e elsewhere) bool { return e.matches(page, c) })
}

// pagesWithCommands returns every page that a user reads, from the root of the
// repository.
func pagesWithCommands(t *testing.T) []string {
	t.Helper()
	var pages []string
	for _, pattern := range []string{"README.md", "CHANGELOG.md", "docs/*.md", "docs/recipes/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range found {
			page, err := filepath.Rel("../..", path)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, filepath.ToSlash(page))
		}
	}
	return pages
}

// Every command that a page shows is run by a test, here or elsewhere, or cannot
// be; and what it names is there.
func TestCommandsOfPages(t *testing.T) {
	used := make([]bool, len(commandsElsewhere()))
	followed := map[string]bool{}
	for _, folder := range emulatedExamples(t) {
		followed["examples/"+folder+"/README.md"] = true
	}
	seen := 0
	for _, page := range pagesWithCommands(t) {
		made := map[string]bool{}
		for _, b := range blocks(t, page) {
			if b.file != "" {
				made[b.file] = true
			}
			if !b.isShell() {
				continue
			}
			here := followed[page] || slices.ContainsFunc(guides(), func(g guide) bool {
				return g.page == page && (g.section == "" || g.section == b.section)
			})
			for _, c := range b.commands() {
				seen++
				there := false
				for i, e := range commandsElsewhere() {
					if e.matches(page, c) {
						there, used[i] = true, used[i] || !followed[page]
					}
				}
				if !here && !there {
					t.Errorf("%s: no test runs\n\t%s\nlet a guide or an example have it, or say in commandsElsewhere what does instead", page, c.line)
				}
				checkCommand(t, page, c, made)
			}
		}
	}
	for i, e := range commandsElsewhere() {
		if !used[i] {
			t.Errorf("no page that matches %s has a command that matches %s: take it out", e.pages, e.command)
		}
	}
	if seen < 150 {
		t.Errorf("only %d commands", seen)
	}
}

var (
	makes     = regexp.MustCompile(`(?:> ?|-out |mkdir |export \w+=)([\w./-]+)`)
	metric    = regexp.MustCompile(`\b(attache_(?:credential|proxy|config|build|store)_\w+?)(?:_sum|_count|_bucket)?\b`)
	target    = regexp.MustCompile(`(?:^|[;&] *)make ([a-z]+)`)
	anyFile   = regexp.MustCompile(`^[a-z][\w./-]*\.(yaml|yml|json|service|txtar)$|^[a-z][\w-]*/$`)
	deployed  = regexp.MustCompile(`(?:kubectl .*-[kf]|helm install \S+|helm dependency build) ([a-z][\w./-]*)`)
	testNamed = regexp.MustCompile(`\bTest\w+|\w+\.txtar\b`)
)

// checkCommand looks for what a command names: a command line of attache, a target
// of make, and in an example a file.
func checkCommand(t *testing.T, page string, c command, made map[string]bool) {
	t.Helper()
	for _, words := range attacheLines(c.plain()) {
		if err := parses(words); err != nil {
			t.Errorf("%s: %s: %v", page, c.line, err)
		}
	}
	if m := target.FindStringSubmatch(c.plain()); m != nil {
		makefile, err := os.ReadFile("../../Makefile")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(makefile), "\n"+m[1]+":") {
			t.Errorf("%s: %s: there is no such target", page, c.line)
		}
	}
	metrics, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metric.FindAllStringSubmatch(c.plain(), -1) {
		if !strings.Contains(string(metrics), m[1]) {
			t.Errorf("%s: %s: there is no metric %s", page, c.line, m[1])
		}
	}
	for _, m := range makes.FindAllStringSubmatch(c.plain(), -1) {
		made[m[1]] = true
	}
	if !strings.HasPrefix(page, "examples/") {
		return
	}
	files := slices.DeleteFunc(shellWords(c.plain()), func(word string) bool {
		return !anyFile.MatchString(strings.TrimPrefix(word, "--config.file="))
	})
	for _, m := range deployed.FindAllStringSubmatch(c.plain(), -1) {
		files = append(files, m[1])
	}
	for _, file := range files {
		if file = strings.TrimPrefix(file, "--config.file="); made[file] {
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", filepath.Dir(page), file)); err != nil {
			t.Errorf("%s: %s: %v", page, c.line, err)
		}
	}
}

// shellWords splits a command line at spaces, outside of quotes.
func shellWords(line string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`(?:'[^']*'|"[^"]*"|\$\([^)]*\)|[^\s'"]|\\.)+`).FindAllString(line, -1) {
		words = append(words, strings.NewReplacer("'", "", `"`, "").Replace(m))
	}
	return words
}

// attacheLines returns the arguments of each call of attache in a command line.
func attacheLines(line string) [][]string {
	var calls [][]string
	open, last := false, "&&"
	for _, word := range shellWords(strings.NewReplacer("<(", "&& ", ")", " ").Replace(line)) {
		switch {
		case slices.Contains([]string{"|", "||", "&&", "&", ";", ">", "<"}, word):
			open = false
		case open:
			calls[len(calls)-1] = append(calls[len(calls)-1], word)
		case strings.TrimLeft(word, "./") == "attache" && slices.Contains([]string{"|", "&&", "&", ";", "sudo", "--"}, last):
			calls, open = append(calls, nil), true
		}
		last = word
	}
	return calls
}

// parses reports what is wrong with a command line of attache, without running
// it.
func parses(args []string) error {
	cmd, err := commandOf(args)
	if err != nil || cmd.Args == nil {
		return err
	}
	return cmd.Args(cmd, cmd.Flags().Args())
}

// commandOf returns the command that a command line calls, with its flags set.
func commandOf(args []string) (*cobra.Command, error) {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	cmd, rest, err := root.Find(slices.DeleteFunc(args, func(arg string) bool { return arg == "--help" }))
	if err != nil {
		return nil, err
	}
	if err = cmd.ParseFlags(rest); err == nil && cmd == root {
		err = root.Args(root, root.Flags().Args())
	}
	return cmd, err
}

// A command line of attache within a sentence or a table is one that exists, whatever
// it leaves out.
func TestCommandsInSentences(t *testing.T) {
	seen := 0
	for _, page := range pagesWithCommands(t) {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		prose := regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(string(text), "")
		for _, m := range regexp.MustCompile("`attache ([a-z][^`]*)`").FindAllStringSubmatch(prose, -1) {
			seen++
			if _, err := commandOf(shellWords(m[1])); err != nil {
				t.Errorf("%s: attache %s: %v", page, m[1], err)
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d", seen)
	}
}

// What is said to run a command exists.
func TestElsewhereExists(t *testing.T) {
	var tests strings.Builder
	for _, folder := range []string{".", "testdata/script", "../../examples", "../../internal/app", "../../internal/config", "../../internal/certs", "../../internal/top", "../../proxy", "../../test/deploy"} {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			tests.WriteString("\n" + filepath.Base(path) + "\n")
			if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(path, "_test.go") {
				tests.Write(text)
			}
		}
	}
	for _, e := range commandsElsewhere() {
		for _, name := range testNamed.FindAllString(e.why, -1) {
			if !strings.Contains(tests.String(), "\nfunc "+name+"(") && !strings.Contains(tests.String(), "\n"+name+"\n") {
				t.Errorf("%s: there is no %s", e.command, name)
			}
		}
	}
}
