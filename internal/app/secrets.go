package app

import (
	"context"
	"log/slog"
	"time"

	"attache/internal/config"
	"attache/internal/secret"
	"attache/refresher"
)

// secretsEvery is how often the content of secret files is compared. Logins
// read them anyway; this is for tokens that are not due yet, or whose login
// failed for good.
const secretsEvery = 5 * time.Second

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
	known      secret.String
	complaint  string // the last one that was logged; empty: it can be read
}

func newSecretFiles(cfg *config.Config, pools tokens, log *slog.Logger) *secretFiles {
	w := &secretFiles{log: log}
	for _, c := range cfg.Credentials {
		for _, ref := range c.Program.Files() {
			f := &secretFile{ref: ref, credential: c.Name, known: ref.Current()}
			for _, t := range c.Program.Tokens() {
				if t.Reads(ref) {
					f.pools = append(f.pools, pools[tokenName{c.Name, t.Name}])
				}
			}
			w.files = append(w.files, f)
		}
	}
	return w
}

// run looks now and then until ctx ends.
func (w *secretFiles) run(ctx context.Context) {
	if len(w.files) == 0 {
		return
	}
	tick := time.NewTicker(secretsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look()
		}
	}
}

// look reads every file. One that cannot be read keeps its old value: it may be
// in the midst of being replaced.
func (w *secretFiles) look() {
	for _, f := range w.files {
		now, err := f.ref.Read()
		if err != nil {
			if f.complaint != err.Error() {
				f.complaint = err.Error()
				w.log.Warn("a secret file cannot be read; its old content stays in use",
					"credential", f.credential, "error", err)
			}
			continue
		}
		f.complaint = ""
		if now.Equal(f.known) {
			continue
		}
		f.known = now
		w.log.Info("a secret file changed; its tokens are renewed", "credential", f.credential, "file", f.ref.String())
		for _, pool := range f.pools {
			pool.Renew()
		}
	}
}
