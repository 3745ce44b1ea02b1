//go:build unix

package watch

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe that nobody writes to would block for ever.
func TestPipeIsNotRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	var f Files
	f.Add(pipe)
	if got := f.Changed(); got != nil {
		t.Errorf("changed %q", got)
	}
}
