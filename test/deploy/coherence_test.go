package deploy

import (
	"fmt"
	"path"
	"reflect"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// incoherent returns what no schema can find: names that lead nowhere, and settings
// that contradict each other.
func incoherent(o objects) []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, w := range o.workloads {
		checkSelector(o, w, say)
		checkVolumes(o, w, say)
		checkProbes(w, say)
		checkAttache(o, w, say)
	}
	for _, s := range o.services {
		found := o.selected(&meta.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(found) == 0 {
			say("Service %s finds no pods", s.Name)
		}
		for _, p := range s.Spec.Ports {
			checkPort("Service "+s.Name, p.TargetPort, found, say)
		}
	}
	for _, b := range o.budgets {
		if len(o.selected(b.Spec.Selector)) == 0 {
			say("PodDisruptionBudget %s finds no pods", b.Name)
		}
	}
	for _, p := range o.policies {
		found := o.selected(&p.Spec.PodSelector)
		if len(found) == 0 {
			say("NetworkPolicy %s finds no pods", p.Name)
		}
		for _, rule := range p.Spec.Ingress {
			if len(rule.Ports) == 0 {
				say("NetworkPolicy %s opens every port", p.Name)
			}
			for _, port := range rule.Ports {
				checkPort("NetworkPolicy "+p.Name, *port.Port, found, say)
			}
		}
	}
	return list
}

func checkSelector(o objects, w workload, say func(string, ...any)) {
	found := o.selected(w.selector)
	if len(found) != 1 || found[0].name != w.name {
		say("%s %s selects the pods of %d workloads", w.kind, w.name, len(found))
	}
}

// checkPort wants a port, by name or number, in each of the workloads.
func checkPort(who string, port intstr.IntOrString, found []workload, say func(string, ...any)) {
	for _, w := range found {
		if port.Type == intstr.String && w.port(port.StrVal) == 0 || port.Type == intstr.Int && !w.hasPort(port.IntVal) {
			say("%s means the port %s, which %s has not", who, port.String(), w.name)
		}
	}
}

func checkVolumes(o objects, w workload, say func(string, ...any)) {
	used := map[string]bool{}
	for _, c := range w.containers() {
		for _, m := range c.VolumeMounts {
			used[m.Name] = true
			if m.SubPath != "" {
				say("%s mounts %s by subPath, which does not follow changes", w.name, m.Name)
			}
		}
	}
	for _, v := range w.template.Spec.Volumes {
		if !used[v.Name] {
			say("%s has the volume %s, which nobody mounts", w.name, v.Name)
		}
		delete(used, v.Name)
		if m := v.ConfigMap; m != nil {
			if _, ok := o.configMaps[m.Name]; !ok {
				say("%s mounts the ConfigMap %s, which is not there", w.name, m.Name)
			}
		}
		if c := v.PersistentVolumeClaim; c != nil && !o.claims[c.ClaimName] {
			say("%s mounts the claim %s, which is not there", w.name, c.ClaimName)
		}
	}
	for name := range used {
		say("%s mounts the volume %s, which is not there", w.name, name)
	}
	if account := w.template.Spec.ServiceAccountName; account != "" && !o.accounts[account] {
		say("%s runs as %s, which is not there", w.name, account)
	}
}

// checkProbes wants the ports of a container's probes among its own ports.
func checkProbes(w workload, say func(string, ...any)) {
	for _, c := range w.containers() {
		names := map[string]bool{}
		for _, p := range c.Ports {
			if names[p.Name] || len(p.Name) > 15 {
				say("%s has the port %s twice, or it is too long", w.name, p.Name)
			}
			names[p.Name] = true
		}
		for _, p := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if p != nil && p.HTTPGet != nil && !names[p.HTTPGet.Port.StrVal] {
				say("a probe of %s in %s means the port %s, which it has not", c.Name, w.name, p.HTTPGet.Port.String())
			}
		}
	}
}

