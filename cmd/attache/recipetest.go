package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"attache/internal/terminal"
	"attache/internal/yamldoc"
	"attache/recipe"
	"attache/recipe/transcript"
)

func newRecipesTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test FILE [TRANSCRIPT ...]",
		Short: "Run a recipe against transcripts, and show every step, masked",
		Long: `test runs the recipe in FILE against transcripts: requests as they must be sent,
the vendor's answers, and what must follow from each. Nothing is sent anywhere.
For every answer it says which of the recipe's rules matched, and why the others
did not.

Without a TRANSCRIPT it takes the .txtar files in the folder beside FILE that
has its name: those in shop/ for shop.yaml.

It exits with 1 when something differs from what a transcript expects.`,
		ValidArgsFunction: recipeFiles,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s takes the FILE of a recipe; see %s --help", cmd.CommandPath(), cmd.CommandPath())
			}
			return nil
		},
	}
	var t recipeTest
	cmd.Flags().BoolVar(&t.update, "update", false, "write what happens into the transcripts")
	cmd.Flags().BoolVar(&t.reveal, "reveal", false, "show secrets and tokens in differences as they are")
	cmd.Flags().BoolVarP(&t.quiet, "quiet", "q", false, "show only what differs")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t.out = cmd.OutOrStdout()
		t.paint = terminal.Colors(t.out, os.Getenv)
		return t.run(cmd.Context(), args[0], args[1:])
	}
	return cmd
}

// recipeTest is one run of `attache recipes test`.
type recipeTest struct {
	out                   io.Writer
	paint                 terminal.Painter
	update, reveal, quiet bool
}

func (t *recipeTest) run(ctx context.Context, file string, names []string) error {
	rep := &yamldoc.Report{}
	data, err := os.ReadFile(file)
	if err != nil {
		return usagef("%v", err)
	}
	r, ok := recipe.Parse(rep, file, data)
	if !ok {
		return rep.Err()
	}
	if len(names) == 0 {
		if names, err = transcriptsOf(file); err != nil {
			return err
		}
	}
	differ := 0
	var wrong yamldoc.Problems
	for _, name := range names {
		ok, err := t.transcript(ctx, r, name)
		var problems yamldoc.Problems
		switch {
		case errors.As(err, &problems):
			wrong = append(wrong, problems...)
		case err != nil:
			return usagef("%v", err)
		case !ok:
			differ++
		}
	}
	switch {
	case len(wrong) > 0:
		return wrong
	case differ > 0:
		return fmt.Errorf("%d of %s: not as expected", differ, count(len(names), "transcript"))
	}
	fmt.Fprintf(t.out, "%s: %s\n", count(len(names), "transcript"), t.paint.Paint(terminal.Good, "ok"))
	return nil
}

// transcriptsOf returns the transcripts beside a recipe.
func transcriptsOf(file string) ([]string, error) {
	folder := strings.TrimSuffix(file, filepath.Ext(file))
	names, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil {
		return nil, usagef("read %s: %v", folder, err)
	}
	if len(names) == 0 {
		return nil, usagef("there is no transcript %s; write one, or name one after the recipe", filepath.Join(folder, "*.txtar"))
	}
	return names, nil // sorted
}

// transcript runs one transcript; ok is false when something differs.
func (t *recipeTest) transcript(ctx context.Context, r *recipe.Recipe, name string) (ok bool, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	rep := &yamldoc.Report{}
	tr, ok := transcript.Parse(rep, name, data)
	if !ok {
		return false, rep.Err()
	}
	res, err := tr.Run(ctx, r)
	if err != nil {
		return false, err
	}
	if !t.quiet || !res.OK() {
		fmt.Fprintln(t.out, t.paint.Paint(terminal.Bold, "== "+name+" =="))
		for i := range res.Steps {
			t.step(&res.Steps[i])
		}
		fmt.Fprintln(t.out)
	}
	if !t.update || string(res.After) == string(data) {
		return res.OK(), nil
	}
	if err := os.WriteFile(name, res.After, 0o644); err != nil {
		return false, err
	}
	fmt.Fprintf(t.out, "wrote %s\n", name)
	return true, nil
}

// step shows a step, and how it differs from what is expected.
func (t *recipeTest) step(s *transcript.Step) {
	if t.quiet && s.OK() {
		return
	}
	verdict, style := "ok", terminal.Good
	switch {
	case s.OK():
	case t.update && s.Missing:
		verdict = "new"
	case t.update:
		verdict = "changed (- before, + now)"
	case s.Missing:
		verdict, style = "the transcript does not say what is expected; --update writes it", terminal.Bad
	default:
		verdict, style = "differs (- expected, + happened)", terminal.Bad
	}
	fmt.Fprintf(t.out, "%s: %s\n", s.Title, t.paint.Paint(style, verdict))
	for _, part := range s.Trace {
		t.part(part)
	}
	if s.OK() && (len(s.Trace) == 0 || s.Trace[0].Title != "Sent") { // the request was shown
		t.part(recipe.Step{Title: "As expected", Lines: s.Expected(t.reveal)})
	}
	if !s.OK() {
		fmt.Fprintf(t.out, "    %s\n", t.paint.Paint(terminal.Bold, "Difference"))
	}
	for _, line := range s.Diff(t.reveal) {
		style := terminal.Style(0)
		switch {
		case strings.HasPrefix(line, "-"):
			style = terminal.Bad
		case strings.HasPrefix(line, "+"):
			style = terminal.Good
		}
		fmt.Fprintf(t.out, "        %s\n", t.paint.Paint(style, terminal.Clean(line)))
	}
}

func (t *recipeTest) part(part recipe.Step) {
	fmt.Fprintf(t.out, "    %s\n", t.paint.Paint(terminal.Bold, part.Title))
	for _, line := range part.Lines {
		fmt.Fprintln(t.out, strings.TrimRight("        "+terminal.Clean(line), " "))
	}
}
