package page

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startDemo builds attache, runs its demo, and returns the URL of the admin
// listener and what ends the process, as Ctrl-C does.
func startDemo(t *testing.T) (string, func()) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "attache")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "./cmd/attache")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build attache: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "demo", "--for", "10m", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	stop := func() {
		cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(patience):
			cmd.Process.Kill()
		}
	}
	t.Cleanup(stop)
	admin := make(chan string, 1)
	go func() {
		defer close(ended)
		status := regexp.MustCompile(`curl (http://127\.0\.0\.1:\d+)/api/status`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := status.FindStringSubmatch(lines.Text()); m != nil {
				admin <- m[1]
			}
		}
		cmd.Wait() // it fails if a request did, which is none of the page's business
	}()
	select {
	case url := <-admin:
		return url, stop
	case <-ended:
		t.Fatal("the demo ended")
	case <-time.After(patience):
		t.Fatal("the demo does not say where its admin listener is")
	}
	return "", nil
}

// The page of a running attache: it is the one in the tree, shows live tokens,
// routes and events, renews a token, and notices the end.
func TestPageOfTheDemo(t *testing.T) {
	if browser == nil {
		t.Skip("missing tool: chromium")
	}
	url, stop := startDemo(t)
	for _, name := range []string{"page.css", "page.js", "tools.js", "token.js", "icon.svg"} {
		want, err := os.ReadFile(filepath.Join(files, name))
		if err != nil {
			t.Fatal(err)
		}
		got, header := fetch(t, url+"/"+name)
		if got != string(want) {
			t.Errorf("%s is served as another text", name)
		}
		if p := header.Get("Content-Security-Policy"); p != policy || strings.Contains(p, "unsafe") {
			t.Errorf("%s: the policy is %q, these tests try the page with %q", name, p, policy)
		}
	}
	b := open(t, url, look{realTime: true})
	b.until(`document.querySelectorAll('.token').length === 5 && document.querySelectorAll('#route-list tr').length === 4`)
	b.until(`/wechat/.test(document.querySelector('#route-list').textContent) && parseFloat(document.querySelector('#route-list td:nth-child(3)').textContent) > 0
		&& /\d (ms|s)$/.test(document.querySelector('#route-list td:nth-child(4)').textContent)`)
	b.until(`document.querySelector('#stream').textContent === 'Live' && /openim\.\S+ logged in: generation \d+, expires/.test(document.querySelector('#event-list').textContent)`)
	b.until(`document.querySelector('.mark .refused') && document.querySelector('.mark .logged_in')`) // the demo revokes tokens
	b.until(`/\d user/.test(document.querySelector('#token-list').textContent)`)
	eval[any](b, `[...document.querySelectorAll('.token button:not([hidden])')].find((x) => x.getAttribute('aria-label').includes('openim')).click(), null`)
	b.until(`/^openim\.\S+( is renewed: generation \d+\.|: the login failed)/.test(document.querySelector('#said').textContent)`)
	b.quiet()
	stop()
	b.until(`document.body.hasAttribute('data-lost')`)
}

func fetch(t *testing.T, url string) (string, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), answer.Header
}
