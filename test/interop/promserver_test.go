package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prometheus is a running Prometheus server.
type prometheus struct {
	url string
	log lockedLines
}

// startPrometheus runs a server with the rules of examples/prometheus that
// scrapes targets, by job, until the test ends.
func startPrometheus(t *testing.T, targets map[string]string, flags ...string) *prometheus {
	t.Helper()
	path := needTool(t, "prometheus")
	dir := t.TempDir()
	rules, err := filepath.Abs(filepath.Join(examples, "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n", rules)
	for job, target := range targets {
		text += fmt.Sprintf("  - {job_name: %q, static_configs: [{targets: [%q]}]}\n", job, target)
	}
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(flags, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--log.format=json")...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &prometheus{}
	address, ended := make(chan string, 1), make(chan struct{})
	go p.read(bufio.NewScanner(stderr), address, ended)
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer kill.Stop()
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("prometheus ended with %v:\n%s", err, &p.log)
		}
	})
	select {
	case a := <-address:
		p.url = "http://" + a
	case <-ended:
		t.Fatalf("prometheus ended:\n%s", &p.log)
	case <-time.After(patience):
		t.Fatalf("prometheus does not listen:\n%s", &p.log)
	}
	return p
}

// read collects the log, which also tells the address.
func (p *prometheus) read(lines *bufio.Scanner, address chan<- string, ended chan<- struct{}) {
	defer close(ended)
	for lines.Scan() {
		p.log.add(lines.Text())
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "Listening on" {
			select {
			case address <- line.Address:
			default:
			}
		}
	}
}

// get asks the API and decodes what its answer has as data.
func (p *prometheus) get(path string, values url.Values, data any) error {
	answer, err := http.Get(p.url + "/api/v1/" + path + "?" + values.Encode())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var whole struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	if whole.Status != "success" {
		return errors.New(whole.Error)
	}
	return json.Unmarshal(whole.Data, data)
}

// query returns the values of an expression that are numbers.
func (p *prometheus) query(expr string) ([]float64, error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := p.get("query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var values []float64
	for _, r := range data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return values, nil
}

// holds returns an error unless an expression has a value.
func (p *prometheus) holds(expr string) error {
	values, err := p.query(expr)
	if err == nil && len(values) == 0 {
		err = fmt.Errorf("%s: no value", expr)
	}
	return err
}

// exemplar returns an error unless a metric has an exemplar with this trace.
func (p *prometheus) exemplar(metric, trace string) error {
	var data []struct {
		SeriesLabels map[string]string
		Exemplars    []struct{ Labels map[string]string }
	}
	now := time.Now()
	err := p.get("query_exemplars", url.Values{
		"query": {metric}, "start": {unix(now.Add(-time.Hour))}, "end": {unix(now.Add(time.Minute))},
	}, &data)
	if err != nil {
		return fmt.Errorf("exemplars of %s: %w", metric, err)
	}
	var seen []string
	for _, series := range data {
		for _, e := range series.Exemplars {
			if e.Labels["trace_id"] == trace {
				return nil
			}
			seen = append(seen, fmt.Sprint(e.Labels))
		}
	}
	return fmt.Errorf("%s has the exemplars %v, and not %s", metric, seen, trace)
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// awaitAll asks again until every check holds, and before each round runs again.
func awaitAll(t *testing.T, limit time.Duration, again func(), checks map[string]func() error) {
	t.Helper()
	var last map[string]error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		again()
		last = map[string]error{}
		for name, check := range checks {
			if err := check(); err != nil {
				last[name] = err
			} else {
				delete(checks, name)
			}
		}
		if len(last) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond) // asking again, until the deadline
	}
	for name, err := range last {
		t.Errorf("%s: %s", name, strings.TrimSpace(err.Error()))
	}
}
