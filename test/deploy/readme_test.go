package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link       = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
	literal    = regexp.MustCompile(`--from-literal=([a-z.-]+)=`)
	executable = regexp.MustCompile(`/attache ([a-z]+)`)
)

func readme(t testing.TB, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Links lead somewhere, and the commands of attache that are called exist.
func TestReadmes(t *testing.T) {
	for _, folder := range []string{"kubernetes", "systemd", "compose"} {
		text := readme(t, folder)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", "..", "examples", folder, m[1])); err != nil {
				t.Errorf("%s: %v", folder, err)
			}
		}
		for _, m := range executable.FindAllStringSubmatch(text, -1) {
			if err := hasCommand(t, m[1]); err != nil {
				t.Errorf("%s: attache %s: %v", folder, m[1], err)
			}
		}
	}
}

// The commands of the README make every secret that a configuration wants.
func TestReadmeMakesSecrets(t *testing.T) {
	text := readme(t, "kubernetes")
	made := map[string]bool{}
	for _, m := range literal.FindAllStringSubmatch(text, -1) {
		made[m[1]] = true
	}
	if strings.Contains(text, "create secret tls attache-tls") {
		made["tls.crt"], made["tls.key"] = true, true
	}
	for _, r := range renderings(t) {
		if strings.HasPrefix(r.name, "chart with nothing") {
			continue // no example, only a corner of the chart
		}
		for _, m := range read(t, r.manifests).configMaps {
			c, err := parse(m.Data["attache.yaml"])
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range c.files() {
				if !made[filepath.Base(file)] {
					t.Errorf("%s: nothing in the README makes %s", r.name, file)
				}
			}
		}
	}
}
