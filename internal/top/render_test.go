package top

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"attache/internal/terminal"
)

var update = flag.Bool("update", false, "write the pictures in testdata")

// answerOf reads an answer from testdata.
func answerOf(t *testing.T, name string) *status {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var s status
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func viewOf(t *testing.T) view {
	t.Helper()
	return view{
		url: "http://127.0.0.1:8485", now: answerOf(t, "status.json"), before: answerOf(t, "before.json"),
		every: time.Second, zone: time.UTC, live: true,
	}
}

// TestPictures compares whole pictures; `go test ./internal/top -update` writes
// them.
func TestPictures(t *testing.T) {
	whole := viewOf(t)
	lost := viewOf(t)
	lost.lost, lost.lostFor = "dial tcp 127.0.0.1:8485: connect: connection refused", 75*time.Second
	never := view{url: whole.url, lost: lost.lost, lostFor: 3 * time.Second, every: time.Second, zone: time.UTC, live: true}
	once := whole
	once.live, once.before = false, nil
	quiet := view{url: whole.url, now: answerOf(t, "quiet.json"), every: time.Second, zone: time.UTC, live: true}
	for _, p := range []struct {
		name          string
		view          view
		width, height int
	}{
		{"80x24", whole, 80, 24},
		{"120x40", whole, 120, 40},
		{"200x50", whole, 200, 50},
		{"60x20", whole, 60, 20},
		{"40x12", whole, 40, 12},
		{"lost-80x24", lost, 80, 24},
		{"never-80x24", never, 80, 24},
		{"once-80", once, 80, 0},
		{"quiet-80x24", quiet, 80, 24},
	} {
		plain := render(p.view, p.width, p.height, false)
		golden(t, p.name+".txt", plain)
		colored := render(p.view, p.width, p.height, true)
		golden(t, p.name+".color", strings.ReplaceAll(colored, "\x1b", "␛"))
		if sgr.ReplaceAllString(colored, "") != plain {
			t.Errorf("%s: colours change the text", p.name)
		}
	}
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got+"\n" != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// TestPicturesFit: whatever the size, no picture has more lines or columns, and
// the worst token shows wherever there is room for one.
func TestPicturesFit(t *testing.T) {
	v := viewOf(t)
	lost := v
	lost.lost = strings.Repeat("例", 300)
	for width := 1; width <= 130; width += 13 {
		for height := 1; height <= 60; height += 1 + height/20 {
			for i, v := range []view{v, lost, {url: v.url, lost: "no", zone: time.UTC}} {
				text := render(v, width, height, false)
				lines := strings.Split(text, "\n")
				if len(lines) > height {
					t.Fatalf("%d×%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					if n := terminal.Width(line); n > width {
						t.Fatalf("%d×%d: a line has %d columns: %s", width, height, n, line)
					}
				}
				if i == 0 && width >= 40 && height >= 12 && !strings.Contains(text, "\nshop.app") {
					t.Fatalf("%d×%d: the token in trouble is not there:\n%s", width, height, text)
				}
			}
		}
	}
}

// TestHiddenRowsAreCounted: what does not fit is counted, and rows in trouble
// come first.
func TestHiddenRowsAreCounted(t *testing.T) {
	v := viewOf(t)
	for n := range 200 {
		v.now.Tokens = append(v.now.Tokens, token{Credential: text(fmt.Sprintf("calm%d", n)), Token: "t", Phase: "fresh"})
		v.now.Routes = append(v.now.Routes, route{Name: text(fmt.Sprintf("calm%d", n))})
	}
	text := render(v, 80, 24, false)
	for _, want := range []string{"\nshop.app", "\nqiniu.access", " more tokens, none of them in trouble\n", " more routes, none of them in trouble"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not there:\n%s", want, text)
		}
	}
	for i := range v.now.Tokens {
		v.now.Tokens[i].Phase = "expired"
	}
	if text := render(v, 80, 24, false); !regexp.MustCompile(`\n\d+ more tokens, \d+ of them in trouble\n`).MatchString(text) {
		t.Errorf("hidden trouble is not told of:\n%s", text)
	}
}

// TestDocsShowAPicture: docs/command-line.md has a picture as it is drawn.
func TestDocsShowAPicture(t *testing.T) {
	v := viewOf(t)
	v.now.Tokens, v.now.Routes, v.now.Config.LastReload = v.now.Tokens[:5], v.now.Routes[:3], nil
	v.now.Tokens[3].Failures = 0
	want := "$ attache top -c /etc/attache/attache.yaml\n" + render(v, 80, 23, false) + "\n```\n"
	page, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/command-line.md should have\n%s", want)
	}
}
