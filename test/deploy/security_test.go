package deploy

import (
	"strings"
	"testing"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// forbidden returns why the Pod Security Standard "restricted" refuses the pods of a
// workload.
func forbidden(t testing.TB, w workload) string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &w.template.ObjectMeta, &w.template.Spec))
	if result.Allowed {
		return ""
	}
	return result.ForbiddenDetail()
}

func TestRestricted(t *testing.T) {
	seen := 0
	for _, r := range renderings(t) {
		for _, w := range read(t, r.manifests).workloads {
			seen++
			if why := forbidden(t, w); why != "" {
				t.Errorf("%s: %s: %s", r.name, w.name, why)
			}
			c, _, has := w.attache()
			if has && (c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem) {
				t.Errorf("%s: %s: attache may write its root file system", r.name, w.name)
			}
			// The application's pods may need the API; ours do not.
			if token := w.template.Spec.AutomountServiceAccountToken; strings.HasPrefix(w.name, "attache") && (token == nil || *token) {
				t.Errorf("%s: %s has a token for the Kubernetes API", r.name, w.name)
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d workloads were found", seen)
	}
}

func TestRestrictedRefuses(t *testing.T) {
	good := sidecar(t)
	for _, test := range []struct{ old, new, want string }{
		{"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"- ALL", "- NET_RAW", "capabilities"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{"runAsUser: 65532", "runAsUser: 0", "runAsUser"},
		{"automountServiceAccountToken: false", "hostNetwork: true", "hostNetwork"},
	} {
		broken := strings.Replace(good, test.old, test.new, 1)
		if broken == good {
			t.Fatalf("there is no %q to break", test.old)
		}
		if why := forbidden(t, read(t, broken).workloads[0]); !strings.Contains(why, test.want) {
			t.Errorf("with %s the answer is %q, want one about %q", test.new, why, test.want)
		}
	}
}
