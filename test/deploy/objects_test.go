package deploy

import (
	"fmt"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// objects is a rendering that was read, less what has nothing to check.
type objects struct {
	workloads  []workload
	services   []core.Service
	configMaps map[string]core.ConfigMap
	claims     map[string]bool
	accounts   map[string]bool
	policies   []networking.NetworkPolicy
	budgets    []policy.PodDisruptionBudget
	monitors   []podMonitor
	rules      []prometheusRule
}

// workload is a Deployment, StatefulSet or DaemonSet.
type workload struct {
	kind, name string
	selector   *meta.LabelSelector
	template   core.PodTemplateSpec
}

// podMonitor has the fields that are checked here; the schema knows all of them.
type podMonitor struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Selector            meta.LabelSelector `json:"selector"`
		PodMetricsEndpoints []struct {
			Port string `json:"port"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

type prometheusRule struct {
	Spec map[string]any `json:"spec"`
}

// read reads a rendering.
func read(t testing.TB, manifests string) objects {
	t.Helper()
	o := objects{configMaps: map[string]core.ConfigMap{}, claims: map[string]bool{}, accounts: map[string]bool{}}
	for _, document := range documents(manifests) {
		if err := o.add([]byte(document)); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
	}
	return o
}

// add takes one object.
func (o *objects) add(document []byte) error {
	var head struct {
		Kind     string
		Metadata meta.ObjectMeta
	}
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	switch head.Kind {
	case "Deployment":
		return take(document, func(d apps.Deployment) {
			o.workloads = append(o.workloads, workload{head.Kind, d.Name, d.Spec.Selector, d.Spec.Template})
		})
	case "StatefulSet":
		return take(document, func(d apps.StatefulSet) {
			o.workloads = append(o.workloads, workload{head.Kind, d.Name, d.Spec.Selector, d.Spec.Template})
		})
	case "DaemonSet":
		return take(document, func(d apps.DaemonSet) {
			o.workloads = append(o.workloads, workload{head.Kind, d.Name, d.Spec.Selector, d.Spec.Template})
		})
	case "ConfigMap":
		return take(document, func(c core.ConfigMap) { o.configMaps[c.Name] = c })
	case "Service":
		return take(document, func(s core.Service) { o.services = append(o.services, s) })
	case "NetworkPolicy":
		return take(document, func(p networking.NetworkPolicy) { o.policies = append(o.policies, p) })
	case "PodDisruptionBudget":
		return take(document, func(b policy.PodDisruptionBudget) { o.budgets = append(o.budgets, b) })
	case "PodMonitor":
		return take(document, func(m podMonitor) { o.monitors = append(o.monitors, m) })
	case "PrometheusRule":
		return take(document, func(r prometheusRule) { o.rules = append(o.rules, r) })
	case "PersistentVolumeClaim":
		o.claims[head.Metadata.Name] = true
	case "ServiceAccount":
		o.accounts[head.Metadata.Name] = true
	case "Namespace":
	default:
		return fmt.Errorf("nothing is known here of the kind %q", head.Kind)
	}
	return nil
}

// take decodes a document. Unknown fields are the schema's business.
func take[T any](document []byte, with func(T)) error {
	var value T
	if err := yaml.Unmarshal(document, &value); err != nil {
		return err
	}
	with(value)
	return nil
}

// selected returns the workloads whose pods a selector finds.
func (o objects) selected(selector *meta.LabelSelector) []workload {
	s, err := meta.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	var found []workload
	for _, w := range o.workloads {
		if s.Matches(labels.Set(w.template.Labels)) {
			found = append(found, w)
		}
	}
	return found
}

// containers returns all containers of the pods, those that stay or end before the
// others first.
func (w workload) containers() []core.Container {
	return append(append([]core.Container{}, w.template.Spec.InitContainers...), w.template.Spec.Containers...)
}

// attache returns the container of that name, and whether it is a sidecar.
func (w workload) attache() (c core.Container, isSidecar, found bool) {
	for i, c := range w.containers() {
		if c.Name == "attache" {
			return c, i < len(w.template.Spec.InitContainers), true
		}
	}
	return core.Container{}, false, false
}

// port returns the number of a named port of the pods.
func (w workload) port(name string) int32 {
	for _, c := range w.containers() {
		for _, p := range c.Ports {
			if p.Name == name {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// hasPort returns whether a container has the port.
func (w workload) hasPort(number int32) bool {
	for _, c := range w.containers() {
		for _, p := range c.Ports {
			if p.ContainerPort == number {
				return true
			}
		}
	}
	return false
}