// checkAttache holds a container of attache against its configuration.
func checkAttache(o objects, w workload, say func(string, ...any)) {
	c, isSidecar, found := w.attache()
	if !found {
		return
	}
	if isSidecar {
		if first := w.template.Spec.InitContainers[0].Name; first != c.Name {
			say("in %s, %s starts before attache and cannot use it", w.name, first)
		}
		if c.RestartPolicy == nil || *c.RestartPolicy != core.ContainerRestartPolicyAlways {
			say("in %s the application waits for attache's end", w.name)
		}
	}
	if c.StartupProbe == nil {
		say("in %s nobody waits for tokens", w.name)
	}
	if _, ok := c.Resources.Limits[core.ResourceMemory]; !ok {
		say("in %s attache's memory has no limit", w.name)
	}
	cfg, err := configurationOf(o, w)
	if err != nil {
		say("%s: %v", w.name, err)
		return
	}
	if want := w.port("attache-probes"); cfg.port("probes") != want {
		say("in %s the port attache-probes is %d, but the configuration has %d", w.name, want, cfg.port("probes"))
	}
	for _, file := range cfg.files() {
		if !mounted(c, file) {
			say("in %s there is nothing at %s", w.name, file)
		}
	}
	if isSidecar {
		return
	}
	if !hasContainerPort(c, cfg.port("listen")) {
		say("%s listens on %d, which is no port of the container", w.name, cfg.port("listen"))
	}
	if drain := cfg.drain(); w.template.Spec.TerminationGracePeriodSeconds == nil || float64(*w.template.Spec.TerminationGracePeriodSeconds) <= drain.Seconds() {
		say("%s is killed before it has drained for %s", w.name, drain)
	}
}

func hasContainerPort(c core.Container, number int32) bool {
	for _, p := range c.Ports {
		if p.ContainerPort == number {
			return true
		}
	}
	return false
}

// mounted returns whether a volume is mounted above the file.
func mounted(c core.Container, file string) bool {
	for _, m := range c.VolumeMounts {
		if path.Dir(file) == m.MountPath {
			return true
		}
	}
	return false
}

func TestCoherence(t *testing.T) {
	for _, r := range renderings(t) {
		for _, fault := range incoherent(read(t, r.manifests)) {
			t.Errorf("%s: %s", r.name, fault)
		}
	}
}

