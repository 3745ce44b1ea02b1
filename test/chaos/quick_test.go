package main

import (
	"bytes"
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var whole = flag.Bool("whole", false, "run the bench itself, in short, which takes two minutes")

// needRedis skips a test where there is no redis-server.
func needRedis(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("missing tool: redis-server")
	}
}

// bench runs the bench as a command and returns what it printed.
func bench(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(append([]string{"--quick", "--dir", filepath.Join(t.TempDir(), "chaos")}, args...), &out)
	return out.String(), err
}

// TestQuick is the whole bench, in short: each fault once, with the same seed
// each time.
func TestQuick(t *testing.T) {
	if !*whole {
		return // `make chaos ARGS="--quick"` is the same; a machine that is busy with other things makes its figures worse
	}
	needRedis(t)
	out, err := bench(t, "--seed", "1")
	t.Log(out)
	if err != nil {
		t.Error(err)
	}
}

// TestMistakesAreFound has vendor and attache make mistakes that the bench must
// not miss.
func TestMistakesAreFound(t *testing.T) {
	if !*whole {
		return
	}
	for _, c := range []struct{ breakage, want string }{
		{breakRefusing, string(causeWrong)},
		{breakMixed, string(causeWrong)},
		{breakStrangers, "and the ideal is"},
	} {
		t.Run(c.breakage, func(t *testing.T) {
			args := []string{"--parts", "steady", "--seed", "1", "--break", c.breakage}
			if c.breakage == breakStrangers {
				needRedis(t)
				args = append(args, "--processes", "3")
			} else {
				args = append(args, "--memory")
			}
			out, err := bench(t, args...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the bench says %v\n%s", err, out)
			}
		})
	}
}
