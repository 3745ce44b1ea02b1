package docs

import (
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"attache/internal/config"
	"attache/internal/shape"
	"attache/recipe"
	"attache/recipe/transcript"
)

var update = flag.Bool("update", false, "write the generated parts of the pages")

// generated is what the pages have between their markers: a comment that names
// the part, and one that ends it.
var generated = regexp.MustCompile(`(?s)(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->\n)`)

// proseAlone lists the shapes that no table shows, since a sentence tells more
// briefly what they have; the page names every one of their keys.
func proseAlone() map[string]string {
	return map[string]string{
		"reference":        "configuration.md",
		"eab":              "configuration.md",
		"route-inject":     "configuration.md",
		"route-refused":    "recipes.md",
		"route-renewed":    "recipes.md",
		"refused":          "recipes.md",
		"strip":            "recipes.md",
		"errors":           "recipes.md",
		"basic":            "recipes.md",
		"transcript-token": "recipes.md",
		"transcript-allow": "recipes.md",
	}
}

// The tables of keys are those of the parsers' shapes, and each shape has one.
func TestReferencesAreGenerated(t *testing.T) {
	shapes := map[string]shape.Object{}
	for _, root := range []shape.Object{config.Shape(), recipe.Shape(), transcript.Shape()} {
		root.Walk(func(o shape.Object) { shapes[o.Name] = o })
	}
	shown := map[string]bool{}
	for _, page := range []string{"configuration.md", "recipes.md"} {
		regenerate(t, page, func(part string) (text string, ok bool) {
			o, ok := shapes[part]
			shown[part] = true
			return keyTable(o), ok
		})
	}
	prose := proseAlone()
	for name, o := range shapes {
		page, without := prose[name]
		if without == shown[name] {
			t.Errorf("the shape %s has a table in the reference: %v; proseAlone says that it has none: %v", name, shown[name], without)
		}
		for _, key := range o.Names() {
			if text := read(t, cmpOr(page, "recipes.md")); without && !strings.Contains(text, "`"+key) && !strings.Contains(text, "{"+key+": ") {
				t.Errorf("%s does not name the key %s of %s", page, key, name)
			}
		}
		delete(prose, name)
	}
	for _, name := range slices.Sorted(maps.Keys(prose)) {
		t.Errorf("proseAlone has %s, which is no shape", name)
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// regenerate compares the generated parts of a page with what they should be, or
// with -update writes them. part returns the text of one.
func regenerate(t *testing.T, page string, part func(name string) (text string, ok bool)) {
	t.Helper()
	before := read(t, page)
	if strings.Count(before, "<!-- generated: ") != len(generated.FindAllString(before, -1)) ||
		strings.Count(before, "<!-- end -->") != strings.Count(before, "<!-- generated: ") {
		t.Fatalf("%s: a marker is not closed, or misspelt", page)
	}
	after := generated.ReplaceAllStringFunc(before, func(old string) string {
		m := generated.FindStringSubmatch(old)
		text, ok := part(m[2])
		if !ok {
			t.Errorf("%s: nothing is called %q that could be generated", page, m[2])
			return old
		}
		return m[1] + text + m[3]
	})
	switch {
	case after == before:
	case *update:
		if err := os.WriteFile(page, []byte(after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/%s is stale: run `make docs`, and commit what it writes", page)
	}
}

// keyTable is the table of an object's keys. Neighbours about which the same is
// said share a row.
func keyTable(o shape.Object) string {
	var rows [][]string
	last := ""
	for _, k := range o.Keys {
		name := "`" + k.Name + "`"
		if k.Link != "" {
			name = "[" + name + "](" + k.Link + ")"
		}
		row := []string{name, k.Type.String(), defaultCell(o, k), k.Doc}
		if said := strings.Join(append(row[1:], k.Link), "|"); said != last || k.Link != "" {
			rows = append(rows, row)
			last = said
			continue
		}
		rows[len(rows)-1][0] += ", " + name
	}
	return table([]string{"key", "type", "default", "meaning"}, rows)
}

func defaultCell(o shape.Object, k shape.Key) string {
	var cells []string
	if k.Required {
		cells = append(cells, "required")
	}
	if k.Default != "" {
		cells = append(cells, "`"+k.Default+"`")
	}
	if k.Otherwise != "" {
		cells = append(cells, k.Otherwise)
	}
	if len(cells) == 0 && slices.Contains(o.Exactly, k.Name) {
		number := map[int]string{2: " two", 3: " three", 4: " four", 5: " five"}[len(o.Exactly)]
		cells = append(cells, "one of these"+number)
	}
	return strings.Join(cells, ", ")
}

// table writes a table of Markdown without the columns that are empty throughout.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells func(column int) string) {
		b.WriteByte('|')
		for column := range head {
			if !slices.ContainsFunc(rows, func(row []string) bool { return row[column] != "" }) {
				continue
			}
			if cell := cells(column); cell != "" {
				b.WriteString(" " + cell)
			}
			b.WriteString(" |")
		}
		b.WriteByte('\n')
	}
	line(func(column int) string { return head[column] })
	rule := len(b.String())
	line(func(int) string { return "---" })
	text := b.String()
	text = text[:rule] + strings.ReplaceAll(strings.ReplaceAll(text[rule:], " ", ""), "\n", "") + "\n"
	b.Reset()
	b.WriteString(text)
	for _, row := range rows {
		line(func(column int) string { return strings.ReplaceAll(row[column], "|", `\|`) })
	}
	return b.String()
}
