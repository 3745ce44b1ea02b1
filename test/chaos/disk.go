package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// disk is a small file system in memory that can be filled. It takes root to
// mount one.
type disk struct{ dir string }

const diskSize = "size=512k"

func mountDisk(dir string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, diskSize); err != nil {
		return nil, fmt.Errorf("a small disk cannot be mounted (this takes root): %w", err)
	}
	return &disk{dir}, nil
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill leaves no byte free.
func (d *disk) fill() error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		_, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			return err
		}
	}
	return nil
}

func (d *disk) free() error { return os.Remove(d.ballast()) }

func (d *disk) unmount() { syscall.Unmount(d.dir, syscall.MNT_DETACH) }

// damage spoils a file in one of several ways and says which. A file that is not
// there stays away.
func damage(path string, r uint64) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || len(text) == 0 {
		return "there was none", nil
	}
	if err != nil {
		return "", err
	}
	how := ""
	switch at := int(r>>8) % len(text); r % 4 {
	case 0:
		how, text[at] = "one bit", text[at]^1<<(r>>5%8)
	case 1:
		how, text = "cut short", text[:at]
	case 2:
		how, text = "emptied", nil
	default:
		how = "overwritten with zeros"
		clear(text[at:])
	}
	return how, os.WriteFile(path, text, 0o600)
}
