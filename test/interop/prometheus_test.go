package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
)

// examples are the files that are tried here.
const examples = "../../examples/prometheus"

// TestPromtool holds the rules and the scrape configuration against promtool.
func TestPromtool(t *testing.T) {
	promtool := needTool(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "rules.yaml"}, {"check", "config", "prometheus.yaml"}, {"test", "rules", "rules_test.yaml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = examples
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestRulesParse holds the rules against the parser of a Prometheus that is newer
// than the distribution's.
func TestRulesParse(t *testing.T) {
	if n := len(ruleNodes(t)); n < 20 {
		t.Errorf("only %d rules", n)
	}
}

func ruleNodes(t *testing.T) []rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	groups, problems := rulefmt.Parse(text, false, model.UTF8Validation, newParser(), slog.New(slog.DiscardHandler))
	for _, problem := range problems {
		t.Fatal(problem)
	}
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// demo is a running `attache demo`.
type demo struct{ proxy, admin string }

// startDemo runs the demo until the test ends.
func startDemo(t *testing.T) demo {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "demo", "--for", "10m", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log lockedLines
	found, ended := make(chan demo, 1), make(chan struct{})
	go func() {
		defer close(ended)
		var d demo
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			log.add(lines.Text())
			if m := regexp.MustCompile(`http://(127\.0\.0\.1:\d+)(/wechat/|/metrics)`).FindStringSubmatch(lines.Text()); m != nil {
				if m[2] == "/metrics" {
					d.admin = m[1]
					found <- d
				} else {
					d.proxy = m[1]
				}
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer kill.Stop()
		<-ended
		if err := cmd.Wait(); err != nil { // what it holds against its own traffic is the business of its own test
			t.Logf("the demo ended with %v:\n%s", err, &log)
		}
	})
	select {
	case d := <-found:
		return d
	case <-time.After(patience):
		t.Fatalf("the demo does not tell its addresses:\n%s", &log)
	}
	return demo{}
}

// startTroubled runs an attache in which everything goes wrong that the demo keeps
// from happening: a login that fails, a limit that is reached, answers with 5xx.
// touch makes it happen once more.
func startTroubled(t *testing.T) (a *attache, touch func()) {
	t.Helper()
	var refuse atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user := r.URL.Query().Get("user"); {
		case r.URL.Path != "/login":
			if refuse.CompareAndSwap(true, false) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.Header().Set("X-Renewed", fmt.Sprint("renewed-", time.Now().UnixNano()))
		case user == "broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			fmt.Fprintf(w, `{"token":"%d"}`, time.Now().UnixNano())
		}
	}))
	t.Cleanup(server.Close)
	tokens := &tokenServer{url: server.URL}
	plain := tokens.recipe(t, `inject: [{header: Authorization, value: "Bearer ${access}"}]
refused: [{token: access, status: 401}]
renewed: [{token: access, header: X-Renewed, lifetime: 1h, hide: true}]
`)
	keyed := filepath.Join(t.TempDir(), "keyed.yaml")
	text := fmt.Sprintf(`recipe: keyed
params: {user: {required: true}}
tokens:
  access:
    request: {method: POST, url: %q, query: {user: "${user}"}}
    value: {json: token}
    lifetime: 1h
inject: [{header: Authorization, value: "Bearer ${access}"}]
`, server.URL+"/login")
	if err := os.WriteFile(keyed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a = start(t, fmt.Sprintf(`
listen: [127.0.0.1:0, {address: 127.0.0.1:0, tls: {internal: true}}]
certificates: {folder: %q}
credentials:
  plain: {recipe: %q}
  broken: {recipe: %q, with: {user: broken}, required: false}
  keyed: {recipe: %q, with: {user: {header: X-User}}, instances: {logins_per_minute: 1}}
routes:
  - {path: /plain/, upstream: %q, use: [plain]}
  - {path: /broken/, upstream: %[5]q, use: [broken], wait: 0s}
  - {path: /keyed/, upstream: %[5]q, use: [keyed]}
`, t.TempDir(), plain, keyed, keyed, server.URL))
	user := 0
	return a, func() {
		refuse.Store(true)
		for _, path := range []string{"/plain/", "/broken/", "/keyed/"} {
			user++
			r, _ := http.NewRequest("GET", "http://"+a.address+path, nil)
			r.Header.Set("X-User", fmt.Sprint(user))
			if answer, err := http.DefaultClient.Do(r); err != nil {
				t.Error(err)
			} else {
				answer.Body.Close()
			}
		}
	}
}

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// traced sends a request of a sampled trace through the demo.
func (d demo) traced(t *testing.T) {
	r, err := http.NewRequest("GET", "http://"+d.proxy+"/wechat/cgi-bin/user/get", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Traceparent", traceparent)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	answer.Body.Close()
}

// documented returns the metrics of docs/metrics.md with their types.
func documented(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(attache_[a-z0-9_]+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(page), -1) {
		metrics[m[1]] = m[2]
	}
	if len(metrics) < 20 {
		t.Fatalf("only the metrics %v", metrics)
	}
	return metrics
}

// TestPrometheus has Prometheus servers scrape the demo, and an attache in trouble
// beside it: one server as it comes, one with native histograms.
func TestPrometheus(t *testing.T) {
	needTool(t, "prometheus")
	d := startDemo(t)
	troubled, touch := startTroubled(t)
	again := func() {
		d.traced(t)
		touch()
	}
	again()
	again() // the first user was within the limit
	t.Run("promtool check metrics", func(t *testing.T) { checkMetrics(t, d.admin) })
	dashboard := readDashboard(t)
	t.Run("dashboard", func(t *testing.T) { dashboard.checkNames(t, d.admin, troubled.admin) })

	targets := map[string]string{"attache": d.admin, "attache-troubled": troubled.admin}
	for name, flags := range map[string][]string{
		"classic": {"--enable-feature=exemplar-storage"},
		"native":  {"--enable-feature=exemplar-storage,native-histograms"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPrometheus(t, targets, flags...)
			checks := map[string]func() error{
				"targets": func() error { return p.holds("count(up == 1) == 2") },
				"rules":   p.rulesHealthy,
			}
			expect := func(expr string) { checks[expr] = func() error { return p.holds(expr) } }
			for _, r := range ruleNodes(t) {
				if r.Record != "" {
					expect(fmt.Sprintf("%s{job=\"attache\"}", r.Record))
				}
			}
			for metric, kind := range documented(t) {
				if kind == "histogram" && name == "native" {
					expect(fmt.Sprintf("histogram_count(%s) > 0", metric))
				} else if kind == "histogram" {
					expect(metric + "_bucket > 0")
				} else {
					expect(metric)
				}
			}
			for _, alert := range []string{"AttacheNoToken", "AttacheLoginsAboveLimit", "AttacheRefreshFailing"} {
				expect(fmt.Sprintf("ALERTS{alertname=%q, job=\"attache-troubled\"}", alert))
			}
			for _, metric := range []string{"attache_proxy_request_duration_seconds", "attache_proxy_upstream_duration_seconds"} {
				if name == "classic" {
					metric += "_bucket"
				}
				checks["exemplar of "+metric] = func() error { return p.exemplar(metric, traceID) }
			}
			for _, expr := range dashboard.expressions(t) {
				expect(expr)
			}
			awaitAll(t, 2*time.Minute, again, checks)
		})
	}
}

// rulesHealthy returns an error unless every rule was evaluated without one.
func (p *prometheus) rulesHealthy() error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("rules", url.Values{}, &data); err != nil {
		return err
	}
	seen := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			seen++
			if r.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if seen < 20 {
		return fmt.Errorf("only %d rules are loaded", seen)
	}
	return nil
}

func checkMetrics(t *testing.T, admin string) {
	promtool := needTool(t, "promtool")
	text := fetch(t, "http://"+admin+"/metrics")
	if !bytes.Contains(text, []byte("\nattache_build_info{")) {
		t.Fatalf("these are not attache's metrics:\n%s", text)
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
