package recipe

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"attache/internal/secret"
	"attache/refresher"
)

// noRequest fails the test when a request is sent.
func noRequest(t *testing.T) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, errors.New("no")
	}
}

// originToken makes the token access of a recipe without a request, and
// describes it as transcripts do.
func originToken(t *testing.T, recipe, with string, run Runner) (string, *TokenProgram) {
	t.Helper()
	p := loadConfig(t, recipe, "credentials: {c: {with: {"+with+"}}}").creds["c"].program("access")
	src := fixedSource(p, noRequest(t))
	if run != nil {
		src.run = run
	}
	var warnings []string
	src.Warn = func(text string) { warnings = append(warnings, text) }
	tok, err := src.Fetch(t.Context(), refresher.Input{})
	if err != nil {
		return describeFailure(p, err), p
	}
	return describeToken(tok, fixedNow, warnings), p
}

func TestFileToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	jwt := "e30." + strings.TrimRight(b64(`{"exp":1714568400}`), "=") + ".sig"
	for name, tt := range map[string]struct{ content, more, want string }{
		"text":            {"opaque\n\n", "", "value: opaque\nlifetime: 1m0s\n"},
		"JWT":             {jwt, "", "value: " + jwt + "\nlifetime: 1h0m0s\n"},
		"own lifetime":    {"opaque", ", lifetime: 5m", "value: opaque\nlifetime: 5m0s\n"},
		"JSON":            {`{"access":"tok","exp":1714564860,"id":"i"}`, `, value: {json: access}, outputs: {id: {json: id}}, lifetime: {json: exp, as: epoch}`, "value: tok\noutput.id: i\nlifetime: 1m0s\n"},
		"member missing":  {`{}`, `, value: {json: access}`, "error: transient\ntext: the file " + path + " gave no token: json access is missing\n"},
		"regexp":          {"a=b\ntoken = tok\n", `, value: {regexp: "token = (.*)"}`, "value: tok\nlifetime: 1m0s\n"},
		"two lines":       {"a\nb", "", "error: transient\ntext: the file " + path + " gave a token that contains a line break\n"},
		"too long":        {strings.Repeat("x", maxValue+1), "", "error: transient\ntext: the file " + path + " gave a token that is longer than 16384 bytes\n"},
		"white space":     {" \t ", "", "error: transient\ntext: the file " + path + " gave no token: text is missing\n"},
		"empty":           {"", "", "error: transient\ntext: file " + path + " is empty\n"},
		"larger than all": {strings.Repeat("x", secret.MaxFileSize+1), "", "error: transient\ntext: file " + path + " is larger than 1048576 bytes\n"},
	} {
		t.Run(name, func(t *testing.T) {
			writeFile(t, path, tt.content)
			got, p := originToken(t, "recipe: x\nparams: {path: {}}\ntokens: {access: {file: \"${path}\""+tt.more+"}}\n", "path: "+path, nil)
			if got != tt.want {
				t.Errorf("got:\n%swant:\n%s", got, tt.want)
			}
			if !p.Policy.SameValueBacksOff {
				t.Error("a refused token that is in the file still makes a loop")
			}
		})
	}
}

// TestFileTokenFollowsItsFile: the token is what the file holds at the moment,
// the file is known to whoever watches files, and one that goes is an error, not
// the old content: that may have been taken away on purpose.
func TestFileTokenFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	c := loadConfig(t, "recipe: x\nparams: {p: {}}\ntokens:\n  access: {file: \"${p}\"}\n  other: {static: x}\n", "credentials: {c: {with: {p: "+path+"}}}").creds["c"]
	p := c.program("access")
	fetch := func(want string) {
		t.Helper()
		tok, err := fixedSource(p, noRequest(t)).Fetch(t.Context(), refresher.Input{})
		if err == nil && tok.Value.Reveal() != want || err != nil && (want != "" || !strings.Contains(err.Error(), "no such file")) {
			t.Errorf("got %v, %v, want %q", tok, err, want)
		}
	}
	fetch("")
	writeFile(t, path, "one")
	fetch("one")
	writeFile(t, path, "two")
	fetch("two")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	fetch("")

	files := c.Files()
	if len(files) != 1 {
		t.Fatalf("%d files, want the token's", len(files))
	}
	if got, _ := files[0].Path(); got != path || !readsFile(p, files[0]) || readsFile(c.program("other"), files[0]) {
		t.Errorf("the file %s is not known as what access is read from", got)
	}
}

