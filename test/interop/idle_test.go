package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// idleSockets is how many WebSockets attache holds at once.
const idleSockets = 10_000

// ownFiles is how many descriptors attache may need besides those of the
// WebSockets, each of which takes two.
const ownFiles = 40

// TestIdleWebSockets opens idleSockets of them through attache, measures what one
// costs when nothing happens on it, sees that they still work, and that all is
// given back after they were closed. Clients and server are processes of their
// own, for each connection takes a descriptor at either end and two of attache's.
// Where the limit of open files is too low for one attache, several share them.
func TestIdleWebSockets(t *testing.T) {
	files := raiseFiles(t)
	processes := 1 + (2*idleSockets+ownFiles-1)/files
	count := idleSockets / processes
	server := startHelper(t, "server")
	var held []*idle
	for range processes {
		held = append(held, startIdle(t, server.ask(t, "address")))
	}
	resident := 0.0
	for _, h := range held {
		resident += h.open(t, count).resident / float64(processes)
	}
	measured(t, "idle WebSockets held", fmt.Sprintf("%d at a time by %d process(es), %d files each", processes*count, processes, files))
	measured(t, "memory of an idle WebSocket (VmRSS)", fmt.Sprintf("%.1f KiB", resident/1024))
	for _, h := range held {
		if got := h.clients.ask(t, "echo 100"); got != "100" {
			t.Errorf("of 100 WebSockets %s still echo", got)
		}
	}
	for _, h := range held {
		h.close(t)
	}
	if !t.Failed() {
		record(t, suite{name: "WebSockets idle at a time, opened, alive and given back", tests: idleSockets, passed: processes * count})
	}
}

// idle is an attache with its clients.
type idle struct {
	*attache
	clients    *helper
	goroutines float64 // when there were no connections
	before     usage
}

func startIdle(t *testing.T, upstream string) *idle {
	h := &idle{}
	h.attache = start(t, fmt.Sprintf(`
listen: 127.0.0.1:0
log: {requests: none}
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: "http://%s", use: [c]}
`, newTokenServer(t).recipe(t, `inject: [{header: Authorization, value: "Bearer ${access}"}]`), upstream))
	h.clients = startHelper(t, "clients "+h.address)
	// A few first, so that pools and caches are there before the measurement.
	h.clients.ask(t, "open 100")
	h.clients.ask(t, "close")
	h.goroutines = h.metric(t, "go_goroutines")
	h.await(t, "goroutines of the first connections", func() bool {
		now := h.metric(t, "go_goroutines")
		before := h.goroutines
		h.goroutines = min(h.goroutines, now)
		return now >= before && now < 100
	})
	h.before = h.usage(t)
	return h
}

// open opens count WebSockets and returns what each costs.
func (h *idle) open(t *testing.T, count int) usage {
	t.Helper()
	if opened := h.clients.ask(t, fmt.Sprintf("open %d", count)); opened != fmt.Sprint(count) {
		t.Fatalf("opened %s of %d:\n%s", opened, count, &h.log)
	}
	each := h.settled(t).minus(h.before).each(count)
	if each.files < 1.99 {
		t.Fatalf("a WebSocket has %.2f descriptors: not all are open", each.files)
	}
	t.Logf("of %d WebSockets each costs attache %v", count, each)
	return each
}

// close closes all and sees that nothing is left of them.
func (h *idle) close(t *testing.T) {
	h.clients.ask(t, "close")
	h.await(t, "goroutines after the close", func() bool { return h.metric(t, "go_goroutines") <= h.goroutines+20 })
	h.await(t, "descriptors after the close", func() bool { return h.usage(t).files <= h.before.files+20 })
	t.Logf("afterwards: %v; before: %v", h.usage(t), h.before)
}

// raiseFiles raises the limit of open files for this process and those that it
// starts, and returns it.
func raiseFiles(t *testing.T) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const wanted = 2*idleSockets + 1000
	before := limit
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) })
	if limit.Max < wanted { // root may
		raised := syscall.Rlimit{Cur: wanted, Max: wanted}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
			t.Logf("raise the limit of open files over %d: %v", limit.Max, err)
		}
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Set, even to the value that it has, it is passed on to other processes.
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return int(min(limit.Max, 1<<20))
}

// usage is what a process uses, in bytes but for the files.
type usage struct{ resident, proportional, anonymous, heap, stacks, runtime, files float64 }

func (a *attache) usage(t *testing.T) usage {
	return usage{
		resident:     float64(a.status(t, "VmRSS")),
		proportional: a.rollup(t, "Pss"),
		anonymous:    a.rollup(t, "Anonymous"),
		heap:         a.metric(t, "go_memstats_heap_inuse_bytes"),
		stacks:       a.metric(t, "go_memstats_stack_inuse_bytes"),
		runtime:      a.metric(t, "go_memstats_sys_bytes"),
		files:        a.metric(t, "process_open_fds"),
	}
}

func (u usage) minus(v usage) usage {
	return usage{u.resident - v.resident, u.proportional - v.proportional, u.anonymous - v.anonymous, u.heap - v.heap, u.stacks - v.stacks, u.runtime - v.runtime, u.files - v.files}
}

