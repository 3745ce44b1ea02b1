package app

import (
	"log/slog"
	"slices"

	"attache/internal/config"
	"attache/internal/secret"
	"attache/refresher"
)

// secretFiles renews tokens when the content of a file that their login reads
// has changed.
type secretFiles struct {
	log   *slog.Logger
	files []*secretFile
}

// secretFile is one file of one credential.
type secretFile struct {
	ref        *secret.Ref
	credential string
	pools      []*refresher.Pool // of the tokens whose logins read it
	later      []*refresher.Pool // of those that are not renewed for it
	known      secret.String
	complaint  string // the last one that was logged; empty: it can be read
}

func newSecretFiles(cfg *config.Config, pools tokens, log *slog.Logger) *secretFiles {
	w := &secretFiles{log: log}
	for _, c := range cfg.Credentials {
		for _, ref := range c.Program.Files() {
			f := &secretFile{ref: ref, credential: c.Name, known: ref.Current()}
			for _, t := range c.Program.Tokens() {
				pool := pools[tokenName{c.Name, t.Name}]
				if reads, later := t.Reads(ref); later {
					f.later = append(f.later, pool)
				} else if reads {
					f.pools = append(f.pools, pool)
				}
			}
			w.files = append(w.files, f)
		}
	}
	return w
}

// look reads every file, and returns their paths. One that cannot be read keeps
// its old value: it may be in the midst of being replaced.
func (w *secretFiles) look() []string {
	var paths []string
	for _, f := range w.files {
		if path, ok := f.ref.Path(); ok {
			paths = append(paths, path)
		}
		now, err := f.ref.Read()
		if err != nil {
			if f.complaint != err.Error() {
				f.complaint = err.Error()
				text := "a secret file cannot be read; its old content stays in use"
				if f.known.IsEmpty() {
					text = "the file of a token cannot be read; it is looked for again"
				}
				w.log.Warn(text, "credential", f.credential, "error", err)
			}
			continue
		}
		f.complaint = ""
		if !now.Equal(f.known) {
			f.known = now
			w.renew(f, f.pools)
			for _, pool := range f.later {
				pool.Retry()
			}
		}
	}
	return paths
}

func (w *secretFiles) renew(f *secretFile, pools []*refresher.Pool) {
	if len(pools) == 0 {
		return
	}
	path, _ := f.ref.Path()
	w.log.Info("a secret file changed; its tokens are renewed", "credential", f.credential, "file", path)
	for _, pool := range pools {
		pool.Renew()
	}
}

// takeOver follows old, which was in service before. A file that changed since
// old looked at it is no news to w, which was made of the new content; so the
// tokens that both have are renewed here.
func (w *secretFiles) takeOver(old *secretFiles) {
	for _, f := range w.files {
		for _, o := range old.files {
			if o.credential != f.credential || o.ref.String() != f.ref.String() || o.known.Equal(f.known) {
				continue
			}
			both := slices.DeleteFunc(slices.Clone(f.pools), func(p *refresher.Pool) bool { return !slices.Contains(o.pools, p) })
			w.renew(f, both)
		}
	}
}
