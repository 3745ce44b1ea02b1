package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
)

// MaxFileSize bounds what is read from a secret file, in bytes.
const MaxFileSize = 1 << 20

// Ref is a place where a value lives: a literal, an environment variable or a
// file. It remembers the value that it read last, so that readers on the hot
// path never touch the file system. Make one with [Literal], [Env] or [File].
// Its methods may be called concurrently.
type Ref struct {
	kind    refKind
	name    string // variable or path
	current atomic.Pointer[String]
}

type refKind uint8

const (
	literal refKind = iota
	env
	file
)

// Literal returns a reference to text itself.
func Literal(text string) *Ref {
	r := &Ref{kind: literal}
	s := New(text)
	r.current.Store(&s)
	return r
}

// Env returns a reference to the environment variable name. It is read once,
// by the first [Ref.Read].
func Env(name string) *Ref { return &Ref{kind: env, name: name} }

// File returns a reference to the content of the file at path, less one
// trailing newline.
func File(path string) *Ref { return &Ref{kind: file, name: path} }

// IsLiteral reports whether the value stands in the configuration itself.
func (r *Ref) IsLiteral() bool { return r.kind == literal }

// IsFile reports whether the value may change while the process runs.
func (r *Ref) IsFile() bool { return r.kind == file }

// Path returns the path of the file; ok is false for a literal or a variable.
func (r *Ref) Path() (path string, ok bool) { return r.name, r.kind == file }

// String names the place, never the value: "env:NAME", "file:PATH" or
// "literal". It implements [fmt.Stringer].
func (r *Ref) String() string {
	switch r.kind {
	case env:
		return "env:" + r.name
	case file:
		return "file:" + r.name
	}
	return "literal"
}

// Current returns the value that was read last, or the empty String before the
// first successful [Ref.Read].
func (r *Ref) Current() String {
	if s := r.current.Load(); s != nil {
		return *s
	}
	return String{}
}

// Read reads the value anew and remembers it. When it cannot be read it
// returns an error that says what to do, and [Ref.Current] keeps the value
// read before.
func (r *Ref) Read() (String, error) {
	switch r.kind {
	case env:
		return r.readEnv()
	case file:
		return r.readFile()
	}
	return r.Current(), nil
}

func (r *Ref) readEnv() (String, error) {
	if s := r.current.Load(); s != nil {
		return *s, nil
	}
	text, ok := os.LookupEnv(r.name)
	if !ok {
		return String{}, fmt.Errorf("environment variable %s is not set", r.name)
	}
	return r.remember(text), nil
}

func (r *Ref) readFile() (String, error) {
	// A pipe or a device would block whoever reads it, or never end.
	if info, err := os.Stat(r.name); err == nil && !info.Mode().IsRegular() {
		return String{}, fmt.Errorf("file %s is not a regular file", r.name)
	}
	f, err := os.Open(r.name)
	if err != nil {
		return String{}, r.unreadable(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return String{}, r.unreadable(err)
	}
	if len(data) > MaxFileSize {
		return String{}, fmt.Errorf("file %s is larger than %d bytes", r.name, MaxFileSize)
	}
	text, cut := strings.CutSuffix(string(data), "\n")
	if cut {
		text = strings.TrimSuffix(text, "\r")
	}
	if text == "" {
		// A file that is being replaced is often empty for a moment, and an
		// empty secret never logs in anywhere.
		return String{}, errors.New("file " + r.name + " is empty")
	}
	return r.remember(text), nil
}

// unreadable says why a file cannot be read, and names it once.
func (r *Ref) unreadable(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	return fmt.Errorf("file %s: %w", r.name, err)
}

// remember keeps the String that is there when the text did not change, so
// that whoever compares identities sees no change.
func (r *Ref) remember(text string) String {
	if old := r.current.Load(); old != nil && old.Reveal() == text {
		return *old
	}
	s := New(text)
	r.current.Store(&s)
	return s
}
