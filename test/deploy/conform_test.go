package deploy

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
)

// conformer is kubeconform with the schemas in a folder and no others.
func conformer(t testing.TB, folder string) validator.Validator {
	t.Helper()
	v, err := validator.New([]string{filepath.Join(folder, "{{.ResourceKind}}{{.KindSuffix}}.json")}, validator.Opts{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// conform returns the mistakes in a stream of manifests, and how many objects it has.
func conform(v validator.Validator, manifests string) (mistakes []string, objects int) {
	for _, result := range v.Validate("manifests", io.NopCloser(strings.NewReader(manifests))) {
		switch result.Status {
		case validator.Empty:
		case validator.Valid:
			objects++
		default:
			objects++
			name := "an object"
			if s, err := result.Resource.Signature(); err == nil {
				name = s.Kind + " " + s.Name
			}
			mistakes = append(mistakes, fmt.Sprintf("%s: %v", name, result.Err))
		}
	}
	return mistakes, objects
}

// Everything that is rendered is what the schemas of Kubernetes want.
func TestSchemas(t *testing.T) {
	all := renderings(t)
	for _, cluster := range clusters {
		t.Run(cluster.version, func(t *testing.T) {
			v := conformer(t, writeSchemas(t, cluster))
			for _, r := range all {
				mistakes, objects := conform(v, r.manifests)
				for _, mistake := range mistakes {
					t.Errorf("%s: %s", r.name, mistake)
				}
				if objects != len(documents(r.manifests)) || objects == 0 {
					t.Errorf("%s: kubeconform looked at %d objects of %d", r.name, objects, len(documents(r.manifests)))
				}
			}
		})
	}
}

// Broken manifests are refused, or TestSchemas would show nothing.
func TestSchemasRefuse(t *testing.T) {
	v := conformer(t, writeSchemas(t, clusters[len(clusters)-1]))
	deployment := sidecar(t)
	if mistakes, _ := conform(v, deployment); len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	const monitor = "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: a}\nspec:\n  selector: {}\n  podMetricsEndpoints: [{port: p}]\n"
	if mistakes, _ := conform(v, monitor); len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for _, test := range []struct{ name, manifest, old, new, want string }{
		{"field", deployment, "startupProbe:", "startProbe:", "startProbe"},
		{"field of a field", deployment, "failureThreshold: 300", "threshold: 300", "threshold"},
		{"type", deployment, "replicas: 2", `replicas: "2"`, "replicas"},
		{"type in a list", deployment, "containerPort: 8486", "containerPort: http", "containerPort"},
		{"missing", deployment, "name: attache\n", "\n", "name"},
		{"twice", deployment, "replicas: 2", "replicas: 2\n  replicas: 2", "replicas"},
		{"no kind", deployment, "kind: Deployment", "kind: Deploymint", "could not find schema"},
		{"version", deployment, "apiVersion: apps/v1\n", "apiVersion: apps/v1beta9\n", "could not find schema"},
		{"custom field", monitor, "port: p", "prot: p", "prot"},
		{"custom type", monitor, "port: p", "port: {p: 1}", "port"},
		{"custom metadata", monitor, "name: a", "nam: a", "nam"},
	} {
		t.Run(test.name, func(t *testing.T) {
			broken := strings.Replace(test.manifest, test.old, test.new, 1)
			if broken == test.manifest {
				t.Fatalf("there is no %q to break", test.old)
			}
			mistakes, _ := conform(v, broken)
			if !strings.Contains(strings.Join(mistakes, "\n"), test.want) {
				t.Errorf("the mistakes are %q, want one about %q", mistakes, test.want)
			}
		})
	}
}
