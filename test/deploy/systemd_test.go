package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var systemd = filepath.Join("..", "..", "examples", "systemd")

// unit returns the systemd unit, with the binary of this test instead of the
// installed one.
func unit(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("missing tool: systemd-analyze, from the package systemd")
	}
	text, err := os.ReadFile(filepath.Join(systemd, "attache.service"))
	if err != nil {
		t.Fatal(err)
	}
	attache, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "/usr/local/bin/attache", attache)
}

// analyze runs systemd-analyze with a unit and returns all that it says.
func analyze(t testing.TB, text string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "attache.service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", append(args, file)...).CombinedOutput()
	return string(out), err
}

func TestUnit(t *testing.T) {
	text := unit(t)
	// Unknown keys are only mentioned; the exit code is 0.
	if out, err := analyze(t, text, "verify"); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 100 is a service that may do everything.
	if out, err := analyze(t, text, "security", "--offline=true", "--threshold=20"); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

func TestUnitRefuses(t *testing.T) {
	text := unit(t)
	for _, test := range []struct{ name, old, new, want string }{
		{"key", "ProtectHome=", "ProtectHomes=", "ProtectHomes"},
		{"value", "TimeoutStopSec=40s", "TimeoutStopSec=soon", "soon"},
		{"command", "ExecReload=/bin/kill", "ExecReload=/bin/nothing", "/bin/nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			broken := strings.Replace(text, test.old, test.new, 1)
			if broken == text {
				t.Fatalf("there is no %q to break", test.old)
			}
			if out, _ := analyze(t, broken, "verify"); !strings.Contains(out, test.want) {
				t.Errorf("systemd-analyze says %q, want something about %q", out, test.want)
			}
		})
	}
	t.Run("security", func(t *testing.T) {
		open := regexp.MustCompile(`(?m)^(Protect|Restrict|SystemCall|Capability|DynamicUser).*$`).ReplaceAllString(text, "")
		if out, err := analyze(t, open, "security", "--offline=true", "--threshold=20"); err == nil {
			t.Errorf("an open unit passes:\n%s", out)
		}
	})
}

// What the unit and the configuration must agree on.
func TestUnitAgrees(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(systemd, "attache.service"))
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(systemd, "config", "attache.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse(string(example))
	if err != nil {
		t.Fatal(err)
	}
	loaded := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^LoadCredential=([^:]+):`).FindAllStringSubmatch(string(text), -1) {
		loaded["/run/credentials/attache.service/"+m[1]] = true
	}
	for _, file := range c.files() {
		if !loaded[file] {
			t.Errorf("the unit loads %v, the configuration wants %s", loaded, file)
		}
		delete(loaded, file)
	}
	if len(loaded) > 0 {
		t.Errorf("the unit loads %v for nothing", loaded)
	}
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindStringSubmatch(string(text))
	if stop == nil {
		t.Fatal("the unit does not say how long stopping may take")
	}
	if d, err := time.ParseDuration(stop[1]); err != nil || d <= c.drain() {
		t.Errorf("attache is killed after %s, before it has drained for %s", stop[1], c.drain())
	}
}
