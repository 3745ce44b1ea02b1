package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
	"attache/store"
)

// strictVendor ends the session for good when a refresh token is used twice.
type strictVendor struct {
	mu   sync.Mutex
	last int
	lost bool
}

// Fetch implements [refresher.Source].
func (v *strictVendor) Fetch(_ context.Context, in refresher.Input) (refresher.Token, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if used := in.Previous.Outputs["refresh_token"].Reveal(); v.last > 0 && used != fmt.Sprint("r", v.last) {
		v.lost = true
	}
	if v.lost {
		return refresher.Token{}, &refresher.FetchError{Class: refresher.Permanent, Err: errors.New("invalid_grant")}
	}
	v.last++
	return refresher.Token{
		Value: secret.New(fmt.Sprint("a", v.last)), ExpiresAt: time.Now().Add(time.Hour), Lasting: true,
		Outputs: map[string]secret.String{"refresh_token": secret.New(fmt.Sprint("r", v.last))},
	}, nil
}

// snapshots is a store that copies its file when a save has returned: that is
// what a process that is killed right then leaves.
type snapshots struct {
	*store.File
	t    *testing.T
	from string
	to   string
}

// Save implements [refresher.Store].
func (s *snapshots) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	err := s.File.Save(ctx, key, guard, t)
	if err == nil {
		if werr := os.WriteFile(s.to, readFile(s.t, s.from), 0o600); werr != nil {
			s.t.Error(werr)
		}
	}
	return err
}

// A session whose refresh tokens are good for one use goes on over kills right
// after each save, and over stays away that are longer than the token lives.
func TestRotatingSessionInAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, dir := &strictVendor{}, t.TempDir()
		path := func(n int) string { return filepath.Join(dir, fmt.Sprint("tokens", n)) }
		refreshes := 0
		for n := range 8 {
			s := &snapshots{File: openFile(t, path(n), nil), t: t, from: path(n), to: path(n + 1)}
			e, stop := rt.StartStoppable(t, refresher.Config{Store: s})
			in := rt.Single(t, e, refresher.Definition{Source: vendor, Policy: refresher.Policy{Rotates: true}})
			rt.WantToken(t, in, fmt.Sprint("a", refreshes+1))
			refreshes++
			stop()
			time.Sleep(100 * time.Hour)
			// Nothing was done after the copy: the vendor knows no more than it.
			if vendor.last != refreshes || vendor.lost {
				t.Fatalf("process %d: the vendor gave %d tokens, want %d; lost: %v", n, vendor.last, refreshes, vendor.lost)
			}
		}
	})
}
