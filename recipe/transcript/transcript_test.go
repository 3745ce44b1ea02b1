package transcript

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"attache/internal/yamldoc"
	"attache/recipe"
)

const shop = `
recipe: shop
params:
  endpoint: {required: true, type: url}
  secret:   {required: true, secret: true}
  user:     {required: true}
tokens:
  app:
    let: {id: {uuid: v4}, time: {now: unix}}
    request: {url: "${endpoint}/login", json: {secret: "${secret}", id: "${id}", time: "${time}"}}
    errors: [{json: {code: 4001}, class: permanent}]
    success: {json: {code: 0}}
    value: {json: token}
    outputs: {push: {json: push}}
    lifetime: [{json: ttl, as: seconds}]
  session:
    request: {method: POST, url: "${endpoint}/users/${user}", headers: {Authorization: "Bearer ${app}"}}
    value: {header: X-Session}
    lifetime: 30m
inject:
  - {header: Authorization, value: "Bearer ${app}"}
  - {cookie: sid, value: "${session}"}
refused:
  - {token: app, status: 401}
  - {token: session, json: {code: GONE}}
renewed:
  - {token: session, header: X-Session, lifetime: 30m, hide: true}
`

var fingerprints = regexp.MustCompile(`secret:[0-9a-f]+`)

func parseRecipe(t *testing.T) *recipe.Recipe {
	t.Helper()
	rep := &yamldoc.Report{}
	r, ok := recipe.Parse(rep, "shop.yaml", []byte(shop))
	if !ok {
		t.Fatal(rep.Err())
	}
	return r
}

// run returns the result, or the error as text.
func run(t *testing.T, text string) (*Result, string) {
	t.Helper()
	rep := &yamldoc.Report{}
	tr, ok := Parse(rep, "t.txtar", []byte(text))
	if !ok {
		return nil, rep.Err().Error()
	}
	res, err := tr.Run(t.Context(), parseRecipe(t))
	if err != nil {
		return nil, err.Error()
	}
	return res, ""
}

const (
	loginHead = "token: app\nwith: {endpoint: \"https://shop.example.com\", secret: s3cr3t-1, user: anna}\n"
	callHead  = "with: {endpoint: \"https://shop.example.com\", secret: s3cr3t-1, user: {header: X-User}}\ntokens: {app: app-token-1, session: session-token-1}\n"
	begun     = loginHead + "-- answer --\nHTTP/1.1 200 OK\n\n{\"code\":0,\"token\":\"tok-en-1\",\"push\":\"pu-sh-1\",\"ttl\":60}\n-- answer --\nHTTP/1.1 200 OK\n\n{\"code\":4001,\"message\":\"bad s3cr3t-1\"}\n"
	finished  = loginHead + `-- request --
POST https://shop.example.com/login HTTP/1.1
Accept: application/json, */*;q=0.5
Accept-Encoding: gzip
Content-Type: application/json
User-Agent: attache/test

{"secret":"s3cr3t-1","id":"00000000-0000-4000-8000-000000000000","time":"1714564800"}
-- answer --
HTTP/1.1 200 OK

{"code":0,"token":"tok-en-1","push":"pu-sh-1","ttl":60}
-- want --
value: tok-en-1
output.push: pu-sh-1
lifetime: 1m0s
-- answer --
HTTP/1.1 200 OK

{"code":4001,"message":"bad s3cr3t-1"}
-- want --
error: permanent
text: shop.example.com answered 200 with code 4001: bad [redacted]
`
	begunCall    = callHead + "-- client --\nGET https://shop.example.com/orders HTTP/1.1\nX-User: anna\nCookie: sid=forged; theme=dark\nAuthorization: own\n\n-- answer --\nHTTP/1.1 200 OK\nX-Session: session-token-2\n\n{\"code\":\"GONE\"}\n-- answer --\nHTTP/1.1 401 Unauthorized\n\n"
	finishedCall = callHead + `-- client --
GET https://shop.example.com/orders HTTP/1.1
X-User: anna
Cookie: sid=forged; theme=dark
Authorization: own

-- request --
GET https://shop.example.com/orders HTTP/1.1
Authorization: Bearer app-token-1
Cookie: theme=dark
Cookie: sid=session-token-1
-- answer --
HTTP/1.1 200 OK
X-Session: session-token-2

{"code":"GONE"}
-- want --
looks: json
refused: session by body
renewed: session = session-token-2 for 30m0s
hide: header X-Session
-- answer --
HTTP/1.1 401 Unauthorized

-- want --
looks: none
refused: app by status
hide: header X-Session
`
)

