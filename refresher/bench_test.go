package refresher_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	rt "attache/refresher/refreshertest"
)

// quick answers at once and remembers nothing.
type quick struct{}

func (quick) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	return refresher.Token{Value: secret.New("v"), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func quickPool(tb testing.TB, keyed bool) *refresher.Pool {
	d := refresher.Definition{Source: quick{}}
	if keyed {
		d.Params = []refresher.Param{userID, userName}
		d.Limits = refresher.Limits{Max: 1 << 30, LoginsPerMinute: 1 << 30}
	}
	return rt.Define(tb, rt.Start(tb, refresher.Config{}), d)
}

// A request with a fresh token must not make garbage.
func TestFreshTokenAllocatesNothing(t *testing.T) {
	key := new(int)
	for _, test := range []struct {
		name   string
		params refresher.Params
		most   float64
	}{
		{"unkeyed", nil, 0},
		{"keyed", refresher.Params{"ann", "Ann"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			pool := quickPool(t, test.params != nil)
			in, err := pool.Instance(test.params)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Release()
			rt.Token(t, in).SetMemo(key, "Bearer v")
			ctx := t.Context()
			got := testing.AllocsPerRun(1000, func() {
				in, err := pool.Instance(test.params)
				if err != nil {
					t.Fatal(err)
				}
				defer in.Release()
				if _, ok := in.Peek(); !ok {
					t.Fatal("no token")
				}
				tok, err := in.Token(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := tok.Memo(key); !ok {
					t.Fatal("no memo")
				}
			})
			if got > test.most {
				t.Errorf("%v allocations, want at most %v", got, test.most)
			}
		})
	}
}

func BenchmarkToken(b *testing.B) {
	for _, users := range []int{0, 1, 1000} {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			pool := quickPool(b, users > 0)
			params := []refresher.Params{nil}
			for i := range users {
				if i == 0 {
					params = nil
				}
				params = append(params, refresher.Params{fmt.Sprint("user-", i), "name"})
			}
			for _, p := range params {
				rt.Token(b, rt.Instance(b, pool, p...))
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				ctx := context.Background()
				for i := 0; pb.Next(); i++ {
					in, err := pool.Instance(params[i%len(params)])
					if err != nil {
						b.Fatal(err)
					}
					if _, err := in.Token(ctx); err != nil {
						b.Fatal(err)
					}
					in.Release()
				}
			})
		})
	}
}

// BenchmarkInstances makes many instances and logs all of them in, then has
// all of them log in again at the same time.
func BenchmarkInstances(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var logins atomic.Int64
		observe := func(e refresher.Event) {
			if e.Kind == refresher.LoggedIn {
				logins.Add(1)
			}
		}
		e, stop := rt.StartStoppable(b, refresher.Config{Observe: observe})
		pool := rt.Define(b, e, refresher.Definition{
			Source: quick{}, Params: []refresher.Param{userID},
			Limits: refresher.Limits{Max: n, LoginsPerMinute: 1 << 30, Idle: time.Hour},
		})
		per := func(begin time.Time) float64 { return float64(time.Since(begin).Nanoseconds()) / n }
		all := make([]*refresher.Instance, n)
		before, begin := heapInUse(), time.Now()
		for i := range all {
			in, err := pool.Instance(refresher.Params{fmt.Sprint("user-", i)})
			if err != nil {
				b.Fatal(err)
			}
			all[i] = in
		}
		b.ReportMetric(per(begin), "ns/instance")
		waitFor(b, &logins, n)
		b.ReportMetric(float64(heapInUse()-before)/n, "B/instance")
		b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")

		for _, in := range all {
			in.Peek() // unused ones would sleep
			in.Release()
		}
		time.Sleep(time.Second) // MinInterval
		begin = time.Now()
		pool.Renew()
		waitFor(b, &logins, 2*n)
		b.ReportMetric(per(begin), "ns/login")
		begin = time.Now()
		pool.Status()
		b.ReportMetric(per(begin), "ns/status")
		stop()
	}
}

func waitFor(b *testing.B, counter *atomic.Int64, n int64) {
	for deadline := time.Now().Add(time.Minute); counter.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d logins after a minute, want %d", counter.Load(), n)
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
