//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package store

import (
	"errors"
	"os"
)

func tryLock(*os.File) error {
	return errors.New("this operating system cannot lock files; use a store in Redis")
}

func syncFolder(string) error { return nil }

const renameOpen = false

// access knows nothing here.
func access(string, uint32) error { return nil }
