// Package storagetest is the contract that every storage of certificates has to
// keep: what certmagic's documentation asks of one, and what this project relies
// on besides.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/certmagic"
)

// Run tests storages. open returns another view of the same, empty storage at
// each call, as another process would have it. Keys that begin with "t/" are the
// suite's.
func Run(t *testing.T, open func(t *testing.T) certmagic.Storage) {
	for name, test := range map[string]func(*testing.T, certmagic.Storage, certmagic.Storage){
		"Values": values, "Folders": folders, "LockIsExclusive": lockIsExclusive,
		"LockEndsWithContext": lockEndsWithContext, "LocksAreIndependent": locksAreIndependent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t), open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// values: what one process stores another loads, byte by byte, and what is not
// there is fs.ErrNotExist.
func values(t *testing.T, one, other certmagic.Storage) {
	ctx := t.Context()
	const key = "t/values/a@example.com.json"
	if _, err := one.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing value gives %v", err)
	}
	if _, err := one.Stat(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state of a missing value gives %v", err)
	}
	if one.Exists(ctx, key) {
		t.Error("a missing value exists")
	}
	must(t, one.Delete(ctx, key))
	for _, value := range [][]byte{[]byte("first"), {}, bytes.Repeat([]byte{0, 0xff, '\n'}, 5000)} {
		must(t, one.Store(ctx, key, value))
		got, err := other.Load(ctx, key)
		must(t, err)
		if !bytes.Equal(got, value) {
			t.Errorf("%d bytes were stored, %d loaded", len(value), len(got))
		}
		info, err := other.Stat(ctx, key)
		must(t, err)
		if info.Key != key || info.Size != int64(len(value)) || !info.IsTerminal || info.Modified.IsZero() || !other.Exists(ctx, key) {
			t.Errorf("of %d bytes the state is %+v", len(value), info)
		}
	}
	must(t, other.Delete(ctx, key))
	if _, err := one.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a deleted value gives %v", err)
	}
}

// folders: they are there by what is in them, end at a slash, and go with all
// that is in them.
func folders(t *testing.T, one, other certmagic.Storage) {
	ctx := t.Context()
	for _, key := range []string{"t/folders/a/x.crt", "t/folders/a/x.key", "t/folders/a/deep/y", "t/folders/ab/z", "t/folders/b"} {
		must(t, one.Store(ctx, key, []byte(key)))
	}
	for _, tt := range []struct {
		folder    string
		recursive bool
		want      []string
	}{
		{"t/folders", false, []string{"t/folders/a", "t/folders/ab", "t/folders/b"}},
		{"t/folders/a", false, []string{"t/folders/a/deep", "t/folders/a/x.crt", "t/folders/a/x.key"}},
		{"t/folders/a", true, []string{"t/folders/a/deep", "t/folders/a/deep/y", "t/folders/a/x.crt", "t/folders/a/x.key"}},
	} {
		got, err := other.List(ctx, tt.folder, tt.recursive)
		must(t, err)
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s, recursive %v: %q", tt.folder, tt.recursive, got)
		}
	}
	if _, err := other.List(ctx, "t/none", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the list of a missing folder gives %v", err)
	}
	info, err := other.Stat(ctx, "t/folders/a")
	must(t, err)
	if info.IsTerminal || !other.Exists(ctx, "t/folders/a") {
		t.Errorf("the state of a folder is %+v", info)
	}
	must(t, other.Delete(ctx, "t/folders/a"))
	left, err := one.List(ctx, "t/folders", true)
	must(t, err)
	slices.Sort(left)
	if want := []string{"t/folders/ab", "t/folders/ab/z", "t/folders/b"}; !slices.Equal(left, want) {
		t.Errorf("when the folder was gone, %q was left", left)
	}
}

// lockIsExclusive: of all who want a lock one has it.
func lockIsExclusive(t *testing.T, one, other certmagic.Storage) {
	const each = 3
	var holders, had atomic.Int32
	var all sync.WaitGroup
	for _, s := range []certmagic.Storage{one, other} {
		for range each {
			all.Go(func() {
				if err := s.Lock(t.Context(), "t exclusive"); err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				had.Add(1)
				holders.Add(-1)
				if err := s.Unlock(t.Context(), "t exclusive"); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if had.Load() != 2*each {
		t.Errorf("%d had the lock", had.Load())
	}
}

// lockEndsWithContext: who waits for a lock stops when it is told to.
func lockEndsWithContext(t *testing.T, one, other certmagic.Storage) {
	must(t, one.Lock(t.Context(), "t context"))
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { waiting <- other.Lock(ctx, "t context") }()
	cancel()
	if err := <-waiting; err == nil {
		t.Error("two have the lock")
	}
	must(t, one.Unlock(t.Context(), "t context"))
	must(t, other.Lock(t.Context(), "t context"))
	must(t, other.Unlock(t.Context(), "t context"))
	if err := other.Unlock(t.Context(), "t context"); err == nil {
		t.Error("a lock that nobody has was released")
	}
}

// locksAreIndependent: a lock holds up nobody who wants another.
func locksAreIndependent(t *testing.T, one, other certmagic.Storage) {
	must(t, one.Lock(t.Context(), "t first"))
	must(t, other.Lock(t.Context(), "t second"))
	must(t, one.Unlock(t.Context(), "t first"))
	must(t, other.Unlock(t.Context(), "t second"))
}
