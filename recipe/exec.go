package recipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"attache/internal/shape"
	"attache/internal/yamldoc"
)

// The bounds of what a command writes, in bytes.
const (
	maxStdout = 1 << 20
	maxStderr = 8 << 10
)

// maxCommands is how many commands run at once for one token. There may be
// thousands of users, who all need their first token at the same moment.
const maxCommands = 8

// Command is a command to be run.
type Command struct {
	Words []string // the program, found as a shell finds it, and its arguments; no shell reads them
	Env   []string // NAME=VALUE, in addition to attache's own environment
}

// Runner runs a command to its end and returns what it wrote, of stderr the
// end. It must not outlive ctx. A command that ended otherwise than with 0 is
// an error, an [*exec.ExitError] if it ended at all.
type Runner func(ctx context.Context, c Command) (stdout, stderr []byte, err error)

// execOrigin is a command that prints the token.
type execOrigin struct {
	words []template
	env   []entry
	// credential: it prints kubectl's ExecCredential.
	credential bool
	timeout    time.Duration
	program    string // as written, for messages
}

// execInfo is what kubectl tells a command about who runs it.
const execInfo = `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}`

const execInfoName = "KUBERNETES_EXEC_INFO"

func parseExecOrigin(v yamldoc.Value, s *scope, credential bool) *execOrigin {
	e := &execOrigin{credential: credential, timeout: defaultTimeout, program: "the command"}
	o := v.Object(execShape())
	if !v.IsMap() {
		return e
	}
	words := o.Require("command")
	if words.IsScalar() {
		words.Errorf("want a list of words; no shell splits a text into them")
		return e
	}
	if words.IsList() && len(words.List(false)) == 0 {
		words.Errorf("the list is empty")
	}
	for i, w := range words.List(false) {
		t, ok := parseTemplate(w, s)
		if !ok {
			continue
		}
		noteSecretWord(w, t, s)
		e.words = append(e.words, t)
		if i == 0 && len(t.refs()) == 0 {
			e.program = filepath.Base(t.literal())
		}
		if i == 0 && t.literal() == "" && len(t.refs()) == 0 {
			w.Errorf("must not be empty")
		}
	}
	e.env = parseEntries(o.Get("env"), s, func(key yamldoc.Value, name string) string {
		if !shape.IsVariable(name) {
			key.Errorf("%q is no name of an environment variable", name)
		}
		return name
	})
	if o.Has("timeout") {
		e.timeout, _ = o.Duration("timeout")
	}
	return e
}

// noteSecretWord reports a secret in the words of a command: whoever lists the
// machine's processes sees them.
func noteSecretWord(v yamldoc.Value, t template, s *scope) {
	for _, ref := range t.refs() {
		if ref.kind == refToken || ref.kind == refLet && s.token.lets[ref.let].secret() || ref.kind == refParam && s.recipe.Params[ref.param].Secret {
			v.Errorf("${%s} may be secret, and every user of the machine can see the words of a command; give it in env", ref.text)
		}
	}
}

func (e *execOrigin) templates(f func(template)) {
	for _, w := range e.words {
		f(w)
	}
	for _, v := range e.env {
		f(v.text)
	}
}

func (e *execOrigin) what() string { return e.program }

// command fills in the command. Words and variables that mention a parameter
// without a value are left out.
func (e *execOrigin) command(v values) (Command, error) {
	var c Command
	for i, w := range e.words {
		text, ok := w.render(v, verbatim)
		if i == 0 && (!ok || text == "") {
			return c, errors.New("the name of the command is a parameter that has no value")
		}
		if ok {
			c.Words = append(c.Words, text)
		}
	}
	own := false
	for _, env := range e.env {
		if text, ok := env.text.render(v, verbatim); ok {
			own = own || env.name == execInfoName
			c.Env = append(c.Env, env.name+"="+text)
		}
	}
	if e.credential && !own {
		c.Env = append(c.Env, execInfoName+"="+execInfo)
	}
	for _, text := range append(c.Env, c.Words...) {
		if strings.ContainsRune(text, 0) {
			return c, errors.New("a parameter has a NUL byte, which no command takes")
		}
	}
	return c, nil
}

func (e *execOrigin) read(ctx context.Context, a *attempt) ([]byte, error) {
	c, err := e.command(a)
	if err != nil {
		return nil, permanentError{err}
	}
	select {
	case a.t.running <- struct{}{}:
		defer func() { <-a.t.running }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%s was not run: %d of it ran already, and none ended within %v", e.program, maxCommands, a.timeout())
	}
	a.traceCommand(e)
	stdout, stderr, err := a.s.run(ctx, c)
	if err == nil {
		return stdout, nil
	}
	said := ""
	// All of it is scrubbed before a line is chosen: a secret, a key in PEM
	// above all, may have several.
	if text := a.scrub(lastLine(a.scrubLines(string(stderr))), maxMessage); text != "" {
		said = ": " + text
	}
	var exit *exec.ExitError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%s did not end within %v%s", e.program, a.timeout(), said)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrDot):
		return nil, permanentError{fmt.Errorf("there is no command %s", e.program)}
	case errors.Is(err, fs.ErrPermission):
		return nil, permanentError{fmt.Errorf("%s cannot be run: permission denied", e.program)}
	case errors.As(err, &exit):
		return nil, fmt.Errorf("%s failed (%s)%s", e.program, exit.ProcessState, said)
	}
	return nil, fmt.Errorf("%s: %s%s", e.program, a.scrub(err.Error(), maxMessage), said)
}

// traceCommand writes down what is run, with a word in place of each secret.
func (a *attempt) traceCommand(e *execOrigin) {
	if a.trace == nil {
		return
	}
	c, err := e.command(maskedValues{a})
	if err != nil {
		return
	}
	lines := append([]string{strings.Join(c.Words, " ")}, c.Env...)
	a.trace.step("Ran", cutLines(a.scrubLines(strings.Join(lines, "\n")))...)
}

// lastLine returns the last line that says something.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// badExecCredential says why what a command printed is no ExecCredential with a
// token, or "". What it quotes passes through quote.
// https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
func badExecCredential(ans *answer, quote func(string) string) string {
	version, ok := ans.member("apiVersion")
	if !ok {
		return "printed no ExecCredential: it is no JSON"
	}
	kind, _ := ans.member("kind")
	switch {
	case kind.String() != "ExecCredential":
		return fmt.Sprintf("printed no ExecCredential: its kind is %q", quote(kind.String()))
	case version.String() != "client.authentication.k8s.io/v1" && version.String() != "client.authentication.k8s.io/v1beta1":
		return fmt.Sprintf("printed an ExecCredential of %q; v1 and v1beta1 are known", quote(version.String()))
	}
	token, _ := ans.member("status.token")
	certificate, _ := ans.member("status.clientCertificateData")
	if token.String() == "" && certificate.Exists() {
		return "printed an ExecCredential with a client certificate and no token; certificates are given to a route's tls"
	}
	return ""
}
