package interop

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, answer.Status, err)
	}
	return text
}

// dashboard is what is checked of examples/grafana/attache.json.
type dashboard struct {
	queries []query
}

// query is an expression of a panel or an annotation, with what is shown of its
// labels, or the question of a variable.
type query struct{ where, expr, legend string }

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("../../examples/grafana/attache.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Title       string
		Annotations struct {
			List []struct{ Name, Expr, TextFormat string }
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
				Definition string
			}
		}
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var d dashboard
	for _, a := range file.Annotations.List {
		d.queries = append(d.queries, query{"annotation " + a.Name, a.Expr, a.TextFormat})
	}
	for _, v := range file.Templating.List {
		if v.Type == "query" {
			m := labelValues.FindStringSubmatch(v.Definition)
			if m == nil {
				t.Fatalf("variable %s asks for %s", v.Name, v.Definition)
			}
			d.queries = append(d.queries, query{"variable " + v.Name, m[1], "{{" + m[2] + "}}"})
		}
	}
	for _, p := range file.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			d.queries = append(d.queries, query{"panel " + p.Title, target.Expr, target.LegendFormat})
		}
	}
	if len(d.queries) < 40 {
		t.Fatalf("only %d queries", len(d.queries))
	}
	return d
}

// filled puts values in the place of Grafana's variables: everything, and a time.
func filled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$job", ".+", "$instance", ".+", "$credential", ".*", "$route", ".*").Replace(expr)
}

// expressions are those that have a value where everything happened that can
// happen.
func (d dashboard) expressions(t *testing.T) []string {
	var list []string
	for _, q := range d.queries {
		if !strings.HasPrefix(q.where, "annotation") {
			list = append(list, filled(q.expr))
		}
	}
	return list
}

// checkNames checks that every expression parses, and that every metric and every
// label in it is in what one of the admin listeners serves.
func (d dashboard) checkNames(t *testing.T, admins ...string) {
	known := served(t, admins)
	used := map[string]bool{}
	for _, q := range d.queries {
		expr := filled(q.expr)
		if strings.Contains(expr, "$") {
			t.Errorf("%s: an unknown variable in %s", q.where, q.expr)
		}
		tree, err := newParser().ParseExpr(expr)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		has := map[string]bool{}
		parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
			v, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			used[v.Name] = true
			if known[v.Name] == nil {
				t.Errorf("%s: nobody serves %s", q.where, v.Name)
			}
			for _, m := range v.LabelMatchers {
				if m.Name != model.MetricNameLabel && !known[v.Name][m.Name] {
					t.Errorf("%s: %s has no label %s", q.where, v.Name, m.Name)
				}
			}
			for name := range known[v.Name] {
				has[name] = true
			}
			return nil
		})
		for _, name := range mentioned(tree, q.legend) {
			if !has[name] {
				t.Errorf("%s: none of its metrics has the label %s", q.where, name)
			}
		}
	}
	for metric, kind := range documented(t) {
		if !used[metric] && !(kind == "histogram" && used[metric+"_bucket"]) {
			t.Errorf("the dashboard does not show %s", metric)
		}
	}
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// mentioned lists the labels by which an expression groups and those in a legend.
func mentioned(tree parser.Expr, legend string) []string {
	var names []string
	for _, m := range legendLabel.FindAllStringSubmatch(legend, -1) {
		names = append(names, m[1])
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if a, ok := node.(*parser.AggregateExpr); ok {
			names = append(names, a.Grouping...)
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// served returns the labels of everything that the admin listeners serve, with
// those that a scrape adds. A histogram is there by its own name, as a native one,
// and by those of its parts.
func served(t *testing.T, admins []string) map[string]map[string]bool {
	t.Helper()
	known := map[string]map[string]bool{"up": {"job": true, "instance": true}}
	for _, admin := range admins {
		text := expfmt.NewTextParser(model.UTF8Validation)
		families, err := text.TextToMetricFamilies(bytes.NewReader(fetch(t, "http://"+admin+"/metrics")))
		if err != nil {
			t.Fatal(err)
		}
		for name, family := range families {
			set := map[string]bool{"job": true, "instance": true}
			for _, metric := range family.GetMetric() {
				for _, l := range metric.GetLabel() {
					set[l.GetName()] = true
				}
			}
			known[name] = set
			if family.GetType().String() == "HISTOGRAM" {
				buckets := map[string]bool{"le": true}
				for l := range set {
					buckets[l] = true
				}
				known[name+"_bucket"], known[name+"_sum"], known[name+"_count"] = buckets, set, set
			}
		}
	}
	return known
}
