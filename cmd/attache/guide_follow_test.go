package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"attache/internal/lanetest"
)

// follower does what a page says, in a folder of its own: it writes the files
// and gives the commands to bash, as they stand. Only the ports are others,
// because those of the page may be taken.
type follower struct {
	t        *testing.T
	dir      string
	ports    map[string]string // ":8484" of the page, and that of this test
	exports  []string          // commands that hold in every terminal
	running  map[string]*window
	commands int
	ready    string // the path of the admin listener that says that attache is there
}

// quickExit is for the race detector, which else lets every program that ends sleep
// for a second.
const quickExit = "atexit_sleep_ms=10 "

// emulated is where `attache emulate` listens unless it is told otherwise.
const emulated = ":9400"

func newFollower(t *testing.T) *follower {
	t.Helper()
	f := &follower{t: t, dir: t.TempDir(), ports: map[string]string{}, running: map[string]*window{}, ready: "/readyz"}
	f.needs(command{line: "bash"})
	f.needs(command{line: "curl"})
	for _, port := range []string{":8484", ":8485", ":8600", emulated} {
		f.ports[port] = f.freePort()
	}
	// curl shows how far it is when its output goes to no terminal, which is none
	// of the page's business; and a status of an error is its failure.
	f.write(".curlrc", "silent\nshow-error\nfail-with-body\nmax-time = 20\n")
	return f
}

// needs skips the test if the machine lacks the program that a command runs.
func (f *follower) needs(c command) {
	f.t.Helper()
	tool := strings.Fields(c.line)[0]
	if tool != "openssl" && tool != "bash" && tool != "curl" {
		return
	}
	if _, err := exec.LookPath(tool); err != nil {
		f.t.Skip("missing tool: " + tool)
	}
}

// freePort returns one of four digits, so that tables keep their shape.
func (f *follower) freePort() string {
	f.t.Helper()
	for range 1000 {
		port := fmt.Sprintf(":%d", 2000+rand.IntN(8000))
		if l, err := net.Listen("tcp", "127.0.0.1"+port); err == nil {
			l.Close()
			taken := false
			for page, own := range f.ports {
				taken = taken || own == port || page == port
			}
			if !taken {
				return port
			}
		}
	}
	f.t.Fatal("no port is free")
	return ""
}

// here puts this test's ports in place of the page's, there does the reverse.
func (f *follower) here(text string) string {
	for page, own := range f.ports {
		text = regexp.MustCompile(page+`\b`).ReplaceAllLiteralString(text, own)
	}
	return text
}

func (f *follower) there(text string) string {
	for page, own := range f.ports {
		text = regexp.MustCompile(own+`\b`).ReplaceAllLiteralString(text, page)
	}
	return text
}

// follow does what the given blocks say, but for what is tried elsewhere.
func (f *follower) follow(list []block) {
	f.t.Helper()
	for _, b := range list {
		switch {
		case b.isShell():
			for _, c := range b.commands() {
				if !isElsewhere(b.page, c) {
					f.do(c)
				}
			}
		case b.file != "":
			f.write(b.file, b.text)
		}
	}
}

