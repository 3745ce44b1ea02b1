package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestGuide follows docs/write-a-recipe.md word for word: it writes the files,
// runs the commands, and compares what they print. Only the addresses are
// others, because those of the page may be taken.
func TestGuide(t *testing.T) {
	page, err := os.ReadFile("../../docs/write-a-recipe.md")
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{t: t, addresses: map[string]string{}}
	for _, address := range []string{"127.0.0.1:9400", "127.0.0.1:8484", "127.0.0.1:8485"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		g.addresses[address] = l.Addr().String()
		l.Close()
	}
	t.Chdir(t.TempDir())
	blocks := regexp.MustCompile("(?s)(?:`([^`\n]+)`[a-z ]*:\n\n)?```([a-z]*)\n(.*?)```\n").FindAllStringSubmatch(string(page), -1)
	for _, b := range blocks {
		switch name, language, text := b[1], b[2], b[3]; {
		case language == "console":
			g.console(text)
		case name != "":
			g.write(name, text)
		default:
			t.Errorf("a block that is neither a file nor a console:\n%s", text)
		}
	}
	if g.commands < 15 {
		t.Errorf("only %d commands", g.commands)
	}
}

// guide follows a page.
type guide struct {
	t         *testing.T
	addresses map[string]string // those of the page, and those of this test
	commands  int
}

// here puts this test's addresses in place of the page's, there does the
// reverse.
func (g *guide) here(text string) string {
	for page, own := range g.addresses {
		text = strings.ReplaceAll(text, page, own)
	}
	return text
}

func (g *guide) there(text string) string {
	for page, own := range g.addresses {
		text = strings.ReplaceAll(text, own, page)
	}
	return text
}

func (g *guide) write(name, text string) {
	g.t.Helper()
	text = g.here(text)
	if name == "attache.yaml" { // the defaults may be taken
		text += g.here("listen: 127.0.0.1:8484\nadmin: 127.0.0.1:8485\n")
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// console runs the commands of a block, those behind "$ ", and compares what
// they print with the lines that follow.
func (g *guide) console(block string) {
	g.t.Helper()
	for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		g.commands++
		got := trimLines(g.there(g.command(g.here(command))))
		if !outputPattern(trimLines(want)).MatchString(got) {
			g.t.Fatalf("$ %s\n%s\nthe page has:\n%s", command, got, want)
		}
	}
}

func trimLines(text string) string {
	return strings.TrimRight(regexp.MustCompile(`(?m)[ \t]+$`).ReplaceAllString(text, ""), "\n")
}

// outputPattern matches an output in which … stands for anything: alone, any
// lines; else a part of one, and at the end of the last whatever follows.
func outputPattern(want string) *regexp.Regexp {
	lines := strings.Split(want, "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) == "…" {
			lines[i] = `(?s:.*)`
			continue
		}
		lines[i] = strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*`)
	}
	return regexp.MustCompile(`\A` + strings.Join(lines, "\n") + `\z`)
}

// command runs one command and returns what it prints.
func (g *guide) command(line string) string {
	g.t.Helper()
	words := shellWords(line)
	switch words[0] {
	case "attache":
		if words[1] == "emulate" || words[1] == "run" {
			g.start(words[1:])
			return ""
		}
		var out bytes.Buffer
		run(g.t.Context(), words[1:], &out, &out)
		return out.String()
	case "curl":
		return g.curl(words[1:])
	case "echo": // echo TEXT > FILE
		g.write(words[3], words[1]+"\n")
	case "mkdir":
		if err := os.Mkdir(words[1], 0o700); err != nil {
			g.t.Fatal(err)
		}
	case "cat":
		return g.read(words[1])
	case "sed": // sed -i 's/OLD/NEW/; …' FILE, on plain texts
		text := g.read(words[3])
		for _, s := range strings.Split(words[2], "; ") {
			parts := strings.Split(s, "/")
			if !strings.Contains(text, parts[1]) {
				g.t.Fatalf("%s finds nothing in\n%s", s, text)
			}
			text = strings.ReplaceAll(text, parts[1], parts[2])
		}
		g.write(words[3], text)
	default:
		g.t.Fatalf("do not know how to run %s", line)
	}
	return ""
}

// shellWords splits a command line with single quotes.
func shellWords(line string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2])
	}
	return words
}

func (g *guide) read(name string) string {
	g.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(data)
}

// start runs a command until the test ends, and waits until it serves.
func (g *guide) start(args []string) {
	g.t.Helper()
	ready := g.here("http://127.0.0.1:8485/readyz")
	if args[0] == "emulate" {
		args = append(args, "--listen", g.here("127.0.0.1:9400"))
		ready = g.here("http://127.0.0.1:9400/_emulator/stats")
	}
	ctx, stop := context.WithCancel(context.Background())
	var out bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, &out, &out) }()
	g.t.Cleanup(func() {
		stop()
		if code := <-done; code != exitOK {
			g.t.Errorf("attache %v: exit code %d:\n%s", args, code, out.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ans, err := http.Get(ready); err == nil {
			ans.Body.Close()
			if ans.StatusCode == http.StatusOK {
				return
			}
		}
	}
	g.t.Fatalf("attache %v does not serve", args)
}

// curl understands -d and a URL.
func (g *guide) curl(args []string) string {
	g.t.Helper()
	if len(args) != 3 || args[0] != "-d" {
		g.t.Fatalf("do not know curl %q", args)
	}
	ans, err := http.Post(args[2], "application/x-www-form-urlencoded", strings.NewReader(args[1]))
	if err != nil {
		g.t.Fatal(err)
	}
	defer ans.Body.Close()
	body, err := io.ReadAll(ans.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return fmt.Sprintf("%s\n", body)
}
