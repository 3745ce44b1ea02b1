package refresher_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// BenchmarkRotationWindow measures the window in which a process that is killed
// loses a session whose refresh tokens are good for one use, on this side of
// the network: from the answer's end to the end of the save. "memory" is the
// engine's own share; "file" writes 4 KB beside the old file, flushes it, renames
// it and flushes the folder. docs/recipes.md quotes it.
func BenchmarkRotationWindow(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchWindow(b, func() {}) })
	b.Run("file", func(b *testing.B) {
		dir := b.TempDir()
		benchWindow(b, func() { writeDurably(b, dir, make([]byte, 4<<10)) })
	})
}

func benchWindow(b *testing.B, save func()) {
	w := &windowed{MemoryStore: refresher.NewMemoryStore(), save: save, saved: make(chan time.Duration)}
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
	var sum, most time.Duration
	n := 0
	for ; b.Loop(); n++ {
		took := <-w.saved
		sum, most = sum+took, max(most, took)
		pool.Renew()
	}
	b.ReportMetric(float64(sum.Microseconds())/float64(n), "µs/window")
	b.ReportMetric(float64(most.Microseconds()), "µs/longest")
}

// windowed is a source and a store that measure the time between them.
type windowed struct {
	*refresher.MemoryStore
	save     func()
	saved    chan time.Duration
	answered time.Time
	over     atomic.Bool
}

func (w *windowed) Fetch(context.Context, refresher.Input) (refresher.Token, error) {
	w.answered = time.Now()
	return refresher.Token{Value: secret.New("v"), ExpiresAt: w.answered.Add(time.Hour), Lasting: true}, nil
}

func (w *windowed) Save(ctx context.Context, key refresher.StoreKey, guard refresher.Guard, t refresher.Token) error {
	err := w.MemoryStore.Save(ctx, key, guard, t)
	w.save()
	if took := time.Since(w.answered); !w.over.Load() {
		select {
		case w.saved <- took:
		case <-time.After(time.Second):
		}
	}
	return err
}

func writeDurably(b *testing.B, dir string, data []byte) {
	name := filepath.Join(dir, "tokens")
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	_, werr := f.Write(data)
	serr, cerr := f.Sync(), f.Close()
	rerr := os.Rename(name+".new", name)
	d, err := os.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	derr := d.Sync()
	d.Close()
	for _, err := range []error{werr, serr, cerr, rerr, derr} {
		if err != nil {
			b.Error(err)
		}
	}
}
