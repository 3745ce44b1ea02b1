package truststore

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// system makes a system with a folder for roots and a command that notes how it
// was called and what it then found, and ends with status.
func system(t *testing.T, folder, command, status string) Store {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{folder, "usr/sbin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\ncd '" + filepath.Join(root, folder) + "' && echo \"$*:\" * >>'" + root + "/calls'\necho why\nexit " + status + "\n"
	if err := os.WriteFile(filepath.Join(root, "usr/sbin", command), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return Store{Root: root}
}

func named(name string) *x509.Certificate {
	return &x509.Certificate{Raw: []byte("der"), Subject: pkix.Name{CommonName: name}}
}

func TestInstallAndUninstall(t *testing.T) {
	for _, tt := range []struct{ folder, command, calls string }{
		{"usr/local/share/ca-certificates", "update-ca-certificates", ": attache-ca-0a.crt\n: *\n"},
		{"etc/pki/ca-trust/source/anchors", "update-ca-trust", "extract: attache-ca-0a.pem\nextract: *\n"},
		{"etc/ca-certificates/trust-source/anchors", "trust", "extract-compat: attache-ca-0a.crt\nextract-compat: *\n"},
		{"etc/pki/trust/anchors", "update-ca-certificates", ": attache-ca-0a.pem\n: *\n"},
	} {
		s := system(t, tt.folder, tt.command, "0")
		cert := named("attache CA 0A")
		did, err := s.Install(t.Context(), cert)
		if err != nil || len(did) != 2 || !strings.HasPrefix(did[0], "wrote ") || !strings.HasPrefix(did[1], "ran ") {
			t.Errorf("%s: installing did %q, %v", tt.folder, did, err)
		}
		text, err := os.ReadFile(strings.TrimPrefix(did[0], "wrote "))
		if err != nil || !strings.HasPrefix(string(text), "-----BEGIN CERTIFICATE-----\n") {
			t.Errorf("%s: the file has %q, %v", tt.folder, text, err)
		}
		if did, err := s.Uninstall(t.Context(), cert); err != nil || len(did) != 2 {
			t.Errorf("%s: uninstalling did %q, %v", tt.folder, did, err)
		}
		if did, err := s.Uninstall(t.Context(), cert); err != nil || did != nil {
			t.Errorf("%s: uninstalling nothing did %q, %v", tt.folder, did, err)
		}
		calls, err := os.ReadFile(filepath.Join(s.Root, "calls"))
		if err != nil || string(calls) != tt.calls {
			t.Errorf("%s: the command was called %q, %v", tt.folder, calls, err)
		}
	}
}

func TestUnknownSystem(t *testing.T) {
	for name, s := range map[string]Store{
		"nothing":       {Root: t.TempDir()},
		"no command":    system(t, "usr/local/share/ca-certificates", "other", "0"),
		"other's pair":  system(t, "etc/pki/ca-trust/source/anchors", "trust", "0"),
		"only a folder": system(t, "etc/ssl", "update-ca-certificates", "0"),
	} {
		if did, err := s.Install(t.Context(), named("a")); !errors.Is(err, ErrUnknown) || did != nil {
			t.Errorf("%s: did %q, %v", name, did, err)
		}
	}
}

// What was done before a failure is told, and so is why the command failed.
func TestCommandFails(t *testing.T) {
	s := system(t, "usr/local/share/ca-certificates", "update-ca-certificates", "3")
	did, err := s.Install(t.Context(), named("a"))
	if err == nil || !strings.Contains(err.Error(), "why") || len(did) != 1 {
		t.Errorf("did %q, %v", did, err)
	}
}

// A name is no path.
func TestNameStaysInTheFolder(t *testing.T) {
	s := Store{Root: "/sys"}
	if got, want := s.path(kinds()[0], named("../../É x")), "/sys/usr/local/share/ca-certificates/--------x.crt"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