// Each of the checks finds what it is there for.
func TestCoherenceRefuses(t *testing.T) {
	alone := kustomize(t, kubernetes+"/standalone")
	beside := kustomize(t, "testdata/workloads")
	for _, test := range []struct{ name, manifests, old, new, want string }{
		{"selector", alone, "    matchLabels:\n      app.kubernetes.io/name: attache\n  strategy", "    matchLabels:\n      app: attache\n  strategy", "Deployment attache selects the pods of 0"},
		{"service", alone, "  selector:\n    app.kubernetes.io/name: attache\n", "  selector:\n    app: attache\n", "Service attache finds no pods"},
		{"target port", alone, "targetPort: https", "targetPort: http", "Service attache means the port http"},
		{"policy", alone, "  podSelector:\n    matchLabels:\n      app.kubernetes.io/name: attache\n", "  podSelector:\n    matchLabels:\n      app: attache\n", "NetworkPolicy attache finds no pods"},
		{"policy's port", alone, "- port: 8486", "- port: 8487", "means the port 8487"},
		{"budget", alone, "  maxUnavailable: 1\n  selector:\n    matchLabels:\n      app.kubernetes.io/name", "  maxUnavailable: 1\n  selector:\n    matchLabels:\n      app", "PodDisruptionBudget attache finds no pods"},
		{"config map", alone, "          name: attache\n        name: attache-config", "          name: other\n        name: attache-config", "ConfigMap other"},
		{"claim", alone, "claimName: attache-redis", "claimName: redis", "the claim redis"},
		{"account", alone, "serviceAccountName: attache", "serviceAccountName: other", "runs as other"},
		{"volume", alone, "secretName: attache\n", "secretName: attache\n      - name: more\n        emptyDir: {}\n", "volume more, which nobody"},
		{"mount", alone, "          name: attache-secrets\n          readOnly", "          name: secrets\n          readOnly", "volume secrets, which is not"},
		{"subPath", alone, "        - mountPath: /etc/attache\n", "        - mountPath: /etc/attache\n          subPath: attache.yaml\n", "by subPath"},
		{"probe", alone, "            path: /livez\n            port: attache-probes", "            path: /livez\n            port: probes", "means the port probes"},
		{"grace", alone, "terminationGracePeriodSeconds: 40", "terminationGracePeriodSeconds: 30", "killed before it has drained for 30s"},
		{"probes", alone, `probes: ":8486"`, `probes: ":8487"`, "the configuration has 8487"},
		{"listen", alone, `address: ":8484"`, `address: ":8443"`, "listens on 8443"},
		{"secret", alone, "/run/secrets/attache/im-password", "/run/secrets/im-password", "nothing at /run/secrets/im-password"},
		{"memory", alone, "            memory: 256Mi\n", "            cpu: 1\n", "no limit"},
		{"start", beside, "startupProbe", "xProbe", "nobody waits"},
		{"restart", beside, "        restartPolicy: Always\n", "", "waits for attache's end"},
		{"order", beside, "      initContainers:\n", "      initContainers:\n      - {name: early, image: early}\n", "early starts before attache"},
	} {
		t.Run(test.name, func(t *testing.T) {
			broken := strings.Replace(test.manifests, test.old, test.new, 1)
			if broken == test.manifests {
				t.Fatalf("there is no %q to break in\n%s", test.old, test.manifests)
			}
			if faults := strings.Join(incoherent(read(t, broken)), "\n"); !strings.Contains(faults, test.want) {
				t.Errorf("the faults are %q, want one about %q", faults, test.want)
			}
		})
	}
}

// However attache is run, it is run in the same way.
func TestSameEverywhere(t *testing.T) {
	type same struct {
		Args                         []string
		Security                     *core.SecurityContext
		Startup, Liveness, Readiness *core.Probe
	}
	var first *same
	seen := 0
	for _, r := range renderings(t) {
		for _, w := range read(t, r.manifests).workloads {
			c, _, found := w.attache()
			if !found {
				continue
			}
			seen++
			got := &same{c.Args, c.SecurityContext, c.StartupProbe, c.LivenessProbe, c.ReadinessProbe}
			if first == nil {
				first = got
			}
			if !reflect.DeepEqual(got, first) {
				t.Errorf("%s, %s: attache is run with\n%+v, elsewhere with\n%+v", r.name, w.name, got, first)
			}
		}
	}
	if seen < 8 {
		t.Errorf("attache was found only %d times", seen)
	}
}

// The PodMonitor of the examples finds every pod that has attache, and the chart's its
// own.
func TestMonitors(t *testing.T) {
	general := read(t, kustomize(t, kubernetes+"/monitoring")).monitors[0]
	for _, r := range renderings(t) {
		o := read(t, r.manifests)
		for _, m := range append(o.monitors, general) {
			found := map[string]bool{}
			for _, w := range o.selected(&m.Spec.Selector) {
				found[w.name] = true
				for _, e := range m.Spec.PodMetricsEndpoints {
					if w.port(e.Port) == 0 {
						t.Errorf("%s: PodMonitor %s wants the port %s, which %s has not", r.name, m.Name, e.Port, w.name)
					}
				}
			}
			for _, w := range o.workloads {
				if _, _, has := w.attache(); has != found[w.name] {
					t.Errorf("%s: PodMonitor %s finds %s: %t, but it has attache: %t", r.name, m.Name, w.name, found[w.name], has)
				}
			}
		}
	}
}