func (f *follower) write(name, text string) {
	f.t.Helper()
	if strings.HasSuffix(name, "attache.yaml") {
		if !strings.Contains("\n"+text, "\nlisten:") {
			text += "listen: 127.0.0.1:8484\nadmin: 127.0.0.1:8485\n" // what holds without a word, and may be taken
		}
		text = lanetest.Configuration(text)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(f.dir, name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(f.here(text)), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

var (
	server  = regexp.MustCompile(`^(?:\./)?attache (run|emulate)\b`)
	listen  = regexp.MustCompile(`--listen \S+?(:\d+)`)
	goBuild = regexp.MustCompile(`^go build -o (\S+) (\./\S+)$`)
)

// do runs one command, compares what it prints with what the page shows, and
// returns it; of a server, nothing.
func (f *follower) do(c command) string {
	f.t.Helper()
	f.commands++
	line := f.here(c.plain())
	var got string
	switch {
	case strings.HasPrefix(line, "export "):
		f.exports = append(f.exports, line)
		return ""
	case server.MatchString(line):
		f.start(line, c)
		return ""
	case goBuild.MatchString(line):
		// The reader is in a copy of this repository. What comes of it is here
		// already: this very program.
		m := goBuild.FindStringSubmatch(line)
		line = fmt.Sprintf(`cat "$ROOT"/%s/*.go | grep -x 'package main' > /dev/null; ln -s "$(command -v attache)" %s`, m[2], m[1])
	}
	out, err := f.shell(line).CombinedOutput()
	got = trimLines(f.there(string(out)))
	want := trimLines(c.shown)
	if c.prompted && !outputPattern(want).MatchString(got) {
		f.t.Fatalf("$ %s\n%s\nthe page has:\n%s", c.line, got, want)
	}
	if err != nil && strings.Trim(want, "… \n") == "" { // a failure is shown
		f.t.Fatalf("$ %s\n%s\n%v", c.line, got, err)
	}
	return got
}

// shell returns a shell in the follower's folder that runs one command.
func (f *follower) shell(line string) *exec.Cmd {
	root, err := filepath.Abs("../..")
	if err != nil {
		f.t.Fatal(err)
	}
	script := append([]string{"set -euo pipefail"}, f.exports...)
	cmd := exec.Command("bash", "-c", strings.Join(append(script, line), "\n"))
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "HOME="+f.dir, "ROOT="+root, "GORACE="+quickExit+os.Getenv("GORACE"))
	return cmd
}

// window is a terminal in which a server runs.
type window struct {
	cmd  *exec.Cmd
	done chan error

	mu  sync.Mutex
	out bytes.Buffer
}

// Write takes what the server prints.
func (w *window) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

func (w *window) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String()
}

// start runs a server until the test ends, or until another one of its kind
// starts, and waits until it serves and has printed what the page shows.
func (f *follower) start(line string, c command) {
	f.t.Helper()
	kind := server.FindStringSubmatch(line)[1]
	f.stop(kind)
	ready := f.here("http://127.0.0.1:8485" + f.ready)
	if kind == "emulate" {
		if !listen.MatchString(line) {
			line += " --listen 127.0.0.1" + f.ports[emulated]
		}
		ready = "http://127.0.0.1" + listen.FindStringSubmatch(line)[1] + "/_emulator/stats"
	}
	w := &window{cmd: f.shell("exec " + line), done: make(chan error, 1)}
	w.cmd.Stdout, w.cmd.Stderr = w, w
	if err := w.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { w.done <- w.cmd.Wait() }()
	f.running[kind] = w
	f.t.Cleanup(func() { f.stop(kind) })
	want := outputPattern(trimLines(c.shown))
	if strings.TrimSpace(c.shown) == "" {
		want = regexp.MustCompile("") // what a server tells when it starts need not be shown
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if serves(ready) && want.MatchString(trimLines(f.there(w.String()))) {
			return
		}
	}
	f.t.Fatalf("$ %s\nit does not serve, or does not print what the page shows:\n%s\n%s", c.line, f.there(w.String()), c.shown)
}

func serves(url string) bool {
	ans, err := http.Get(url)
	if err != nil {
		return false
	}
	ans.Body.Close()
	return ans.StatusCode == http.StatusOK
}

// stop ends the server of a kind as Ctrl-C does, and if that is of no avail by force,
// so that it is not left behind.
func (f *follower) stop(kind string) {
	f.t.Helper()
	w := f.running[kind]
	if w == nil {
		return
	}
	delete(f.running, kind)
	w.cmd.Process.Signal(syscall.SIGINT)
	force := time.AfterFunc(time.Minute, func() { w.cmd.Process.Kill() })
	defer force.Stop()
	if err := <-w.done; err != nil {
		f.t.Errorf("attache %s: %v\n%s", kind, err, w.String())
	}
}
