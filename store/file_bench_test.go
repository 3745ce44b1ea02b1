package store_test

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
	"attache/store"
)

// BenchmarkFileSave measures one save at a time, with its flush.
func BenchmarkFileSave(b *testing.B) {
	s := openFile(b, filepath.Join(b.TempDir(), "tokens"), nil)
	for g := uint64(1); b.Loop(); g++ {
		mustSave(b, s, 1, g)
	}
}

// BenchmarkFileSaveTogether measures saves of 64 tokens at once, which share
// flushes.
func BenchmarkFileSaveTogether(b *testing.B) {
	s := openFile(b, filepath.Join(b.TempDir(), "tokens"), nil)
	var next atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		n := int(next.Add(1))
		for g := uint64(1); pb.Next(); g++ {
			mustSave(b, s, n, g)
		}
	})
}

// BenchmarkFileOpen measures the start with so many tokens.
func BenchmarkFileOpen(b *testing.B) {
	for _, tokens := range []int{1, 1000, 10000} {
		b.Run(strconv.Itoa(tokens), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "tokens")
			s := openFile(b, path, nil)
			ops := make(chan struct{}, 256)
			for n := range tokens {
				ops <- struct{}{}
				go func() {
					mustSave(b, s, n, 1)
					<-ops
				}()
			}
			for range cap(ops) {
				ops <- struct{}{}
			}
			closeFile(b, s)
			for b.Loop() {
				s := openFile(b, path, nil)
				wantLoad(b, s, 0, 1)
				closeFile(b, s)
			}
		})
	}
}

// BenchmarkRotationWindow measures the window in which a process that is killed
// loses a session whose refresh tokens are good for one use, on this side of the
// network: from the answer's end to the end of the save, with the engine and a
// file. docs/stores.md quotes it.
func BenchmarkRotationWindow(b *testing.B) {
	w := &windowed{File: openFile(b, filepath.Join(b.TempDir(), "tokens"), nil), saved: make(chan time.Duration)}
	e := refresher.New(refresher.Config{Store: w})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx)
	}()
	defer func() {
		w.over.Store(true)
		cancel()
		<-done
	}()
	pool, err := e.Add(refresher.Definition{
		Credential: "c", Token: "t", Key: []refresher.KeyPart{{Name: "k"}}, Source: w,
		Policy: refresher.Policy{Rotates: true, MinInterval: time.Nanosecond},
	})
	if err != nil {
		b.Fatal(err)
	}
	var all []time.Duration
	for b.Loop() {
		all = append(all, <-w.saved)
		pool.Renew()
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "µs/half")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "µs/99%")
	b.ReportMetric(float64(all[len(all)-1].Microseconds()), "µs/longest")
}

// windowed is a source and a store that measure the time between them.
type windowed struct {
	*store.File
	saved    chan time.Duration
	answered time.Time
	over     atomic.Bool
}

func (w *windowed) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	w.answered = time.Now()
	return refresher.Token{
		Value: secret.New("v"), ExpiresAt: w.answered.Add(time.Hour), Lasting: true,
		Outputs: map[string]secret.String{"refresh_token": secret.New("r")},
	}, nil
}

func (w *windowed) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	err := w.File.Save(ctx, key, guard, t)
	if took := time.Since(w.answered); !w.over.Load() {
		select {
		case w.saved <- took:
		case <-time.After(time.Second):
		}
	}
	return err
}
