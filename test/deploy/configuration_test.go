package deploy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// binary is the path of the attache under test.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "attache-deploy-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "attache")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", file, "./cmd/attache")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build attache: %w\n%s", err, out)
	}
	return file, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if file, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(file))
	}
	os.Exit(code)
}

// configuration is an attache.yaml in a manifest. `attache check` reads it as a whole;
// this is for what manifests have to agree with.
type configuration struct {
	text string
	keys map[string]any
}

func parse(text string) (configuration, error) {
	c := configuration{text: text}
	if err := yaml.Unmarshal([]byte(text), &c.keys); err != nil {
		return c, fmt.Errorf("the configuration is no YAML: %w", err)
	}
	return c, nil
}

// configurationOf returns what attache in the pods of w reads.
func configurationOf(o objects, w workload) (configuration, error) {
	c, _, _ := w.attache()
	var file string
	for i, arg := range c.Args[:max(0, len(c.Args)-1)] {
		if arg == "-c" {
			file = c.Args[i+1]
		}
	}
	for _, m := range c.VolumeMounts {
		for _, v := range w.template.Spec.Volumes {
			if m.MountPath == path.Dir(file) && m.Name == v.Name && v.ConfigMap != nil {
				if text, ok := o.configMaps[v.ConfigMap.Name].Data[path.Base(file)]; ok {
					return parse(text)
				}
			}
		}
	}
	return configuration{}, fmt.Errorf("no ConfigMap has the configuration %q", file)
}

// port returns the port of the first address at a key, or 0.
func (c configuration) port(key string) int32 {
	value := c.keys[key]
	if list, ok := value.([]any); ok && len(list) > 0 {
		value = list[0]
	}
	if m, ok := value.(map[string]any); ok {
		value = m["address"]
	}
	address, _ := value.(string)
	_, text, _ := net.SplitHostPort(address)
	number, _ := strconv.ParseInt(text, 10, 32)
	return int32(number)
}

// drain returns how long stopping takes at most.
func (c configuration) drain() time.Duration {
	total := time.Duration(0)
	m, _ := c.keys["drain"].(map[string]any)
	for key, fallback := range map[string]time.Duration{"delay": 0, "timeout": 25 * time.Second} {
		d, err := time.ParseDuration(fmt.Sprint(m[key]))
		if err != nil {
			d = fallback
		}
		total += d
	}
	return total
}

var secretFile = regexp.MustCompile(`/run/(?:secrets|credentials)/[A-Za-z0-9_./-]+`)

var comment = regexp.MustCompile(`(?m)^\s*#.*$`)

// files returns the secret files that the configuration names. What a comment
// proposes is not there yet.
func (c configuration) files() []string {
	return secretFile.FindAllString(comment.ReplaceAllString(c.text, ""), -1)
}

// check runs `attache check` with a configuration whose secret files are there, and
// returns what it complains about.
func (c configuration) check(t testing.TB) string {
	t.Helper()
	attache, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, file := range c.files() {
		if err := os.MkdirAll(filepath.Join(root, path.Dir(file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), []byte(secret(t, path.Base(file))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := secretFile.ReplaceAllStringFunc(c.text, func(file string) string { return root + file })
	file := filepath.Join(root, "attache.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	run := exec.Command(attache, "check", "-c", file)
	run.Env, run.Stderr = []string{}, &complaints
	if err := run.Run(); err != nil && complaints.Len() == 0 {
		return err.Error()
	}
	return strings.ReplaceAll(complaints.String(), root, "")
}

// pair is a certificate and its key.
var pair = sync.OnceValues(func() (map[string]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"attache.attache.svc"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	return map[string]string{
		"tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		"tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}, err
})

// secret returns what could be in a secret file of this name.
func secret(t testing.TB, name string) string {
	t.Helper()
	files, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := files[name]; ok {
		return text
	}
	if strings.HasSuffix(name, "-url") {
		return "redis://:secret@attache-redis:6379/0"
	}
	return strings.Repeat("0123456789abcdef", 4)
}

// Every configuration in a manifest is one that attache takes, without a warning.
func TestConfigurations(t *testing.T) {
	seen := 0
	for _, r := range renderings(t) {
		for name, m := range read(t, r.manifests).configMaps {
			c, err := parse(m.Data["attache.yaml"])
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if complaints := c.check(t); complaints != "" {
				t.Errorf("%s: attache complains about the ConfigMap %s:\n%s", r.name, name, complaints)
			}
		}
	}
	if seen < 6 {
		t.Errorf("only %d configurations were found", seen)
	}
}

// The configurations that no manifest has.
func TestOtherConfigurations(t *testing.T) {
	for _, name := range []string{"systemd", "compose"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", name, "config", "attache.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.files()) == 0 {
			t.Errorf("%s: the example has no secret file", name)
		}
		if complaints := c.check(t); complaints != "" {
			t.Errorf("%s: %s", name, complaints)
		}
	}
}

func TestConfigurationsRefuse(t *testing.T) {
	c, err := parse("routes: [{path: /, upstrem: 'https://api.example.com'}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if complaints := c.check(t); !strings.Contains(complaints, `did you mean "upstream"?`) {
		t.Errorf("attache says %q of a misspelt key", complaints)
	}
}

// hasCommand returns an error unless attache has the command.
func hasCommand(t testing.TB, name string) error {
	t.Helper()
	attache, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(attache, name, "--help").CombinedOutput()
	if err == nil && !strings.Contains(string(out), "attache "+name) {
		err = errors.New("its help is that of another command")
	}
	return err
}
