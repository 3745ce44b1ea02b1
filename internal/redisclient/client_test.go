package redisclient

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/secret"
)

func TestOptions(t *testing.T) {
	tests := []struct {
		name  string
		urls  string
		o     Options
		hosts string
		want  string // part of the error; empty: none
	}{
		{"one", "redis://h", Options{}, "h:6379", ""},
		{"everything", "rediss://u:p@h:1/2", Options{}, "h:1", ""},
		{"IPv6", "redis://[::1]", Options{}, "[::1]:6379", ""},
		{"Sentinels", "redis://a/1 redis://b:2/1", Options{Master: "m"}, "a:6379, b:2", ""},
		{"a cluster", "redis://a redis://b", Options{Cluster: true}, "a:6379, b:6379", ""},
		{"none", "", Options{}, "", "no URL"},
		{"several", "redis://a redis://b", Options{}, "", "cluster or of Sentinels"},
		{"both", "redis://a", Options{Master: "m", Cluster: true}, "", "not both"},
		{"other users", "redis://u:canary@a redis://v:canary@b", Options{Cluster: true}, "", "the same scheme"},
		{"other passwords", "redis://u:canary@a redis://u:canary2@b", Options{Cluster: true}, "", "the same scheme"},
		{"other databases", "redis://a/1 redis://b/2", Options{Master: "m"}, "", "the same scheme"},
		{"other schemes", "redis://a rediss://b", Options{Master: "m"}, "", "the same scheme"},
		{"a database of a cluster", "redis://a/1", Options{Cluster: true}, "", "no database but 0"},
		{"another scheme", "http://u:canary@h", Options{}, "", "cannot be read"},
		{"no host", "redis://u:canary@", Options{}, "", "cannot be read"},
		{"no URL", "redis://u:canary@h:x%", Options{}, "", "cannot be read"},
		{"no number", "redis://u:canary@h/x", Options{}, "", "no number"},
		{"a number below 0", "redis://u:canary@h/-1", Options{}, "", "no number"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.o.Timeout, test.o.Connections = time.Second, 1
			for _, u := range strings.Fields(test.urls) {
				test.o.URLs = append(test.o.URLs, secret.New(u))
			}
			c, err := New(test.o)
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("error %v, want one with %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("the error %q shows the password", err)
			case err == nil:
				if c.Hosts() != test.hosts {
					t.Errorf("hosts %q, want %q", c.Hosts(), test.hosts)
				}
				c.Close()
			}
		})
	}
	wantNoGoroutines(t)
}

// A server that repeats what it is sent shows no password. Nor does the client's
// own error.
func TestErrorsHidePasswords(t *testing.T) {
	server := startFake(t, func(words []string) string {
		return "-ERR unknown command, with args beginning with: " + strings.Join(words, " ") + strings.Repeat("x", 1000) + "\r\n"
	})
	_, err := server.open(t, Options{}).Do(t.Context(), "GET", "k")
	if err == nil || !Answered(err) || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), server.listener.Addr().String()) {
		t.Errorf("error %v", err)
	}
	if len(err.Error()) > maxReply+200 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestReplies(t *testing.T) {
	replies := map[string]string{"a": "$-1\r\n", "b": ":7\r\n", "c": "$2\r\nxy\r\n", "d": "+OK\r\n"}
	server := startFake(t, greet(func(words []string) string { return replies[words[1]] }))
	c := server.open(t, Options{})
	for key, want := range map[string]any{"a": nil, "b": int64(7), "c": "xy", "d": "OK"} {
		if got, err := c.Do(t.Context(), "GET", key); err != nil || got != want {
			t.Errorf("%s: got %v and error %v, want %v", key, got, err, want)
		}
	}
	if n, _ := server.counts(""); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A script that Redis does not know is sent; errors of another kind are not a
// reason for that.
func TestScripts(t *testing.T) {
	var known atomic.Bool
	server := startFake(t, greet(func(words []string) string {
		if words[0] == "eval" {
			known.Store(words[1] == "return 1")
		}
		if !known.Load() {
			return "-NOSCRIPT No matching script.\r\n"
		}
		return "$" + "4\r\n" + words[3] + words[4] + "\r\n"
	}))
	c, s := server.open(t, Options{}), Script("return 1")
	for range 3 {
		if got, err := c.Run(t.Context(), s, []string{"ke"}, "ar"); err != nil || got != "kear" {
			t.Fatalf("got %v and error %v", got, err)
		}
	}
	if _, n := server.counts("eval"); n != 1 {
		t.Errorf("sent %d times, want once", n)
	}
}

// An operation whose connection broke is tried again, on another one; one
// that Redis refused, or did not answer, is not.
func TestTriesAgain(t *testing.T) {
	tests := []struct {
		name, reply string
		tries       int
		answered    bool
	}{
		{"broken", "close", 1 + keptIdle, false},
		{"a replica by now", "-READONLY You can't write against a read only replica.\r\n", 1 + keptIdle, true},
		{"refused", "-WRONGTYPE no\r\n", 1, true},
		{"loading", "-LOADING Redis is loading\r\n", 1, true},
		{"silent", "", 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := startFake(t, greet(func([]string) string { return test.reply }))
			o := Options{Timeout: patience}
			if test.reply == "" {
				o.Timeout = 100 * time.Millisecond
			}
			_, err := server.open(t, o).Do(t.Context(), "GET", "k")
			if err == nil || Answered(err) != test.answered {
				t.Errorf("error %v", err)
			}
			if _, n := server.counts("GET"); n != test.tries {
				t.Errorf("%d tries, want %d", n, test.tries)
			}
		})
	}
	t.Run("and that succeeds", func(t *testing.T) {
		var calls atomic.Int32
		server := startFake(t, greet(func([]string) string {
			if calls.Add(1) == 1 {
				return "close"
			}
			return "+OK\r\n"
		}))
		if got, err := server.open(t, Options{}).Do(t.Context(), "GET", "k"); err != nil || got != "OK" {
			t.Errorf("got %v and error %v", got, err)
		}
	})
}

