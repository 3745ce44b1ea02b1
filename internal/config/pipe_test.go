//go:build unix

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A configuration may come through a pipe. One that nobody writes to is empty: to
// wait for somebody would have a reload hang.
func TestPipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := Load(pipe); err == nil || !strings.Contains(err.Error(), "the file is empty") {
		t.Errorf("nobody writes: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("routes: []\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	shell := fmt.Sprintf("/dev/fd/%d", r.Fd()) // as <(…) makes it
	if _, err := os.Stat(shell); err != nil {
		t.Skip(err)
	}
	if _, err := Load(shell); err != nil {
		t.Errorf("somebody wrote: %v", err)
	}
}
