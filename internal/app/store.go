package app

import (
	"errors"
	"log/slog"

	"attache/internal/config"
	"attache/refresher"
	"attache/store"
)

// keptTokens is the store that the engine has for as long as the process lives.
type keptTokens struct {
	settings config.Store
	store    refresher.Store // nil: the engine's own, in memory
	close    func()          // called once the engine has ended
}

// openStore opens the store that is configured at the start. Nothing that is not
// there yet stops a start: a store that does not answer fails in each operation,
// and heals by itself.
func openStore(settings config.Store, log *slog.Logger) (keptTokens, error) {
	kept := keptTokens{settings: settings, close: func() {}}
	if settings.Kind == config.StoreMemory {
		return kept, nil
	}
	keys, err := store.NewKeys(settings.Keys...)
	if err != nil {
		return kept, err
	}
	kept.store, kept.close, err = newStore(settings, keys, log)
	return kept, err
}

// newStore makes the adapter of a store that outlives the process, and what ends
// it.
func newStore(settings config.Store, keys *store.Keys, log *slog.Logger) (refresher.Store, func(), error) {
	if settings.Kind == config.StoreRedis {
		return newRedis(settings, keys, log)
	}
	file := store.OpenFile(settings.File, keys, settings.Namespace, log)
	return file, func() {
		if err := file.Close(); err != nil {
			log.Warn(err.Error())
		}
	}, nil
}

func newRedis(settings config.Store, keys *store.Keys, log *slog.Logger) (refresher.Store, func(), error) {
	o := store.RedisOptions{
		URLs: settings.Redis, Master: settings.Master, Cluster: settings.Cluster, Namespace: settings.Namespace,
		SentinelUsername: settings.Sentinel.Username, SentinelPassword: settings.Sentinel.Password,
	}
	if !settings.TLS.IsZero() {
		o.TLS = settings.TLS.ClientConfig()
	}
	r, err := store.NewRedis(o, keys, log)
	if err != nil {
		return nil, nil, err
	}
	return r, r.Close, nil
}

// errStoreMoved says that a reload cannot follow a change of the store.
var errStoreMoved = errors.New("store changed, and tokens do not move while attache runs: restart it; until then it keeps its store and the configuration before")

// follow says what a reload can do about another store: nothing, if tokens would
// be kept in another place, which is an error; and a restart takes up the rest.
func (k *keptTokens) follow(next *config.Store, log *slog.Logger) error {
	switch {
	case !k.settings.SamePlace(next):
		return errStoreMoved
	case !k.settings.SameAccess(next):
		log.Warn("keys, passwords or certificates of the store changed; they take effect at the next start")
	}
	return nil
}

// holds reports whether a token's logins wait while the store does not answer.
func holds(settings config.Store, p refresher.Policy) bool {
	switch settings.OnOutage {
	case config.OutageHold:
		return true
	case config.OutageLogin:
		return false
	}
	return p.PreviousDies
}

// AdviseOnStore says what is in the way of the store that is configured, as far as
// this machine can tell; "": nothing, or nobody can tell without asking the store.
func AdviseOnStore(settings config.Store) string {
	if settings.Kind != config.StoreFile {
		return ""
	}
	return store.Advice(settings.File)
}