// A server that was restarted, or that ends what is idle, costs no operation.
func TestBrokenIdleConnections(t *testing.T) {
	var together sync.WaitGroup
	server := startFake(t, greet(func(words []string) string {
		if words[0] == "HOLD" {
			together.Done()
			together.Wait() // each has a connection of its own
		}
		return "+OK\r\n"
	}))
	c := server.open(t, Options{})
	for range 3 {
		together.Add(4)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := c.Do(t.Context(), "HOLD", "k"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		server.mu.Lock()
		for _, one := range server.conns {
			one.Close()
		}
		server.mu.Unlock()
		if _, err := c.Do(t.Context(), "GET", "k"); err != nil {
			t.Fatal(err)
		}
	}
}

// One operation waits for a server that says nothing. Those after it do not.
func TestSilentServer(t *testing.T) {
	server := startFake(t, greet(func([]string) string { return "" }))
	c := server.open(t, Options{Timeout: 100 * time.Millisecond, Pause: time.Hour})
	if _, err := c.Do(t.Context(), "GET", "k"); err == nil || errors.Is(err, ErrPaused) || Answered(err) {
		t.Fatalf("error %v", err)
	}
	for range 100 {
		if _, err := c.Do(t.Context(), "GET", "k"); !errors.Is(err, ErrPaused) {
			t.Fatalf("error %v, want %v", err, ErrPaused)
		}
	}
	if n, m := server.counts("GET"); n != 1 || m != 1 {
		t.Errorf("%d connections and %d operations, want one each", n, m)
	}
}

// A server that is there again is noticed without being told.
func TestServerComesBack(t *testing.T) {
	var silent atomic.Bool
	silent.Store(true)
	server := startFake(t, greet(func([]string) string {
		if silent.Load() {
			return ""
		}
		return "+OK\r\n"
	}))
	c := server.open(t, Options{Timeout: 100 * time.Millisecond, Pause: time.Millisecond})
	for range 3 {
		if _, err := c.Do(t.Context(), "GET", "k"); err == nil {
			t.Fatal("no error")
		}
	}
	silent.Store(false)
	eventually(t, "the server is back", func() bool {
		_, err := c.Do(t.Context(), "GET", "k")
		return err == nil
	})
}

// Whoever gives up is served with his error at once, and it is no news of Redis.
func TestEndedContexts(t *testing.T) {
	server := startFake(t, greet(func([]string) string { return "+OK\r\n" }))
	c := server.open(t, Options{Pause: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, "GET", "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := c.Do(t.Context(), "GET", "k"); err != nil {
		t.Error(err)
	}
	if _, n := server.counts("GET"); n != 1 {
		t.Errorf("%d operations, want 1", n)
	}
}

// Whoever has little time waits no longer than that.
func TestDeadline(t *testing.T) {
	server := startFake(t, greet(func([]string) string { return "" }))
	c := server.open(t, Options{Timeout: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, "GET", "k"); err == nil || Answered(err) {
		t.Errorf("error %v", err)
	}
}

// What a server announces is not believed beyond the bounds.
func TestHugeReplies(t *testing.T) {
	for _, reply := range []string{
		"$2147483646\r\n", "*2147483646\r\n", strings.Repeat("*1\r\n", 100000), "+" + strings.Repeat("x", 100000), "*2\r\n$-1\r\n$99999999\r\n",
	} {
		server := startFake(t, greet(func([]string) string { return reply }))
		_, err := server.open(t, Options{}).Do(t.Context(), "GET", "k")
		if !errors.Is(err, errTooLarge) {
			t.Errorf("%.20q: error %v, want %v", reply, err, errTooLarge)
		}
	}
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	server := startFake(t, greet(func([]string) string { return "" }))
	c := server.open(t, Options{Timeout: 50 * time.Millisecond})
	server.listener.Close()
	for range 20 { // more than the library counts before it begins to look by itself
		_, _ = c.Do(t.Context(), "GET", "k")
	}
	c.Close()
	wantNoGoroutines(t)
}
