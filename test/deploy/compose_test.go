package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

var compose = filepath.Join("..", "..", "examples", "compose")

// project reads a compose file as `docker compose config` does.
func project(t testing.TB, text string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(compose)
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: []byte(text)}},
		Environment: types.Mapping{},
	})
}

func composeFile(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(compose, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCompose(t *testing.T) {
	p, err := project(t, composeFile(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range p.Services {
		if !strings.HasPrefix(s.Image, "attache:") {
			continue
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may do more than it has to", name)
		}
		for _, v := range s.Volumes {
			if !v.ReadOnly {
				t.Errorf("%s may write %s", name, v.Target)
			}
		}
		if len(s.Command) > 0 {
			if err := hasCommand(t, s.Command[0]); err != nil {
				t.Errorf("%s calls %v: %v", name, s.Command, err)
			}
		}
	}
	attache := p.Services["attache"]
	if test := attache.HealthCheck.Test; len(test) < 3 || test[1] != "/attache" {
		t.Errorf("the health check %v does not run attache, and there is nothing else in its image", test)
	} else if err := hasCommand(t, test[2]); err != nil {
		t.Errorf("the health check %v: %v", test, err)
	}
	text, err := os.ReadFile(filepath.Join(compose, "config", "attache.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, v := range attache.Volumes {
		targets[v.Target] = true
	}
	for _, file := range append(c.files(), "/etc/attache/attache.yaml") {
		if !targets[filepath.Dir(file)] {
			t.Errorf("nothing is mounted for %s", file)
		}
	}
	if grace := attache.StopGracePeriod; grace == nil || grace.String() == "" || float64(*grace) <= float64(c.drain()) {
		t.Errorf("attache is killed after %v, before it has drained for %s", grace, c.drain())
	}
}

func TestComposeRefuses(t *testing.T) {
	good := composeFile(t)
	for _, test := range []struct{ name, old, new, want string }{
		{"key", "read_only: true", "readonly: true", "readonly"},
		{"type", "read_only: true", "read_only: [yes]", "read_only"},
		{"duration", "stop_grace_period: 40s", "stop_grace_period: soon", "soon"},
		{"service", "depends_on: [attache]", "depends_on: [attach]", "attach"},
	} {
		t.Run(test.name, func(t *testing.T) {
			broken := strings.Replace(good, test.old, test.new, 1)
			if broken == good {
				t.Fatalf("there is no %q to break", test.old)
			}
			if _, err := project(t, broken); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want one about %q", err, test.want)
			}
		})
	}
}
