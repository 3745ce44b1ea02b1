package interop

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// rounds is how often TestRollingRestart restarts each replica.
const rounds = 5

// TestRollingRestart restarts two replicas, one in each lane, in turn, under load, behind an HAProxy
// that follows /readyz as a Service of Kubernetes does and sends nothing twice.
// No request may fail, and each replica has to end with 0.
func TestRollingRestart(t *testing.T) {
	tokens := newTokenServer(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") {
			w.WriteHeader(http.StatusUnauthorized)
		}
		time.Sleep(2 * time.Millisecond) // so that some are always under way
		fmt.Fprint(w, "done")
	}))
	defer upstream.Close()
	recipe := tokens.recipe(t, `inject: [{header: Authorization, value: "Bearer ${access}"}]`)
	replicas := []*replica{newReplica(t, express, recipe, upstream.URL), newReplica(t, standard, recipe, upstream.URL)}
	balancer, stats := startBalancer(t, replicas)
	for i, r := range replicas {
		r.start(t)
		awaitState(t, stats, i, "UP")
	}
	clients := newLoad(t, 8,
		request{"GET", "http://" + balancer + "/", "", "done"},
		request{"POST", "http://" + balancer + "/", "a body", "done"},
	)
	for range rounds {
		for i, r := range replicas {
			clients.await(t, 200)
			r.end(t)
			awaitState(t, stats, i, "DOWN")
			clients.await(t, 200)
			r.start(t)
			awaitState(t, stats, i, "UP")
		}
	}
	clients.end()
	clients.check(t)
	measured(t, "rolling restarts", fmt.Sprintf("%d, %d requests meanwhile, %d failed", rounds*len(replicas), clients.sent.Load(), clients.failed.Load()))
	if !t.Failed() {
		record(t, suite{name: "Rolling restarts under load behind HAProxy, no request failed", lane: both, tests: rounds * len(replicas), passed: rounds * len(replicas)})
	}
}

// replica is one place that an attache runs in, again and again.
type replica struct {
	port, probes int
	text         string
	running      *attache
	logged       chan struct{}
}

func newReplica(t *testing.T, l lane, recipe, upstream string) *replica {
	r := &replica{port: freePort(t), probes: freePort(t)}
	r.text = l.configured(fmt.Sprintf(`
listen: 127.0.0.1:%d
probes: 127.0.0.1:%d
drain: {delay: 1s}
credentials:
  c: {recipe: %q}
routes:
  - {path: /, upstream: %q, use: [c]}
`, r.port, r.probes, recipe, upstream))
	return r
}

func (r *replica) start(t *testing.T) { r.running, r.logged = launch(t, r.text) }

// end stops the replica and sees that it ends well.
func (r *replica) end(t *testing.T) { r.running.stop(t, r.logged) }

// startBalancer runs HAProxy in front of the replicas. It returns its address and
// that of its statistics.
func startBalancer(t *testing.T, replicas []*replica) (address, stats string) {
	path := needTool(t, "haproxy")
	port, statsPort := freePort(t), freePort(t)
	text := fmt.Sprintf(`
global
  maxconn 1024
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
  timeout check 5s
frontend in
  bind 127.0.0.1:%d
  default_backend replicas
frontend stats
  bind 127.0.0.1:%d
  stats enable
  stats uri /
backend replicas
  balance roundrobin
  retries 0
  option httpchk GET /readyz
  default-server check inter 50ms fall 1 rise 1
`, port, statsPort)
	for i, r := range replicas {
		text += fmt.Sprintf("  server replica-%d 127.0.0.1:%d port %d\n", i, r.port, r.probes)
	}
	dir := t.TempDir()
	return startServer(t, port, dir, text, path, "-db", "-f"), fmt.Sprintf("127.0.0.1:%d", statsPort)
}

// awaitState waits until HAProxy takes a replica for UP or DOWN.
func awaitState(t *testing.T, stats string, i int, state string) {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if last = stateOf(t, stats, fmt.Sprint("replica-", i)); last == state {
			return
		}
	}
	t.Fatalf("replica %d is %q, want %s", i, last, state)
}

func stateOf(t *testing.T, stats, name string) string {
	answer, err := http.Get("http://" + stats + "/;csv")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	const stateColumn = 17
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		columns := strings.Split(lines.Text(), ",")
		if len(columns) > stateColumn && columns[0] == "replicas" && columns[1] == name {
			return columns[stateColumn]
		}
	}
	return ""
}
