package redisclient

import (
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"attache/internal/secret"
)

// bulk is a text as a server sends it.
func bulk(text string) string { return "$" + strconv.Itoa(len(text)) + "\r\n" + text + "\r\n" }

// names is what a Sentinel replies that names a server.
func names(f *fakeServer) string {
	host, port, _ := net.SplitHostPort(f.listener.Addr().String())
	return "*2\r\n" + bulk(host) + bulk(port)
}

// behind returns a client of the master that Sentinels name, until the test ends.
func behind(t *testing.T, sentinels ...*fakeServer) *Client {
	t.Helper()
	o := Options{Master: "tokens", SentinelPassword: secret.New("a-sentinel-canary"), Timeout: patience, Connections: 2}
	for _, s := range sentinels {
		o.URLs = append(o.URLs, secret.New("redis://user:"+canary+"@"+s.listener.Addr().String()))
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func always(reply string) func([]string) string { return greet(func([]string) string { return reply }) }

// The first Sentinel that names a master counts, and each connection asks anew.
func TestSentinels(t *testing.T) {
	one := startFake(t, always("-READONLY You can't write against a read only replica.\r\n"))
	other := startFake(t, always("+OK\r\n"))
	var asked atomic.Int64
	knows := startFake(t, greet(func(words []string) string {
		if strings.Join(words, " ") != "sentinel get-master-addr-by-name tokens" {
			t.Errorf("the Sentinel was asked %q", words)
		}
		if asked.Add(1) == 1 {
			return names(one)
		}
		return names(other)
	}))
	c := behind(t, startFake(t, always("close")), startFake(t, always("*-1\r\n")), knows)
	if reply, err := c.Do(t.Context(), "set", "k", "v"); err != nil || reply != "OK" {
		t.Errorf("%v, %v", reply, err)
	}
	if _, n := one.counts("set"); n != 1 {
		t.Errorf("the first master was asked %d times", n)
	}
}

// Whatever a Sentinel says, it is an error of its own, which names it and no
// password, and harms nobody.
func TestSentinelsThatMakeNoSense(t *testing.T) {
	master := startFake(t, always("+OK\r\n"))
	for reply, want := range map[string]string{
		"*-1\r\n": "names no master", "$-1\r\n": "names no master", "*0\r\n": "names no master", "*1\r\n$1\r\na\r\n": "names no master",
		"*2\r\n:1\r\n:2\r\n": "names no master", "*2\r\n$0\r\n\r\n$0\r\n\r\n": "names no master", ":7\r\n": "names no master",
		"-WRONGPASS a-sentinel-canary is no password\r\n": "WRONGPASS", "-ERR " + strings.Repeat("x", 1000) + "\r\n": "ERR", "?\r\n": "", "close": "",
	} {
		s := startFake(t, always(reply))
		_, err := behind(t, s).Do(t.Context(), "get", "k")
		if err == nil {
			t.Fatalf("%q: no error", reply)
		}
		text := err.Error()
		if !strings.Contains(text, want) || !strings.Contains(text, s.listener.Addr().String()) || Answered(err) {
			t.Errorf("%q: %v, answered by Redis: %v", reply, err, Answered(err))
		}
		if strings.Contains(text, "canary") || len(text) > 600 {
			t.Errorf("%q: the error shows too much: %s", reply, text)
		}
	}
	if connects, _ := master.counts(""); connects != 0 {
		t.Errorf("%d connections", connects)
	}
}

// A Sentinel that does not answer is given up in time, and the next one asked.
func TestSilentSentinel(t *testing.T) {
	master := startFake(t, always("+OK\r\n"))
	silent, knows := startFake(t, always("")), startFake(t, always(names(master)))
	c, err := New(Options{
		Master: "tokens", Timeout: 300 * time.Millisecond, Connections: 1,
		URLs: []secret.String{secret.New("redis://" + silent.listener.Addr().String()), secret.New("redis://" + knows.listener.Addr().String())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	eventually(t, "the second Sentinel is asked", func() bool {
		reply, err := c.Do(t.Context(), "get", "k")
		return err == nil && reply == "OK"
	})
}
