package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of a page.
type block struct {
	page     string
	section  string // the heading of the second level above it; "": none
	file     string // the file that it is, where the text before it says `NAME`:
	language string
	text     string
}

var (
	fence    = regexp.MustCompile("^ *```([a-z]*) *$")
	fileName = regexp.MustCompile("`([^`]+)`[a-z ]*:$")
)

// blocks returns those of a page of this repository.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", page))
	if err != nil {
		t.Fatal(err)
	}
	var list []block
	var open *block
	section, before := "", ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open == nil:
			open = &block{page: page, section: section, language: m[1]}
			if name := fileName.FindStringSubmatch(before); name != nil {
				open.file = name[1]
			}
		case m != nil:
			list = append(list, *open)
			open, before = nil, ""
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "## "):
			section = strings.TrimPrefix(line, "## ")
		case strings.TrimSpace(line) != "":
			before = line
		}
	}
	if open != nil {
		t.Errorf("%s: a block does not end", page)
	}
	return list
}

// command is a line for a shell, and what the page shows of its output.
type command struct {
	line  string
	shown string
	// prompted says that the page would show an output: it stands in a block of
	// commands and outputs, and not in one of commands alone.
	prompted bool
}

// isShell reports whether a block is one of commands.
func (b block) isShell() bool {
	return b.language == "console" || b.language == "sh" || b.language == "bash" || b.language == "shell"
}

// commands returns those of a block. A \ at the end of a line continues it.
func (b block) commands() []command {
	text := strings.ReplaceAll("\n"+b.text, "\\\n", "")
	var list []command
	if b.language == "console" {
		for _, part := range strings.Split(text, "\n$ ")[1:] {
			line, shown, _ := strings.Cut(part, "\n")
			list = append(list, command{line, shown, true})
		}
		if !slices.ContainsFunc(list, func(c command) bool { return strings.TrimSpace(c.shown) != "" }) {
			for i := range list {
				list[i].prompted = false
			}
		}
		return list
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, command{line: line})
		}
	}
	return list
}

// plain returns the command without the comment at its end.
func (c command) plain() string {
	line, _, _ := strings.Cut(c.line, "   #")
	return strings.TrimSpace(line)
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

func trimLines(text string) string {
	return strings.TrimRight(regexp.MustCompile(`(?m)[ \t]+$`).ReplaceAllString(text, ""), "\n")
}
