package redisclient

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"attache/internal/secret"
)

// wantJoined fails the test unless the subscription comes about.
func wantJoined(t *testing.T, joined chan struct{}, ended chan error) {
	t.Helper()
	select {
	case <-joined:
	case err := <-ended:
		t.Fatalf("ended with %v", err)
	}
}

// listening listens in the background, and returns what comes of it.
func listening(t *testing.T, c *Client, channels ...string) (joined chan struct{}, heard chan string, ended chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	joined, heard, ended = make(chan struct{}, 10), make(chan string, 10), make(chan error, 1)
	go func() {
		ended <- c.Listen(ctx, channels, func() { joined <- struct{}{} }, func(m string) { heard <- m })
	}()
	t.Cleanup(cancel)
	return joined, heard, ended, cancel
}

func TestListen(t *testing.T) {
	server := miniredis.RunT(t)
	c, err := New(Options{URLs: []secret.String{secret.New("redis://" + server.Addr())}, Timeout: patience, Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.silence = time.Hour // nothing here waits for it
	joined, heard, ended, stop := listening(t, c, "a", "b")
	wantJoined(t, joined, ended)
	for i, channel := range []string{"a", "b", "c", "a"} {
		if _, err := c.Do(t.Context(), "PUBLISH", channel, fmt.Sprint(channel, i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a0", "b1", "a3"} {
		if got := <-heard; got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	joined, _, ended, _ = listening(t, c, "a")
	wantJoined(t, joined, ended)
	server.Close()
	if err := <-ended; err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	c.Close()
	wantNoGoroutines(t)
}

// A subscription whose server has gone silent ends. One that answers lasts.
func TestListenToSilence(t *testing.T) {
	subscribed := "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
	tests := map[string]struct {
		subscribe, ping string
		joins           bool
	}{
		"no subscription": {"", "", false},
		"refused":         {"-NOPERM no\r\n", "", false},
		"silent":          {subscribed, "", true},
		"nonsense":        {"*0\r\n", "", false},
		"more nonsense":   {subscribed + "*3\r\n$7\r\nmessage\r\n:1\r\n$1\r\nx\r\n", "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := startFake(t, greet(func(words []string) string {
				if words[0] == "ping" {
					return test.ping
				}
				return test.subscribe
			}))
			c := server.open(t, Options{Timeout: 100 * time.Millisecond})
			c.silence = 50 * time.Millisecond
			joined, _, ended, _ := listening(t, c, "a")
			if err := <-ended; err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			if len(joined) > 0 != test.joins {
				t.Errorf("joined %d times", len(joined))
			}
		})
	}
	t.Run("answers", func(t *testing.T) {
		server := startFake(t, greet(func(words []string) string {
			if words[0] == "ping" {
				return "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
			}
			return subscribed
		}))
		c := server.open(t, Options{})
		c.silence = 200 * time.Millisecond
		joined, _, ended, stop := listening(t, c, "a")
		wantJoined(t, joined, ended)
		eventually(t, "it is asked", func() bool { _, n := server.counts("ping"); return n > 3 })
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}
