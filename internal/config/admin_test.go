package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestAdminAddress: of the file the key admin counts, whatever else is wrong
// with it.
func TestAdminAddress(t *testing.T) {
	const rest = `
nonsense: true
credentials: {c: {recipe: ./missing.yaml, with: {secret: {env: NOT_SET}}}}
`
	tests := []struct{ name, text, want, problem string }{
		{"an address", "admin: 127.0.0.1:9000" + rest, "127.0.0.1:9000", ""},
		{"a map", "admin: {address: '[::1]:9000', quit: true}" + rest, "[::1]:9000", ""},
		{"a map without an address", "admin: {quit: true}" + rest, defaultAdmin, ""},
		{"nothing", rest, defaultAdmin, ""},
		{"no address", "admin: 9000", "", "f.yaml:1:8: admin: want HOST:PORT, such as 127.0.0.1:8484"},
		{"not loopback", "admin: 10.0.0.1:9000", "", "f.yaml:1:8: admin: must be a loopback address such as 127.0.0.1:8485: it asks nobody for a password; for Prometheus and the kubelet there is probes"},
		{"any port", "admin: 127.0.0.1:0", "", "f.yaml:1:8: admin: port 0 is any free one, so the file does not say which"},
		{"no YAML", "admin: [", "", "f.yaml:1:1: not valid YAML here or in the line above: did not find expected node content; check the indentation, and quote texts with special characters"},
		{"a list", "[]", "", "f.yaml:1:1: want a map, got a list"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("f.yaml", []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := AdminAddress("f.yaml")
			problem := ""
			if err != nil {
				problem = err.Error()
			}
			if got != test.want || problem != test.problem {
				t.Errorf("%q, %q", got, problem)
			}
		})
	}
	if _, err := AdminAddress(filepath.Join(t.TempDir(), "missing.yaml")); err == nil {
		t.Error("a file that is missing is no error")
	}
}

// TestCredentialNames: names are there whatever else is wrong with a file, and
// nothing that is no name.
func TestCredentialNames(t *testing.T) {
	for text, want := range map[string]string{
		"credentials: {im: {recipe: ./gone.yaml, with: {x: {env: NOT_SET}}}, pay: 7}\nroutes: nonsense": "[im pay]",
		"credentials: {Im: {}, \"a b\": {}, \"$(x)\": {}, \"\\e[31m\": {}, good: {}}":                   "[good]",
		"credentials: [im]": "[]",
		"listen: x":         "[]",
		"credentials: [":    "[]",
	} {
		file := filepath.Join(t.TempDir(), "attache.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(CredentialNames(file)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if names := CredentialNames(filepath.Join(t.TempDir(), "missing.yaml")); names != nil {
		t.Errorf("a file that is not there has %q", names)
	}
}
