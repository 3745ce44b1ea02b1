package main

import (
	"os/exec"
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
