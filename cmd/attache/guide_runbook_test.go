package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRunbook runs what docs/alerts.md and docs/operating.md ask of a running
// attache, with a credential in place of CREDENTIAL. A grep that finds nothing
// is right: all is well here.
func TestRunbook(t *testing.T) {
	f := newFollower(t)
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("missing tool: jq")
	}
	f.follow(guide{page: "README.md", section: "Use it"}.blocks(t))
	token := regexp.MustCompile(`^attache (token|check) .*-c /etc/attache/attache\.yaml`)
	for _, page := range []string{"docs/alerts.md", "docs/operating.md"} {
		ran := 0
		for _, b := range blocks(t, page) {
			if !b.isShell() {
				continue
			}
			for _, c := range b.commands() {
				if !strings.Contains(c.line, "http://127.0.0.1:8485/") && !token.MatchString(c.line) {
					continue
				}
				ran++
				c.line = strings.NewReplacer("/etc/attache/attache.yaml", "attache.yaml", "CREDENTIAL", "im").Replace(c.plain())
				if strings.Contains(c.line, "| grep ") {
					c.line += ` || [ "${PIPESTATUS[*]}" = "0 1" ]`
				}
				f.do(c)
			}
		}
		if ran == 0 {
			t.Errorf("%s: no command was run", page)
		}
	}
}

// Every address of the admin listener that a page has, also within a sentence, is one
// that it knows.
func TestAddressesOfTheAdminListener(t *testing.T) {
	f := newFollower(t)
	f.follow(guide{page: "README.md", section: "Use it"}.blocks(t))
	seen := map[string]bool{}
	for _, page := range pagesWithCommands(t) {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("http://127\\.0\\.0\\.1:8485(/[^?:\\s'\"`)>]*)").FindAllStringSubmatch(string(text), -1) {
			if seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			ans, err := http.Get(f.here("http://127.0.0.1:8485") + m[1])
			if err != nil {
				t.Fatal(err)
			}
			ans.Body.Close() // it may be a stream without an end
			if ans.StatusCode == http.StatusNotFound {
				t.Errorf("%s: the admin listener has no %s", page, m[1])
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("only %v", seen)
	}
}

// The answers that docs/configuration.md shows: of a route whose vendor is down, and
// of the hand-out. Their numbers are others here.
func TestAnswersOfTheReference(t *testing.T) {
	f := newFollower(t)
	f.ready = "/livez"
	const config = "handout: {unix: run/token.sock}\ncredentials:\n  openim:\n    recipe: openim\n" +
		"    with: {endpoint: \"http://127.0.0.1:9400\", secret: {file: secret.txt}, platform_id: 1, user_id: user_001}\n" +
		"routes:\n  - {path: /openim/, upstream: \"http://127.0.0.1:9400\", use: [openim], wait: 500ms}\n"
	f.write("attache.yaml", config)
	f.write("secret.txt", "openIM123\n")
	f.write("run/.keep", "")
	f.do(command{line: "attache run"})
	tried := 0
	for _, start := range []string{"curl -i http://127.0.0.1:8484/openim/", "curl --unix-socket "} {
		for _, b := range blocks(t, "docs/configuration.md") {
			for _, c := range b.commands() {
				if !strings.HasPrefix(c.line, start) {
					continue
				}
				tried++
				line := f.here(strings.ReplaceAll(c.line, "/run/attache/", "run/")) + " --no-fail-with-body"
				out, err := f.shell(line).CombinedOutput()
				got, want := digits.ReplaceAllString(trimLines(string(out)), "0"), digits.ReplaceAllString(trimLines(c.shown), "0")
				if got = strings.ReplaceAll(got, "\r", ""); err != nil || !outputPattern(want).MatchString(got) {
					t.Errorf("$ %s\n%s\n%v\nthe page has:\n%s", line, got, err, want)
				}
			}
		}
		f.do(command{line: "attache emulate openim"}) // the vendor is there again
	}
	if tried != 2 {
		t.Errorf("%d answers were tried", tried)
	}
}