func (u usage) each(n int) usage {
	f := float64(n)
	return usage{u.resident / f, u.proportional / f, u.anonymous / f, u.heap / f, u.stacks / f, u.runtime / f, u.files / f}
}

func (u usage) String() string {
	return fmt.Sprintf("VmRSS %.1f KiB, Pss %.1f KiB, anonymous %.1f KiB, heap %.1f KiB, stacks %.1f KiB, from the system %.1f KiB, %.1f files",
		u.resident/1024, u.proportional/1024, u.anonymous/1024, u.heap/1024, u.stacks/1024, u.runtime/1024, u.files)
}

// settled returns the usage once it stays about the same for a few seconds.
func (a *attache) settled(t *testing.T) usage {
	last, same := a.usage(t), 0
	a.await(t, "memory to settle", func() bool {
		time.Sleep(900 * time.Millisecond)
		now := a.usage(t)
		if change := now.resident - last.resident; change < 1<<20 && change > -1<<20 {
			same++
		} else {
			same = 0
		}
		last = now
		return same >= 5
	})
	return last
}

// await asks until done, at most for a minute.
func (a *attache) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Errorf("waited in vain for %s", what)
}

// metric returns a figure that /metrics shows without labels.
func (a *attache) metric(t testing.TB, name string) float64 {
	t.Helper()
	answer, err := http.Get("http://" + a.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return numberBehind(t, answer.Body, name+" ", 1)
}

// rollup returns a figure of /proc/PID/smaps_rollup in bytes.
func (a *attache) rollup(t testing.TB, key string) float64 {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return numberBehind(t, file, key+":", 1024)
}

// numberBehind returns the number behind prefix, times unit.
func numberBehind(t testing.TB, r io.Reader, prefix string, unit float64) float64 {
	t.Helper()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), prefix); ok {
			var value float64
			if _, err := fmt.Sscan(text, &value); err != nil {
				t.Fatal(err)
			}
			return value * unit
		}
	}
	t.Fatalf("no line begins with %q", prefix)
	return 0
}

// helper is another process of this test.
type helper struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

// helperRole is the environment variable that makes a process of this test a
// helper.
const helperRole = "ATTACHE_INTEROP_HELPER"

func startHelper(t *testing.T, role string) *helper {
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdleHelper$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), helperRole+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // which ends it
		kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Wait()
	})
	return &helper{in, bufio.NewScanner(out)}
}

// ask sends a command and returns the answer.
func (h *helper) ask(t *testing.T, command string) string {
	t.Helper()
	fmt.Fprintln(h.in, command)
	if !h.out.Scan() {
		t.Fatalf("a helper ended at %q", command)
	}
	return h.out.Text()
}

// TestIdleHelper is the helpers; by itself it does nothing.
func TestIdleHelper(t *testing.T) {
	role, argument, _ := strings.Cut(os.Getenv(helperRole), " ")
	var h interface {
		do(command string, n int) string
	}
	switch role {
	case "":
		return
	case "server":
		h = &idleServer{httptest.NewServer(http.HandlerFunc(echoForever)).Listener.Addr().String()}
	case "clients":
		h = &idleClients{address: "ws://" + argument + "/"}
	}
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		var command string
		var n int
		fmt.Sscan(commands.Text(), &command, &n)
		fmt.Println(h.do(command, n))
	}
	os.Exit(0) // the parent is gone or done
}

type idleServer struct{ address string }

func (s *idleServer) do(string, int) string { return s.address }

// echoForever echoes the messages of a WebSocket for as long as it is there.
func echoForever(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer token-1" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	upgrader := gorilla.Upgrader{ReadBufferSize: 512, WriteBufferSize: 512}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

type idleClients struct {
	address string
	mu      sync.Mutex
	conns   []*gorilla.Conn
}

func (c *idleClients) do(command string, n int) string {
	switch command {
	case "open":
		c.open(n)
		return fmt.Sprint(len(c.conns))
	case "echo":
		return fmt.Sprint(c.echo(n))
	}
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
	return "closed"
}

func (c *idleClients) open(n int) {
	var openers sync.WaitGroup
	next := make(chan struct{})
	for range 32 {
		openers.Go(func() {
			dialer := gorilla.Dialer{ReadBufferSize: 512, WriteBufferSize: 512, HandshakeTimeout: patience}
			for range next {
				conn, _, err := dialer.DialContext(context.Background(), c.address, nil)
				if err != nil {
					fmt.Fprintln(os.Stderr, "open:", err)
					continue
				}
				c.mu.Lock()
				c.conns = append(c.conns, conn)
				c.mu.Unlock()
			}
		})
	}
	for range n {
		next <- struct{}{}
	}
	close(next)
	openers.Wait()
}

// echo returns how many of n connections, chosen at random, still echo.
func (c *idleClients) echo(n int) (good int) {
	for _, i := range rand.Perm(len(c.conns))[:n] {
		p := gorillaPeer{c.conns[i]}
		message := fmt.Sprintf("still here, %d", i)
		if p.send(textMessage, []byte(message)) != nil {
			continue
		}
		if _, got, err := p.receive(); err == nil && string(got) == message {
			good++
		}
	}
	return good
}
