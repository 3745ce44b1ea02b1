package deploy

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "copy examples/prometheus/rules.yaml to where Kubernetes needs it")

// The rules stand in one place; what Kubernetes needs of them are copies, because
// neither Kustomize nor a chart can read files outside of its folder.
var (
	rules       = filepath.Join("..", "..", "examples", "prometheus", "rules.yaml")
	ruleInChart = filepath.Join(kubernetes, "chart", "files", "rules.yaml")
	ruleObject  = filepath.Join(kubernetes, "monitoring", "prometheusrule.yaml")
)

// ruleHead is what comes before the rules in the object.
const ruleHead = `# The rules of ../../prometheus/rules.yaml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: attache
  labels: {app.kubernetes.io/name: attache}
spec:
`

// asObject makes the object of a file of rules.
func asObject(file []byte) []byte {
	var object bytes.Buffer
	object.WriteString(ruleHead)
	for line := range bytes.Lines(file) {
		if len(bytes.TrimSpace(line)) > 0 {
			object.WriteString("  ")
		}
		object.Write(line)
	}
	return object.Bytes()
}

func TestRulesAreCopies(t *testing.T) {
	source, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{ruleInChart: source, ruleObject: asObject(source)} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s says (%v): run go test ./... -update", path, rules, err)
		}
	}
}

// The rules that are rendered are those of the file, and nothing in them was taken for
// a template.
func TestRulesAreRendered(t *testing.T) {
	text, err := os.ReadFile(ruleInChart)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := yaml.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "{{") {
		t.Error("no annotation is a template of Prometheus, so this shows little")
	}
	for name, manifests := range map[string]string{
		"monitoring": kustomize(t, filepath.Join(kubernetes, "monitoring")),
		"chart":      mustTemplate(t, load(t, filepath.Join(kubernetes, "chart")), "shop", "prometheusRule: {enabled: true}"),
	} {
		rules := read(t, manifests).rules
		if len(rules) != 1 || !reflect.DeepEqual(rules[0].Spec, want) {
			t.Errorf("%s renders the rules %v, want %v", name, rules, want)
		}
	}
}
