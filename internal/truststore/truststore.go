// Package truststore puts root certificates into the trust store of a Linux
// system, and takes them out again: it writes the file where the distribution
// wants it, and runs the distribution's own command.
package truststore

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Store is the trust store of this system. The zero value is ready.
type Store struct {
	// Root is the folder of the system; empty: /. Commands are looked for below it
	// as well.
	Root string
}

// kind is how a family of distributions does it.
type kind struct {
	folder, extension string
	command           []string
}

func kinds() []kind {
	return []kind{
		{"usr/local/share/ca-certificates", ".crt", []string{"update-ca-certificates"}},           // Debian, Ubuntu, Alpine
		{"etc/pki/ca-trust/source/anchors", ".pem", []string{"update-ca-trust", "extract"}},       // Fedora, RHEL
		{"etc/ca-certificates/trust-source/anchors", ".crt", []string{"trust", "extract-compat"}}, // Arch
		{"etc/pki/trust/anchors", ".pem", []string{"update-ca-certificates"}},                     // openSUSE
	}
}

// ErrUnknown says that this system's trust store is of no kind that is known.
var ErrUnknown = errors.New("this system's trust store is of no known kind")

// Install makes the system trust a root. One of the same name is replaced. It
// returns what it did, in words.
func (s Store) Install(ctx context.Context, root *x509.Certificate) ([]string, error) {
	k, command, err := s.find()
	if err != nil {
		return nil, err
	}
	path := s.path(k, root)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, err
	}
	// WriteFile leaves the mode of a file that was there, and whoever checks a
	// certificate has to read this one.
	if err := os.Chmod(path, 0o644); err != nil {
		return nil, err
	}
	return update(ctx, command, "wrote "+path)
}

// Uninstall makes the system trust a root no longer, and returns what it did. To
// do nothing is no error: then it was not trusted.
func (s Store) Uninstall(ctx context.Context, root *x509.Certificate) ([]string, error) {
	k, command, err := s.find()
	if err != nil {
		return nil, err
	}
	path := s.path(k, root)
	switch err := os.Remove(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return update(ctx, command, "removed "+path)
}

// find returns how this system does it.
func (s Store) find() (kind, []string, error) {
	for _, k := range kinds() {
		if info, err := os.Stat(filepath.Join(s.root(), k.folder)); err != nil || !info.IsDir() {
			continue
		}
		for _, folder := range []string{"usr/sbin", "usr/bin", "sbin", "bin"} {
			path := filepath.Join(s.root(), folder, k.command[0])
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return k, append([]string{path}, k.command[1:]...), nil
			}
		}
	}
	return kind{}, nil, ErrUnknown
}

func (s Store) root() string {
	if s.Root == "" {
		return "/"
	}
	return s.Root
}

// path returns where a root's file is. Its name is made of the certificate's.
func (s Store) path(k kind, root *x509.Certificate) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.ToLower(root.Subject.CommonName))
	return filepath.Join(s.root(), k.folder, name+k.extension)
}

// update runs the distribution's command.
func update(ctx context.Context, command []string, did string) ([]string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	ran := strings.Join(command, " ")
	if out, err := cmd.CombinedOutput(); err != nil {
		return []string{did}, fmt.Errorf("run %s: %w\n%s", ran, err, strings.TrimSpace(string(out)))
	}
	return []string{did, "ran " + ran}, nil
}
