package demo

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"attache/internal/config"
	"attache/internal/terminal"
)

// TestDemo runs the demo for a few real seconds: what it checks are counts, and
// the demo itself fails when a request does.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), Options{For: 8 * time.Second, Out: &out, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Version: "test", Getenv: os.Getenv})
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	if !regexp.MustCompile(`^demo: \d{3,} requests in \d+s through 4 routes, 0 failed; [1-9]\d* broken on purpose; [1-9]\d* replays, `).MatchString(last) {
		t.Errorf("the last line is %q", last)
	}
	for _, want := range []string{"curl http://127.0.0.1:", "wechat ", "qiniu ", "aicc ", "openim ", "healed in"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}

// TestFailuresCount sees to it that the demo does not take a failure for a
// success: a wrong status, a wrong body, no answer.
func TestFailuresCount(t *testing.T) {
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, `{"errcode":40001}`)
	}))
	tr := newTraffic(server.URL, []*vendor{{scene: scenery()[0]}})
	c := tr.routes[0]
	tr.send(c, 0)
	if want := `GET /wechat/cgi-bin/user/get: 503 Service Unavailable: {"errcode":40001}`; tr.firstFailure() != want {
		t.Errorf("the first failure is %q, want %q", tr.firstFailure(), want)
	}
	status = http.StatusOK
	tr.send(c, 1)
	server.Close()
	tr.send(c, 2)
	if c.requests.Load() != 3 || c.failures.Load() != 3 {
		t.Errorf("%d of %d requests failed, want all three", c.failures.Load(), c.requests.Load())
	}
}

func TestConfigurationIsOneThatUsersCanWrite(t *testing.T) {
	var vendors []*vendor
	for _, s := range scenery() {
		vendors = append(vendors, &vendor{scene: s, url: "http://127.0.0.1:9"})
	}
	text := configuration(vendors, "127.0.0.1:8484", "127.0.0.1:8485")
	cfg, err := config.Parse("demo.yaml", []byte(text), ".")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(cfg.Routes) != 4 || len(cfg.Credentials) != 4 {
		t.Errorf("%d routes, %d credentials", len(cfg.Routes), len(cfg.Credentials))
	}
}

func TestRender(t *testing.T) {
	v := view{elapsed: 30 * time.Second, troubles: 3,
		rows: []row{
			{name: "wechat", requests: 123456, generation: 12, expires: 3400 * time.Millisecond, hasExpiry: true, replays: 7, logins: 12, calledFor: 13},
			{name: "aicc", requests: 9, failed: 2, generation: 1, expires: -time.Second, hasExpiry: true, users: 5, logins: 30, calledFor: 20},
		},
		incidents: []incident{
			{at: 2 * time.Second, what: "wechat: broken", healed: 12 * time.Millisecond},
			{at: 4 * time.Second, what: "aicc: broken"},
			{at: 5 * time.Second, what: "aicc: broken", note: "not healed"},
		}}
	want := `route     requests  failed  token  expires  replays logins (at most)
wechat      123456       0    #12     3.4s        7       12 (13)
aicc             9       2     #1 renewing        0       30 (20)  5 users

broken on purpose: 3
   2.0s  wechat: broken: healed in 12 ms
   4.0s  aicc: broken …
   5.0s  aicc: broken: not healed

`
	if got := render(v, false, 80, 24); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, line := range strings.Split(render(v, false, 80, 24), "\n") {
		if len([]rune(line)) > 80 {
			t.Errorf("a line has more than 80 columns: %s", line)
		}
	}
	// Where there is less room, columns and incidents are left out as a whole.
	narrow := `route     requests  failed  token
wechat      123456       0    #12
aicc             9       2     #1

broken on purpose: 3
   5.0s  aicc: broken: not healed

`
	if got := render(v, false, 40, 7); got != narrow {
		t.Errorf("got\n%s\nwant\n%s", got, narrow)
	}
	for columns := range 90 {
		for lines := range 20 {
			for i, line := range strings.Split(render(v, false, columns, lines), "\n") {
				if terminal.Width(line) > columns || i > max(lines, 1) {
					t.Fatalf("line %d of %d×%d is %q", i, columns, lines, line)
				}
			}
		}
	}
	colored := render(v, true, 80, 24)
	if plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colored, ""); plain != want {
		t.Errorf("colours change the text:\n%s", plain)
	}
	if !strings.Contains(colored, "\x1b[1;31m       2\x1b[m") {
		t.Error("failures are not red")
	}
}

func TestHintsFitATerminal(t *testing.T) {
	var vendors []*vendor
	for _, s := range scenery() {
		vendors = append(vendors, &vendor{scene: s})
	}
	text := hints("http://127.0.0.1:8484", "http://127.0.0.1:8485", vendors)
	if strings.Count(text, "curl ") != len(vendors)+2 {
		t.Errorf("want a curl line for each route and two for the admin API:\n%s", text)
	}
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 80 {
			t.Errorf("a line has %d columns: %s", len(line), line)
		}
	}
}
