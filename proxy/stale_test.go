package proxy

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// mute is a store that other processes write to and that tells nobody.
type mute struct {
	refresher.Store
	key chan refresher.StoreKey // of the first save
}

func (m mute) Save(ctx context.Context, key refresher.StoreKey, g refresher.Guard, t refresher.Token) error {
	select {
	case m.key <- key:
	default:
	}
	return m.Store.Save(ctx, key, g, t)
}

// TestStaleSuccessor: the token that another process got is refused as well. If
// it is older than the first refusal, that proves nothing about the next one.
func TestStaleSuccessor(t *testing.T) {
	for _, test := range []struct {
		name   string
		good   string
		status int
		tries  int64
		want   string
	}{
		{"the next one is good", "token2", 200, 3, ReplayOK},
		{"the next one is refused too", "none", 401, 3, ReplayRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := mute{refresher.NewMemoryStore(), make(chan refresher.StoreKey, 1)}
				src := &source{t: t}
				slot := addToken(t, startEngineWith(t, store), "access", src)
				up, m := &upstream{}, &counters{}
				up.good.Store(test.good)
				p := newProxyWithMetrics(t, bearerPlan(), up, []Slot{slot}, m)
				key := <-store.key
				time.Sleep(time.Minute)
				stale := refresher.Token{Value: secret.New("stale"), Generation: 2, IssuedAt: time.Now().Round(0), ExpiresAt: time.Now().Add(time.Hour)}
				if err := store.Store.Save(t.Context(), key, refresher.Guard{Generation: 1}, stale); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if w := get(p, "/"); w.Code != test.status || up.seen.Load() != test.tries || m.replays[test.want] != 1 {
					t.Errorf("status %d after %d tries, replays %v", w.Code, up.seen.Load(), m.replays)
				}
				if n := src.logins(); n != 2 {
					t.Errorf("%d logins", n)
				}
			})
		})
	}
}

// TestEndedSuccessor: the successor of a refused token is refused as well, and
// somebody else's refusal has taken it out of service meanwhile. The next one is
// on its way, and the request gets it.
func TestEndedSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{t: t}
		slot := addToken(t, startEngine(t), "access", src)
		in, err := slot.Pool.Instance(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Release()
		tries := 0
		rt := fakeTransport(func(r *http.Request) (*http.Response, error) {
			tries++
			switch r.Header.Get("Authorization") {
			case "Bearer token2":
				cur, _ := in.Peek()
				if got := in.Reject(cur, refresher.Cause{By: "elsewhere"}); got != refresher.Renewing {
					t.Errorf("the refusal elsewhere: %v", got)
				}
				return respond(401, ""), nil
			case "Bearer token3":
				return respond(200, ""), nil
			}
			return respond(401, ""), nil
		})
		m := &counters{}
		p := newProxyWithMetrics(t, bearerPlan(), rt, []Slot{slot}, m)
		if w := get(p, "/"); w.Code != 200 || tries != 3 || m.replays[ReplayOK] != 1 {
			t.Errorf("status %d after %d tries, replays %v", w.Code, tries, m.replays)
		}
		if n := src.logins(); n != 3 {
			t.Errorf("%d logins", n)
		}
	})
}
