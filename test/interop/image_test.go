package interop

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestImage runs what the image has as the image does: the binary that the
// Dockerfile's own command builds, as its user, in a root file system that is
// read-only and holds nothing else but the CA certificates and a configuration.
// It says nothing about the layers themselves, which take a registry.
func TestImage(t *testing.T) {
	if os.Getuid() != 0 {
		results.mu.Lock()
		results.missing = append(results.missing, "root")
		results.mu.Unlock()
		t.Skip("missing tool: root, who alone may change the root file system of a process")
	}
	unshare, chroot := needTool(t, "unshare"), needTool(t, "chroot")
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	size := buildImage(t, string(dockerfile), filepath.Join(root, "attache"))

	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			fmt.Fprint(w, `{"token":"token-1"}`)
			return
		}
		fmt.Fprintf(w, "%s", r.Header.Get("Authorization"))
	}))
	defer upstream.Close()
	port, probes := freePort(t), freePort(t)
	// The system's certificates stand where the image has them; a server of this
	// test is trusted beside them.
	put(t, root, "etc/ssl/certs/ca-certificates.crt", systemRoots(t)+certificatePEM(upstream))
	put(t, root, "etc/attache/own.yaml", fmt.Sprintf(`recipe: own
tokens:
  access: {request: {method: POST, url: "%s/login", json: {}}, value: {json: token}, lifetime: 1h}
inject: [{header: Authorization, value: "Bearer ${access}"}]
`, upstream.URL))
	put(t, root, "etc/attache/attache.yaml", fmt.Sprintf(`
listen: 127.0.0.1:%d
admin: 127.0.0.1:0
probes: 127.0.0.1:%d
credentials: {c: {recipe: own.yaml}}
routes: [{path: /, upstream: %q, use: [c]}]
`, port, probes, upstream.URL))

	user := instruction(t, string(dockerfile), `(?m)^USER (\d+):\d+$`)
	cmd := exec.Command(unshare, "--mount", "sh", "-c",
		`mount --bind "$1" "$1" && mount -o remount,bind,ro,nosuid,nodev "$1" && exec "$2" --userspec="$3:$3" "$1" /attache run -c /etc/attache/attache.yaml`,
		"sh", root, chroot, user)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	a := &attache{cmd: cmd, requests: make(chan string, 1), admins: make(chan string, 1)}
	logged := make(chan struct{})
	go a.read(bufio.NewScanner(stderr), logged)
	a.address = a.listening(t, a.requests, logged)
	a.admin = a.listening(t, a.admins, logged)
	a.awaitTokens(t)
	if got := text(t, "http://"+a.address+"/x"); got != "Bearer token-1" {
		t.Errorf("the upstream got %q", got)
	}
	seesItsOwnRootAlone(t, a, root, user)
	// exec in the container, as a kubelet does for a probe.
	probe := exec.Command(chroot, "--userspec="+user+":"+user, root, "/attache", "healthcheck", "--url", fmt.Sprintf("http://127.0.0.1:%d/readyz", probes))
	if out, err := probe.CombinedOutput(); err != nil {
		t.Errorf("attache healthcheck: %v\n%s", err, out)
	}
	a.stop(t, logged)
	measured(t, "the image's binary", fmt.Sprintf("%.1f MiB", float64(size)/(1<<20)))
	if !t.Failed() {
		record(t, suite{name: "The image's binary as its user in an empty read-only root", tests: 1, passed: 1})
	}
}

// buildImage runs the build command of the Dockerfile and returns the size of
// what it makes.
func buildImage(t *testing.T, dockerfile, binary string) int64 {
	t.Helper()
	command := instruction(t, strings.ReplaceAll(dockerfile, "\\\n", ""), `(?m)^RUN (.*go build .*)$`)
	command = strings.Replace(command, "-o /attache", "-o "+binary, 1)
	build := exec.Command("sh", "-c", command)
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "GOFLAGS=", "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=1.2.3", "REVISION=c0ffee")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 16<<20 {
		t.Errorf("the binary has %d bytes, 16 MiB or more", info.Size())
	}
	return info.Size()
}

// instruction returns what the first group of a pattern matches in a Dockerfile.
func instruction(t *testing.T, dockerfile, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(dockerfile)
	if found == nil {
		t.Fatalf("the Dockerfile has nothing like %s", pattern)
	}
	return found[1]
}

// seesItsOwnRootAlone checks, in the process itself, what the test set up.
func seesItsOwnRootAlone(t *testing.T, a *attache, root, user string) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", a.cmd.Process.Pid)
	if at, err := os.Readlink(proc + "root"); err != nil || at != root {
		t.Errorf("its root is %q (%v), want %s", at, err, root)
	}
	status, err := os.ReadFile(proc + "status")
	if err != nil || !strings.Contains(string(status), fmt.Sprintf("Uid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s", user)) {
		t.Errorf("it does not run as user %s (%v)", user, err)
	}
	// Root may write anywhere, so that only a read-only file system stops it.
	if err := os.WriteFile(proc+"root/written", nil, 0o600); err != syscall.EROFS && !strings.Contains(fmt.Sprint(err), "read-only") {
		t.Errorf("writing into its root: %v, want a read-only file system", err)
	}
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// text returns the body of an answer.
func text(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// systemRoots returns the machine's CA certificates, which the image takes from
// its build image; none if there are none.
func systemRoots(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func certificatePEM(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
