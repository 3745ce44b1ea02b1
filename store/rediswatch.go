package store

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"attache/refresher"
)

const (
	// watchFirst and watchMost bound the time until a subscription that broke is
	// tried again; it doubles in between, and varies by half.
	watchFirst = 200 * time.Millisecond
	watchMost  = 5 * time.Second
)

// Watch implements [refresher.Watcher].
func (r *Redis) Watch(ctx context.Context, changed func(refresher.StoreKey)) {
	wait, told, since := watchFirst, false, time.Time{}
	joined := func() {
		since = time.Now()
		if told {
			r.log.Info("announcements of tokens are heard again", "store", r.String())
		}
		told = false
		for _, key := range r.loaded() {
			changed(key)
		}
	}
	heard := func(message string) {
		if key, ok := r.announced(message); ok {
			changed(key)
		}
	}
	for {
		err := r.client.Listen(ctx, r.channels, joined, heard)
		if ctx.Err() != nil {
			return
		}
		if !since.IsZero() && time.Since(since) > watchMost {
			wait = watchFirst // it worked for a while
		}
		since = time.Time{}
		if !told {
			told = true
			r.log.Warn("announcements of tokens by other processes are not heard; their tokens are still found when one is needed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, watchMost)
	}
}

// announced returns the key that a message is about, unless it came from here or
// is about nothing that was loaded.
func (r *Redis) announced(message string) (refresher.StoreKey, bool) {
	name, writer, _ := strings.Cut(message, " ")
	if writer == r.writer {
		return refresher.StoreKey{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key, ok := r.names[name]
	return key, ok
}

// loaded returns all keys that this process has loaded.
func (r *Redis) loaded() []refresher.StoreKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.known))
}

// Forget implements [refresher.Forgetter]. The token stays.
func (r *Redis) Forget(key refresher.StoreKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.known[key]; k != nil {
		for _, name := range k.names {
			delete(r.names, text(name))
		}
		delete(r.known, key)
	}
}

// remember notes that a key is loaded, and returns its names.
func (r *Redis) remember(key refresher.StoreKey) []Name {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.known[key]
	if k == nil {
		k = &redisKey{names: r.keys.Names(r.namespace, key), told: map[Name]string{}}
		r.known[key] = k
		for _, name := range k.names {
			r.names[text(name)] = key
		}
	}
	return k.names
}

// namesOf returns the names of a key, which need not have been loaded.
func (r *Redis) namesOf(key refresher.StoreKey) []Name {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.known[key]; k != nil {
		return k.names
	}
	return r.keys.Names(r.namespace, key)
}

// unreadable returns the mark of what cannot be read; "": there is nothing.
func (r *Redis) unreadable(key refresher.StoreKey) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.known[key]; k != nil {
		return k.unreadable
	}
	return ""
}

func (r *Redis) setUnreadable(key refresher.StoreKey, mark string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.known[key]; k != nil {
		k.unreadable = mark
	}
}

// firstTold notes that something is said about a mark, and reports whether that
// is news.
func (r *Redis) firstTold(key refresher.StoreKey, name Name, mark string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.known[key]
	if k == nil || k.told[name] == mark {
		return false
	}
	k.told[name] = mark
	return true
}
