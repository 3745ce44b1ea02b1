package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// faultyDisk makes files that fail.
type faultyDisk struct {
	room  atomic.Int64 // bytes that can still be written; negative: any number
	sync  atomic.Bool  // flushes fail
	trunc atomic.Bool  // files cannot be cut off
	make  atomic.Bool  // no file can be made
}

type faultyFile struct {
	*os.File
	disk *faultyDisk
}

func (f faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if room := f.disk.room.Load(); room >= 0 && int64(len(b)) > room {
		n, _ := f.File.WriteAt(b[:room], at)
		f.disk.room.Store(0)
		return n, syscall.ENOSPC
	}
	n, err := f.File.WriteAt(b, at)
	if f.disk.room.Load() >= 0 {
		f.disk.room.Add(-int64(n))
	}
	return n, err
}

func (f faultyFile) Sync() error {
	if f.disk.sync.Load() {
		return syscall.EIO
	}
	return nil // a flush in a test only takes time
}

func (f faultyFile) Truncate(size int64) error {
	if f.disk.trunc.Load() {
		return syscall.EIO
	}
	return f.File.Truncate(size)
}

// openFaulty opens a store on files that fail, whose first save succeeds.
func openFaulty(t *testing.T, path string) (*File, *faultyDisk) {
	t.Helper()
	d := &faultyDisk{}
	d.room.Store(-1)
	s := OpenFile(path, testKeys(t, "k"), "", slog.New(slog.DiscardHandler))
	s.disk.create = func(path string) (diskFile, error) {
		if d.make.Load() {
			return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EROFS}
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return faultyFile{f, d}, err
	}
	t.Cleanup(func() { s.Close() })
	return s, d
}

func saveOne(s *File, n byte, generation uint64) error {
	t := refresher.Token{Value: secret.New(fmt.Sprint(n, " ", generation)), Generation: generation}
	return s.Save(context.Background(), refresher.StoreKey{n}, refresher.Guard{Generation: generation - 1}, t)
}

func wantOne(t *testing.T, s *File, n byte, generation uint64) {
	t.Helper()
	got, err := s.Load(context.Background(), refresher.StoreKey{n})
	if generation == 0 && errors.Is(err, refresher.ErrNoToken) {
		return
	}
	if err != nil || got.Token.Generation != generation || got.Token.Value.Reveal() != fmt.Sprint(n, " ", generation) {
		t.Errorf("key %d: generation %d, error %v, want generation %d", n, got.Token.Generation, err, generation)
	}
}

// Whatever fails of a save: what was saved before is there, in memory and after
// a restart, and as soon as the disk works again the next save does.
func TestFileFaults(t *testing.T) {
	faults := map[string]func(*faultyDisk){
		"full":                     func(d *faultyDisk) { d.room.Store(0) },
		"full in the midst":        func(d *faultyDisk) { d.room.Store(40) },
		"full, and not cut off":    func(d *faultyDisk) { d.room.Store(40); d.trunc.Store(true) },
		"no flush":                 func(d *faultyDisk) { d.sync.Store(true) },
		"no flush and not cut off": func(d *faultyDisk) { d.sync.Store(true); d.trunc.Store(true) },
		"no flush and no new file": func(d *faultyDisk) { d.sync.Store(true); d.make.Store(true) },
		"no flush, and full":       func(d *faultyDisk) { d.sync.Store(true); d.room.Store(300) },
		"everything":               func(d *faultyDisk) { d.sync.Store(true); d.make.Store(true); d.room.Store(20); d.trunc.Store(true) },
	}
	for name, fault := range faults {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", restart), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "tokens")
				s, d := openFaulty(t, path)
				if err := errors.Join(saveOne(s, 1, 1), saveOne(s, 2, 1), saveOne(s, 1, 2)); err != nil {
					t.Fatal(err)
				}
				fault(d)
				for range 3 {
					if err := saveOne(s, 1, 3); err == nil || errors.Is(err, refresher.ErrConflict) {
						t.Fatalf("error %v, want one of the disk", err)
					}
					wantOne(t, s, 1, 2)
					wantOne(t, s, 2, 1)
				}
				if restart { // as after a kill
					s.disk.close()
					s, _ = openFaulty(t, path)
					if got, err := s.Load(t.Context(), refresher.StoreKey{1}); err != nil || got.Token.Generation < 2 {
						t.Fatalf("generation %d, error %v, want 2, or 3 which nobody relies on", got.Token.Generation, err)
					}
					wantOne(t, s, 2, 1)
				} else {
					d.room.Store(-1)
					d.sync.Store(false)
					d.trunc.Store(false)
					d.make.Store(false)
					if err := errors.Join(saveOne(s, 1, 3), saveOne(s, 3, 1), saveOne(s, 1, 4)); err != nil {
						t.Fatal(err)
					}
					s.Close()
					s, _ = openFaulty(t, path)
					wantOne(t, s, 1, 4)
					wantOne(t, s, 3, 1)
					wantOne(t, s, 2, 1)
				}
				if found, _ := filepath.Glob(path + ".damaged-*"); len(found) > 0 {
					t.Errorf("set aside: %v, want nothing", found)
				}
			})
		}
	}
}

