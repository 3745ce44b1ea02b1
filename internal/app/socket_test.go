//go:build linux

package app

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"attache/internal/config"
)

func socketAt(path string, mode fs.FileMode) *config.Socket {
	return &config.Socket{Path: path, Mode: mode, UID: -1, GID: -1}
}

func TestSocketFileHasItsModeAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
		s := socketAt(path, mode)
		s.UID, s.GID = os.Getuid(), os.Getgid()
		l, err := listenSocket(s)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != fs.ModeSocket|mode {
			t.Errorf("%v, %v; want mode %v", info.Mode(), err, mode)
		}
		l.Close()
		if _, err := os.Lstat(path); err == nil {
			t.Error("the file is still there")
		}
	}
}

// TestSocketIsBoundClosed: between bind and chmod the file has no more than the
// bits of its user, whatever the umask.
func TestSocketIsBoundClosed(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "a.sock")
	l, err := bindSocket(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestSocketLeftBehindIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := listenSocket(socketAt(path, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// The one that lives now is not.
	if _, err := listenSocket(socketAt(path, 0o600)); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("a second listener: %v", err)
	}
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first does not listen any more: %v", err)
	} else {
		conn.Close()
	}
}

// TestSocketOfSomebodyElseStays: whoever took the path over goes on, whenever
// the first one ends.
func TestSocketOfSomebodyElseStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	first, err := listenSocket(socketAt(path, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := listenSocket(socketAt(path, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the second is not reached any more: %v", err)
	} else {
		conn.Close()
	}
	second.Close()
	first.Close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the file is still there")
	}
}

func TestOtherFilesAreNotReplaced(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	writeText(t, file, "precious")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		if _, err := listenSocket(socketAt(path, 0o600)); err == nil || !strings.Contains(err.Error(), "is no socket") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
}

// Until the new callers of a socket are asked nobody may use it who could not
// before, and nobody who may not afterwards.
func TestNarrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	me, group := os.Geteuid(), os.Getegid()
	l, err := listenSocket(socketAt(path, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		name         string
		before, next *config.Socket
		want         fs.FileMode
	}{
		{"wider", socketAt(path, 0o600), socketAt(path, 0o666), 0o600},
		{"narrower", socketAt(path, 0o666), socketAt(path, 0o600), 0o600},
		{"the same", socketAt(path, 0o660), socketAt(path, 0o660), 0o660},
		{"owner written out", socketAt(path, 0o660), &config.Socket{Path: path, Mode: 0o660, UID: me, GID: group}, 0o660},
		{"another owner before", &config.Socket{Path: path, Mode: 0o666, UID: me + 1, GID: -1}, &config.Socket{Path: path, Mode: 0o666, UID: me, GID: -1}, 0o066},
		{"another group before", &config.Socket{Path: path, Mode: 0o666, UID: -1, GID: group + 1}, &config.Socket{Path: path, Mode: 0o660, UID: -1, GID: group}, 0o600},
	} {
		if err := os.Chmod(path, tt.before.Mode); err != nil {
			t.Fatal(err)
		}
		if err := narrow(tt.before, tt.next); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.name, info.Mode(), err, tt.want)
		}
	}
}
