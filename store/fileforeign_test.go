package store

import (
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"attache/refresher"
)

// A path that leads to something else, by a slip, changes nothing there: neither
// the content nor who may read it.
func TestForeignFileStaysAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	const content = "127.0.0.1 localhost\n"
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	f := OpenFile(path, testKeys(t, "k"), "", slog.New(slog.DiscardHandler))
	if _, err := f.Load(t.Context(), refresher.StoreKey{1}); err == nil {
		t.Error("it passes for a store")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != content || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %q, %v", info.Mode(), data, err)
	}
}

// A file of nothing but heads of long frames that are none is not read once for
// each of them.
func TestSearchIsBounded(t *testing.T) {
	var fr frame
	fr.add(record{name: Name{1}, sealed: []byte("sealed")})
	whole := fr.bytes()
	head := make([]byte, frameHead)
	binary.BigEndian.PutUint32(head, frameMark)
	binary.BigEndian.PutUint32(head[4:], 1<<12)
	binary.BigEndian.PutUint32(head[12:], checksum(head[:12]))
	var data []byte
	for range 1 << 12 {
		data = append(data, head...)
	}
	effort := 4 * len(data)
	if at := findFrame(data, 0, &effort); at >= 0 || effort >= 0 || effort < -(1<<12) { // it ends as soon as it is used up
		t.Errorf("found %d, and %d bytes were left to look at", at, effort)
	}
	// A few of them hide nothing.
	effort = 4*len(data) + maxFrame
	if at := findFrame(append(append([]byte(nil), data[:20*frameHead]...), whole...), 0, &effort); at != 20*frameHead {
		t.Errorf("found %d", at)
	}
}
