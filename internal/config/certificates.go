package config

import (
	"net/url"
	"slices"
	"strconv"

	"attache/internal/secret"
	"attache/internal/yamldoc"
)

// Certificates says where the certificates of attache's own CA and those that
// come by ACME are kept, with their keys. Exactly one of Folder and Redis is
// set.
type Certificates struct {
	// Folder is made when something is kept there for the first time.
	Folder string
	// Redis is a URL, redis:// or rediss://, and may hold a password.
	Redis secret.String
	// Key is what everything in Redis is encrypted with; at least 32 bytes.
	// Empty with Folder.
	Key secret.String
}

// minStorageKey is the least length in bytes of the key for what is in Redis: a
// shorter one is no random key.
const minStorageKey = 32

// certificates reads where certificates are kept, and checks that it is said if
// a listener needs it. Listeners are known by now.
func (l *loader) certificates(root yamldoc.Object) {
	needed := slices.ContainsFunc(l.cfg.Listen, keepsCertificates) || l.cfg.Handout != nil && keepsCertificates(l.cfg.Handout.Listener)
	v := root.Get("certificates")
	if v.IsZero() {
		if needed {
			root.Self().Errorf("certificates is missing: say with {folder: PATH} where the certificates and keys of internal and acme are kept")
		}
		return
	}
	o := v.Object(certificatesShape())
	if !v.IsMap() {
		return
	}
	c := &Certificates{}
	switch kinds := present(o, "folder", "redis"); {
	case len(kinds) == 2:
		o.Get("redis").Errorf("folder and redis exclude each other")
	case o.Has("folder"):
		o.Get("key").Errorf("key goes with redis; what is in a folder is protected by the permissions of its files")
		if text, ok := o.Get("folder").Text(); ok && isPath(text) {
			c.Folder = l.path(text)
		} else if ok {
			o.Get("folder").Errorf("want the path of a folder")
		}
	case o.Has("redis"):
		c.Redis = l.redis(o.Get("redis"))
		c.Key = l.storageKey(o.Require("key"))
	default:
		v.Errorf("want {folder: PATH}, or {redis: URL, key: {file: PATH}}")
	}
	if !needed {
		l.warn(v.Problem("this has no effect: no listener has tls with internal or acme"))
	}
	l.cfg.Certificates = c
}

// keepsCertificates reports whether a listener has certificates that no file
// holds.
func keepsCertificates(ln Listener) bool {
	return ln.TLS != nil && (ln.TLS.Internal != nil || ln.TLS.ACME != nil)
}

// redis reads the URL of a Redis server. No message repeats it: it may hold a
// password.
func (l *loader) redis(v yamldoc.Value) secret.String {
	value, ok := l.value(v)
	if !ok {
		return secret.String{}
	}
	u, err := url.Parse(value.Reveal())
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || !validHost(u) || u.RawQuery != "" || u.Fragment != "" || !isDatabase(u.Path) {
		v.Errorf("want redis://HOST:PORT or rediss://HOST:PORT, with USER:PASSWORD@ before the host and /DATABASE behind the port if need be")
		return secret.String{}
	}
	if _, hasPassword := u.User.Password(); hasPassword && v.IsScalar() {
		l.warn(v.Problem("a secret stands in the file; write {env: NAME} or {file: PATH}"))
	}
	return value
}

// isDatabase reports whether a URL's path is empty or the number of a database.
func isDatabase(path string) bool {
	if path == "" || path == "/" {
		return true
	}
	_, err := strconv.ParseUint(path[1:], 10, 16)
	return err == nil
}

// storageKey reads what the content of Redis is encrypted with.
func (l *loader) storageKey(v yamldoc.Value) secret.String {
	key, ok := l.value(v)
	switch {
	case !ok:
	case len(key.Reveal()) < minStorageKey:
		v.Errorf("the key can be guessed: want at least %d random characters, for example from `openssl rand -hex 32`", minStorageKey)
	case v.IsScalar():
		l.warn(v.Problem("a secret stands in the file; write {env: NAME} or {file: PATH}"))
	}
	return key
}
