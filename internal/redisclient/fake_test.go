package redisclient

import (
	"bufio"
	"io"
	"net"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"attache/internal/secret"
)

// patience is how long something may take that has to happen in the end.
const patience = 20 * time.Second

// eventually fails the test unless is becomes true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: that has not happened in %v", what, patience)
		}
	}
}

// fakeServer answers each command with what a function says: the reply as it is
// on the wire, "" for none, "close" to end the connection.
type fakeServer struct {
	listener net.Listener
	answer   func(words []string) string

	mu       sync.Mutex
	commands []string // first words
	connects int
	conns    []net.Conn
}

func startFake(t *testing.T, answer func(words []string) string) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{listener: l, answer: answer}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.connects++
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			all.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		all.Wait()
	})
	return f
}

func (f *fakeServer) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		words, err := readCommand(r)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.commands = append(f.commands, words[0])
		f.mu.Unlock()
		reply := f.answer(words)
		if reply == "close" {
			return
		}
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
}

func readCommand(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	var words []string
	for range n {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, err
		}
		size, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		words = append(words, string(text[:size]))
	}
	return words, nil
}

// counts returns how many connections there were, and how often a command came.
func (f *fakeServer) counts(command string) (connects, commands int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.commands {
		if c == command {
			commands++
		}
	}
	return f.connects, commands
}

// greet answers what a client says first, and leaves the rest to another
// function.
func greet(then func(words []string) string) func(words []string) string {
	return func(words []string) string {
		switch words[0] {
		case "hello":
			return "-ERR unknown command\r\n"
		case "auth", "select", "client":
			return "+OK\r\n"
		}
		return then(words)
	}
}

const canary = "a-password-canary"

// open returns a client of a fake server, until the test ends.
func (f *fakeServer) open(t *testing.T, o Options) *Client {
	t.Helper()
	o.URLs = []secret.String{secret.New("redis://user:" + canary + "@" + f.listener.Addr().String() + "/0")}
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	o.Connections = 4
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// wantNoGoroutines fails the test unless the library's goroutines end.
func wantNoGoroutines(t *testing.T) {
	t.Helper()
	eventually(t, "the goroutines end", func() bool {
		var stacks strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(stacks.String(), "github.com/redis/go-redis")
	})
}
