package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"attache/internal/config"
)

// Once a listener is broken there is nothing to wait for: no delay keeps Run from
// saying why.
func TestBrokenListenerEndsRunAtOnce(t *testing.T) {
	cfg, err := config.Parse("attache.yaml", []byte("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndrain: {delay: 5m}\nroutes: []\n"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(context.Background()) }()
	broken := errors.New("broken")
	a.broken <- broken
	select {
	case err := <-done:
		if !errors.Is(err, broken) {
			t.Errorf("run: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for the delay")
	}
}