// TestUpdate begins transcripts with answers alone, and finds those that are
// written then as they should be.
func TestUpdate(t *testing.T) {
	for _, tt := range []struct{ begun, finished string }{{begun, finished}, {begunCall, finishedCall}} {
		res, why := run(t, tt.begun)
		if why != "" {
			t.Fatal(why)
		}
		if res.OK() {
			t.Error("a transcript that expects nothing is OK")
		}
		if got := string(res.After); got != tt.finished {
			t.Errorf("got:\n%s\nwant:\n%s", got, tt.finished)
		}
		if res, why = run(t, tt.finished); why != "" || !res.OK() || string(res.After) != tt.finished {
			t.Errorf("not OK: %s %+v", why, res)
		}
	}
}

// TestDiff changes what is expected, and looks at what is shown: no secret.
func TestDiff(t *testing.T) {
	for _, tt := range []struct {
		text, old, new string
		step           int
		want           []string // of the lines, with fingerprints cut off
	}{
		{finished, "lifetime: 1m0s", "lifetime: 2m0s", 1, []string{" value: secret:", " output.push: secret:", "-lifetime: 2m0s", "+lifetime: 1m0s"}},
		{finished, "value: tok-en-1", "value: tok-en-2", 1, []string{"-value: secret:", "+value: secret:", " output.push: secret:", " lifetime: 1m0s"}},
		{finished, `{"secret":"s3cr3t-1"`, `{"Secret":"s3cr3t-1"`, 0, []string{" Content-Type: application/json", " User-Agent: attache/test", " ",
			`-{"Secret":"[redacted]","id":"00000000-0000-4000-8000-000000000000","time":"1714564800"}`,
			`+{"secret":"[redacted]","id":"00000000-0000-4000-8000-000000000000","time":"1714564800"}`}},
		{finishedCall, "= session-token-2 for", "= session-token-3 for", 1,
			[]string{" looks: json", " refused: session by body", "-renewed: session = secret: for 30m0s", "+renewed: session = secret: for 30m0s", " hide: header X-Session"}},
	} {
		res, why := run(t, strings.Replace(tt.text, tt.old, tt.new, 1))
		if why != "" {
			t.Fatal(why)
		}
		for i := range res.Steps {
			if res.Steps[i].OK() != (i != tt.step) {
				t.Errorf("%s: step %d: OK is %v", tt.new, i, res.Steps[i].OK())
			}
		}
		got := strings.Join(res.Steps[tt.step].Diff(false), "\n")
		if want := strings.Join(tt.want, "\n"); fingerprints.ReplaceAllString(got, "secret:") != want {
			t.Errorf("%s:\n%s\nwant:\n%s", tt.new, got, want)
		}
		if revealed := strings.Join(res.Steps[tt.step].Diff(true), "\n"); !strings.Contains(revealed, tt.new) {
			t.Errorf("%s: revealed:\n%s", tt.new, revealed)
		}
	}
}

// TestTraceIsMasked looks for every secret in what is shown.
func TestTraceIsMasked(t *testing.T) {
	secrets := []string{"s3cr3t-1", "tok-en-1", "pu-sh-1", "app-token-1", "session-token-1", "session-token-2"}
	steps := 0
	for _, text := range []string{finished, finishedCall} {
		res, why := run(t, text)
		if why != "" {
			t.Fatal(why)
		}
		for _, s := range res.Steps {
			for _, part := range s.Trace {
				steps++
				for _, line := range append(part.Lines, part.Title) {
					for _, secret := range secrets {
						if strings.Contains(line, secret) {
							t.Errorf("%s: %s: %s holds %s", s.Title, part.Title, line, secret)
						}
					}
				}
			}
		}
	}
	if steps < 10 {
		t.Errorf("only %d steps", steps)
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "t.txtar:1:1: "},
		{"token: app\n-- --\n", "t.txtar:2:1: there is no name between the dashes"},
		{"with: {}\n", "say token: NAME at the top"},
		{"tokn: app\n-- client --\n", `unknown key; did you mean "token"?`},
		{"token: app\n-- client --\n", "leave out token, or -- client --"},
		{"token: app\n-- wnat --\n", "-- wnat -- is not known"},
		{"token: app\n-- want --\n", "a want without an answer"},
		{"token: app\n-- answer --\n-- want --\n-- want --\n", "a want without an answer"},
		{"token: app\nnow: today\n", "want a time such as"},
		{"recipe: other\ntoken: app\n", "t.txtar:1:9: recipe: the transcript is about another recipe than shop"},
		{"token: app\nwith: {endpoint: {env: HOME}}\n", "t.txtar:2:18: with.endpoint: want a text, {header: NAME}, {query: NAME} or {credential: NAME}"},
		{loginHead + "previous: old\n", "previous is for tokens with a refresh, and app has none"},
		{callHead + "previous: old\n-- client --\nGET http://a/ HTTP/1.1\n", "previous is for logins"},
		{"token: app\nwith: {endpoint: \"https://a\", user: u}\n", "secret"},
		{strings.Replace(loginHead, "app", "ap", 1), "has no token ap; it has app, session"},
		{strings.Replace(loginHead, "app", "session", 1), "say parents: {app: VALUE}"},
		{strings.Replace(callHead, ", session: session-token-1", "", 1) + "-- client --\nGET http://a/ HTTP/1.1\nX-User: u\n", "say tokens: {session: VALUE}"},
		{callHead + "-- client --\nGET http://a/ HTTP/1.1\nX-User: u\n-- want --\n", "the client's request is good"},
		{callHead + "-- client --\nGET http://a/ HTTP/1.1\n-- request --\n", "the client's request is refused"},
		{callHead + "-- client --\nnonsense\n", "client is no request"},
		{callHead + "-- client --\nGET http://a/ HTTP/1.1\nX-User: u\n-- answer --\nnonsense\n", "answer 1: "},
	} {
		if _, why := run(t, tt.text); !strings.Contains(why, tt.want) {
			t.Errorf("%q:\n%s\nwant %s", tt.text, why, tt.want)
		}
	}
	res, why := run(t, callHead+"-- client --\nGET http://a/ HTTP/1.1\n-- want --\nbad request: header X-User is missing\n")
	if why != "" || !res.OK() {
		t.Errorf("a bad request: %s %+v", why, res)
	}
}

