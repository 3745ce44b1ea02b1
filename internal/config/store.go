package config

import (
	"net/url"
	"slices"

	"attache/internal/secret"
	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// Store says where tokens are kept.
type Store struct {
	Kind StoreKind
	// File is the path of the file; with [StoreFile] alone.
	File string
	// Redis holds URLs, redis:// or rediss://, which may hold a password; with
	// [StoreRedis] alone, and then at least one. They agree in everything but
	// host and port.
	Redis []secret.String
	// Master is the name of the master that the Sentinels at these URLs watch.
	// Empty: they are no Sentinels.
	Master string
	// Sentinel is for the Sentinels themselves; user, password and database of
	// the URLs are for the servers that they name.
	Sentinel Sentinel
	// Cluster: the URLs are nodes of a cluster.
	Cluster bool
	// TLS is for rediss.
	TLS TLS
	// Keys are what tokens are encrypted with: the first encrypts, all decrypt.
	// Not empty but with [StoreMemory].
	Keys []secret.String
	// Namespace keeps stores in the same place apart.
	Namespace string
	// OnOutage says what a login does while the store does not answer.
	OnOutage OnOutage
}

// StoreKind is a kind of store.
type StoreKind string

// The kinds of stores. Tokens are kept by the process alone, in a file of its
// own, or in Redis for several processes.
const (
	StoreMemory StoreKind = "memory"
	StoreFile   StoreKind = "file"
	StoreRedis  StoreKind = "redis"
)

// OnOutage says what a login does while the store does not answer.
type OnOutage string

// What a login does while the store does not answer: that of its recipe
// (a new token that ends the one before waits, others do not), wait for the
// store, or go on without it.
const (
	OutageAsRecipe OnOutage = ""
	OutageHold     OnOutage = "hold"
	OutageLogin    OnOutage = "login"
)

// Sentinel is how to log in to Sentinels; empty if they do not ask.
type Sentinel struct {
	Username string
	Password secret.String
}

// SamePlace reports whether both name the same place, and what is in it the
// same way: one can follow the other without losing tokens. Passwords, keys and
// TLS may differ.
func (s *Store) SamePlace(o *Store) bool {
	return s.Kind == o.Kind && s.File == o.File && s.Namespace == o.Namespace && s.Master == o.Master && s.Cluster == o.Cluster &&
		slices.EqualFunc(s.Redis, o.Redis, func(a, b secret.String) bool { return withoutUser(a) == withoutUser(b) })
}

// SameAccess reports whether both reach their place in the same way, and with
// the same keys.
func (s *Store) SameAccess(o *Store) bool {
	return slices.EqualFunc(s.Redis, o.Redis, secret.String.Equal) && slices.EqualFunc(s.Keys, o.Keys, secret.String.Equal) &&
		s.Sentinel.Username == o.Sentinel.Username && s.Sentinel.Password.Equal(o.Sentinel.Password) && s.TLS.equal(o.TLS)
}

// withoutUser returns a URL less user and password.
func withoutUser(text secret.String) string {
	u, err := url.Parse(text.Reveal())
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

const wantStore = "want memory, {file: PATH, key: {file: PATH}} or {redis: URL, key: {file: PATH}}"

// store reads where tokens are kept.
func (l *loader) store(v yamldoc.Value) {
	l.cfg.Store = Store{Kind: StoreMemory}
	if v.IsZero() {
		return
	}
	if !v.IsMap() {
		if text, _ := scalar(v); text != string(StoreMemory) {
			v.Errorf(wantStore)
		}
		return
	}
	ofRedis := []string{"master", "sentinel", "cluster", "tls"}
	o := v.Object(storeShape())
	s := Store{}
	switch {
	case o.Has("file") && o.Has("redis"):
		o.Get("redis").Errorf("file and redis exclude each other")
		return
	case o.Has("file"):
		s.Kind = StoreFile
		for _, key := range present(o, ofRedis...) {
			o.Get(key).Errorf("%s goes with redis", key)
		}
		if text, ok := o.Get("file").Text(); ok && isPath(text) {
			s.File = l.path(text)
		} else if ok {
			o.Get("file").Errorf("want the path of a file, which is made if it is not there")
		}
	case o.Has("redis"):
		s.Kind = StoreRedis
		l.redisStore(o, &s)
	default:
		v.Errorf(wantStore)
		return
	}
	if at := o.Require("key"); !at.IsZero() {
		s.Keys = l.storeKeys(at)
	}
	if at := o.Get("namespace"); !at.IsZero() {
		s.Namespace = namespace(at)
	}
	if word, ok := o.OneOf("on_outage"); ok {
		s.OnOutage = OnOutage(word)
	}
	l.cfg.Store = s
}

// redisStore reads what is said of Redis.
func (l *loader) redisStore(o yamldoc.Object, s *Store) {
	at := o.Get("redis")
	urls := l.redisURLs(at, s)
	if at := o.Get("master"); !at.IsZero() {
		if text, ok := at.Text(); ok && text == "" {
			at.Errorf("want the name that the Sentinels know the master by")
		} else {
			s.Master = text
		}
	}
	s.Cluster = len(urls) > 1 && !o.Has("master")
	if at := o.Get("cluster"); !at.IsZero() {
		cluster, ok := o.Bool("cluster")
		switch {
		case !ok:
		case cluster && o.Has("master"):
			at.Errorf("master and cluster exclude each other: the URLs are Sentinels' or nodes of a cluster")
		case !cluster && s.Cluster:
			at.Errorf("several URLs are nodes of a cluster, or with master those of Sentinels")
		}
		s.Cluster = cluster
	}
	if s.Cluster && len(urls) > 0 && len(urls[0].Path) > 1 && urls[0].Path != "/0" {
		at.Errorf("a cluster has the database 0 alone")
	}
	if v := o.Get("sentinel"); !v.IsZero() {
		if s.Sentinel = l.sentinel(v); !o.Has("master") {
			v.Errorf("sentinel goes with master")
		}
	}
	if v := o.Get("tls"); !v.IsZero() {
		if s.TLS = l.tls(v); len(urls) > 0 && urls[0].Scheme != "rediss" {
			v.Errorf("tls goes with rediss")
		}
	}
}

// redisURLs reads a URL or a list of them.
func (l *loader) redisURLs(v yamldoc.Value, s *Store) []*url.URL {
	list := []yamldoc.Value{v}
	if v.IsList() {
		if list = v.List(false); len(list) == 0 {
			v.Errorf("want at least one URL")
		}
	}
	var urls []*url.URL
	for _, at := range list {
		text := l.redis(at)
		u, err := url.Parse(text.Reveal())
		if text.IsEmpty() || err != nil {
			continue // and reported
		}
		if len(urls) > 0 && (u.Scheme != urls[0].Scheme || u.Path != urls[0].Path || u.User.String() != urls[0].User.String()) {
			at.Errorf("the URLs of one store agree in scheme, user, password and database")
		}
		urls, s.Redis = append(urls, u), append(s.Redis, text)
	}
	return urls
}

func (l *loader) sentinel(v yamldoc.Value) Sentinel {
	var s Sentinel
	o := v.Object(sentinelShape())
	if at := o.Get("username"); !at.IsZero() {
		s.Username, _ = at.Text()
	}
	if at := o.Require("password"); !at.IsZero() {
		s.Password, _ = l.value(at)
		if at.IsScalar() {
			l.warn(at.Problem("a secret stands in the file; write {env: NAME} or {file: PATH}"))
		}
	}
	return s
}

// storeKeys reads a key, or a list of them while keys change.
func (l *loader) storeKeys(v yamldoc.Value) []secret.String {
	const most = 4
	list := []yamldoc.Value{v}
	if v.IsList() {
		list = v.List(false)
		switch {
		case len(list) == 0:
			v.Errorf("want at least one key")
		case len(list) > most:
			v.Errorf("want at most %d keys: one to encrypt with, and those before it", most)
			return nil
		}
	}
	var keys []secret.String
	for _, at := range list {
		key := l.storageKey(at)
		if !key.IsEmpty() && slices.ContainsFunc(keys, key.Equal) {
			at.Errorf("this key is in the list already")
		}
		keys = append(keys, key)
	}
	return keys
}

func namespace(v yamldoc.Value) string {
	text, ok := v.Text()
	if ok && !isNamespace(text) {
		v.Errorf("want up to 64 of A-Z, a-z, 0-9, ., _, / and -, such as prod")
	}
	return text
}

// isNamespace reports whether text matches namespaceText.
func isNamespace(text string) bool {
	return text != "" && len(text) <= 64 && shape.Only(text[:1], shape.Alphanumeric) && shape.Only(text, shape.Alphanumeric+"._/-")
}