// What is left of a long write that failed is not behind the shorter one that
// comes next.
func TestFileLeavesNothingBehind(t *testing.T) {
	for name, fault := range map[string]func(*faultyDisk){
		"full":     func(d *faultyDisk) { d.room.Store(5000) },
		"no flush": func(d *faultyDisk) { d.sync.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokens")
			s, d := openFaulty(t, path)
			if err := saveOne(s, 1, 1); err != nil {
				t.Fatal(err)
			}
			fault(d)
			long := refresher.Token{Value: secret.New(strings.Repeat("long", 3000)), Generation: 1}
			if err := s.Save(t.Context(), refresher.StoreKey{2}, refresher.Guard{}, long); err == nil {
				t.Fatal("saved on a disk that fails")
			}
			d.room.Store(-1)
			d.sync.Store(false)
			if err := saveOne(s, 1, 2); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s, log := openLogged(t, path, "k")
			wantOne(t, s, 1, 2)
			if text := log.String(); text != "" {
				t.Errorf("logged %s", text)
			}
		})
	}
}

// A disk that is full for good takes what replaces tokens as soon as there is
// room, and a start with it goes on.
func TestFileStartsOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s, _ := openFaulty(t, path)
	for g := range uint64(9) {
		if err := saveOne(s, 1, g+1); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s, d := openFaulty(t, path)
	d.room.Store(0)
	wantOne(t, s, 1, 9)
	d.room.Store(-1)
	if err := saveOne(s, 1, 10); err != nil {
		t.Fatal(err)
	}
}

// Kills in the midst of a write leave the beginning of a frame: wherever the
// file ends, everything before that write is there, and nobody is alarmed.
func TestFileTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s, _ := openFaulty(t, path)
	if err := errors.Join(saveOne(s, 1, 1), saveOne(s, 2, 1)); err != nil {
		t.Fatal(err)
	}
	before := s.disk.size
	if err := saveOne(s, 1, 2); err != nil {
		t.Fatal(err)
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for end := before; end <= int64(len(whole)); end++ {
		for _, zeros := range []int{0, 5, 100} { // what a file system may leave
			if end == int64(len(whole)) && zeros > 0 {
				continue
			}
			want := uint64(1)
			if end == int64(len(whole)) {
				want = 2
			}
			data := append(append([]byte(nil), whole[:end]...), make([]byte, zeros)...)
			if zeros > 0 && zeros < frameHead && end > before { // such a frame looks changed
				continue
			}
			if zeros > 0 && bytes.HasPrefix(data, whole) { // its last bytes happen to be zeros: nothing is torn
				continue
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			s, _ := openFaulty(t, path)
			wantOne(t, s, 1, want)
			wantOne(t, s, 2, 1)
			if err := saveOne(s, 1, want+1); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s, _ = openFaulty(t, path)
			wantOne(t, s, 1, want+1)
			s.Close()
			if found, _ := filepath.Glob(path + ".damaged-*"); len(found) > 0 {
				t.Fatalf("cut off at %d of %d, with %d zeros: set aside", end, len(whole), zeros)
			}
		}
	}
}

// A file that is damaged elsewhere is set aside as it was; what can be read of it
// goes on.
func TestFileDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model")
	s, _ := openFaulty(t, path)
	var ends []int64
	for n := range byte(4) {
		if err := saveOne(s, n, 1); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, s.disk.size)
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int64) []byte {
		data := append([]byte(nil), whole...)
		data[at] ^= 0x40
		return data
	}
	all := []uint64{1, 1, 1, 1}
	tests := map[string]struct {
		data []byte
		want []uint64 // generations
		text string
	}{
		"the magic":          {change(2), all, damagedHeader},
		"the version":        {change(int64(logHeader) - 1), []uint64{0, 0, 0, 0}, damagedVersion},
		"a frame's mark":     {change(ends[0]), []uint64{1, 0, 1, 1}, damagedMiddle},
		"a frame's length":   {change(ends[1] + 5), []uint64{1, 1, 0, 1}, damagedMiddle},
		"a frame's body":     {change(ends[1] - 1), []uint64{1, 0, 1, 1}, damagedMiddle},
		"the last frame":     {change(ends[3] - 1), []uint64{1, 1, 1, 0}, damagedEnd},
		"a part is missing":  {append(append([]byte(nil), whole[:ends[0]+20]...), whole[ends[1]:]...), []uint64{1, 0, 1, 1}, damagedMiddle},
		"the header is gone": {whole[logHeader:], all, damagedHeader},
		"half of the header": {whole[:5], []uint64{0, 0, 0, 0}, damagedHeader},
		"text at the end":    {append(append([]byte(nil), whole...), "a line that somebody added\n"...), all, damagedEnd},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokens")
			if err := os.WriteFile(path, test.data, 0o600); err != nil {
				t.Fatal(err)
			}
			s, log := openLogged(t, path, "k")
			for n, generation := range test.want {
				wantOne(t, s, byte(n), generation)
			}
			if err := saveOne(s, 0, test.want[0]+1); err != nil {
				t.Fatal(err)
			}
			found, _ := filepath.Glob(path + ".damaged-*")
			if len(found) != 1 {
				t.Fatalf("set aside: %v, want one file", found)
			}
			if kept, err := os.ReadFile(found[0]); err != nil || string(kept) != string(test.data) {
				t.Errorf("what is set aside is not the file as it was: %v", err)
			}
			if text := log.String(); !strings.Contains(text, test.text) || !strings.Contains(text, found[0]) {
				t.Errorf("logged %s", text)
			}
			s.Close()
			s, log = openLogged(t, path, "k")
			wantOne(t, s, 0, test.want[0]+1)
			if text := log.String(); text != "" {
				t.Errorf("after a restart: logged %s", text)
			}
		})
	}
}