// TestShortTokensAreNoSecrets: the T of an example must not be cut out of every
// word.
func TestShortTokensAreNoSecrets(t *testing.T) {
	res, why := run(t, strings.ReplaceAll(finishedCall, "app-token-1", "T"))
	if why != "" {
		t.Fatal(why)
	}
	if got := strings.Join(res.Steps[0].Trace[0].Lines, "\n"); !strings.Contains(got, "Authorization: Bearer T\n") || !strings.Contains(got, " HTTP/1.1\n") {
		t.Error(got)
	}
}

// TestDiffMasksWhatIsComputed: a signature and Basic credentials say as much as
// the secret that they are made of.
func TestDiffMasksWhatIsComputed(t *testing.T) {
	rep := &yamldoc.Report{}
	r, ok := recipe.Parse(rep, "own.yaml", []byte(`
recipe: own
params: {secret: {secret: true}}
tokens:
  app:
    let: {sign: {base64: "id:${secret}"}}
    request: {method: POST, url: "https://a.example.com", basic: {user: u, password: "${secret}"}, headers: {X-Sign: "${sign}"}, query: {v: "2"}}
    value: {json: token}
    lifetime: 1h
`))
	if !ok {
		t.Fatal(rep.Err())
	}
	tr, ok := Parse(rep, "t.txtar", []byte("token: app\nwith: {secret: s3cr3t-1}\n-- request --\nPOST https://a.example.com?v=1 HTTP/1.1\n"))
	if !ok {
		t.Fatal(rep.Err())
	}
	res, err := tr.Run(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	shown, revealed := strings.Join(res.Steps[0].Diff(false), "\n"), strings.Join(res.Steps[0].Diff(true), "\n")
	for _, computed := range []string{"aWQ6czNjcjN0LTE=", "dTpzM2NyM3QtMQ=="} { // id:s3cr3t-1, u:s3cr3t-1
		if strings.Contains(shown, computed) {
			t.Errorf("shows %s:\n%s", computed, shown)
		}
		if !strings.Contains(revealed, computed) {
			t.Errorf("does not reveal %s:\n%s", computed, revealed)
		}
	}
}

// TestNothingSent: a login whose parameters do not fit fails before there is a
// request.
func TestNothingSent(t *testing.T) {
	const text = "token: session\nwith: {endpoint: \"https://a.example.com\", secret: s3cr3t-1, user: {header: X-User}}\nparams: {user: \"\"}\nparents: {app: \"app\\ntoken\"}\n" +
		"-- answer --\nHTTP/1.1 200 OK\n\n{}\n-- want --\nerror: permanent\n"
	res, why := run(t, text)
	if why != "" {
		t.Fatal(why)
	}
	if len(res.Steps) != 1 || res.Steps[0].Title != "answer 1" || strings.Contains(string(res.After), "-- request --") {
		t.Errorf("%+v\n%s", res.Steps, res.After)
	}
}

// TestNothingIsRun: a transcript of a token that a command gives is a mistake,
// and the command does not run.
func TestNothingIsRun(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	rep := &yamldoc.Report{}
	r, ok := recipe.Parse(rep, "own.yaml", []byte("recipe: own\ntokens:\n  app: {exec: {command: [touch, \""+ran+"\"]}, value: {text: true}, lifetime: 1h}\n"))
	if !ok {
		t.Fatal(rep.Err())
	}
	tr, ok := Parse(rep, "t.txtar", []byte("token: app\n-- answer --\nHTTP/1.1 200 OK\n"))
	if !ok {
		t.Fatal(rep.Err())
	}
	if _, err := tr.Run(t.Context(), r); err == nil || !strings.Contains(err.Error(), "comes from a file or a command") {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the command ran")
	}
}
