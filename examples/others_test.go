package examples

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"attache/internal/config"
	"attache/internal/exchange"
	"attache/recipe"
)

// TestOtherExamples tries the examples of vendors that have no emulator: every
// request of the README reaches its upstream with what the login gave, and after a
// refusal with what another login gave.
func TestOtherExamples(t *testing.T) {
	shown := map[string]bool{}
	paths, _ := filepath.Glob("*/attache.yaml")
	for _, path := range paths {
		readme, err := os.ReadFile(filepath.Join(filepath.Dir(path), "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range recipe.PresetNames() {
			if strings.Contains(string(text), "recipe: "+name+" ") || strings.Contains(string(text), "recipe: "+name+"\n") {
				shown[name] = true
			}
		}
		if !emulate.Match(readme) {
			t.Run(filepath.Dir(path), func(t *testing.T) { tryOther(t, path, text, string(readme)) })
		}
	}
	for _, name := range recipe.PresetNames() {
		if !shown[name] {
			t.Errorf("no example shows %s", name)
		}
	}
}

func tryOther(t *testing.T, path string, text []byte, readme string) {
	export(t, readme)
	dir := t.TempDir()
	text = files(t, dir, text)
	v := newVendors(t, recipesOf(t, text))
	address, cfg := start(t, path, dir, v.through(t, dir, text))
	client := clientOf(address)
	commands := curls.FindAllStringSubmatch(readme, -1)
	if len(commands) < len(cfg.Routes) {
		t.Errorf("the README has %d requests for %d routes", len(commands), len(cfg.Routes))
	}
	for _, command := range commands {
		send(t, client, command[1])
		route := routeOf(t, cfg, command[1])
		v.check(t, route)
		used := route.Plan.Slots()[len(route.Plan.Slots())-1].Credential.Recipe().Name
		v.mu.Lock()
		before := v.asked
		v.refuse = refusal(t, used, hostOf(route))
		refused := v.refuse != "" && before > 0
		if !refused {
			v.refuse = "" // a new login would give the same
		}
		v.mu.Unlock()
		if !refused {
			continue
		}
		send(t, client, command[1])
		v.check(t, route)
		v.mu.Lock()
		if v.asked == before {
			t.Errorf("curl %s: no login followed the refusal", command[1])
		}
		v.mu.Unlock()
	}
}

// TestPagesOfRecipes tries the configuration with which each page about a built-in
// recipe begins, and the requests beside it, in the same way.
func TestPagesOfRecipes(t *testing.T) {
	pages, _ := filepath.Glob("../docs/recipes/*.md")
	if len(pages) < 20 {
		t.Errorf("only the pages %q", pages)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			block := firstConfiguration.FindSubmatch(text)
			if block == nil {
				t.Fatal("there is no configuration")
			}
			for _, name := range inEnvironment.FindAllSubmatch(block[1], -1) {
				t.Setenv(string(name[1]), "from-the-environment")
			}
			// What the recipe takes if nothing is said is a file of a pod.
			config := bytes.Replace(block[1], []byte("recipe: kubernetes/service-account\n"),
				[]byte("recipe: kubernetes/service-account\n    with: {file: /var/run/secrets/kubernetes.io/serviceaccount/token}\n"), 1)
			tryOther(t, page, config, prompt.ReplaceAllString(string(text), "curl "))
		})
	}
}

var (
	firstConfiguration = regexp.MustCompile("(?s)```yaml\n(credentials:.*?)```")
	inEnvironment      = regexp.MustCompile(`\{env: ([A-Z_]+)`)
	prompt             = regexp.MustCompile(`(?m)^\$ curl `)
)

// recipesOf returns the names of the recipes of an example.
func recipesOf(t *testing.T, text []byte) map[string]bool {
	t.Helper()
	var doc struct {
		Credentials map[string]struct{ Recipe string }
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range doc.Credentials {
		names[c.Recipe] = true
	}
	return names
}

// through has all connections of an example go through the stand-in.
func (v *vendors) through(t *testing.T, dir string, text []byte) string {
	t.Helper()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, v.caPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	doc["listen"], doc["admin"] = "127.0.0.1:0", "127.0.0.1:0"
	way := map[string]any{"ca": ca}
	for _, c := range doc["credentials"].(map[string]any) {
		c := c.(map[string]any)
		c["proxy"], c["tls"], c["refresh"] = v.server.URL, way, map[string]any{"min_interval": "100ms"}
	}
	for _, r := range doc["routes"].([]any) {
		r := r.(map[string]any)
		r["proxy"] = v.server.URL
		if !strings.HasPrefix(r["upstream"].(string), "http:") {
			r["tls"] = way
		}
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// routeOf returns the route that a curl command asks for.
func routeOf(t *testing.T, cfg *config.Config, command string) *config.Route {
	t.Helper()
	for i := range cfg.Routes {
		if strings.Contains(command, ":8484"+cfg.Routes[i].Path+"/") {
			return &cfg.Routes[i]
		}
	}
	t.Fatalf("curl %s asks for no route", command)
	return nil
}

// hostOf returns the host of a route's upstream, "" if a token's output says it.
func hostOf(route *config.Route) string {
	if route.Upstream == nil {
		return ""
	}
	return route.Upstream.Hostname()
}

// check looks at the last call: what the route injects is there, and if there was a
// login, what one gave.
func (v *vendors) check(t *testing.T, route *config.Route) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.calls) == 0 {
		t.Fatal("no API was called")
	}
	call := v.calls[len(v.calls)-1]
	var injected []string
	for _, n := range route.Plan.Strip() {
		switch n.In {
		case exchange.Header:
			injected = append(injected, call.Header[http.CanonicalHeaderKey(n.Name)]...)
		case exchange.Query:
			injected = append(injected, call.URL.Query()[n.Name]...)
		}
	}
	all := strings.Join(injected, " ")
	switch given := func(token string) bool { return strings.Contains(all, token) }; {
	case all == "":
		t.Errorf("route %s: the upstream got none of %v", route.Name, route.Plan.Strip())
	case len(v.tokens) > 0 && !slices.ContainsFunc(v.tokens, given):
		t.Errorf("route %s: the upstream got %q, and the logins gave %q", route.Name, injected, v.tokens)
	}
}
