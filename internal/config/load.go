package config

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"attache/internal/shape"
	"attache/internal/watch"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// Load reads the configuration file at path. Relative paths in it are relative
// to its folder. Errors are [yamldoc.Problems]: every mistake of the file.
func Load(path string) (*Config, error) { return LoadAnew(path, &watch.Files{}) }

// LoadAnew is [Load], and adds to files what it reads for good: the
// configuration itself, recipes, certificates and the secrets of the
// configuration, also when it ends with an error. Once one of them changes it is
// time to load again. Secrets of credentials are not among them, because logins
// read those themselves; but after an error they are, because it may have been that
// one of them is still missing.
func LoadAnew(path string, files *watch.Files) (*Config, error) {
	files.Add(path)
	data, err := readFile(path)
	if err != nil {
		return nil, yamldoc.Problems{{File: path, Text: err.Error()}}
	}
	return parse(path, data, filepath.Dir(path), files)
}

// Parse is [Load] for data, the content of the file of that name; paths in it
// are relative to dir. It reads the environment, and the files that data names.
func Parse(file string, data []byte, dir string) (*Config, error) {
	return parse(file, data, dir, &watch.Files{})
}

func parse(file string, data []byte, dir string, files *watch.Files) (*Config, error) {
	rep := &yamldoc.Report{}
	root, ok := yamldoc.Parse(rep, file, data)
	if !ok {
		return nil, rep.Err()
	}
	l := &loader{
		rep: rep, dir: dir, files: files, recipes: map[string]*recipe.Recipe{}, byName: map[string]*draft{},
		cfg: &Config{File: file},
	}
	l.config(root)
	if err := rep.Err(); err != nil {
		files.Merge(&l.secrets)
		return nil, err
	}
	for _, w := range l.warnings.Sorted() {
		l.cfg.Warnings = append(l.cfg.Warnings, w.String())
	}
	return l.cfg, nil
}

// pipeTime is how long a pipe may take to end.
const pipeTime = 30 * time.Second

// readFile reads a file of at most [yamldoc.MaxSize] bytes and one more, which
// lets [yamldoc.Parse] complain. Its errors do not repeat the path. A pipe is read
// as well, but nobody is waited for to open or to end it: a reload would hang.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	f.SetReadDeadline(time.Now().Add(pipeTime)) // of what is no pipe there is none
	data, err := io.ReadAll(io.LimitReader(f, yamldoc.MaxSize+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	return data, nil
}

// withoutPath returns the cause of an error of the file system.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// loader is the state of one [LoadAnew] or [Parse].
type loader struct {
	rep      *yamldoc.Report
	warnings yamldoc.Problems
	dir      string
	files    *watch.Files              // what is read, but for the secrets of credentials
	secrets  watch.Files               // those of credentials
	recipes  map[string]*recipe.Recipe // recipe files read so far, by path; nil: broken, and reported
	drafts   []*draft                  // the credentials, in the order of the file
	byName   map[string]*draft
	// handedOut is the list of credentials whose tokens are handed out.
	handedOut yamldoc.Value
	cfg       *Config
}

//
//go:noinline
func (l *loader) warn(p yamldoc.Problem) { l.warnings = append(l.warnings, p) }

// path makes a path of the file's absolute or relative to the process.
func (l *loader) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(l.dir, p)
}

func (l *loader) config(root yamldoc.Value) {
	o := root.Object(Shape())
	l.addresses(o)
	l.certificates(o)
	l.cfg.Drain = drain(o.Get("drain"))
	l.store(o.Get("store"))
	l.cfg.Lane = lane(o)
	l.log(o.Get("log"))
	l.credentials(o.Get("credentials"))
	l.handoutCredentials(l.handedOut)
	l.routes(o.Get("routes"))
	if root.IsMap() && len(o.Get("routes").List(false)) == 0 && l.cfg.Handout == nil {
		l.warn(root.Problem("there are no routes: every request will be answered 404"))
	}
	l.adviseOnCredentials()
}

func (l *loader) log(v yamldoc.Value) {
	l.cfg.Log = Log{Level: slog.LevelInfo, Format: "auto", Requests: "errors"}
	o := v.Object(logShape())
	if level, ok := o.OneOf("level"); ok {
		l.cfg.Log.Level = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo,
			"warn": slog.LevelWarn, "error": slog.LevelError}[level]
	}
	if format, ok := o.OneOf("format"); ok {
		l.cfg.Log.Format = format
	}
	if requests, ok := o.OneOf("requests"); ok {
		l.cfg.Log.Requests = requests
	}
}

// scalar returns the text of a scalar, and notes nothing about other kinds.
func scalar(v yamldoc.Value) (string, bool) {
	if !v.IsScalar() {
		return "", false
	}
	return v.Text()
}

// checkName notes a problem at v unless name is legal for a credential or route.
func checkName(v yamldoc.Value, name string) bool {
	const maxName = 64 // it is a metric label and stands in every log line
	switch {
	case !shape.IsName(name):
		v.Errorf("a name is made of a-z, 0-9, _ and -, and begins with a letter")
		return false
	case len(name) > maxName:
		v.Errorf("a name has at most %d letters", maxName)
		return false
	}
	return true
}
