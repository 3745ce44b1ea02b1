package deploy

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kubernetes is the folder of the examples.
var kubernetes = filepath.Join("..", "..", "examples", "kubernetes")

// rendering is what one of the ways to run attache would send to a cluster.
type rendering struct{ name, manifests string }

// renderings renders everything.
func renderings(t testing.TB) []rendering {
	t.Helper()
	var all []rendering
	for _, name := range []string{"sidecar", "overlay", "standalone", "monitoring"} {
		all = append(all, rendering{name, kustomize(t, filepath.Join(kubernetes, name))})
	}
	all = append(all, rendering{"component on other workloads", kustomize(t, filepath.Join("testdata", "workloads"))})
	own := filepath.Join(kubernetes, "chart")
	for _, v := range []struct{ name, values string }{
		{"chart", ""},
		{"chart with everything", everything},
		{"chart with nothing", nothing},
	} {
		all = append(all, rendering{v.name, mustTemplate(t, load(t, own), "shop", v.values)})
	}
	all = append(all, rendering{"application's chart", mustTemplate(t, application(t), "shop", "attache: {podMonitor: {enabled: true}}")})
	return all
}

// everything turns on what the chart can do.
const everything = `
image: {repository: registry.example.com/attache, tag: 0.1.1, pullPolicy: Always}
imagePullSecrets: [registry]
replicas: 3
maxUnavailable: 34%
service: {port: 443}
podAnnotations: {example.com/team: a}
podLabels: {team: a}
nodeSelector: {disk: fast}
tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}]
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - {weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app.kubernetes.io/name: redis}}}}
podMonitor: {enabled: true, interval: 15s, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
`

// nothing turns it off.
const nothing = `
replicas: 0
maxUnavailable: null
networkPolicy: {clients: [], monitoring: [], egress: []}
resources: {requests: null}
service: {protocol: http}
secrets: [{name: a, mountPath: /run/secrets/attache}]
config: |
  listen: {address: ":9484", callers: [{name: shop, bearer: {file: /run/secrets/attache/caller-shop}}], unsafe: true}
  probes: "[::]:9486"
  routes: [{path: /, upstream: "https://api.example.com"}]
`

// kustomize does what `kubectl kustomize DIR` does.
func kustomize(t testing.TB, dir string) string {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("kustomize %s: %v", dir, err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sidecar is the Deployment that has attache as a sidecar.
func sidecar(t testing.TB) string {
	t.Helper()
	for _, document := range documents(kustomize(t, filepath.Join(kubernetes, "sidecar"))) {
		if strings.Contains(document, "kind: Deployment\n") {
			return document
		}
	}
	t.Fatal("there is no Deployment in sidecar")
	return ""
}

// load reads a chart.
func load(t testing.TB, dir string) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// application is the chart that depends on ours, after `helm dependency build`.
func application(t testing.TB) *chart.Chart {
	t.Helper()
	c, own := load(t, filepath.Join(kubernetes, "application-chart")), load(t, filepath.Join(kubernetes, "chart"))
	for _, d := range c.Metadata.Dependencies {
		if d.Name != own.Name() || d.Version != own.Metadata.Version || d.Repository != "file://../chart" {
			t.Fatalf("%s depends on %s %s of %s, but there is %s %s", c.Name(), d.Name, d.Version, d.Repository, own.Name(), own.Metadata.Version)
		}
	}
	c.AddDependency(own)
	return c
}

// template does what `helm template` does.
func template(c *chart.Chart, release, values string) (string, error) {
	given := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		return "", err
	}
	if err := chartutil.ProcessDependencies(c, given); err != nil {
		return "", err
	}
	options := common.ReleaseOptions{Name: release, Namespace: "shops", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(c, given, options, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", err
	}
	var manifests []string
	for name, text := range files {
		if strings.HasSuffix(name, ".yaml") {
			manifests = append(manifests, documents(text)...)
		}
	}
	slices.Sort(manifests)
	return strings.Join(manifests, "\n---\n"), nil
}

func mustTemplate(t testing.TB, c *chart.Chart, release, values string) string {
	t.Helper()
	text, err := template(c, release, values)
	if err != nil {
		t.Fatalf("render %s with %q: %v", c.Name(), values, err)
	}
	return text
}

var separator = regexp.MustCompile(`(?m)^---[ \t]*$`)

// documents splits a stream of YAML and leaves out what is empty.
func documents(stream string) []string {
	var list []string
	for _, document := range separator.Split(stream, -1) {
		if document = strings.TrimSpace(document); document != "" {
			list = append(list, document+"\n")
		}
	}
	return list
}
