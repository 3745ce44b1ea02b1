package recipe

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"attache/internal/secret"
	"attache/internal/yamldoc"
	"attache/refresher"
)

// Conversations are what the tests know about renewals: one login after the
// other, each with the token that came before. They are txtar files in
// testdata/renewal: the comment at the top is a YAML map
//
//	token: access                # of the first credential in config.yaml
//	parents: {component: TOKEN}  # as in transcripts
//
// then come recipe.yaml, which holds a recipe or the name of a preset alone, and
// config.yaml, and then steps. The name of a step is
// what happens, its content what must follow (as "want" in transcripts, and the
// words lasting and rotates that apply), and behind it stand the requests as they
// must be sent, each followed by the answer to it; without one there is none:
//
//	-- login --
//	-- login after 48m --          # when the token is due
//	-- login refused --            # the token was refused
//	-- login anew --               # something that the login reads has changed
//	-- restart --                  # the token is forgotten; nothing follows
//	-- revoke --
//	-- file NAME --                # writes that file; ${DIR} in config.yaml is its folder
//
// The flag -update writes requests and steps anew.
func TestConversations(t *testing.T) {
	files, _ := filepath.Glob("testdata/renewal/*.txtar")
	if len(files) == 0 {
		t.Fatal("no conversations")
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			before := string(txtar.Format(ar))
			c := readConversation(t, ar)
			c.run(t, ar.Files[2:])
			after := string(txtar.Format(&txtar.Archive{Comment: ar.Comment, Files: append(ar.Files[:2:2], c.out...)}))
			if after != before && *update {
				if err := os.WriteFile(name, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")); d != "" {
				t.Errorf("%s (-the file +what happens):\n%s", name, d)
			}
		})
	}
}

// conversation is a file that was read; what happens is collected in out.
type conversation struct {
	dir     string
	program *TokenProgram
	in      refresher.Input
	now     time.Time
	answers []string
	out     []txtar.File
}

func readConversation(t *testing.T, ar *txtar.Archive) *conversation {
	t.Helper()
	if len(ar.Files) < 3 || ar.Files[0].Name != "recipe.yaml" || ar.Files[1].Name != "config.yaml" {
		t.Fatal("want recipe.yaml, config.yaml, and steps")
	}
	c := &conversation{now: fixedNow, dir: t.TempDir()}
	for _, f := range ar.Files[2:] { // before they are read for the first time
		if name, ok := strings.CutPrefix(f.Name, "file "); ok {
			if _, err := os.Stat(filepath.Join(c.dir, name)); err != nil {
				writeFile(t, filepath.Join(c.dir, name), string(f.Data))
			}
		}
	}
	root, _ := yamldoc.Parse(&yamldoc.Report{}, "comment", ar.Comment)
	o := root.Object(keys("token", "parents"))
	recipe := ar.Files[0].Data
	if preset, ok := PresetSource(strings.TrimSpace(string(recipe))); ok {
		recipe = preset
	}
	cfg := loadConfig(t, string(recipe), strings.ReplaceAll(string(ar.Files[1].Data), "${DIR}", c.dir))
	name, _ := o.Require("token").Text()
	c.program = cfg.creds["c"].program(name)
	parents := map[string]refresher.Token{}
	for _, e := range o.Get("parents").Entries() {
		value, _ := e.Value.Text()
		parents[e.Name] = refresher.Token{Value: secret.New(value)}
	}
	for _, p := range c.program.Parents {
		c.in.Parents = append(c.in.Parents, parents[p.Token])
	}
	return c
}

func (c *conversation) run(t *testing.T, files []txtar.File) {
	for len(files) > 0 {
		step := files[0]
		files = files[1:]
		c.answers = nil
		for len(files) > 0 && (files[0].Name == "request" || files[0].Name == "answer") {
			if files[0].Name == "answer" {
				c.answers = append(c.answers, string(files[0].Data))
			}
			files = files[1:]
		}
		i := len(c.out)
		c.out = append(c.out, txtar.File{Name: step.Name})
		c.out[i].Data = []byte(c.step(t, step))
	}
}

// step does what the name says and returns what followed.
func (c *conversation) step(t *testing.T, step txtar.File) string {
	words := strings.Fields(step.Name)
	c.in.Refused, c.in.Anew = slices.Contains(words, "refused"), slices.Contains(words, "anew")
	if i := slices.Index(words, "after"); i > 0 {
		d, err := time.ParseDuration(words[i+1])
		if err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(d)
	}
	var warnings []string
	src := c.program.Source(c, "attache/test")
	src.now = func() time.Time { return c.now }
	src.random = zeros{}
	src.Warn = func(text string) { warnings = append(warnings, text) }
	switch words[0] {
	case "file":
		writeFile(t, filepath.Join(c.dir, words[1]), string(step.Data))
		return string(step.Data)
	case "restart":
		c.in.Previous = refresher.Token{}
		return ""
	case "revoke":
		if !c.program.Revokes() {
			return "nothing\n"
		}
		if err := src.Revoke(t.Context(), c.in); err != nil {
			return describeFailure(c.program, err)
		}
		return "revoked\n"
	case "login":
	default:
		t.Fatalf("no step: %s", step.Name)
	}
	tok, err := src.Fetch(t.Context(), c.in)
	c.leftOver(t)
	if err != nil {
		text := describeFailure(c.program, err)
		for _, w := range warnings {
			text += "warning: " + w + "\n"
		}
		return text
	}
	c.in.Previous = tok
	shown := tok
	shown.Outputs = nil
	text := describeToken(shown, c.now, warnings)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range tok.Outputs {
			if name != beganWith && !yield(name) {
				return
			}
		}
	}) {
		text += fmt.Sprintf("output.%s: %s\n", name, tok.Outputs[name].Reveal())
	}
	if tok.Lasting {
		text += "lasting\n"
	}
	if c.program.Policy.Rotates {
		text += "rotates\n"
	}
	return text
}

func (c *conversation) leftOver(t *testing.T) {
	if len(c.answers) > 0 {
		t.Errorf("%d answers to requests that were not sent", len(c.answers))
	}
}

// RoundTrip gives the next answer.
func (c *conversation) RoundTrip(req *http.Request) (*http.Response, error) {
	one := &canned{err: io.ErrUnexpectedEOF}
	answer := ""
	if len(c.answers) > 0 {
		answer, c.answers = c.answers[0], c.answers[1:]
		head, body, _ := strings.Cut(answer, "\n\n") // the last newline is none of the body
		one = &canned{answer: []byte(strings.TrimSuffix(head, "\n") + "\n\n" + strings.TrimSuffix(body, "\n"))}
	}
	resp, err := one.RoundTrip(req)
	sent := one.sent
	if !strings.HasSuffix(sent, "\n") {
		sent += "\n"
	}
	c.out = append(c.out, txtar.File{Name: "request", Data: []byte(sent)})
	if answer != "" {
		c.out = append(c.out, txtar.File{Name: "answer", Data: []byte(answer)})
	}
	return resp, err
}
