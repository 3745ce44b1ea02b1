package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// A source is a Go module that is not built but read: for the schemas in it. It is
// no requirement of go.mod, which could not resolve its requirements, so its sum
// stands here.
type source struct{ path, version, sum string }

// The oldest Kubernetes that has native sidecars without a switch, and the newest of
// which the other libraries in go.mod are.
var clusters = []source{
	{"k8s.io/kubernetes", "v1.29.15", "h1:hLcyf3XmxtfkubCEmmPX5QVD7lDclXjvEUrJeP283LM="},
	{"k8s.io/kubernetes", "v1.37.2", "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE="},
}

var operator = source{"github.com/prometheus-operator/prometheus-operator", "v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="}

// dir returns the folder of the module, which Go keeps in its module cache.
func (s source) dir(t testing.TB) string {
	t.Helper()
	download := exec.Command("go", "mod", "download", "-json", s.path+"@"+s.version)
	download.Dir = t.TempDir() // outside of our module, whose go.sum stays as it is
	download.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOSUMDB=off")
	out, err := download.Output()
	var module struct{ Dir, Sum, Error string }
	if parsed := json.Unmarshal(out, &module); err != nil || parsed != nil || module.Error != "" {
		t.Fatalf("download %s %s: %v %s", s.path, s.version, err, module.Error)
	}
	if module.Sum != s.sum {
		t.Fatalf("%s %s has the sum %s, want %s", s.path, s.version, module.Sum, s.sum)
	}
	return module.Dir
}

// writeSchemas writes the schemas of Kubernetes' and the operator's objects, for
// kubeconform, and returns their folder. Each file is for one kind, and refers to
// definitions.json.
func writeSchemas(t testing.TB, kubernetes source) string {
	t.Helper()
	folder := t.TempDir()
	var swagger struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	text, err := os.ReadFile(filepath.Join(kubernetes.dir(t), "api", "openapi-spec", "swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &swagger); err != nil {
		t.Fatal(err)
	}
	for name, definition := range swagger.Definitions {
		for _, kind := range kindsOf(definition) {
			writeJSON(t, filepath.Join(folder, kind.file()), object("definitions.json#/definitions/"+name))
		}
		strict(definition)
		if name == "io.k8s.apimachinery.pkg.api.resource.Quantity" {
			definition["type"] = []any{"string", "number"}
		}
	}
	writeJSON(t, filepath.Join(folder, "definitions.json"), swagger)

	crds, err := filepath.Glob(filepath.Join(operator.dir(t), "example", "prometheus-operator-crd", "*.yaml"))
	if err != nil || len(crds) == 0 {
		t.Fatalf("the operator's module has no definitions where they were: %v", err)
	}
	for _, crd := range crds {
		writeCustom(t, folder, crd)
	}
	return folder
}

// writeCustom writes the schemas of a custom resource definition.
func writeCustom(t testing.TB, folder, path string) {
	t.Helper()
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				}
			}
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	for _, version := range crd.Spec.Versions {
		schema := version.Schema.OpenAPIV3Schema
		strict(schema)
		// The API server knows these in every object.
		schema["properties"].(map[string]any)["metadata"] = map[string]any{
			"$ref": "definitions.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
		}
		writeJSON(t, filepath.Join(folder, kind{crd.Spec.Group, version.Name, crd.Spec.Names.Kind}.file()), schema)
	}
}

// kind is a group, version and kind, as Kubernetes names them.
type kind struct{ Group, Version, Kind string }

// file is the name that kubeconform looks for: deployment-apps-v1.json.
func (k kind) file() string {
	name := k.Kind
	if k.Group != "" {
		first, _, _ := strings.Cut(k.Group, ".")
		name += "-" + first
	}
	return strings.ToLower(name+"-"+k.Version) + ".json"
}

// kindsOf returns what a definition says of itself.
func kindsOf(definition map[string]any) []kind {
	list, _ := definition["x-kubernetes-group-version-kind"].([]any)
	var kinds []kind
	for _, entry := range list {
		m := entry.(map[string]any)
		kinds = append(kinds, kind{m["group"].(string), m["version"].(string), m["kind"].(string)})
	}
	return kinds
}

// object is the schema of a whole object: swagger requires nothing at its top.
func object(definition string) map[string]any {
	return map[string]any{"allOf": []any{
		map[string]any{"$ref": definition},
		map[string]any{"required": []any{"apiVersion", "kind", "metadata"}},
	}}
}

// strict changes a schema of OpenAPI in place, so that fields which it does not know
// are mistakes, as they are for `kubectl apply`, and so that it is JSON Schema.
func strict(schema map[string]any) {
	if schema["format"] == "int-or-string" || schema["x-kubernetes-int-or-string"] == true {
		delete(schema, "format")
		delete(schema, "anyOf")
		schema["type"] = []any{"integer", "string"}
	}
	delete(schema, "description")
	if nullable, _ := schema["nullable"].(bool); nullable {
		schema["type"] = []any{schema["type"], "null"}
	}
	if properties, ok := schema["properties"].(map[string]any); ok {
		if _, open := schema["additionalProperties"]; !open && schema["x-kubernetes-preserve-unknown-fields"] != true {
			schema["additionalProperties"] = false
		}
		for _, property := range properties {
			strict(property.(map[string]any))
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if inner, ok := schema[key].(map[string]any); ok {
			strict(inner)
		}
	}
}

func writeJSON(t testing.TB, path string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("write a schema: %w", err))
	}
}

// What kubeconform is given is as strict as it has to be.
func TestStrict(t *testing.T) {
	var got map[string]any
	if err := yaml.Unmarshal([]byte(`
type: object
description: words
properties:
  open: {type: object, additionalProperties: {type: object, properties: {a: {type: string}}}}
  any: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}}
  port: {type: string, format: int-or-string}
  list: {type: array, items: {type: object, properties: {a: {type: string, nullable: true}}}}
`), &got); err != nil {
		t.Fatal(err)
	}
	strict(got)
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"additionalProperties":false,"properties":{` +
		`"any":{"properties":{"a":{"type":"string"}},"type":"object","x-kubernetes-preserve-unknown-fields":true},` +
		`"list":{"items":{"additionalProperties":false,"properties":{"a":{"nullable":true,"type":["string","null"]}},"type":"object"},"type":"array"},` +
		`"open":{"additionalProperties":{"additionalProperties":false,"properties":{"a":{"type":"string"}},"type":"object"},"type":"object"},` +
		`"port":{"type":["integer","string"]}},"type":"object"}`
	if string(text) != want {
		t.Errorf("strict made\n%s, want\n%s", text, want)
	}
}