func TestStaticAndMintedTokens(t *testing.T) {
	for _, tt := range []struct{ token, with, want string }{
		{`static: "${s}"`, "s: abc", "value: abc\nlifetime: until_refused\n"},
		{`static: "Key ${s}"`, "s: abc", "value: Key abc\nlifetime: until_refused\n"},
		{`static: "${s}"`, "", "error: permanent\ntext: static mentions a parameter that has no value\n"},
		{`static: "${s}"`, `s: "a\nb"`, "error: transient\ntext: static gave a token that contains a line break\n"},
		{`{let: {h: {md5: "${s}"}}, static: "${h}", lifetime: 5m}`, "s: abc", "value: 900150983cd24fb0d6963f7d28e17f72\nlifetime: 5m0s\n"},
		{`{let: {e: {now: unix, add: 10m}}, mint: {alg: HS256, key: "${s}", claims: {exp: "${e}"}}, lifetime: {jwt: exp}}`, "s: abc",
			"value: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3MTQ1NjU0MDB9.SIGNATURE\nlifetime: 10m0s\n"},
		{`{mint: {alg: HS256, key: "${s}", claims: {}}, lifetime: 1h}`, "", "error: permanent\ntext: the key of mint is a parameter that has no value\n"},
	} {
		if !strings.HasPrefix(tt.token, "{") {
			tt.token = "{" + tt.token + "}"
		}
		got, p := originToken(t, "recipe: x\nparams: {s: {secret: true}}\ntokens: {access: "+tt.token+"}\n", tt.with, nil)
		if i := strings.LastIndex(got, "."); strings.Contains(tt.want, "SIGNATURE") && i > 0 {
			got = got[:i] + ".SIGNATURE" + got[strings.Index(got, "\n"):]
		}
		if got != tt.want {
			t.Errorf("%s: got:\n%swant:\n%s", tt.token, got, tt.want)
		}
		if minted := strings.Contains(tt.token, "mint"); p.Policy.SameValueBacksOff == minted {
			t.Errorf("%s: same value backs off: %v", tt.token, minted)
		}
	}
}

// commandRecipe runs a command with one of everything.
const commandRecipe = `
recipe: x
params: {cluster: {}, profile: {default: p1}, none: {}, secret: {secret: true, default: canary-1}}
tokens:
  access:
    exec:
      command: [get-token, "--cluster=${cluster}", "--none=${none}", "a b;$(c)"]
      env: {PROFILE: "${profile}", SECRET: "${secret}", NONE: "${none}"}
      timeout: 5s
`

