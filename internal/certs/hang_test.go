//go:build unix

package certs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A storage that hangs cannot hold up whoever prepares a change.
func TestHangingStorage(t *testing.T) {
	c, folder := newCertificates(t, Config{}), t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "ca"), 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(folder, rootKey)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	settings := Settings{Storage: Storage{Folder: folder}, Listeners: map[string]Listener{"l": {Internal: []string{"a.test"}}}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Prepare(ctx, settings)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// Whoever waits for a writer gets one.
	w, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}
