package interop

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// freePort returns a port of 127.0.0.1 for a program that cannot choose one
// itself.
func freePort(t *testing.T) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// startNginx runs nginx as a proxy that looks away as far as it can be told to.
func startNginx(t *testing.T, upstream string) string {
	path := needTool(t, "nginx")
	dir := t.TempDir()
	port := freePort(t)
	configuration := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
  large_client_header_buffers 8 64k; client_max_body_size 0; keepalive_requests 100000;
  upstream next { server %[2]s; keepalive 16; }
  server {
    listen 127.0.0.1:%[3]d;
    location / {
      proxy_pass http://next; proxy_http_version 1.1; proxy_next_upstream off; proxy_request_buffering off; proxy_ignore_client_abort on;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
    }
  }
}
`, dir, upstream, port)
	return startServer(t, port, dir, configuration, path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c")
}

// startHaproxy runs haproxy as a proxy that lets pass what it can be told to.
func startHaproxy(t *testing.T, upstream string) string {
	path := needTool(t, "haproxy")
	dir := t.TempDir()
	port := freePort(t)
	configuration := fmt.Sprintf(`
global
  maxconn 1024
  nbthread 1
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 5s
  timeout http-request 10s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:%d
  option accept-invalid-http-request
  default_backend out
backend out
  retries 0
  option accept-invalid-http-response
  server next %s
`, port, upstream)
	return startServer(t, port, dir, configuration, path, "-db", "-f")
}

// startServer writes the configuration, runs the program with its path as the
// last argument until the test ends, and waits until the port is open.
func startServer(t *testing.T, port int, dir, configuration, path string, args ...string) string {
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, file)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return address
		}
		time.Sleep(10 * time.Millisecond) // asking again, until the deadline
	}
	text, _ := os.ReadFile(output.Name())
	t.Fatalf("%s does not listen:\n%s", path, text)
	return ""
}
