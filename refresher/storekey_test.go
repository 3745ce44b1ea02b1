package refresher_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// What another secret got is another account's, though the file is the same.
func TestStoreKeyIsByValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "secret")
		write := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		store := refresher.NewMemoryStore()
		process := func(part refresher.KeyPart, src *rt.Source) *refresher.Pool {
			if part.File != nil {
				if _, err := part.File.Read(); err != nil {
					t.Fatal(err)
				}
			}
			e := rt.Start(t, refresher.Config{Store: store})
			return rt.Define(t, e, refresher.Definition{Source: src, Key: []refresher.KeyPart{part}})
		}
		write("old")
		file := secret.File(path)
		src := rt.Func(t, func(call int, _ refresher.Input) rt.Answer {
			return rt.OK(fmt.Sprintf("%s#%d", file.Current().Reveal(), call), time.Hour)
		})
		pool := process(refresher.KeyPart{Name: "s", File: file}, src)
		in := rt.Instance(t, pool)
		rt.WantToken(t, in, "old#1")
		// The same secret is the same account, wherever it stands.
		rt.WantToken(t, rt.Instance(t, process(refresher.KeyPart{Name: "s", Value: secret.New("old")}, rt.Script(t))), "old#1")

		write("new")
		if _, err := file.Read(); err != nil {
			t.Fatal(err)
		}
		other := process(refresher.KeyPart{Name: "s", File: secret.File(path)}, rt.Script(t, rt.OK("other", time.Hour)))
		rt.WantToken(t, rt.Instance(t, other), "other")
		rt.WantToken(t, in, "old#1")
		time.Sleep(time.Minute)
		pool.Renew()
		synctest.Wait()
		if tok := rt.Token(t, in); tok.Value.Reveal() == "old#1" || tok.Generation < 2 {
			t.Errorf("after the change: %s, generation %d", tok.Value.Reveal(), tok.Generation)
		}
	})
}

// A secret that changes while a login runs says nothing of whose token it got.
func TestSecretChangesDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "secret")
		file := secret.File(path)
		set := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := file.Read(); err != nil {
				t.Fatal(err)
			}
		}
		set("old")
		store := newFaultyStore(t)
		src := rt.Script(t, rt.OK("whose", time.Hour).After(2*time.Second), rt.OK("new", time.Hour))
		e := rt.Start(t, refresher.Config{Store: store})
		pool := rt.Define(t, e, refresher.Definition{Source: src, Key: []refresher.KeyPart{{Name: "s", File: file}}})
		in := rt.Instance(t, pool)
		time.Sleep(time.Second)
		set("new")
		rt.WantToken(t, in, "whose")
		in.Offer(rt.Token(t, in), offered("whose", 2*time.Hour))
		synctest.Wait()
		if _, saves := store.counts(); len(saves) != 0 {
			t.Errorf("%d saves", len(saves))
		}
		time.Sleep(2 * time.Second)
		pool.Renew()
		synctest.Wait()
		rt.WantToken(t, in, "new")
		store.want(t, "new", 2)
	})
}