func TestCommandToken(t *testing.T) {
	const good = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"tok","expirationTimestamp":"2024-05-01T12:30:00Z"}}`
	plain := strings.Replace(commandRecipe, "timeout: 5s", "timeout: 5s\n    value: {text: true}\n    lifetime: 10m", 1)
	for name, tt := range map[string]struct {
		recipe, stdout, stderr string
		err                    error
		want                   string
	}{
		"v1":             {commandRecipe, good, "noise", nil, "value: tok\nlifetime: 30m0s\n"},
		"v1beta1":        {commandRecipe, strings.Replace(good, "/v1", "/v1beta1", 1), "", nil, "value: tok\nlifetime: 30m0s\n"},
		"no expiry":      {commandRecipe, strings.Replace(good, "expiration", "x", 1), "", nil, "value: tok\nlifetime: until_refused\n"},
		"v1alpha1":       {commandRecipe, strings.Replace(good, "/v1", "/v1alpha1", 1), "", nil, "error: permanent\ntext: get-token printed an ExecCredential of \"client.authentication.k8s.io/v1alpha1\"; v1 and v1beta1 are known\n"},
		"another kind":   {commandRecipe, strings.Replace(good, "ExecCredential", "Secret", 1), "", nil, "error: permanent\ntext: get-token printed no ExecCredential: its kind is \"Secret\"\n"},
		"no JSON":        {commandRecipe, "tok", "", nil, "error: permanent\ntext: get-token printed no ExecCredential: it is no JSON\n"},
		"certificate":    {commandRecipe, strings.Replace(good, `"token"`, `"clientCertificateData"`, 1), "", nil, "error: permanent\ntext: get-token printed an ExecCredential with a client certificate and no token; certificates are given to a route's tls\n"},
		"no token":       {commandRecipe, strings.Replace(good, `"token"`, `"t"`, 1), "", nil, "error: transient\ntext: get-token gave no token: json status.token is missing\n"},
		"text":           {plain, "tok\n", "", nil, "value: tok\nlifetime: 10m0s\n"},
		"nothing":        {plain, "\n", "", nil, "error: transient\ntext: get-token gave no token: text is missing\n"},
		"exit":           {plain, "tok", "warning\n\x1b[1mno session for canary-1, run login\n", &exec.ExitError{ProcessState: &os.ProcessState{}}, "error: transient\ntext: get-token failed (exit status 0): [1mno session for [redacted], run login\n"},
		"not there":      {plain, "", "", &exec.Error{Name: "get-token", Err: exec.ErrNotFound}, "error: permanent\ntext: there is no command get-token\n"},
		"not executable": {plain, "", "", &exec.Error{Name: "get-token", Err: os.ErrPermission}, "error: permanent\ntext: get-token cannot be run: permission denied\n"},
		"too much":       {plain, "", "", errTooMuch, "error: transient\ntext: get-token: it wrote more than 1MiB\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var ran Command
			got, p := originToken(t, tt.recipe, "cluster: c1", func(ctx context.Context, c Command) ([]byte, []byte, error) {
				ran = c
				return []byte(tt.stdout), []byte(tt.stderr), tt.err
			})
			if got != tt.want {
				t.Errorf("got:\n%swant:\n%s", got, tt.want)
			}
			if got, want := strings.Join(ran.Words, "|"), "get-token|--cluster=c1|a b;$(c)"; got != want {
				t.Errorf("ran %s, want %s", got, want)
			}
			want := "PROFILE=p1|SECRET=canary-1"
			if tt.recipe == commandRecipe {
				want += "|KUBERNETES_EXEC_INFO=" + execInfo
			}
			if got := strings.Join(ran.Env, "|"); got != want {
				t.Errorf("environment %s, want %s", got, want)
			}
			if p.Policy.Timeout != 5*time.Second || !p.Policy.SameValueBacksOff {
				t.Errorf("policy %+v", p.Policy)
			}
		})
	}
}

func TestCommandOwnExecInfo(t *testing.T) {
	recipe := "recipe: x\ntokens: {access: {exec: {command: [t], env: {KUBERNETES_EXEC_INFO: mine}}}}\n"
	originToken(t, recipe, "", func(_ context.Context, c Command) ([]byte, []byte, error) {
		if len(c.Env) != 1 || c.Env[0] != "KUBERNETES_EXEC_INFO=mine" {
			t.Errorf("environment %q", c.Env)
		}
		return nil, nil, nil
	})
}

// TestCommandTimeout: the engine's time for a login is the command's.
func TestCommandTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, _ := originToken(t, commandRecipe, "cluster: c1", func(ctx context.Context, _ Command) ([]byte, []byte, error) {
			<-ctx.Done()
			return nil, []byte("still waiting"), ctx.Err()
		})
		if want := "error: transient\ntext: get-token did not end within 5s: still waiting\n"; got != want {
			t.Errorf("got:\n%swant:\n%s", got, want)
		}
	})
}

func TestCommandWithNUL(t *testing.T) {
	got, _ := originToken(t, "recipe: x\nparams: {p: {}}\ntokens: {access: {exec: {command: [t], env: {P: \"${p}\"}}}}\n", `p: "a\0b"`, func(context.Context, Command) ([]byte, []byte, error) {
		t.Error("the command was run")
		return nil, nil, nil
	})
	if want := "error: permanent\ntext: a parameter has a NUL byte, which no command takes\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// TestCommandWithKey: of a secret of several lines none is shown, whatever the
// command writes last.
func TestCommandWithKey(t *testing.T) {
	const key = "BEGIN\\nbGluZTE\\nbGluZTI"
	recipe := "recipe: x\nparams: {key: {secret: true}}\ntokens: {access: {exec: {command: [t], env: {KEY: \"${key}\"}}}}\n"
	got, _ := originToken(t, recipe, `key: "`+key+`"`, func(_ context.Context, c Command) ([]byte, []byte, error) {
		said := "bad " + strings.TrimPrefix(c.Env[0], "KEY=") + "\n"
		return nil, []byte(said), &exec.ExitError{ProcessState: &os.ProcessState{}}
	})
	if want := "error: transient\ntext: t failed (exit status 0): bad [redacted]\n"; got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// TestOriginTranscripts: what is shown of a token without a request has no
// secret in it.
func TestOriginTranscripts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	writeFile(t, path, "canary-token-1")
	for _, tt := range []struct{ token, want string }{
		{`file: "${path}"`, "Read\n    file:PATH\n    14 bytes\nTaken\n    value: FINGERPRINT, 14 bytes, from text\n    not usable as lifetime: jwt exp is missing\n    lifetime: 1m0s, from constant 1m0s\n"},
		{`static: "${s}"`, "Made\n    15 bytes from parameters\nTaken\n    value: FINGERPRINT, 15 bytes, from text\n    lifetime: until refused, from until_refused\n"},
		{`exec: {command: [get, "${n}"], env: {S: "${s}"}}
    value: {text: true}
    lifetime: 1h`, "Ran\n    get name\n    S=redacted\nTaken\n    value: FINGERPRINT, 14 bytes, from text\n    lifetime: 1h0m0s, from constant 1h0m0s\n"},
		{`mint: {alg: HS256, key: "${s}", claims: {iss: "${n}", sub: "${s}"}}
    lifetime: 1h`, "Made\n    header: {\"alg\":\"HS256\",\"typ\":\"JWT\"}\n    claims: {\"iss\":\"name\",\"sub\":\"redacted\"}\nTaken\n    value: FINGERPRINT, 132 bytes, from text\n    lifetime: 1h0m0s, from constant 1h0m0s\n"},
	} {
		recipe := "recipe: x\nparams: {path: {}, n: {default: name}, s: {secret: true, default: canary-secret-1}}\ntokens:\n  access:\n    " + tt.token + "\n"
		p := loadConfig(t, recipe, "credentials: {c: {with: {path: "+path+"}}}").creds["c"].program("access")
		src := fixedSource(p, noRequest(t))
		src.run = func(context.Context, Command) ([]byte, []byte, error) { return []byte("canary-token-1"), nil, nil }
		tr, _, err := src.trace(t.Context(), refresher.Input{})
		var b strings.Builder
		tr.Write(&b, nil)
		got := strings.ReplaceAll(fingerprint.ReplaceAllString(b.String(), "FINGERPRINT"), path, "PATH")
		if err != nil || got != tt.want {
			t.Errorf("%v, got:\n%s\nwant:\n%s", err, got, tt.want)
		}
		if strings.Contains(got, "canary") {
			t.Errorf("a secret is shown:\n%s", got)
		}
	}
}

// TestCommandsAtOnce: of many users' commands eight run at once; the others wait, and
// give up when their time is over.
func TestCommandsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := loadConfig(t, "recipe: x\ntokens: {access: {exec: {command: [get-token], timeout: 10s}, value: {text: true}, lifetime: 1h}}\n",
			"credentials: {c: {with: {}}}").creds["c"].program("access")
		var running, most, ran int
		var mu sync.Mutex
		src := fixedSource(p, noRequest(t))
		src.run = func(ctx context.Context, _ Command) ([]byte, []byte, error) {
			mu.Lock()
			ran++
			running++
			most = max(most, running)
			mu.Unlock()
			defer func() {
				mu.Lock()
				running--
				mu.Unlock()
			}()
			select {
			case <-time.After(4 * time.Second):
				return []byte("tok"), nil, nil
			case <-ctx.Done():
				time.Sleep(time.Second) // until it is dead, the others have given up
				return nil, nil, ctx.Err()
			}
		}
		var failed []string
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if _, err := src.Fetch(t.Context(), refresher.Input{}); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = append(failed, describeFailure(p, err))
				}
			})
		}
		all.Wait()
		if most != maxCommands || ran != 24 {
			t.Errorf("%d ran at once, %d at all; want %d and 24", most, ran, maxCommands)
		}
		const late = "error: transient\ntext: get-token did not end within 10s\n" // began after 8s
		const never = "error: transient\ntext: get-token was not run: 8 of it ran already, and none ended within 10s\n"
		slices.Sort(failed)
		if want := slices.Concat(slices.Repeat([]string{late}, 8), slices.Repeat([]string{never}, 6)); !slices.Equal(failed, want) {
			t.Errorf("failed: %q", failed)
		}
		if _, err := src.Fetch(t.Context(), refresher.Input{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func readsFile(p *TokenProgram, file *secret.Ref) bool {
	reads, later := p.Reads(file)
	return reads && !later
}
