package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
)

// process is one place that an attache runs in, again and again.
type process struct {
	id      int
	binary  string
	address string // of its listener for requests
	admin   string
	dir     string
	file    string // the path of its store's file; "": it shares a Redis
	disk    *disk  // that the file is on
	clock   string // the file that sets its clock; "": it has none
	links   map[link]*toxiproxy.Proxy

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has ended
	killed bool          // by the bench
	starts int
}

// start runs it and returns once it listens.
func (p *process) start() error {
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.binary, "run", "-c", filepath.Join(p.dir, "attache.yaml"))
	cmd.Stderr, cmd.Stdout = log, log
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	if p.clock != "" {
		cmd.Env = append(cmd.Env, clockVariable+"="+p.clock)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // with the bench
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("attache does not start: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	p.mu.Lock()
	p.cmd, p.ended, p.killed = cmd, ended, false
	p.starts++
	p.mu.Unlock()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", p.address, time.Second); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("attache %d ended at its start:\n%s", p.id, lastLines(filepath.Join(p.dir, "log"), 5))
		default:
		}
	}
	return fmt.Errorf("attache %d does not listen; see %s", p.id, p.dir)
}

// ready waits until every required token is there.
func (p *process) ready(patience time.Duration) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		answer, err := http.Get("http://" + p.admin + "/startupz")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("attache %d gets no tokens:\n%s", p.id, lastLines(filepath.Join(p.dir, "log"), 5))
}

// kill ends it as kill -9 does.
func (p *process) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.killed = true
	p.mu.Unlock()
	if cmd != nil {
		cmd.Process.Kill()
		<-ended
	}
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd.Process.Signal(s)
}

// stop ends it as an operator does, and reports what is wrong with that.
func (p *process) stop() error {
	p.mu.Lock()
	cmd, ended, killed := p.cmd, p.ended, p.killed
	p.mu.Unlock()
	if cmd == nil || killed {
		return nil
	}
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(40 * time.Second):
		cmd.Process.Kill()
		<-ended
		return fmt.Errorf("attache %d did not end within 40 s of SIGTERM", p.id)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("attache %d ended with %d:\n%s", p.id, code, lastLines(filepath.Join(p.dir, "log"), 5))
	}
	return nil
}

// crashed says what attache itself did wrong: a panic, or an end that nobody
// asked for.
func (p *process) crashed() error {
	p.mu.Lock()
	ended, killed := p.ended, p.killed
	p.mu.Unlock()
	var wrong []string
	select {
	case <-ended:
		if !killed {
			wrong = append(wrong, fmt.Sprintf("attache %d ended by itself:\n%s", p.id, lastLines(filepath.Join(p.dir, "log"), 5)))
		}
	default:
	}
	if f, err := os.Open(filepath.Join(p.dir, "log")); err == nil {
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if text := lines.Text(); strings.Contains(text, "panic") || strings.HasPrefix(text, "fatal error") {
				wrong = append(wrong, fmt.Sprintf("attache %d: %s", p.id, text))
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "\n"))
}

func lastLines(path string, n int) string {
	text, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
