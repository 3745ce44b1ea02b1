package store

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"attache/internal/secret"
	"attache/refresher"
	"attache/store/storetest"
)

const redisPassword = "a-password-canary"

// startMiniredis starts a server in this process, until the test ends.
func startMiniredis(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	server := miniredis.RunT(t)
	server.RequireUserAuth("attache", redisPassword)
	return server
}

func optionsOf(address string) RedisOptions {
	return RedisOptions{
		URLs:    []secret.String{secret.New("redis://attache:" + redisPassword + "@" + address + "/3")},
		Timeout: 20 * time.Second, // for tests that are not about it
	}
}

// openRedis opens a store until the test ends.
func openRedis(t testing.TB, o RedisOptions, keys *Keys, log *slog.Logger) *Redis {
	t.Helper()
	r, err := NewRedis(o, keys, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// redisSubject is a server as the contract's suite wants it.
func redisSubject(t *testing.T, o RedisOptions) *storetest.Subject {
	return &storetest.Subject{
		Sealed: true,
		Open: func(t *testing.T, s storetest.Settings) refresher.Store {
			o := o
			o.Namespace = s.Namespace
			if len(s.Keys) == 0 {
				s.Keys = []string{"any"}
			}
			return openRedis(t, o, testKeys(t, s.Keys...), slog.New(slog.DiscardHandler))
		},
	}
}

func TestMiniredisKeepsTheContract(t *testing.T) {
	storetest.Run(t, false, func(t *testing.T) *storetest.Subject {
		server := startMiniredis(t)
		s := redisSubject(t, optionsOf(server.Addr()))
		s.Advance = server.FastForward
		s.Interrupt = func(t *testing.T) {
			server.Close()
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		return s
	})
}

// A refusal counts for those who have the old key alone, and theirs for those who
// have the new one.
func TestRejectionsWhileKeysChange(t *testing.T) {
	server := startMiniredis(t)
	before := openRedis(t, optionsOf(server.Addr()), testKeys(t, "old"), slog.New(slog.DiscardHandler))
	after := openRedis(t, optionsOf(server.Addr()), testKeys(t, "new", "old"), slog.New(slog.DiscardHandler))
	for _, by := range [][2]*Redis{{before, after}, {after, before}} {
		key := refresher.StoreKey{byte(len(server.DB(3).Keys())), 1}
		wantSaved(t, before, key, 0, 1)
		if _, err := after.Load(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := by[0].Reject(t.Context(), key, 1); err != nil {
			t.Fatal(err)
		}
		if got, err := by[1].Load(t.Context(), key); err != nil || !got.Rejected {
			t.Errorf("rejected %v, error %v", got.Rejected, err)
		}
	}
}

// logged collects what is logged.
type logged struct {
	mu   sync.Mutex
	text []byte
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
