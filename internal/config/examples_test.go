package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	exported  = regexp.MustCompile(`(?m)^export (.*)$`)
	inTable   = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|")
	tokenOf   = regexp.MustCompile(`(?m)^attache token (\S+)$`)
	ofFile    = regexp.MustCompile(`\{file: ([a-z.-]+)\}`)
	inExample = regexp.MustCompile(`\{env: ([A-Z_]+)\}`)
)

// TestExamples loads every example with the environment of its README, which
// has to name exactly the variables that the example takes.
func TestExamples(t *testing.T) {
	paths, _ := filepath.Glob("../../examples/*/attache.yaml")
	if len(paths) < 4 {
		t.Fatalf("there are only the examples %v", paths)
	}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			example, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			readme, err := os.ReadFile(filepath.Join(filepath.Dir(path), "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			var set []string
			for _, line := range exported.FindAllStringSubmatch(string(readme), -1) {
				for assignment := range strings.FieldsSeq(line[1]) {
					name, value, _ := strings.Cut(assignment, "=")
					t.Setenv(name, value)
					set = append(set, name)
				}
			}
			used := names(inExample, example)
			if told := names(inTable, readme); !slices.Equal(told, used) || !slices.Equal(slices.Sorted(slices.Values(set)), used) {
				t.Errorf("the example takes %v, the README's table has %v and its commands set %v", used, told, set)
			}
			cfg, err := Load(withFiles(t, example))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range cfg.Warnings {
				if !strings.Contains(w, "one replica") || !strings.Contains(string(readme), "one replica") {
					t.Errorf("a warning that the README does not tell of: %s", w)
				}
			}
			for _, c := range cfg.Credentials {
				for _, s := range c.Program.Secrets() {
					if strings.Contains(string(example), s.Reveal()) {
						t.Errorf("a secret of %s stands in the example", c.Name)
					}
				}
			}
			for _, name := range names(tokenOf, readme) {
				if !slices.ContainsFunc(cfg.Credentials, func(c Credential) bool { return c.Name == name }) {
					t.Errorf("the README says attache token %s, and there is no such credential", name)
				}
			}
			for _, r := range cfg.Routes {
				if len(r.Plan.Slots()) == 0 {
					t.Errorf("route %s injects no token", r.Name)
				}
			}
		})
	}
}

// withFiles writes an example into a folder of its own, with the files beside it
// whose content it takes, and returns its path.
func withFiles(t *testing.T, example []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range names(ofFile, example) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(fileText(t, file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "attache.yaml")
	if err := os.WriteFile(path, example, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fileText returns what somebody would put into the file of that name.
func fileText(t *testing.T, name string) string {
	t.Helper()
	var private any
	var err error
	switch name {
	case "store-key":
		return rand.Text() + rand.Text()
	case "key.pem":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ec-key.pem":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		return "from-a-file"
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// names returns what the first group of re matches in text, sorted, each once.
func names(re *regexp.Regexp, text []byte) []string {
	var list []string
	for _, m := range re.FindAllSubmatch(text, -1) {
		list = append(list, string(m[1]))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
