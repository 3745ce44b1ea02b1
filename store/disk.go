package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// maxFile bounds a file that is read, in bytes. None that is written comes near
// it.
const maxFile = 512 << 20

var (
	errLocked = errors.New("another process has locked it")
	errGone   = errors.New("the file was replaced or removed while attache has it open; it is written anew")
)

// disk is the file of a [File] and its lock. One goroutine at a time uses it.
type disk struct {
	path string
	log  *slog.Logger
	lock *os.File // nil: not locked
	f    diskFile // nil: not open
	size int64    // what is behind it nobody was told to be there
	// broken: the file may not hold what it should. Only writing all of it anew
	// helps.
	broken bool
	// damaged: what is at the path is not to be lost when it is written anew.
	damaged bool
	// create makes a new file for the path; tests replace it.
	create func(path string) (diskFile, error)
}

// diskFile is what is needed of an [os.File].
type diskFile interface {
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

func newDisk(path string, log *slog.Logger) *disk {
	return &disk{path: path, log: log, create: func(path string) (diskFile, error) {
		return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}}
}

// open locks the file and reads it. Without a file the content is empty, and the
// disk broken until it is written.
func (d *disk) open() (logContent, error) {
	if err := regular(d.path); err != nil {
		return logContent{}, err
	}
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return logContent{}, fmt.Errorf("the folder of the store: %w", err)
	}
	if err := d.acquire(); err != nil {
		return logContent{}, err
	}
	content, err := d.read()
	if err != nil {
		d.close()
	}
	return content, err
}

// acquire locks PATH.lock. It is another file than the store, because that one is
// replaced, and it stays for ever: who removes a lock may remove another's.
func (d *disk) acquire() error {
	path := d.path + ".lock"
	if err := regular(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the lock of the store: %w", err)
	}
	switch err = tryLock(f); {
	case err == nil && !same(f, path):
		err = fmt.Errorf("the file %s was replaced", path)
	case errors.Is(err, errLocked):
		err = fmt.Errorf("the store %s is in use by another process of attache: give each its own file, or let them share a store in Redis", d.path)
	case err != nil:
		err = fmt.Errorf("the lock of the store, %s: %w", path, err)
	}
	if err != nil {
		f.Close()
		return err
	}
	d.lock = f
	return nil
}

// regular complains about what is at a path and no file.
func regular(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the store: %w", err)
	case info.Mode().IsRegular():
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: name the file that it leads to, because a store is replaced as a whole", path)
	case info.IsDir():
		return fmt.Errorf("%s is a folder: name a file in it", path)
	}
	return fmt.Errorf("%s is a device, socket or pipe: a store needs a file", path)
}

// same reports whether the open file is the one at path.
func same(f interface{ Stat() (fs.FileInfo, error) }, path string) bool {
	is, err := f.Stat()
	there, lerr := os.Lstat(path)
	return err == nil && lerr == nil && os.SameFile(is, there)
}

func (d *disk) read() (logContent, error) {
	if err := regular(d.path); err != nil {
		return logContent{}, err
	}
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		d.broken = true
		return logContent{}, nil
	}
	if err != nil {
		return logContent{}, fmt.Errorf("the store: %w", err)
	}
	info, err := f.Stat()
	var data []byte
	if err == nil && info.Size() <= maxFile {
		data, err = io.ReadAll(io.LimitReader(f, maxFile))
	}
	if err != nil {
		f.Close()
		return logContent{}, fmt.Errorf("the store: %w", err)
	}
	content := readLog(data)
	if info.Size() > maxFile {
		content = logContent{damage: damagedSize}
	}
	if content.foreign {
		f.Close()
		return logContent{}, fmt.Errorf("%s is no store of attache, and stays as it is: name another path, or move the file away", d.path)
	}
	if info.Mode().Perm()&0o077 != 0 && renameOpen {
		if err := f.Chmod(0o600); err != nil {
			f.Close()
			return logContent{}, fmt.Errorf("the store: %w", err)
		}
	}
	d.f, d.size = f, content.end
	switch {
	case content.damage != "" || d.size == 0:
		d.broken, d.damaged = true, content.damage != ""
	case content.torn:
		d.log.Info("the store ends in a write that is not whole, as after a crash, and it is left out; a save counts only once the disk has confirmed it", "file", d.path)
		d.broken = d.f.Truncate(d.size) != nil
	}
	return content, nil
}

