package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// hello is an upstream that says so.
func hello(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	return server.URL
}

// rawPost sends a POST with these lines for a head, and returns the status.
func rawPost(t *testing.T, address, target string, lines ...string) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\n%s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\nConnection: close\r\n\r\na=b",
		target, strings.Join(lines, "\r\n"))
	ans, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Body.Close()
	io.Copy(io.Discard, ans.Body)
	return ans.StatusCode
}

// No page may reload or end attache: not one of a foreign site, nor under a name
// that it bound to this machine, nor of another program here; and nobody who
// reaches another listener.
func TestPagesCannotAct(t *testing.T) {
	text := "listen: 127.0.0.1:0\nadmin: {address: 127.0.0.1:0, quit: true}\nprobes: 127.0.0.1:0\n" +
		fmt.Sprintf("routes: [{path: /x, upstream: %q}]\n", hello(t))
	l := runFile(t, t.TempDir(), text)
	admin := l.app.AdminAddr()
	_, port, _ := net.SplitHostPort(admin)
	for _, verb := range []string{"/-/reload", "/-/renew", "/-/quit"} {
		for _, tt := range []struct {
			name  string
			want  int
			lines []string
		}{
			{"a form on a foreign site", 403, []string{"Host: " + admin, "Origin: http://evil.example", "Sec-Fetch-Site: cross-site"}},
			{"an old browser", 403, []string{"Host: " + admin, "Origin: http://evil.example"}},
			{"no-cors without an origin", 403, []string{"Host: " + admin, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}},
			{"a sandboxed frame", 403, []string{"Host: " + admin, "Origin: null"}},
			{"rebinding", 421, []string{"Host: evil.example:" + port, "Origin: http://evil.example:" + port, "Sec-Fetch-Site: same-origin"}},
			{"rebinding behind a dot", 421, []string{"Host: evil.example.:" + port}},
			{"no host", 421, []string{"Host:"}},
			{"another program's page", 403, []string{"Host: " + admin, "Origin: http://127.0.0.1:3000", "Sec-Fetch-Site: same-site"}},
			{"another program's page in an old browser", 403, []string{"Host: " + admin, "Origin: http://localhost:3000"}},
			{"https on the same port", 403, []string{"Host: " + admin, "Origin: https://x.localhost:" + port}},
		} {
			if code := rawPost(t, admin, verb, tt.lines...); code != tt.want {
				t.Errorf("%s: %s is answered %d, want %d", verb, tt.name, code, tt.want)
			}
		}
		for _, target := range []string{verb, "http://" + admin + verb, "//" + admin + verb, "/x/../.." + verb} {
			if code := rawPost(t, l.app.Addr(), target, "Host: "+admin); code != 404 && code != 400 {
				t.Errorf("%s on the listener for requests is answered %d", target, code)
			}
		}
	}
	if a := l.admin("/readyz"); a.status != 200 {
		t.Errorf("it drains: %s", a.body)
	}
	if !strings.Contains(l.admin("/api/status").body, `"config"`) || strings.Contains(l.admin("/api/status").body, `"last_reload"`) {
		t.Errorf("it was reloaded: %s", l.admin("/api/status").body)
	}
}
