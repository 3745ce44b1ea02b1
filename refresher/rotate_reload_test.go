package refresher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// A reload that removes a token does not throw away the answer to a refresh
// under way: who defines it again, in this process or another, goes on with it.
func TestRemovedWhileRotating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, store := &session{most: 5 * time.Second}, refresher.NewMemoryStore()
		p := startUnpinned(t, vendor, store)
		time.Sleep(time.Second)
		rt.Reload(t, p.engine)
		time.Sleep(10 * time.Second)
		wantSession(t, startProcess(t, vendor, store, "", 0), true)
	})
}

// What such a refresh brought is saved as soon as the store is back, and at the
// latest when attache stops.
func TestRemovedWhileUnsaved(t *testing.T) {
	for _, stop := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			vendor, store := &session{most: 5 * time.Second}, refresher.NewMemoryStore()
			p := startUnpinned(t, vendor, store)
			p.fail(only(errDown, "save"))
			time.Sleep(time.Second)
			rt.Reload(t, p.engine)
			time.Sleep(2 * time.Hour) // unused instances go after 30 minutes
			p.fail(nil)
			if stop {
				p.stop()
			} else {
				time.Sleep(time.Minute)
			}
			wantSession(t, startProcess(t, vendor, store, "", 0), true)
		})
	}
}

// startUnpinned starts a process in which nothing but the definition holds on to
// the token.
func startUnpinned(t *testing.T, vendor *session, store *refresher.MemoryStore) *process {
	p := &process{t: t, vendor: vendor, store: store}
	p.engine, p.stop = rt.StartStoppable(t, refresher.Config{Store: p})
	rt.Define(t, p.engine, refresher.Definition{Source: p, Policy: refresher.Policy{Rotates: true}})
	return p
}