// append writes a frame behind all others and flushes it. After an error it may
// be there or not, and what was there before still is.
func (d *disk) append(frame []byte) error {
	if _, err := d.f.WriteAt(frame, d.size); err != nil {
		d.broken = d.f.Truncate(d.size) != nil
		return fmt.Errorf("the store: %w", err)
	}
	if err := d.f.Sync(); err != nil {
		// What was not written now may be forgotten by the system, so that the next
		// flush would succeed without it.
		d.broken = true
		return fmt.Errorf("the store: %w", err)
	}
	if !same(d.f, d.path) {
		d.broken, d.damaged = true, true
		return errGone
	}
	d.size += int64(len(frame))
	return nil
}

// rewrite puts a file with these records into the place of the one that is
// there. If that is damaged it is kept under another name, which is returned.
// After an error the old file is there, or under that name.
func (d *disk) rewrite(records []record) (aside string, err error) {
	path := d.path + ".new"
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the store: %w", err)
	}
	f, err := d.create(path)
	if err != nil {
		return "", fmt.Errorf("the store: %w", err)
	}
	size, err := writeLog(f, records)
	if err == nil && d.damaged {
		aside, err = d.setAside()
	}
	if err == nil {
		err = d.replace(path, f)
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return aside, fmt.Errorf("the store: %w", err)
	}
	d.size, d.damaged = size, false
	// Until the folder is flushed the old file may come back.
	err = syncFolder(filepath.Dir(d.path))
	d.broken = err != nil
	return aside, err
}

// writeLog writes a whole file and flushes it.
func writeLog(f diskFile, records []record) (size int64, err error) {
	write := func(b []byte) {
		if err == nil {
			_, err = f.WriteAt(b, size)
			size += int64(len(b))
		}
	}
	write(appendLogHeader(nil))
	var fr frame
	for _, r := range records {
		fr.add(r)
		if fr.full() {
			write(fr.bytes())
			fr = frame{}
		}
	}
	write(fr.bytes())
	if err == nil {
		err = f.Sync()
	}
	return size, err
}

// replace moves the new file to its place.
func (d *disk) replace(path string, f diskFile) error {
	if renameOpen {
		if err := os.Rename(path, d.path); err != nil {
			return err
		}
		if d.f != nil {
			d.f.Close()
		}
		d.f = f
		return nil
	}
	d.broken = true // until it is open again
	f.Close()
	if d.f != nil {
		d.f.Close()
		d.f = nil
	}
	if err := os.Rename(path, d.path); err != nil {
		return err
	}
	opened, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err == nil {
		d.f = opened
	}
	return err
}

// setAside gives the file that is there a second name, under which nobody
// touches it.
func (d *disk) setAside() (string, error) {
	name := d.path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	for n := 2; ; n++ {
		err := os.Link(d.path, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", nil
		case errors.Is(err, fs.ErrExist) && n < 1000:
			name = fmt.Sprintf("%s.damaged-%s-%d", d.path, time.Now().UTC().Format("20060102T150405Z"), n)
			continue
		case err != nil: // a file system without second names
			err = os.Rename(d.path, name)
		}
		return name, err
	}
}

// close gives back the file and the lock.
func (d *disk) close() {
	if d.f != nil {
		d.f.Close()
		d.f = nil
	}
	if d.lock != nil {
		d.lock.Close()
		d.lock = nil
	}
}
