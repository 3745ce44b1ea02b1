package certs

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/caddyserver/certmagic"

	"attache/internal/secret"
)

// Storage says where certificates and keys are kept. Replicas with the same
// storage share certificates and attache's own CA. Exactly one of Folder and
// Redis is set; the zero value means that there is none.
type Storage struct {
	// Folder is made if it is not there, for its owner alone; so is every folder
	// in it, and every file with a key can be read by its owner alone.
	Folder string
	// Redis is a URL, redis:// or rediss://. It may hold a password.
	Redis secret.String
	// Key is what all values in Redis are encrypted with.
	Key secret.String
}

func (s Storage) isZero() bool { return s.Folder == "" && s.Redis.IsEmpty() }

func (s Storage) equal(o Storage) bool {
	return s.Folder == o.Folder && s.Redis.Equal(o.Redis) && s.Key.Equal(o.Key)
}

// storage is an opened Storage.
type storage struct {
	certmagic.Storage
	name  string
	close func()
}

// String says where it is, without any secret.
func (s *storage) String() string { return s.name }

// open opens a storage. That it can be reached shows with its first use. A lock in
// a folder whose owner has died is taken over after 10 seconds; certmagic then says
// so on standard error, past every logger that it is given.
func open(s Storage, log *slog.Logger) (*storage, error) {
	if s.Redis.IsEmpty() {
		return &storage{&certmagic.FileStorage{Path: s.Folder}, s.Folder, func() {}}, nil
	}
	r, err := newRedis(s.Redis, s.Key, log)
	if err != nil {
		return nil, err
	}
	return &storage{r, "Redis at " + r.host, r.close}, nil
}

// view is a storage as one source sees it. When it is closed nothing is begun any
// more, and what was begun is waited for: certmagic does its work in goroutines
// that nobody can wait for, and a process that ends in the midst of it leaves
// locks behind, on which the next one waits.
type view struct {
	*storage
	mu     sync.Mutex
	closed bool
	begun  int           // calls of Store and locks that are held
	idle   chan struct{} // closed when closed and nothing is begun
}

func newView(s *storage) *view { return &view{storage: s, idle: make(chan struct{})} }

// errClosed says that a source is no longer in service.
var errClosed = errors.New("this certificate is no longer needed")

func (v *view) begin() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return errClosed
	}
	v.begun++
	return nil
}

func (v *view) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.begun--; v.closed && v.begun == 0 {
		close(v.idle)
	}
}

// close ends the view. idle tells when nothing is in progress any more. It must
// be called once.
func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed = true; v.begun == 0 {
		close(v.idle)
	}
}

// Store implements [certmagic.Storage].
func (v *view) Store(ctx context.Context, key string, value []byte) error {
	if err := v.begin(); err != nil {
		return err
	}
	defer v.end()
	return v.storage.Store(ctx, key, value)
}

// Lock implements [certmagic.Locker].
func (v *view) Lock(ctx context.Context, name string) error {
	if err := v.begin(); err != nil {
		return err
	}
	err := v.storage.Lock(ctx, name)
	if err != nil {
		v.end()
	}
	return err
}

// Unlock implements [certmagic.Locker]. It works on a closed view, too.
func (v *view) Unlock(ctx context.Context, name string) error {
	defer v.end()
	return v.storage.Unlock(ctx, name)
}

// Open opens a storage for the one who is to judge whether it keeps certmagic's
// rules. The function that it returns closes it.
func Open(s Storage, log *slog.Logger) (certmagic.Storage, func(), error) {
	st, err := open(s, log)
	if err != nil {
		return nil, nil, err
	}
	return st, st.close, nil
}
