package certs

import (
	"log/slog"

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

// open opens a storage. That it can be reached shows with its first use.
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

// Open opens a storage for the one who is to judge whether it keeps certmagic's
// rules. The function that it returns closes it.
func Open(s Storage, log *slog.Logger) (certmagic.Storage, func(), error) {
	st, err := open(s, log)
	if err != nil {
		return nil, nil, err
	}
	return st, st.close, nil
}
