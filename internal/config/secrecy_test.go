package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"attache/internal/yamldoc"

	"go.yaml.in/yaml/v3"
)

// secretive has a secret in every place of a configuration that takes one, as
// a literal, in the environment and in a file.
const secretive = `
listen:
  - {address: 127.0.0.1:8484, hosts: [a.example.com], origins: ["https://a.example.com"]}
  - address: 127.0.0.1:8443
    tls: {acme: {names: [a.example.com], eab: {kid: k, hmac: literal-canary-13}, http: "127.0.0.1:80"}}
certificates: {redis: "redis://u:literal-canary-14@r.example.com", key: literal-canary-15-literal-canary-15}
store: memory
credentials:
  literal:
    recipe: ../recipes/static-client.yaml
    with: {url: "https://api.example.com", id: me, secret: literal-canary-1, upper: literal-canary-2}
    tls: {ca: ../tls/ca.pem, cert: ../tls/cert.pem, key: {env: CONFIG_TEST_KEY}}
    proxy: http://user:literal-canary-3@proxy.example.com:3128
    refresh: {at: 0.5, timeout: 3s}
    instances: {max: 7}
  kept:
    recipe: ../recipes/static-client.yaml
    with: {url: "https://api.example.com", id: {env: CONFIG_TEST_SECRET}, secret: {env: CONFIG_TEST_SECRET}, upper: {file: ../secrets/app-secret}}
    proxy: {env: CONFIG_TEST_PROXY}
  aicc:
    recipe: huawei-aicc
    with: {endpoint: "https://a.example.com", app_key: literal-canary-4, app_secret: literal-canary-5, channel_id: "1", user_id: {header: X-User-Id}}
  ums:
    recipe: jiguang-ums
    with: {channel_key: literal-canary-6, master_secret: literal-canary-7, type: {env: CONFIG_TEST_SECRET}}
  qiniu:
    recipe: qiniu-im
    with: {endpoint: {env: CONFIG_TEST_SECRET}, app_id: a, user_id: {env: CONFIG_TEST_SECRET}, password: literal-canary-8}
  openim:
    recipe: openim
    with: {endpoint: "https://a.example.com", secret: literal-canary-9, platform_id: {file: ../secrets/app-secret}, user_id: u}
routes:
  - upstream: https://user:literal-canary-10@api.example.com/v1
    use: [literal, kept]
    proxy: http://user:literal-canary-11@proxy.example.com:3128
  - path: /b
    upstream: https://api.example.com/?key=literal-canary-12
    inject: [{header: Authorization, value: "Bearer ${kept.main}"}]
    use: [kept]
`

// mutations are the ways in which users get a node wrong. Not among them: to
// take a secret for the path of its file, or for the name of a credential.
// Messages repeat those two.
var mutations = map[string]func(n *yaml.Node){
	"null":    func(n *yaml.Node) { *n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"} },
	"list":    func(n *yaml.Node) { *n = yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{copyOf(n)}} },
	"map":     func(n *yaml.Node) { *n = wrap("value", n) },
	"env":     func(n *yaml.Node) { *n = wrap("env", n) },
	"header":  func(n *yaml.Node) { *n = wrap("header", n) },
	"break":   func(n *yaml.Node) { n.Value += "\nand ${more" },
	"twisted": func(n *yaml.Node) { n.Value = "%" + n.Value + "/../" },
}

func copyOf(n *yaml.Node) *yaml.Node { c := *n; return &c }

func wrap(key string, n *yaml.Node) yaml.Node {
	return yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: key}, copyOf(n)}}
}

// nodes lists all values below n: no keys.
func nodes(n *yaml.Node) []*yaml.Node {
	list := []*yaml.Node{n}
	for i, c := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			list = append(list, nodes(c)...)
		}
	}
	return list
}

// TestNoSecretInProblems makes every mistake of mutations at every place of a
// configuration that is full of secrets. None may show, whatever the mistake.
func TestNoSecretInProblems(t *testing.T) {
	dir := environment(t)
	key := os.Getenv("CONFIG_TEST_KEY")
	var count, problems int
	try := func(what string, data []byte) {
		_, err := Parse("attache.yaml", data, dir)
		if err == nil {
			return
		}
		list, ok := errors.AsType[yamldoc.Problems](err)
		if !ok {
			t.Fatalf("%s: the error is no list of problems: %v", what, err)
		}
		count++
		problems += len(list)
		if text := err.Error(); strings.Contains(text, "canary") || strings.Contains(text, key[40:80]) {
			t.Errorf("%s: a secret shows:\n%s", what, text)
		}
	}
	try("as it is", []byte(secretive))
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(secretive), &doc); err != nil {
		t.Fatal(err)
	}
	for i := range nodes(doc.Content[0]) {
		for name, mutate := range mutations {
			var again yaml.Node
			if err := yaml.Unmarshal([]byte(secretive), &again); err != nil {
				t.Fatal(err)
			}
			n := nodes(again.Content[0])[i]
			if n.Kind != yaml.ScalarNode && (name == "break" || name == "twisted") {
				continue // they change texts
			}
			if n.Kind == yaml.ScalarNode {
				n.Style = yaml.DoubleQuotedStyle
			}
			mutate(n)
			data, err := yaml.Marshal(again.Content[0])
			if err != nil {
				t.Fatal(err)
			}
			try(fmt.Sprintf("%s at %d:%d", name, n.Line, n.Column), data)
		}
	}
	if count < 100 || problems < count {
		t.Errorf("only %d mistakes with %d problems were made", count, problems)
	}
}

// TestPrintedConfig prints a configuration by the ways that print everything.
func TestPrintedConfig(t *testing.T) {
	dir := environment(t)
	data, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse("full.yaml", data, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(verb, cfg)
		for _, c := range cfg.Credentials {
			text += fmt.Sprintf(verb, c)
		}
		for _, r := range cfg.Routes {
			text += fmt.Sprintf(verb, r)
		}
		if strings.Contains(text, "canary") {
			t.Errorf("%s shows a secret:\n%s", verb, text)
		}
	}
}

// Where the space behind a colon is missing, YAML takes key and value for one key.
func TestNoSecretInKeys(t *testing.T) {
	for _, with := range []string{
		"{secret:canary-of-a-key}", "{secret=canary-of-a-key}", `{"secret":canary-of-a-key: 1}`, "{secret:canary-of-a-key, secret:canary-of-a-key}",
	} {
		text := "credentials:\n  a: {recipe: openim, with: " + with + "}\ncertificates: {redis://u:canary-of-a-key@h}\nroutes: []\n"
		_, err := Parse("f.yaml", []byte(text), t.TempDir())
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", with, err)
		}
	}
}
