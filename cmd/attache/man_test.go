package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the manual pages in docs/man")

const manFolder = "../../docs/man"

// TestManPages compares docs/man with the commands; `make docs` writes it.
func TestManPages(t *testing.T) {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	want := map[string]string{}
	var add func(cmd *cobra.Command)
	add = func(cmd *cobra.Command) {
		want[manName(cmd)+".1"] = manPage(cmd)
		for _, sub := range cmd.Commands() {
			if cmd.Name() != "completion" { // all of them are in its own page
				add(sub)
			}
		}
	}
	add(root)
	there, err := filepath.Glob(filepath.Join(manFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if want[filepath.Base(file)] != "" {
			continue
		}
		if !*update {
			t.Errorf("%s is the page of no command", file)
		} else if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		file := filepath.Join(manFolder, name)
		if *update {
			if err := os.WriteFile(file, []byte(want[name]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want[name] {
			t.Errorf("docs/man/%s is stale: run `make docs`, and commit what it writes (%v)", name, err)
		}
	}
}

// TestManPagesAreFormatted: those who format manual pages have nothing to say.
func TestManPagesAreFormatted(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(manFolder, "*.1"))
	if err != nil || len(pages) < 10 {
		t.Fatalf("there are %d pages: %v", len(pages), err)
	}
	for name, arguments := range map[string][]string{
		"groff": {"-man", "-ww", "-Tutf8", "-z"},
		// They have no date on purpose: it would change with every commit.
		"mandoc": {"-Tlint", "-Wwarning"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("missing tool: %s", name)
			}
			for _, page := range pages {
				out, _ := exec.CommandContext(t.Context(), name, append(arguments, page)...).CombinedOutput()
				for line := range strings.Lines(string(out)) {
					if !strings.Contains(line, `missing date, using ""`) {
						t.Error(strings.TrimSpace(line))
					}
				}
			}
		})
	}
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage writes a command's page in the language of man(7).
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	name := manName(cmd)
	fmt.Fprintf(&b, ".\\\" Made from the commands by `make docs`.\n.TH %s 1 \"\" attache attache\n", roffName(strings.ToUpper(name)))
	short := []rune(cmd.Short)
	if len(short) > 1 && unicode.IsLower(short[1]) {
		short[0] = unicode.ToLower(short[0])
	}
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", typed(name), roff(string(short)))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roffName(cmd.CommandPath()))
	_, arguments, _ := strings.Cut(cmd.UseLine(), cmd.CommandPath())
	if cmd.HasAvailableSubCommands() {
		arguments += " [command]"
	}
	if arguments != "" {
		fmt.Fprintf(&b, ".I %s\n", roffName(strings.TrimSpace(arguments)))
	}
	b.WriteString(".SH DESCRIPTION\n")
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	manText(&b, text)
	manCommands(&b, cmd)
	b.WriteString(".SH OPTIONS\n")
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { manFlag(&b, f) })
	b.WriteString(".SH EXIT STATUS\n.TP\n.B 0\nDone, or stopped by a signal.\n.TP\n.B 1\nA failure at run time.\n.TP\n.B 2\n" +
		"Wrong usage, or a mistake in a configuration or recipe.\n.TP\n.BR 130 \", \" 143\nCut short by a signal.\n")
	if cmd.HasParent() {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roffName(manName(cmd.Parent())))
	} else {
		b.WriteString(".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nIf it is set and not empty, there are no colours.\n.TP\n.B TERM\n" +
			"If it is\n.BR dumb ,\nthere are no colours, and the cursor is not moved.\n")
	}
	return b.String()
}

// manText writes paragraphs; lines with an indent stay as they are.
func manText(b *strings.Builder, text string) {
	asItIs := false
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		indented := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
		switch {
		case indented && !asItIs:
			if !strings.HasSuffix(b.String(), ".PP\n") {
				b.WriteString(".PP\n")
			}
			b.WriteString(".nf\n.RS 4\n")
			asItIs = true
		case !indented && asItIs:
			b.WriteString(".RE\n.fi\n")
			if asItIs = false; line != "" {
				b.WriteString(".PP\n")
			}
		}
		switch {
		case line == "" && !strings.HasSuffix(b.String(), ".PP\n"):
			b.WriteString(".PP\n")
		case line != "":
			b.WriteString(roff(strings.TrimPrefix(line, "  ")) + "\n")
		}
	}
	if asItIs {
		b.WriteString(".RE\n.fi\n")
	}
}

func manCommands(b *strings.Builder, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString(".SH COMMANDS\n")
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		page := fmt.Sprintf(".BR %s (1)", roffName(manName(sub)))
		if cmd.Name() == "completion" {
			page = ".B " + roffName(sub.CommandPath())
		}
		fmt.Fprintf(b, ".TP\n%s\n%s.\n", page, roff(sub.Short))
	}
}

func manFlag(b *strings.Builder, f *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(f)
	name := `\fB\-\-` + typed(f.Name) + `\fR`
	if f.Shorthand != "" {
		name = `\fB\-` + f.Shorthand + `\fR, ` + name
	}
	if value != "" {
		name += ` \fI` + roff(strings.ToUpper(strings.Trim(value, "'"))) + `\fR`
	}
	fmt.Fprintf(b, ".TP\n%s\n%s.\n", name, roff(strings.ToUpper(usage[:1])+usage[1:]))
	switch f.DefValue {
	case "", "false", "[]", "0s":
	default:
		fmt.Fprintf(b, "Default:\n.BR %s .\n", roffName(f.DefValue))
	}
}

// roff writes a text so that it is nothing but text.
func roff(text string) string {
	var b strings.Builder
	for _, r := range text {
		special := map[rune]string{'\\': `\e`, '\'': `\(aq`, '`': `\(ga`, '^': `\(ha`, '~': `\(ti`, '\t': "    "}[r]
		switch {
		case special != "":
			b.WriteString(special)
		case r > unicode.MaxASCII:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	if strings.HasPrefix(text, ".") {
		return `\&` + b.String()
	}
	return b.String()
}

// typed is roff for what somebody types: a hyphen is a minus there.
func typed(text string) string { return strings.ReplaceAll(roff(text), "-", `\-`) }

// roffName is typed as one argument of a macro.
func roffName(text string) string { return `"` + strings.ReplaceAll(typed(text), `"`, `\(dq`) + `"` }
