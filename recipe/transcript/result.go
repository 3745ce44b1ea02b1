package transcript

import (
	"bytes"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"attache/internal/secret"
	"attache/recipe"
)

// Result is what happened when a transcript ran.
type Result struct {
	Steps []Step
	// After is the file with what happened in place of what was expected.
	After []byte
}

// OK reports whether everything was as expected.
func (r *Result) OK() bool {
	for _, s := range r.Steps {
		if !s.OK() {
			return false
		}
	}
	return true
}

// Step is a part of a transcript: the request, or an answer.
type Step struct {
	Title string // "request", "answer 2"
	// Trace tells what happened, with everything secret masked.
	Trace []recipe.Step
	// Want is what the transcript expects, Got what happened; Missing: the
	// transcript does not say what it expects. They may hold secrets.
	Want, Got string
	Missing   bool

	scrub func(string) string
}

// OK reports whether the step went as expected.
func (s *Step) OK() bool { return !s.Missing && s.Want == s.Got }

// Expected returns the lines that the transcript expects; they are masked as
// those of [Step.Diff] are.
func (s *Step) Expected(reveal bool) []string {
	text := s.Want
	if !reveal {
		text = s.mask(text)
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// Diff returns the lines by which the step differs, with - before what was
// expected and + before what happened, and unchanged lines around them; nil for
// a step that is OK. Unless reveal is set, values of tokens and parameters that
// are secret are masked; a fingerprint tells them apart.
func (s *Step) Diff(reveal bool) []string {
	if s.OK() {
		return nil
	}
	want, got := s.Want, s.Got
	if !reveal {
		want, got = s.mask(want), s.mask(got)
	}
	if want == got {
		return []string{"  differs in what is masked here; --reveal shows it"}
	}
	text := diff.Diff("want", []byte(want), "got", []byte(got))
	_, text, _ = bytes.Cut(text, []byte("\n@@")) // names of the files
	_, text, _ = bytes.Cut(text, []byte("\n"))
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, `\ No newline`) {
			lines = append(lines, line)
		}
	}
	return lines
}

// mask removes the secrets of a text of a transcript.
func (s *Step) mask(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		name, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok:
		case name == "value", strings.HasPrefix(name, "output."):
			lines[i] = name + ": " + fingerprint(value)
			continue
		case name == "renewed":
			token, rest, _ := strings.Cut(value, " = ")
			if k := strings.LastIndex(rest, " for "); k >= 0 {
				lines[i] = name + ": " + token + " = " + fingerprint(rest[:k]) + rest[k:]
				continue
			}
		}
		lines[i] = s.scrub(line)
	}
	return strings.Join(lines, "\n")
}

func fingerprint(text string) string { return secret.New(text).String() }

// step makes a step of what was expected; scrub removes secrets from a line.
func step(title string, want *string, got string, trace []recipe.Step, scrub func(string) string) Step {
	s := Step{Title: title, Trace: trace, Got: got, Missing: want == nil, scrub: scrub}
	if want != nil {
		s.Want = *want
	}
	return s
}
