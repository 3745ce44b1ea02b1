package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"sigs.k8s.io/yaml"
)

// lintChart does what `helm lint` does and returns its complaints.
func lintChart(t testing.TB, dir, values string) []string {
	t.Helper()
	given := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range lint.RunAll(dir, given, "shops").Messages {
		if m.Severity > support.InfoSev {
			list = append(list, m.Error())
		}
	}
	return list
}

func TestChartLint(t *testing.T) {
	own := filepath.Join(kubernetes, "chart")
	for _, values := range []string{"", everything, nothing, "{mode: sidecar, podMonitor: {enabled: true}}"} {
		for _, complaint := range lintChart(t, own, values) {
			t.Errorf("with %q: %s", values, complaint)
		}
	}
	broken := t.TempDir()
	if err := os.CopyFS(broken, os.DirFS(own)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "templates", "broken.yaml"), []byte("kind: {{ .Values.a.b }}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if complaints := strings.Join(lintChart(t, broken, ""), "\n"); !strings.Contains(complaints, "broken.yaml") {
		t.Errorf("a broken template leaves lint with %q", complaints)
	}
}

// Values that the chart has no use for are refused, wherever they stand, and so are
// configurations that its ports cannot be taken from.
func TestChartRefuses(t *testing.T) {
	for _, test := range []struct{ values, want string }{
		{"replica: 3", "replica"},
		{"replicas: two", "replicas"},
		{"mode: daemon", "mode"},
		{"image: {name: attache}", "name"},
		{"secrets: [attache]", "secrets"},
		{"secrets: [{name: attache, mountPath: etc}]", "mountPath"},
		{"networkPolicy: {clients: [{pods: {}}]}", "pods"},
		{"networkPolicy: {egress: [{from: []}]}", "from"},
		{"podMonitor: {interval: often}", "interval"},
		{"resources: {limits: {memory: much}}", "memory"},
		{"service: {protocol: udp}", "protocol"},
		{"config: {routes: []}", "config"},
		{"config: 'listen: \":8484\"'", "config"},
		{"config: \"listen: \\\"x\\ny\\nprobes: a\"", "config is no YAML"},
		{"config: \"listen: ':8484'\\nprobes: here\"", "config has no address HOST:PORT at probes"},
		{"config: \"listen: {unix: /run/a}\\nprobes: ':8486'\"", "config has no address HOST:PORT at listen"},
	} {
		_, err := template(load(t, filepath.Join(kubernetes, "chart")), "shop", test.values)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want one about %q", test.values, err, test.want)
		}
	}
	for _, test := range []struct{ values, want string }{
		{"attache: {mode: standalone}", "attache.sidecar is for mode: sidecar"},
		{"attache: {replica: 1}", "replica"},
	} {
		if _, err := template(application(t), "shop", test.values); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("application's chart with %s: the error is %v, want one about %q", test.values, err, test.want)
		}
	}
}

// The schema knows every value that there is, and no map in it is open by mistake.
func TestSchemaIsStrict(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(kubernetes, "chart", "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	known := schema["properties"].(map[string]any)
	for name := range load(t, filepath.Join(kubernetes, "chart")).Values {
		if known[name] == nil {
			t.Errorf("the schema does not know %s", name)
		}
	}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case map[string]any:
			if _, ok := node["properties"].(map[string]any); ok && node["additionalProperties"] != false {
				t.Errorf("%s takes any key", path)
			}
			for key, child := range node {
				walk(path+"/"+key, child)
			}
		case []any:
			for _, child := range node {
				walk(path, child)
			}
		}
	}
	walk("", schema)
}

// Names stay legal and apart, whatever the release is called.
func TestChartNames(t *testing.T) {
	own := filepath.Join(kubernetes, "chart")
	long := strings.Repeat("a", 53) // Helm's limit
	for release, want := range map[string]string{
		"shop":         "shop-attache",
		"attache":      "attache",
		"my-attache-2": "my-attache-2",
		long:           long + "-attache",
	} {
		o := read(t, mustTemplate(t, load(t, own), release, ""))
		if _, ok := o.configMaps[want]; !ok || len(want) > 63 {
			t.Errorf("release %s has the ConfigMaps %v, want %s", release, o.configMaps, want)
		}
	}
}

// A chart in mode sidecar runs nothing by itself.
func TestChartSidecarMode(t *testing.T) {
	o := read(t, mustTemplate(t, load(t, filepath.Join(kubernetes, "chart")), "shop", "mode: sidecar"))
	if len(o.workloads)+len(o.services)+len(o.policies)+len(o.budgets)+len(o.accounts) > 0 || len(o.configMaps) != 1 {
		t.Errorf("mode sidecar renders %+v", o)
	}
}
