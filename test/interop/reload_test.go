package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"attache/internal/lanetest"
)

// reloadCount is how often TestReloads has the configuration loaded anew.
const reloadCount = 10_000

// TestReloads has a configuration that changes each time loaded anew, under load:
// routes come and go, a credential gets other parameters, a secret another
// content, a listener other limits, the lane is the other one, and every tenth file is wrong. No request may
// fail, and nothing may grow.
func TestReloads(t *testing.T) {
	tokens := newTokenServer(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		steady, flips := r.Header.Get("Authorization"), r.Header.Get("X-Flip")
		if flips != "" {
			flips = " and another"
		}
		fmt.Fprintf(w, "%s%s %s", steady, flips, body)
	}))
	defer upstream.Close()
	c := changing{
		upstream: upstream.URL, secret: filepath.Join(t.TempDir(), "secret"),
		steady: tokens.recipe(t, `inject: [{header: Authorization, value: "Bearer ${access}"}]`),
	}
	other := newTokenServer(t)
	c.flips = other.recipe(t, `params: {user: {required: true}, secret: {required: true, secret: true}}
inject: [{header: X-Flip, value: "${access}"}]`)
	// The login has to mention what makes it another one.
	text, err := os.ReadFile(c.flips)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.flips, strings.Replace(string(text), "json: {}", `json: {user: "${user}", secret: "${secret}"}`, 1))
	write(t, c.secret, "secret-0")
	a := start(t, c.text(0))

	clients := newLoad(t, 8,
		request{"GET", "http://" + a.address + "/steady", "", "Bearer token-1 "},
		request{"POST", "http://" + a.address + "/steady", "a body", "Bearer token-1 a body"},
		request{"POST", "http://" + a.address + "/flips", "b", "Bearer token-1 and another b"},
	)
	var before usage
	var goroutines float64
	began := time.Now()
	for i := 1; i <= reloadCount; i++ {
		if i%50 == 7 {
			write(t, c.secret, fmt.Sprint("secret-", i))
		}
		a.reload(t, c.text(i), i%10 != 0)
		if i == reloadCount/10 {
			before, goroutines = a.settledUnderLoad(t)
		}
	}
	took := time.Since(began)
	a.await(t, "files and goroutines to be given back", func() bool {
		return a.usage(t).files <= before.files+10 && a.metric(t, "go_goroutines") <= goroutines+10
	})
	after, goroutinesAfter := a.settledUnderLoad(t)
	clients.end()
	clients.check(t)
	sent := clients.sent.Load()
	t.Logf("%d reloads in %v, %d requests, %d logins; after a tenth: %v, %v goroutines; at the end: %v, %v goroutines",
		reloadCount, took.Round(time.Second), sent, other.issued.Load(), before, goroutines, after, goroutinesAfter)
	if n := tokens.issued.Load(); n != 1 {
		t.Errorf("the token whose definition stays was logged in %d times, want once", n)
	}
	if sent < reloadCount {
		t.Errorf("only %d requests were sent meanwhile", sent)
	}
	if more := after.heap - before.heap; more > 4<<20 {
		t.Errorf("the heap grew by %.1f MiB", more/(1<<20))
	}
	if more := after.resident - before.resident; more > 8<<20 {
		t.Errorf("resident memory grew by %.1f MiB", more/(1<<20))
	}
	measured(t, "reloads under load", fmt.Sprintf("%d, of which %d were refused, in %v; %d requests meanwhile, %d failed", reloadCount, reloadCount/10, took.Round(time.Second), sent, clients.failed.Load()))
	measured(t, "after 1,000 and after 10,000 reloads", fmt.Sprintf("VmRSS %.1f and %.1f MiB, %v and %v files, %v and %v goroutines",
		before.resident/(1<<20), after.resident/(1<<20), before.files, after.files, goroutines, goroutinesAfter))
	if !t.Failed() {
		record(t, suite{name: "Reloads under load, no request failed and nothing grew", lane: both, tests: reloadCount, passed: reloadCount})
	}
}

// changing is a configuration that is another one each time.
type changing struct{ upstream, secret, steady, flips string }

func (c changing) text(i int) string {
	if i > 0 && i%10 == 0 {
		return "listen: 127.0.0.1:0\nroutes: [{path: /, upstream: nowhere}]\n"
	}
	connections := 1000
	if i/250%2 == 1 { // this takes a new server on the same socket
		connections = 999
	}
	level := "warn" // a line for each reload would be many
	if i == 0 {
		level = "info" // which tells the address
	}
	turn := []lane{express, standard}[i/3%2]
	return turn.configured(fmt.Sprintf(`listen: {address: 127.0.0.1:0, limits: {connections: %d}}
log: {level: %s, requests: none}
credentials:
  steady: {recipe: %q}
  flips: {recipe: %q, with: {user: user-%d, secret: {file: %q}}}
routes:
  - {path: /steady, upstream: %q, use: [steady]}
  - {path: /flips, upstream: %[7]q, use: [steady, flips], wait: 20s}
  - {name: extra-%[8]d, path: /extra-%[8]d, upstream: "%[7]s/%[8]d", use: [steady]}
`, connections, level, c.steady, c.flips, i/5%7, c.secret, c.upstream, i))
}

// write replaces a file at once, as Kubernetes and careful editors do.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// reload gives attache another configuration and asks for it. good says whether
// it is to be taken.
func (a *attache) reload(t testing.TB, text string, good bool) {
	t.Helper()
	write(t, a.file, lanetest.Configuration("admin: 127.0.0.1:0\n"+text))
	answer, err := http.Post("http://"+a.admin+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	if taken := answer.StatusCode == http.StatusOK; taken != good {
		t.Fatalf("reload: %d %s\n%s\n%s", answer.StatusCode, said, text, &a.log)
	}
}

// settledUnderLoad returns the least of what is used over a while: what a
// collection of garbage leaves.
func (a *attache) settledUnderLoad(t *testing.T) (least usage, goroutines float64) {
	t.Helper()
	least, goroutines = a.usage(t), a.metric(t, "go_goroutines")
	for range 30 {
		time.Sleep(100 * time.Millisecond)
		now := a.usage(t)
		least.files, least.heap, least.resident = min(least.files, now.files), min(least.heap, now.heap), min(least.resident, now.resident)
		goroutines = min(goroutines, a.metric(t, "go_goroutines"))
	}
	return least, goroutines
}
