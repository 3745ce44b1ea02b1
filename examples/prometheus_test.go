package examples

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rule is an alert or a record of rules.yaml.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func decode(t *testing.T, path string, to any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rules returns all rules.
func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	decode(t, "prometheus/rules.yaml", &file)
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("only %d rules", len(all))
	}
	return all
}

// Every alert says how bad it is, what happens and where to read on; that is a
// section of docs/alerts.md with everything that whoever is woken needs.
func TestAlertsHaveRunbooks(t *testing.T) {
	page := read(t, "../docs/alerts.md")
	sections := map[string]string{}
	for _, part := range strings.Split(page, "\n## ")[1:] {
		if name, text, _ := strings.Cut(part, "\n"); strings.HasPrefix(name, "Attache") {
			sections[name] = text
		}
	}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		anchor := "#" + strings.ToLower(r.Alert)
		if want := "https://attache.example/docs/alerts.md" + anchor; r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		for _, key := range []string{"summary", "description"} {
			if !strings.HasSuffix(r.Annotations[key], ".") {
				t.Errorf("%s: the %s is no sentence: %q", r.Alert, key, r.Annotations[key])
			}
		}
		if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s: severity %q", r.Alert, severity)
		}
		if row := fmt.Sprintf("\n| [%s](%s) | %s | ", r.Alert, anchor, r.Labels["severity"]); !strings.Contains(page, row) {
			t.Errorf("the table of docs/alerts.md lacks a row %q", row)
		}
		text, ok := sections[r.Alert]
		if !ok {
			t.Errorf("docs/alerts.md has no section %s", r.Alert)
		}
		delete(sections, r.Alert)
		for _, part := range []string{"**Meaning.**", "**Likely causes.**", "**Look at**", "**Do.**", "```console"} {
			if ok && !strings.Contains(text, part) {
				t.Errorf("the section %s lacks %s", r.Alert, part)
			}
		}
	}
	for name := range sections {
		t.Errorf("docs/alerts.md has a section %s, and there is no such alert", name)
	}
}

// Every alert is tested to fire and not to fire, and every record to have a
// value; `make interop` runs these tests.
func TestRulesAreTested(t *testing.T) {
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string `yaml:"alertname"`
				ExpAlerts []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			PromqlExprTest []struct {
				Expr string `yaml:"expr"`
			} `yaml:"promql_expr_test"`
		}
	}
	decode(t, "prometheus/rules_test.yaml", &file)
	fires, silent, values := map[string]bool{}, map[string]bool{}, ""
	for _, test := range file.Tests {
		for _, a := range test.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				fires[a.Alertname] = true
			} else {
				silent[a.Alertname] = true
			}
		}
		for _, e := range test.PromqlExprTest {
			values += e.Expr + "\n"
		}
	}
	for _, r := range rules(t) {
		switch {
		case r.Alert != "" && (!fires[r.Alert] || !silent[r.Alert]):
			t.Errorf("%s is not tested to fire and not to fire", r.Alert)
		case r.Record != "" && !strings.Contains(values, r.Record):
			t.Errorf("%s is not tested", r.Record)
		}
	}
}

var (
	metricName  = regexp.MustCompile(`\battache_[a-z0-9_]+`)
	recordName  = regexp.MustCompile(`\battache:[a-z0-9_:]+`)
	metricEntry = regexp.MustCompile("(?m)^\\| `(attache_[a-z0-9_]+)` \\|")
	suffix      = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// documented returns the metrics of docs/metrics.md.
func documented(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range metricEntry.FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		names = append(names, m[1])
	}
	if len(names) < 20 {
		t.Fatalf("docs/metrics.md has only the metrics %v", names)
	}
	return names
}

// undocumented lists the metrics in an expression that there are not.
func undocumented(expr string, metrics []string) []string {
	var unknown []string
	for _, name := range metricName.FindAllString(expr, -1) {
		if !slices.Contains(metrics, name) && !slices.Contains(metrics, suffix.ReplaceAllString(name, "")) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func TestRulesUseMetricsThatExist(t *testing.T) {
	metrics := documented(t)
	var records []string
	for _, r := range rules(t) {
		records = append(records, r.Record)
	}
	for _, r := range rules(t) {
		for _, name := range undocumented(r.Expr, metrics) {
			t.Errorf("%s%s uses %s, which is not in docs/metrics.md", r.Alert, r.Record, name)
		}
		for _, name := range recordName.FindAllString(r.Expr, -1) {
			if !slices.Contains(records, name) {
				t.Errorf("%s%s uses %s, which no rule records", r.Alert, r.Record, name)
			}
		}
	}
}
