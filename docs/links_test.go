package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	span    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|<img [^>]*src="([^"]+)"`)
	named   = regexp.MustCompile(`\[([^\]^]+)\]\[([^\]]*)\]`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)(?: +#+)?$`)
	anchor  = regexp.MustCompile(`<a (?:id|name)="([^"]+)">`)
)

// readable returns every page of Markdown in the repository.
func readable(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		switch name := filepath.Base(path); {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(name, ".") && path != ".." || name == "build" || name == "testdata"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 60 {
		t.Errorf("only the pages %q", found)
	}
	return found
}

// linksOf returns where the links and pictures of a page lead, as they are
// written. What looks like one in code is none.
func linksOf(text string) []string {
	var list []string
	for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(fenced.ReplaceAllString(text, ""), "``"), -1) {
		list = append(list, m[1]+m[2])
	}
	return list
}

// Links within the repository lead to files, folders and headings that exist.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range readable(t) {
		text := read(t, page)
		for _, l := range linksOf(text) {
			if strings.Contains(l, "://") || strings.HasPrefix(l, "mailto:") {
				continue
			}
			target, fragment := resolve(page, l)
			info, err := os.Stat(target)
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, l)
				continue
			}
			if fragment != "" && (info.IsDir() || !slices.Contains(anchors(read(t, target)), fragment)) {
				t.Errorf("%s: the link %s leads to no heading", page, l)
			}
		}
		if m := named.FindString(span.ReplaceAllString(fenced.ReplaceAllString(text, ""), "``")); m != "" {
			t.Errorf("%s: %s is a link by name, which this test does not follow: write the address", page, m)
		}
	}
}

// resolve returns the file of a link on a page, and the name in it.
func resolve(page, l string) (target, fragment string) {
	path, fragment, _ := strings.Cut(l, "#")
	if path == "" {
		return page, fragment
	}
	return filepath.Join(filepath.Dir(page), path), fragment
}

// anchors returns the names in a page: those of <a id>, and those that GitHub makes
// of the headings. Of equal ones the second ends with -1, and so on.
func anchors(text string) []string {
	text = fenced.ReplaceAllString(text, "")
	var names []string
	for _, m := range anchor.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := slug(m[1])
		if n := seen[name]; n > 0 {
			names = append(names, fmt.Sprintf("%s-%d", name, n))
		} else {
			names = append(names, name)
		}
		seen[name]++
	}
	return names
}

var linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)

// slug is GitHub's rule: of the text that is shown, small letters, digits, - and _,
// with - for each space.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, linkText.ReplaceAllString(heading, "$1"))
}

func TestAnchors(t *testing.T) {
	const page = "# A `b` & c\n\n## Ünder_score, [link](x.md#y)!\n\n## Twice\n\n```yaml\n# no heading\n```\n\n## Twice\n\n<a id=\"own\"></a>\n### C's: 2.0 — x\n"
	want := []string{"own", "a-b--c", "ünder_score-link", "twice", "twice-1", "cs-20--x"}
	if got := anchors(page); !slices.Equal(got, want) {
		t.Errorf("anchors are %q, want %q", got, want)
	}
	got := linksOf("[a](b.md \"t\") ![p](c.svg) `[code](d.md)` <img width=\"1\" src=\"e.svg\">\n```\n[f](g.md)\n```\n")
	if want := []string{"b.md", "c.svg", "e.svg"}; !slices.Equal(got, want) {
		t.Errorf("links are %q, want %q", got, want)
	}
}

// Whoever begins with the README finds every page and picture by following links.
func TestEveryPageIsFound(t *testing.T) {
	reached := map[string]bool{}
	for queue := []string{"../README.md"}; len(queue) > 0; queue = queue[1:] {
		page := queue[0]
		if info, err := os.Stat(page); err == nil && info.IsDir() {
			page = filepath.Join(page, "README.md") // that is what a folder shows
		}
		if reached[page] {
			continue
		}
		reached[page] = true
		if filepath.Ext(page) != ".md" {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			continue // a folder without a README, or what TestLinksLeadSomewhere tells of
		}
		for _, l := range linksOf(string(text)) {
			if !strings.Contains(l, "://") {
				target, _ := resolve(page, l)
				queue = append(queue, target)
			}
		}
	}
	pictures, err := filepath.Glob("../docs/pictures/*")
	if err != nil || len(pictures) == 0 {
		t.Fatal(err)
	}
	for _, path := range append(readable(t), pictures...) {
		if !reached[path] {
			t.Errorf("no link leads to %s", path)
		}
	}
}