func openLogged(t *testing.T, path string, keys ...string) (*File, *strings.Builder) {
	t.Helper()
	var log strings.Builder // written by one goroutine, while the test waits for it
	s := OpenFile(path, testKeys(t, keys...), "", slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { s.Close() })
	return s, &log
}

// With another key the file is set aside, and moved back with the old key it is
// whole.
func TestFileOfAnotherKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s, _ := openLogged(t, path, "lost")
	if err := errors.Join(saveOne(s, 1, 1), saveOne(s, 2, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s, log := openLogged(t, path, "new")
	wantOne(t, s, 1, 0)
	if err := saveOne(s, 3, 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	found, _ := filepath.Glob(path + ".damaged-*")
	if len(found) != 1 || !strings.Contains(log.String(), "none of the configured keys opens") || !strings.Contains(log.String(), "other_key=2") {
		t.Fatalf("set aside %v, logged %s", found, log)
	}
	if err := os.Rename(found[0], path); err != nil {
		t.Fatal(err)
	}
	s, _ = openLogged(t, path, "new", "lost")
	wantOne(t, s, 1, 1)
	wantOne(t, s, 2, 1)
}

// After a key was changed in steps nothing of the old one is left to complain
// about, as far as it was used.
func TestFileKeyRotationLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s, _ := openLogged(t, path, "old")
	if err := errors.Join(saveOne(s, 1, 1), saveOne(s, 2, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s, log := openLogged(t, path, "new", "old")
	wantOne(t, s, 1, 1)
	wantOne(t, s, 2, 1)
	s.Close()
	if !strings.Contains(log.String(), "tokens=2") {
		t.Errorf("logged %s, want the number of tokens of the old key", log)
	}
	s, log = openLogged(t, path, "new")
	wantOne(t, s, 1, 1)
	wantOne(t, s, 2, 1)
	if text := log.String(); text != "" {
		t.Errorf("logged %s, want nothing", text)
	}
}

// Who changes a token in the file, with checksums that are right, has it refused.
func TestFileForged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s, _ := openLogged(t, path, "k")
	if err := errors.Join(saveOne(s, 1, 1), saveOne(s, 2, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records := readLog(data).records
	records[0].sealed, records[1].sealed = records[1].sealed, records[0].sealed // one in the other's place
	var fr frame
	for _, r := range records {
		fr.add(r)
	}
	if err := os.WriteFile(path, append(appendLogHeader(nil), fr.bytes()...), 0o600); err != nil {
		t.Fatal(err)
	}
	s, log := openLogged(t, path, "k")
	wantOne(t, s, 1, 0)
	wantOne(t, s, 2, 0)
	if !strings.Contains(log.String(), damagedSeal) {
		t.Errorf("logged %s", log)
	}
}

// The file stays in proportion to what lives in it.
func TestFileCompacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	s, _ := openFaulty(t, path)
	s.most.garbage = 4 << 10
	for g := range uint64(400) {
		if err := errors.Join(saveOne(s, 1, g+1), saveOne(s, 2, g+1)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if info, err := os.Stat(path); err != nil || info.Size() > 8<<10 {
		t.Errorf("the file has %d bytes after 800 saves of two tokens", info.Size())
	}
	s, _ = openFaulty(t, path)
	wantOne(t, s, 1, 400)
	wantOne(t, s, 2, 400)
}

// What was not used for longest goes when there is too much.
func TestFileIsBounded(t *testing.T) {
	for _, by := range []string{"entries", "bytes"} {
		t.Run(by, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokens")
			s, _ := openFaulty(t, path)
			if s.most.entries = 10; by == "bytes" {
				s.most = bounds{entries: 1000}
				r, _ := s.seal(Name{}, refresher.Stored{Token: refresher.Token{Value: secret.New("10 1"), Generation: 1}})
				s.most.bytes = 10*r.size() + r.size()/2
			}
			s.most.garbage = 0
			for n := range byte(20) {
				if err := saveOne(s, n+10, 1); err != nil {
					t.Fatal(err)
				}
				wantOne(t, s, 10, 1) // in use
			}
			if err := s.do(&operation{ctx: t.Context()}); err != nil { // what follows the last save is done by then
				t.Fatal(err)
			}
			for n := range byte(10) {
				wantOne(t, s, n+11, 0)
			}
			for range 2 {
				wantOne(t, s, 10, 1)
				for n := range byte(9) {
					wantOne(t, s, n+21, 1)
				}
				s.Close()
				s, _ = openFaulty(t, path)
			}
		})
	}
}

// Nobody gets the lease, and loads, while a save of the same token is on its way
// to the disk: what would be loaded is about to be the one before.
func TestFileAcquireWaitsForSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := OpenFile(filepath.Join(t.TempDir(), "tokens"), testKeys(t, "k"), "", slog.New(slog.DiscardHandler))
		defer s.Close()
		gate := make(chan struct{})
		s.disk.create = func(path string) (diskFile, error) {
			f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			return gatedFile{f, gate}, err
		}
		go func() { gate <- struct{}{} }() // the new file
		wantOne(t, s, 1, 0)
		lease, err := s.Acquire(t.Context(), refresher.StoreKey{1}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		saved := make(chan error, 1)
		go func() {
			saved <- s.Save(t.Context(), refresher.StoreKey{1}, refresher.Guard{Epoch: lease.Epoch()}, refresher.Token{Value: secret.New("1 1"), Generation: 1})
		}()
		synctest.Wait()
		time.Sleep(2 * time.Second) // the lease runs out
		wantOne(t, s, 1, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Acquire(ctx, refresher.StoreKey{1}, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that the time is over", err)
		}
		if _, err := s.Acquire(t.Context(), refresher.StoreKey{2}, time.Second); err != nil {
			t.Errorf("the lease of another token: %v", err)
		}
		gate <- struct{}{}
		if err := <-saved; err != nil {
			t.Error(err)
		}
		if _, err := s.Acquire(t.Context(), refresher.StoreKey{1}, time.Second); err != nil {
			t.Error(err)
		}
		wantOne(t, s, 1, 1)
	})
}

// gatedFile is flushed when the gate lets it.
type gatedFile struct {
	*os.File
	gate chan struct{}
}

func (f gatedFile) Sync() error {
	<-f.gate
	return nil
}

// A disk that hangs holds up nobody for longer than they wait, nor the end.
func TestFileOnADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := OpenFile(filepath.Join(t.TempDir(), "tokens"), testKeys(t, "k"), "", slog.New(slog.DiscardHandler))
		gate := make(chan struct{})
		s.disk.create = func(path string) (diskFile, error) {
			f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			return gatedFile{f, gate}, err
		}
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := s.Save(ctx, refresher.StoreKey{1}, refresher.Guard{}, refresher.Token{Generation: 1}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want that the time is over", err)
			}
			cancel()
		}
		wantOne(t, s, 1, 0)
		begin := time.Now()
		if err := s.Close(); err == nil || !strings.Contains(err.Error(), "the disk hangs") || time.Since(begin) != closeTime {
			t.Errorf("closed after %v with error %v", time.Since(begin), err)
		}
		close(gate)
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever is in a file: reading it ends, and what it says lies within it.
func FuzzReadLog(f *testing.F) {
	var fr frame
	fr.add(record{name: Name{1}, sealed: []byte("sealed")})
	fr.add(record{name: Name{2}})
	whole := append(appendLogHeader(nil), fr.bytes()...)
	f.Add(whole)
	f.Add(append(append([]byte(nil), whole...), fr.bytes()...))
	f.Add(whole[:len(whole)-3])
	f.Add(append([]byte("x"), whole...))
	f.Add(append(append([]byte(nil), whole...), make([]byte, 30)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := readLog(data)
		if c.end > int64(len(data)) {
			t.Errorf("the end is %d of %d", c.end, len(data))
		}
		if c.damage != "" || c.foreign || len(data) == 0 {
			return
		}
		again := readLog(data[:c.end]) // as the file is cut off
		if again.damage != "" || again.torn || len(again.records) != len(c.records) {
			t.Errorf("cut off: %+v, before: %+v", again, c)
		}
	})
}
