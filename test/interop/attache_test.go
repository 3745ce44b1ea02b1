package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"attache/internal/lanetest"
)

// patience bounds what should take no time at all: starting, stopping, one
// exchange. It is long because the machine may be slow.
const patience = 30 * time.Second

// binary is the path of the attache under test.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "attache-interop-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "attache")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", path, "./cmd/attache")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build attache: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		os.Exit(runChild(name))
	}
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	if code == 0 {
		code = conclude(os.Stdout)
	}
	os.Exit(code)
}

// attache is a running process.
type attache struct {
	requests chan string // addresses of the listeners for requests, in the order of the configuration
	admins   chan string // the address of the admin listener
	address  string      // the first of them
	admin    string
	file     string // its configuration
	cmd      *exec.Cmd
	log      lockedLines
}

type lockedLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *lockedLines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *lockedLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// start runs attache until the test ends. The configuration's listeners should be
// on port 0 of 127.0.0.1, or on Unix sockets; admin is added to it. It returns
// once every required token is there. The address of a second listener and so on
// comes from requests.
func start(t testing.TB, configuration string) *attache {
	t.Helper()
	a, logged := launch(t, configuration)
	t.Cleanup(func() { a.stop(t, logged) })
	return a
}

// launch is start for a process that the caller stops. It is killed when the
// test ends.
func launch(t testing.TB, configuration string) (a *attache, logged chan struct{}) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "attache.yaml")
	text := lanetest.Configuration("admin: 127.0.0.1:0\n" + configuration)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a = &attache{file: file, cmd: exec.Command(path, "run", "-c", file), requests: make(chan string, 16), admins: make(chan string, 16)}
	stderr, err := a.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	logged = make(chan struct{})
	go a.read(bufio.NewScanner(stderr), logged)
	t.Cleanup(func() { a.cmd.Process.Kill() })
	// They are logged in any order.
	a.address = a.listening(t, a.requests, logged)
	a.admin = a.listening(t, a.admins, logged)
	a.awaitTokens(t)
	return a, logged
}

// listening returns the next address from the log.
func (a *attache) listening(t testing.TB, addresses chan string, logged chan struct{}) string {
	t.Helper()
	select {
	case address := <-addresses:
		return address
	case <-logged:
		configuration, _ := os.ReadFile(a.file)
		t.Fatalf("attache ended:\n%s\n%s", &a.log, configuration)
	case <-time.After(patience):
		t.Fatalf("attache does not listen:\n%s", &a.log)
	}
	return ""
}

// read collects the log.
func (a *attache) read(lines *bufio.Scanner, logged chan struct{}) {
	defer close(logged)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		a.log.add(lines.Text())
		var line struct{ Msg, For, Address string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "listening" {
			continue
		}
		switch line.For {
		case "admin":
			a.admins <- line.Address
		case "requests":
			a.requests <- line.Address
		}
	}
}

func (a *attache) awaitTokens(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		answer, err := http.Get("http://" + a.admin + "/startupz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(10 * time.Millisecond) // asking again, until the deadline
	}
	t.Fatalf("the tokens do not come:\n%s", &a.log)
}

// stop ends the process and checks that it drained.
func (a *attache) stop(t testing.TB, logged chan struct{}) {
	a.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience+drainTime, func() { a.cmd.Process.Kill() })
	defer kill.Stop()
	<-logged
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("attache ended with %v:\n%s", err, &a.log)
	}
	if strings.Contains(a.log.String(), "panic") || strings.Contains(a.log.String(), "DATA RACE") {
		t.Errorf("attache panicked:\n%s", &a.log)
	}
}

// drainTime is how long attache lets requests in flight finish, and more.
const drainTime = 30 * time.Second

// status returns a figure of /proc/PID/status in bytes, such as VmRSS or VmHWM.
func (a *attache) status(t testing.TB, key string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			var kilobytes int64
			if _, err := fmt.Sscan(value, &kilobytes); err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatalf("/proc/PID/status has no %s", key)
	return 0
}

// tokenServer issues token-1, token-2 and so on.
type tokenServer struct {
	url    string
	issued atomic.Int64
}

func newTokenServer(t testing.TB) *tokenServer {
	s := &tokenServer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"token":"token-%d"}`, s.issued.Add(1))
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// current returns the value issued last.
func (s *tokenServer) current() string { return fmt.Sprintf("token-%d", s.issued.Load()) }

// recipe writes a recipe for this server with more behind its tokens, such as
// inject and refused. It returns the path.
func (s *tokenServer) recipe(t testing.TB, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "interop.yaml")
	text := fmt.Sprintf(`recipe: interop
tokens:
  access:
    request: {method: POST, url: %q, json: {}}
    value: {json: token}
    lifetime: 1h
%s`, s.url+"/login", more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
