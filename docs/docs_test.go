// Package docs has no code: it keeps what is written here and in the README
// true. Examples are parsed, links are followed, and what can be told from the
// program itself, such as tables of keys, is generated: `make docs` writes it, and
// the tests fail when it is stale.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"attache/internal/config"
	"attache/internal/yamldoc"
	"attache/recipe"
)

// pages lists the hand-written pages.
func pages(t *testing.T) []string {
	t.Helper()
	pages := []string{"../README.md", "../CHANGELOG.md"}
	for _, pattern := range []string{"*.md", "recipes/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	return pages
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var environment = regexp.MustCompile(`\{env: ([A-Z_]+)\}`)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// yamlBlocks returns the YAML examples of a page.
func yamlBlocks(text string) []string {
	var blocks []string
	for _, m := range yamlBlock.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// Every configuration that can be copied is accepted as it stands. One that
// only shows routes goes with the credentials of the page's first example.
func TestConfigurationsAreAccepted(t *testing.T) {
	dir := t.TempDir()
	secretFile := filepath.Join(dir, "app-secret")
	if err := os.WriteFile(secretFile, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shop := yamlBlocks(section(t, read(t, "recipes.md"), "## A whole recipe"))[0]
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(shop), 0o600); err != nil {
		t.Fatal(err)
	}
	bench := yamlBlocks(section(t, read(t, "performance.md"), "## Configurations"))[1]
	if err := os.WriteFile(filepath.Join(dir, "bench.yaml"), []byte(bench), 0o600); err != nil {
		t.Fatal(err)
	}
	chat := yamlBlocks(section(t, read(t, "write-a-recipe.md"), "## Log in"))[2]
	members := yamlBlocks(section(t, read(t, "first-steps.md"), "## An API of your own"))[0]
	for name, text := range map[string]string{"chat.yaml": chat, "members.yaml": members, "secret.txt": "from-a-file\n", "store-key": strings.Repeat("k", 64) + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeKeys(t, dir)
	for _, page := range pages(t) {
		for _, name := range environment.FindAllStringSubmatch(read(t, page), -1) {
			t.Setenv(name[1], "from-the-environment-from-the-environment")
		}
	}
	t.Setenv("REDIS_URL", "redis://redis.example.com")
	seen := 0
	for _, page := range pages(t) {
		credentials := ""
		for _, block := range yamlBlocks(read(t, page)) {
			switch {
			case strings.HasPrefix(block, "credentials:"):
				credentials, _, _ = strings.Cut(block, "\nroutes:")
			case strings.HasPrefix(block, "routes:"):
				block = credentials + "\n" + block
			case strings.HasPrefix(block, "listen:"), strings.HasPrefix(block, "handout:"), strings.HasPrefix(block, "certificates:"), strings.HasPrefix(block, "store:"),
				strings.HasPrefix(block, "lane:"):
			default:
				continue
			}
			seen++
			block = strings.ReplaceAll(block, "/run/secrets/aicc/app-secret", secretFile)
			if _, err := config.Parse(page, []byte(block), dir); err != nil {
				t.Errorf("%s: an example is refused:\n%s\n%v", page, block, err)
			}
		}
	}
	if seen < 10 {
		t.Errorf("found only %d configurations; do the examples begin with credentials:, routes: or listen: no more?", seen)
	}
}

// scaffold has every name that the excerpts in recipes.md mention. An excerpt
// replaces the key that it begins with.
const scaffold = `
recipe: scaffold
params:
  endpoint: {required: true, type: url}
  client: {required: true}
  secret: {required: true, secret: true}
  type: {}
  login: {default: id, enum: [id, name]}
  region: {}
  user_id: {}
  private_key: {secret: true}
tokens:
  app:
    request: {url: "${endpoint}/login"}
    value: {cookie: app}
    lifetime: 1h
  session:
    request: {url: "${endpoint}/session"}
    value: {json: token}
    lifetime: 1h
`

// Every excerpt in the reference of the recipe language is a piece of a recipe
// that parses.
func TestExcerptsAreRecipes(t *testing.T) {
	seen := 0
	for _, block := range yamlBlocks(read(t, "recipes.md")) {
		key, _, _ := strings.Cut(block, ":")
		text := block
		if key == "credentials" {
			continue // TestConfigurationsAreAccepted
		}
		if key != "recipe" {
			text = transplant(t, block)
		}
		seen++
		rep := &yamldoc.Report{}
		if _, ok := recipe.Parse(rep, "recipes.md", []byte(text)); !ok {
			t.Errorf("the example\n%s\nis no recipe: %v", block, rep.Err())
		}
	}
	if seen < 15 {
		t.Errorf("found only %d examples", seen)
	}
}

// transplant puts an excerpt into the scaffold: params, inject, strip, refused
// and renewed at the top, everything else into the token app. One that says
// where a token comes from, such as file, stands for that token's request.
func transplant(t *testing.T, block string) string {
	t.Helper()
	var doc map[string]any
	var excerpt map[string]yaml.Node // nodes keep the order, which matters in let
	if err := yaml.Unmarshal([]byte(scaffold), &doc); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(block), &excerpt); err != nil {
		t.Fatalf("%v in\n%s", err, block)
	}
	app := doc["tokens"].(map[string]any)["app"].(map[string]any)
	for key, value := range excerpt {
		switch key {
		case "params":
			params := doc[key].(map[string]any)
			if err := value.Decode(&params); err != nil { // adds to what is there
				t.Fatal(err)
			}
		case "inject", "strip", "refused", "renewed":
			doc[key] = &value
		case "file", "exec", "static", "mint":
			delete(app, "request")
			delete(app, "value")
			app[key] = &value
		default:
			app[key] = &value
		}
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns what follows a heading, up to the next one of its level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		t.Fatalf("there is no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	rest, _, _ = strings.Cut(rest, "\n"+level+" ")
	return rest
}

// The page about a built-in recipe links to the vendor's documentation, and the
// README to the page.
func TestPagesOfRecipesAreLinked(t *testing.T) {
	for _, name := range recipe.PresetNames() {
		r, _ := recipe.Preset(name)
		family, _, _ := strings.Cut(name, "/")
		page := "recipes/" + family + ".md"
		text := read(t, page)
		if !strings.Contains(text, name) {
			t.Errorf("%s does not mention the recipe %s", page, name)
		}
		for _, address := range r.Docs {
			if !strings.Contains(text, "("+address+")") {
				t.Errorf("%s does not link to %s", page, address)
			}
		}
		if !strings.Contains(read(t, "../README.md"), "docs/"+page) {
			t.Errorf("the README does not link to %s", page)
		}
		if !strings.Contains(text, "](../../examples/") {
			t.Errorf("%s does not link to an example", page)
		}
	}
}
