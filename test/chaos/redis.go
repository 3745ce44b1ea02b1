package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// redisServer is a Redis that writes everything down before it says so, so that a
// kill loses nothing unless the bench removes what was written.
type redisServer struct {
	address, dir string
	mu           sync.Mutex
	cmd          *exec.Cmd
}

const redisPassword = "bench-password"

func startRedis(p *ports, dir string) (*redisServer, error) {
	address, err := p.take()
	if err != nil {
		return nil, err
	}
	r := &redisServer{address: address, dir: filepath.Join(dir, "redis")}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	return r, r.start()
}

func (r *redisServer) start() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redis-server is missing: install Debian's package redis-server")
	}
	_, port, _ := net.SplitHostPort(r.address)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--requirepass", redisPassword,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--logfile", filepath.Join(r.dir, "log"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // with the bench
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("redis-server does not start: %w", err)
	}
	r.mu.Lock()
	r.cmd = cmd
	r.mu.Unlock()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if r.answers() {
			return nil
		}
	}
	return fmt.Errorf("redis-server does not answer; see %s", filepath.Join(r.dir, "log"))
}

func (r *redisServer) answers() bool {
	c, err := net.DialTimeout("tcp", r.address, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprintf(c, "AUTH %s\r\n", redisPassword)
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && line == "+OK\r\n"
}

func (r *redisServer) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cmd.Process.Signal(s)
}

// kill ends it as kill -9 does. emptied removes what it had written.
func (r *redisServer) kill(emptied bool) error {
	r.mu.Lock()
	cmd := r.cmd
	r.mu.Unlock()
	cmd.Process.Kill()
	cmd.Wait()
	if emptied {
		return os.RemoveAll(filepath.Join(r.dir, "appendonlydir"))
	}
	return nil
}
