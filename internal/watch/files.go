// Package watch tells when files have changed.
//
// The truth is their content: [Files] remembers what stood in them and compares.
// A [Notifier] hears from the operating system that something happened in their
// folders and only says that it is time to compare; whoever compares now and
// then anyway misses nothing where there is no such news, as on some network
// file systems.
package watch

import (
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
)

// MaxSize bounds what is compared of a file, in bytes. A change beyond it is not
// seen; no file that attache reads may be so large.
const MaxSize = 4 << 20

// Files are files and a fingerprint of what stood in each when it was added. The
// zero value holds none. It is used by one goroutine at a time.
type Files struct {
	seen map[string]fingerprint
}

// fingerprint is a digest of a file's content. That of a file which cannot be
// read is zero, so that its coming and going are changes too.
type fingerprint [sha256.Size]byte

// Add remembers what stands in the file at path now, unless that file is among
// them already. Add a file before it is read: should it change in between, the
// next look finds a difference, and nothing is missed.
func (f *Files) Add(path string) {
	if _, known := f.seen[path]; known {
		return
	}
	if f.seen == nil {
		f.seen = map[string]fingerprint{}
	}
	f.seen[path] = fingerprintOf(path)
}

// Merge adds the files of other as they were when other got them.
func (f *Files) Merge(other *Files) {
	if f.seen == nil {
		f.seen = map[string]fingerprint{}
	}
	for path, was := range other.seen {
		if _, known := f.seen[path]; !known {
			f.seen[path] = was
		}
	}
}

// Changed returns the files in which something else stands now than when they
// were added, in the order of their names.
func (f *Files) Changed() []string {
	var changed []string
	for _, path := range f.Paths() {
		if fingerprintOf(path) != f.seen[path] {
			changed = append(changed, path)
		}
	}
	return changed
}

// Paths returns the files in the order of their names.
func (f *Files) Paths() []string { return slices.Sorted(maps.Keys(f.seen)) }

func fingerprintOf(path string) fingerprint {
	data, err := readRegular(path)
	if err != nil {
		return fingerprint{}
	}
	return sha256.Sum256(data)
}

// readRegular reads a file. A pipe or a device would block whoever reads it, or
// never end.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxSize))
}
